//! How machines are entered: the keys that they are given, and the port of this host that leads to their SSH server.

use crate::{
    QemuProvider,
    boot::Boot,
    hosts::{guest, guests},
    record::Record,
};
use async_trait::async_trait;
use rig_hypervisor::{Guest, Keys, Lock, files, hosts, hosts_file, knows_all, neighbours};
use rig_model::{MachineId, MachineState};
use rig_provider_api::{Briefing, CardAddress, Context, Door, DoorKeys, Doors, KnownBy, MachineRef, Result};
use std::net::{Ipv4Addr, SocketAddr};

#[async_trait]
impl Doors for QemuProvider {
    async fn furnish(&self, cx: &Context, machine: &MachineRef, keys: &DoorKeys) -> Result<()> {
        let doing = format!("giving machine {machine} its keys");
        self.record(cx, &doing, machine).await?;
        let lock = Lock::take(cx, &doing, self.layout.machine_lock(machine)).await?;
        let record = self.record(cx, &doing, machine).await?;
        if self.state(cx, &record).await?.is_running() {
            // What runs has read its keys.
            return Ok(());
        }
        let (place, keys) = (self.layout.machine(machine), keys.clone());
        let work = files::blocking(&doing, move || {
            let _held = lock;
            Keys::renew(&place.keys(), keys)
        });
        cx.run(&doing, work).await
    }

    fn copies_folders(&self) -> bool {
        true
    }

    async fn door(&self, cx: &Context, machine: &MachineRef) -> Result<Option<Door>> {
        let doing = format!("looking for the SSH server of machine {machine}");
        let Some(record) = self.found(cx, machine).await? else { return Ok(None) };
        if !self.state(cx, &record).await?.is_running() {
            return Ok(None);
        }
        let Some(run) = &record.run else { return Ok(None) };
        let place = self.layout.machine(machine);
        let keys = cx.run(&doing, files::blocking(&doing, move || Keys::load(&place.keys()))).await?;
        let known = match record.boot {
            Boot::Kernel | Boot::CloudImage => {
                KnownBy::Given(keys.map(|keys| keys.public_host_key.clone()).into_iter().collect())
            }
            Boot::Stored => KnownBy::FirstContact,
        };
        Ok(Some(Door { address: SocketAddr::from((Ipv4Addr::LOCALHOST, run.ssh)), known }))
    }

    async fn unaware(&self, cx: &Context, machine: &MachineRef) -> Result<Vec<MachineId>> {
        let doing = format!("looking for the neighbours of machine {machine}");
        let record = self.record(cx, &doing, machine).await?;
        let all = self.all(cx, &doing, &record).await?;
        let (own, guests) = (guest(&record), guests(&all));
        let mut unaware = Vec::new();
        for other in neighbours(&own, &guests) {
            let Some(record) = all.iter().find(|record| record.id == other.id) else { continue };
            if !is_aware(other, record, &guests) && self.state(cx, record).await? == MachineState::Running {
                unaware.push(other.id.clone());
            }
        }
        Ok(unaware)
    }

    async fn briefing(&self, cx: &Context, machine: &MachineRef) -> Result<Option<Briefing>> {
        let doing = format!("listing the neighbours of machine {machine}");
        let record = self.record(cx, &doing, machine).await?;
        let all = self.all(cx, &doing, &record).await?;
        let (own, guests) = (guest(&record), guests(&all));
        if is_aware(&own, &record, &guests) {
            return Ok(None);
        }
        let machines = neighbours(&own, &guests).map(|other| other.id.clone()).collect();
        let hosts = hosts_file(&hosts(&own, &guests));
        if record.boot == Boot::Kernel {
            // It has read the rest.
            return Ok(Some(Briefing { hosts, machines, ..Briefing::default() }));
        }
        // The way out has its address from QEMU.
        let cards = record.cards.iter().filter(|card| card.network.is_some()).map(|card| &card.card);
        let cards = cards.map(|card| CardAddress { mac: card.mac.clone(), ip: card.ip, prefix: card.prefix }).collect();
        Ok(Some(Briefing { hostname: Some(record.hostname.clone()), cards, hosts, machines, ..Briefing::default() }))
    }

    async fn aware(&self, cx: &Context, machine: &MachineRef, briefing: &Briefing) -> Result<()> {
        let doing = format!("noting what machine {machine} knows");
        let told = |known: &mut Record, told| {
            if let Some(run) = &mut known.run {
                run.told = Some(told);
            }
        };
        self.update(cx, &doing, machine, told, briefing.machines.clone()).await
    }
}

impl QemuProvider {
    /// The machines of the same workspace.
    async fn all(&self, cx: &Context, doing: &str, record: &Record) -> Result<Vec<Record>> {
        let (machines, workspace) = (self.layout.machines(), record.workspace.clone());
        cx.run(doing, files::blocking(doing, move || Record::of(&machines, &workspace))).await
    }
}

/// Whether a machine was told everything in its present run.
fn is_aware(own: &Guest, record: &Record, all: &[Guest]) -> bool {
    let told = record.run.as_ref().and_then(|run| run.told.as_deref());
    told.is_some_and(|told| knows_all(own, told, all))
}
