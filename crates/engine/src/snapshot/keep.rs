//! What rig knows of a machine, kept with its snapshot and given back with it.

use crate::{Access, EngineError, EventSink, drift, provision::blocking};
use jiff::Timestamp;
use rig_model::{Event, MachineId, MachineSpec, Name};
use rig_provider_api::{Context, Provider, Snapshots};
use rig_state::{Baseline, MachineRecord, SnapshotRecord};

/// Takes a snapshot. What is in the machine is noted before, for `rig drift`; a machine that cannot be looked into is told as
/// a note.
pub(crate) async fn save(
    cx: &Context,
    (provider, snapshots): (&dyn Provider, &dyn Snapshots),
    access: &Access,
    sink: &dyn EventSink,
    (machine, spec): (&MachineId, Option<&MachineSpec>),
    name: &Name,
) -> Result<(), EngineError> {
    let reference = access.reference(machine);
    let seen = provider.inspect(cx, &reference).await?;
    let contents = match spec {
        Some(spec) => match drift::look_into(cx, access, spec).await {
            Err(error) if error.is_cancelled() => return Err(error),
            Err(error) => {
                let text = format!("machine {machine}: `rig drift --since {name}` will not know what it was: {error}");
                sink.emit(Event::Note { text });
                None
            }
            Ok(contents) => contents,
        },
        None => None,
    };
    let taken = snapshots.save(cx, &reference, name).await?;
    let Some(seen) = seen else { return Ok(()) };
    let (layout, machine, name) = (access.layout().clone(), machine.clone(), name.clone());
    blocking(move || {
        let is_its = |native: &String| *native == seen.native;
        let record = SnapshotRecord {
            taken: taken.at,
            image: seen.image.clone(),
            machine: MachineRecord::load(&layout, &machine)?.filter(|record| is_its(&record.native)),
            baseline: Baseline::load(&layout, &machine)?.filter(|baseline| is_its(&baseline.native)),
            contents,
        };
        record.save(&layout, &machine, &name)
    })
    .await
}

/// Makes a machine what it was, and gives it what was known of it then.
pub(crate) async fn restore(
    cx: &Context,
    (provider, snapshots): (&dyn Provider, &dyn Snapshots),
    access: &Access,
    sink: &dyn EventSink,
    machine: &MachineId,
    (name, taken): (&Name, Timestamp),
) -> Result<(), EngineError> {
    let reference = access.reference(machine);
    let (layout, id, snapshot) = (access.layout().clone(), machine.clone(), name.clone());
    let record = blocking(move || SnapshotRecord::load(&layout, &id, &snapshot)).await?;
    let record = record.filter(|record| record.taken == taken);
    access.forget(machine).await;
    snapshots.restore(cx, &reference, name).await?;
    let seen = provider.inspect(cx, &reference).await?;
    let seen = seen.ok_or_else(|| EngineError::Gone { machine: machine.clone() })?;
    if record.is_none() && access.has_door(machine) {
        let text = format!(
            "machine {machine}: what was provisioned when snapshot {name} was taken is not kept here: `rig up` runs its steps again"
        );
        sink.emit(Event::Note { text });
    }
    let (layout, machine) = (access.layout().clone(), machine.clone());
    blocking(move || {
        let (known, baseline) = record.map(|record| (record.machine, record.baseline)).unwrap_or_default();
        match known {
            Some(known) => MachineRecord { native: seen.native.clone(), ..known }.save(&layout, &machine)?,
            None => MachineRecord::remove(&layout, &machine)?,
        }
        match baseline {
            Some(baseline) => Baseline { native: seen.native, ..baseline }.save(&layout, &machine),
            None => Baseline::remove(&layout, &machine),
        }
    })
    .await
}

/// Removes a snapshot and what was kept with it.
pub(crate) async fn delete(
    cx: &Context,
    snapshots: &dyn Snapshots,
    access: &Access,
    machine: &MachineId,
    name: &Name,
) -> Result<(), EngineError> {
    snapshots.delete(cx, &access.reference(machine), name).await?;
    let (layout, machine, name) = (access.layout().clone(), machine.clone(), name.clone());
    blocking(move || SnapshotRecord::remove(&layout, &machine, &name)).await
}
