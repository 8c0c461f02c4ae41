//! How machines are entered: by the keys that they were given; or, where their box comes from somewhere else, by a host key of its
//! own and the key that is published for such boxes.

use crate::{briefing::briefing, provider::VirtualBoxProvider, run::Run, running::SSH_FORWARD};
use async_trait::async_trait;
use rig_hypervisor::{Guest, Keys, files, knows_all, neighbours};
use rig_model::{MachineId, MachineState};
use rig_provider_api::{Briefing, Context, Door, DoorKeys, Doors, KnownBy, MachineRef, Result};
use std::net::{Ipv4Addr, SocketAddr};

#[async_trait]
impl Doors for VirtualBoxProvider {
    /// Into a box that somebody else made nothing can be put that its maker did not provide for.
    async fn furnish(&self, cx: &Context, machine: &MachineRef, keys: &DoorKeys) -> Result<()> {
        let doing = format!("giving machine {machine} its keys");
        let found = self.there(cx, &doing, machine).await?;
        if !found.label.is_some_and(|label| label.seeded) {
            return Ok(());
        }
        let of_machine = self.hold(cx, &doing, &found.place).await?;
        let found = self.there(cx, &doing, machine).await?;
        if found.state(&self.recent(cx).await?) == Some(MachineState::Running) {
            // What runs has read its keys.
            return Ok(());
        }
        let (place, keys) = (found.place, keys.clone());
        let renew = files::blocking(&doing, move || {
            let _held = of_machine;
            Keys::renew(&place.keys(), keys)
        });
        cx.run(&doing, renew).await
    }

    async fn door(&self, cx: &Context, machine: &MachineRef) -> Result<Option<Door>> {
        let Some(found) = self.found(cx, machine).await? else { return Ok(None) };
        if found.state(&self.recent(cx).await?) != Some(MachineState::Running) {
            return Ok(None);
        }
        let port = found.settings.and_then(|settings| settings.forwards.get(SSH_FORWARD).copied());
        let Some(port) = port else { return Ok(None) };
        let known = if found.label.is_some_and(|label| label.seeded) {
            let (doing, place) = (format!("reading the keys of machine {machine}"), found.place);
            let keys = cx.run(&doing, files::blocking(&doing, move || Keys::load(&place.keys()))).await?;
            KnownBy::Given(keys.map(|keys| keys.public_host_key.clone()).into_iter().collect())
        } else {
            KnownBy::FirstContact
        };
        Ok(Some(Door { address: SocketAddr::from((Ipv4Addr::LOCALHOST, port)), known }))
    }

    async fn unaware(&self, cx: &Context, machine: &MachineRef) -> Result<Vec<MachineId>> {
        let doing = format!("looking for the neighbours of machine {machine}");
        let found = self.there(cx, &doing, machine).await?;
        let all = self.all_of(cx, &doing, &machine.workspace).await?;
        let guests: Vec<Guest> = all.iter().filter_map(|found| found.guest()).collect();
        let Some(own) = found.guest() else { return Ok(Vec::new()) };
        let registry = self.recent(cx).await?;
        let mut unaware = Vec::new();
        for other in neighbours(&own, &guests) {
            let there = all.iter().find(|found| found.label.as_ref().is_some_and(|label| label.id == other.id));
            let Some(there) = there else { continue };
            let told = there.run.as_ref().and_then(|run| run.told.as_deref());
            if !told.is_some_and(|told| knows_all(other, told, &guests))
                && there.state(&registry) == Some(MachineState::Running)
            {
                unaware.push(other.id.clone());
            }
        }
        Ok(unaware)
    }

    async fn briefing(&self, cx: &Context, machine: &MachineRef) -> Result<Option<Briefing>> {
        let doing = format!("listing the neighbours of machine {machine}");
        let found = self.there(cx, &doing, machine).await?;
        let all = self.all_of(cx, &doing, &machine.workspace).await?;
        let guests: Vec<Guest> = all.iter().filter_map(|found| found.guest()).collect();
        let (Some(own), Some(label)) = (found.guest(), &found.label) else { return Ok(None) };
        let told = found.run.as_ref().and_then(|run| run.told.as_deref());
        if told.is_some_and(|told| knows_all(&own, told, &guests)) {
            return Ok(None);
        }
        Ok(Some(briefing(label, &own, &guests)))
    }

    async fn aware(&self, cx: &Context, machine: &MachineRef, briefing: &Briefing) -> Result<()> {
        let doing = format!("noting what machine {machine} knows");
        let (place, told) = (self.layout.machine(machine), briefing.machines.clone());
        let note = move || Run::update(&place, |run| run.told = Some(told));
        cx.run(&doing, files::blocking(&doing, note)).await
    }
}
