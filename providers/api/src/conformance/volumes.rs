//! Volumes outlive machines.

use super::{
    Case, Failure, Outcome,
    case::{case, ensure, ensure_eq},
    stage::{Stage, name},
};
use crate::{ObserveScope, Volumes};
use rig_model::{Mount, ObservedVolume, ResolvedMachine};

pub(super) fn cases() -> Vec<Case> {
    vec![
        case!(a_volume_is_made_with_its_machine, Volumes),
        case!(content_survives_its_machine, Volumes, Exec),
        case!(machines_have_volumes_of_their_own, Volumes, Exec),
        case!(a_removed_volume_is_gone_with_its_content, Volumes, Exec),
        case!(removing_what_is_absent_succeeds, Volumes),
    ]
}

fn keeper(stage: &Stage<'_>, machine: &str) -> ResolvedMachine {
    let mut machine = stage.machine(machine);
    machine.mounts.push(Mount::Volume { name: name("data"), target: "/var/lib/data".to_owned() });
    machine
}

async fn seen(stage: &Stage<'_>) -> Outcome<Vec<ObservedVolume>> {
    let scope = ObserveScope { volumes: true, ..ObserveScope::MACHINES };
    Ok(stage.provider.observe(&stage.cx, &stage.fixture.workspace, scope).await?.volumes)
}

fn volumes<'a>(stage: &Stage<'a>) -> Outcome<&'a dyn Volumes> {
    stage.provider.volumes().ok_or_else(|| Failure::new("the provider has no volumes"))
}

async fn a_volume_is_made_with_its_machine(stage: &Stage<'_>) -> Outcome {
    let machine = keeper(stage, "keeper");
    stage.create(&machine).await?;
    stage.create(&machine).await?;
    let there = seen(stage).await?;
    ensure_eq!(there.len(), 1, "volumes of a machine that was created twice");
    ensure_eq!((&there[0].machine, there[0].name.as_str()), (&machine.id, "data"), "its machine and name are");
    Ok(())
}

async fn content_survives_its_machine(stage: &Stage<'_>) -> Outcome {
    let machine = keeper(stage, "keeper");
    stage.up(&machine).await?;
    stage.output(&machine, "echo kept > /var/lib/data/file; echo lost > /file").await?;
    let before = seen(stage).await?;
    stage.destroy(&machine).await?;
    ensure_eq!(seen(stage).await?, before, "after the machine's end the volumes are");
    stage.up(&machine).await?;
    ensure_eq!(stage.output(&machine, "cat /var/lib/data/file").await?, "kept", "a file of the volume holds");
    ensure!(stage.shell(&machine, "cat /file").await?.exit != 0, "a file outside of the volume outlived its machine");
    Ok(())
}

async fn machines_have_volumes_of_their_own(stage: &Stage<'_>) -> Outcome {
    let (first, second) = (keeper(stage, "first"), keeper(stage, "second"));
    stage.up(&first).await?;
    stage.up(&second).await?;
    stage.output(&first, "echo mine > /var/lib/data/file").await?;
    ensure!(
        stage.shell(&second, "cat /var/lib/data/file").await?.exit != 0,
        "two machines share a volume of the same name"
    );
    ensure_eq!(seen(stage).await?.len(), 2, "volumes of two machines");
    Ok(())
}

async fn a_removed_volume_is_gone_with_its_content(stage: &Stage<'_>) -> Outcome {
    let machine = keeper(stage, "keeper");
    stage.up(&machine).await?;
    stage.output(&machine, "echo kept > /var/lib/data/file").await?;
    let native = seen(stage).await?.remove(0).native;
    ensure!(volumes(stage)?.remove_volume(&stage.cx, &native).await.is_err(), "a volume in use was removed");
    stage.destroy(&machine).await?;
    volumes(stage)?.remove_volume(&stage.cx, &native).await?;
    ensure_eq!(seen(stage).await?, [], "after the removal the volumes are");
    stage.up(&machine).await?;
    ensure!(stage.shell(&machine, "cat /var/lib/data/file").await?.exit != 0, "a new volume has the old one's content");
    Ok(())
}

async fn removing_what_is_absent_succeeds(stage: &Stage<'_>) -> Outcome {
    let machine = keeper(stage, "keeper");
    stage.create(&machine).await?;
    let native = seen(stage).await?.remove(0).native;
    stage.destroy(&machine).await?;
    volumes(stage)?.remove_volume(&stage.cx, &native).await?;
    Ok(volumes(stage)?.remove_volume(&stage.cx, &native).await?)
}
