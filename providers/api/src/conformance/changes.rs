//! What machines have otherwise than their boxes.

use super::{
    Case, Failure, Outcome,
    case::{case, ensure, ensure_eq},
    stage::{Stage, reference},
};
use crate::{PathChange, PathChangeKind, ProviderError, StopMode};
use rig_model::{Mount, Name, ResolvedMachine};

pub(super) fn cases() -> Vec<Case> {
    vec![
        case!(what_is_written_is_a_change, Changes, Exec),
        case!(volumes_are_no_part_of_the_box, Changes, Exec, Volumes),
        case!(what_the_box_had_is_known, Changes, Exec, Real),
        case!(a_machine_that_is_not_there_has_no_changes, Changes),
    ]
}

async fn changes(stage: &Stage<'_>, machine: &ResolvedMachine) -> Outcome<Vec<PathChange>> {
    let capability = stage.provider.changes().ok_or_else(|| Failure::new("the capability went away"))?;
    Ok(capability.changes(&stage.cx, &reference(machine)).await?)
}

fn of(changes: &[PathChange], path: &str) -> Option<PathChangeKind> {
    changes.iter().find(|change| change.path == path).map(|change| change.kind)
}

async fn what_is_written_is_a_change(stage: &Stage<'_>) -> Outcome {
    let machine = stage.running("writer").await?;
    ensure_eq!(of(&changes(stage, &machine).await?, "/written"), None, "before it is written, the file is");
    stage.shell(&machine, "echo text > /written").await?;
    ensure_eq!(of(&changes(stage, &machine).await?, "/written"), Some(PathChangeKind::Added), "the new file is");
    stage.provider.stop(&stage.cx, &reference(&machine), StopMode::Kill).await?;
    let stopped = changes(stage, &machine).await?;
    ensure_eq!(of(&stopped, "/written"), Some(PathChangeKind::Added), "in a machine that has stopped, the file is");
    Ok(())
}

async fn volumes_are_no_part_of_the_box(stage: &Stage<'_>) -> Outcome {
    let mut machine = stage.machine("keeper");
    let name = Name::new("data").map_err(|error| Failure::new(error.to_string()))?;
    machine.mounts.push(Mount::Volume { name, target: "/data".to_owned() });
    stage.up(&machine).await?;
    stage.shell(&machine, "echo text > /data/kept").await?;
    ensure_eq!(of(&changes(stage, &machine).await?, "/data/kept"), None, "a file in a volume is");
    Ok(())
}

async fn what_the_box_had_is_known(stage: &Stage<'_>) -> Outcome {
    let machine = stage.running("changer").await?;
    let capability = stage.provider.changes().ok_or_else(|| Failure::new("the capability went away"))?;
    let old = stage.shell(&machine, "cat /etc/passwd").await?.stdout;
    stage.shell(&machine, "echo other >> /etc/passwd").await?;
    ensure_eq!(of(&changes(stage, &machine).await?, "/etc/passwd"), Some(PathChangeKind::Modified), "the file is");
    let original = capability.original(&stage.cx, &reference(&machine), "/etc/passwd", 1 << 20).await?;
    ensure!(original.as_deref() == Some(old.as_slice()), "the box's own file is {original:?}");
    let none = capability.original(&stage.cx, &reference(&machine), "/no/such/file", 1 << 20).await?;
    ensure_eq!(none, None, "a file that the box has not is");
    Ok(())
}

async fn a_machine_that_is_not_there_has_no_changes(stage: &Stage<'_>) -> Outcome {
    let machine = stage.machine("nobody");
    let capability = stage.provider.changes().ok_or_else(|| Failure::new("the capability went away"))?;
    let result = capability.changes(&stage.cx, &reference(&machine)).await;
    ensure!(matches!(result, Err(ProviderError::Absent { .. })), "the answer is {result:?}");
    Ok(())
}
