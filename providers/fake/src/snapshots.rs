//! What machines were.

use crate::{FakeProvider, Verb, state::key};
use async_trait::async_trait;
use rig_model::{Name, ObservedSnapshot, TakenSnapshot};
use rig_provider_api::{Context, MachineRef, ProviderError, Result, Snapshots};

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
