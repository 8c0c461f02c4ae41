//! What machines were.

use crate::{
    FakeProvider, Verb,
    state::{Key, World, key, volume_name},
};
use async_trait::async_trait;
use jiff::Timestamp;
use rig_model::{Bytes, Exit, MachineState, Name, ObservedSnapshot, ResolvedMachine, TakenSnapshot};
use rig_provider_api::{Context, MachineRef, ProviderError, Result, Snapshots};
use std::collections::BTreeMap;

/// What a machine was.
#[derive(Clone)]
pub(crate) struct Snapshot {
    pub(crate) taken: Timestamp,
    spec: ResolvedMachine,
    state: MachineState,
    exit: Option<Exit>,
    files: BTreeMap<String, Vec<u8>>,
    volumes: BTreeMap<Name, BTreeMap<String, Vec<u8>>>,
}

impl Snapshot {
    /// What is said of it.
    pub(crate) fn observed(&self) -> TakenSnapshot {
        let contents = self.volumes.values().chain([&self.files]).flat_map(BTreeMap::values);
        let addresses = self.spec.networks.iter().filter_map(|at| Some((at.network.clone(), at.ip?)));
        TakenSnapshot {
            at: self.taken,
            running: self.state.is_running() || self.state == MachineState::Restarting,
            digest: Some(self.spec.digest()),
            addresses: addresses.collect(),
            size: Bytes(contents.map(|content| content.len() as u64).sum()),
            volumes: self.volumes.len(),
        }
    }
}

impl World {
    /// What a machine is now; `None` when it is not there.
    pub(crate) fn snapshot(&self, key: &Key) -> Option<Snapshot> {
        let machine = self.machines.get(key)?;
        let volumes = self.volumes.values().filter(|volume| volume.workspace == key.0 && volume.machine == key.1);
        Some(Snapshot {
            taken: Timestamp::now(),
            spec: machine.spec.clone(),
            state: machine.state,
            exit: machine.exit.clone(),
            files: machine.files.clone(),
            volumes: volumes.map(|volume| (volume.name.clone(), volume.files.clone())).collect(),
        })
    }

    /// Makes a machine that is not there what it was.
    pub(crate) fn revive(&mut self, key: &Key, snapshot: Snapshot) -> Result<()> {
        self.create(&snapshot.spec)?;
        for (name, files) in snapshot.volumes {
            if let Some(volume) = self.volumes.get_mut(&volume_name(key, &name)) {
                volume.files = files;
            }
        }
        if let Some(machine) = self.machines.get_mut(key) {
            machine.files = snapshot.files;
            if snapshot.state == MachineState::Exited {
                machine.state = MachineState::Exited;
                machine.exit = snapshot.exit;
            }
        }
        Ok(())
    }
}

/// What a call is about: `topology/machine snapshot`.
fn subject(machine: &MachineRef, name: &Name) -> String {
    format!("{machine} {name}")
}

#[async_trait]
impl Snapshots for FakeProvider {
    async fn save(&self, cx: &Context, machine: &MachineRef, name: &Name) -> Result<TakenSnapshot> {
        let work = async {
            let doing = format!("saving snapshot {name} of machine {machine}");
            let key = key(machine);
            let world = &mut self.engine.lock().world;
            let absent = || ProviderError::Absent { doing: doing.clone(), what: format!("machine {machine}") };
            let snapshot = world.snapshot(&key).ok_or_else(absent)?;
            if world.snapshots.contains_key(&(key.clone(), name.clone())) {
                return Err(ProviderError::failed(doing, format!("machine {machine} has a snapshot {name} already")));
            }
            let taken = snapshot.observed();
            world.snapshots.insert((key, name.clone()), snapshot);
            Ok(taken)
        };
        self.engine.call(cx, Verb::SaveSnapshot, &subject(machine, name), work).await
    }

    async fn restore(&self, cx: &Context, machine: &MachineRef, name: &Name) -> Result<()> {
        let work = async {
            let key = key(machine);
            let snapshot = self.engine.lock().world.snapshots.get(&(key.clone(), name.clone())).cloned();
            let snapshot = snapshot.ok_or_else(|| {
                ProviderError::failed(
                    format!("restoring machine {machine} to snapshot {name}"),
                    format!("machine {machine} has no snapshot {name}"),
                )
            })?;
            self.engine.destroy(&key);
            self.engine.lock().world.revive(&key, snapshot)
        };
        self.engine.call(cx, Verb::RestoreSnapshot, &subject(machine, name), work).await
    }

    async fn list_snapshots(&self, cx: &Context, workspace: &Name) -> Result<Vec<ObservedSnapshot>> {
        let work = async {
            let inside = self.engine.lock();
            let ours = inside.world.snapshots.iter().filter(|(((owner, _), _), _)| owner == workspace);
            let observed = ours.map(|(((_, machine), name), snapshot)| ObservedSnapshot {
                machine: machine.clone(),
                name: name.clone(),
                provider: self.id.clone(),
                taken: Some(snapshot.observed()),
            });
            Ok(observed.collect())
        };
        self.engine.call(cx, Verb::ListSnapshots, workspace.as_str(), work).await
    }

    async fn delete(&self, cx: &Context, machine: &MachineRef, name: &Name) -> Result<()> {
        let work = async {
            self.engine.lock().world.snapshots.remove(&(key(machine), name.clone()));
            Ok(())
        };
        self.engine.call(cx, Verb::DeleteSnapshot, &subject(machine, name), work).await
    }
}
