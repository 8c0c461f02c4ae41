//! What machines were, kept by VirtualBox: their disks, their settings, and what a running one held in memory. A snapshot lives as
//! long as its machine.

use crate::{label::text, observe::Found, provider::VirtualBoxProvider, runner::words, settings::Snapshot};
use async_trait::async_trait;
use jiff::Timestamp;
use rig_hypervisor::files;
use rig_model::{Bytes, Digest, MachineState, Name, ObservedSnapshot, TakenSnapshot};
use rig_provider_api::{Context, MachineRef, ProviderError, Result, Snapshots};
use serde::{Deserialize, Serialize};
use std::net::Ipv4Addr;

/// What is written into a snapshot's description.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Described {
    /// The hash of the machine's fields.
    digest: Digest,
    addresses: Vec<(Name, Ipv4Addr)>,
}

/// What a snapshot holds; nothing for one that is not rig's.
fn taken(snapshot: &Snapshot) -> Option<TakenSnapshot> {
    let described: Described = serde_json::from_str(&snapshot.description).ok()?;
    Some(TakenSnapshot {
        at: snapshot.at.unwrap_or(Timestamp::UNIX_EPOCH),
        running: snapshot.running,
        digest: Some(described.digest),
        addresses: described.addresses,
        // Disks of snapshots lie over each other: none has a size of its own.
        size: Bytes(0),
        volumes: 0,
    })
}

/// The snapshot of a name that is rig's.
fn named<'a>(found: &'a Found, name: &Name) -> Option<(&'a Snapshot, TakenSnapshot)> {
    let snapshots = found.settings.as_ref()?.snapshots.iter();
    snapshots.filter(|snapshot| snapshot.name == name.as_str()).find_map(|snapshot| Some((snapshot, taken(snapshot)?)))
}

#[async_trait]
impl Snapshots for VirtualBoxProvider {
    async fn save(&self, cx: &Context, machine: &MachineRef, name: &Name) -> Result<TakenSnapshot> {
        let doing = format!("saving snapshot {name} of machine {machine}");
        let place = self.there(cx, &doing, machine).await?.place;
        let _of_machine = self.hold(cx, &doing, &place).await?;
        let found = self.there(cx, &doing, machine).await?;
        if named(&found, name).is_some() {
            return Err(ProviderError::failed(doing, "there is one of that name already"));
        }
        let Some(label) = &found.label else {
            return Err(ProviderError::failed(doing, "the machine was never finished"));
        };
        let addresses = label.cards.iter().map(|card| (card.network.clone(), card.ip)).collect();
        let described = text(&Described { digest: label.digest.clone(), addresses });
        let take = words(["snapshot", &found.identity, "take", name.as_str(), "--description", &described]);
        self.changed();
        self.runner.run_patiently(cx, &doing, &take).await?;
        let found = self.there(cx, &doing, machine).await?;
        let lost = || ProviderError::failed(&doing, "VirtualBox does not list it");
        named(&found, name).map(|(_, taken)| taken).ok_or_else(lost)
    }

    async fn restore(&self, cx: &Context, machine: &MachineRef, name: &Name) -> Result<()> {
        let doing = format!("restoring snapshot {name} of machine {machine}");
        let absent =
            || ProviderError::Absent { doing: doing.clone(), what: format!("snapshot {name} of machine {machine}") };
        let before = self.there(cx, &doing, machine).await?;
        // One that is just being saved was not there when it was asked for.
        named(&before, name).ok_or_else(absent)?;
        let _of_machine = self.hold(cx, &doing, &before.place).await?;
        let found = self.there(cx, &doing, machine).await?;
        let (snapshot, _) = named(&found, name).ok_or_else(absent)?;
        let Some(label) = &found.label else {
            return Err(ProviderError::failed(doing, "the machine was never finished"));
        };
        self.changed();
        if found.state(&self.registry(cx).await?) == Some(MachineState::Running) {
            self.cut_power(cx, &doing, &found.identity).await?;
        }
        // What is known of the machine goes first: a call that is cut then costs a repeated provisioning, and no false knowledge.
        let place = found.place.clone();
        cx.run(&doing, files::blocking(&doing, move || files::remove_file(&place.run()))).await?;
        let mut label = label.clone();
        label.restored += 1;
        self.write_label(cx, &doing, &found.identity, &label).await?;
        let restore = words(["snapshot", &found.identity, "restore", &snapshot.uuid]);
        self.runner.run_patiently(cx, &doing, &restore).await.map(drop)
    }

    async fn list_snapshots(&self, cx: &Context, workspace: &Name) -> Result<Vec<ObservedSnapshot>> {
        let all = self.all_of(cx, "listing snapshots", workspace).await?;
        let of_machine = |found: &Found| -> Vec<ObservedSnapshot> {
            let Some(label) = &found.label else { return Vec::new() };
            let snapshots = found.settings.iter().flat_map(|settings| &settings.snapshots);
            let ours = snapshots.filter_map(|snapshot| {
                let (name, taken) = (Name::new(&*snapshot.name).ok()?, taken(snapshot)?);
                Some(ObservedSnapshot {
                    machine: label.id.clone(),
                    name,
                    provider: self.id.clone(),
                    taken: Some(taken),
                })
            });
            ours.collect()
        };
        Ok(all.iter().flat_map(of_machine).collect())
    }

    async fn delete(&self, cx: &Context, machine: &MachineRef, name: &Name) -> Result<()> {
        let doing = format!("removing snapshot {name} of machine {machine}");
        let Some(found) = self.found(cx, machine).await? else { return Ok(()) };
        let _of_machine = self.hold(cx, &doing, &found.place).await?;
        let Some(found) = self.found(cx, machine).await? else { return Ok(()) };
        let Some((snapshot, _)) = named(&found, name) else { return Ok(()) };
        self.changed();
        let delete = words(["snapshot", &found.identity, "delete", &snapshot.uuid]);
        let deleted = self.runner.run_patiently(cx, &doing, &delete).await;
        deleted.map(drop).map_err(|error| {
            if error.to_string().contains("child snapshots") {
                return error.hinted("the machine was brought back to it and saved anew: delete those snapshots first");
            }
            error
        })
    }
}
