//! Removing what a case left behind.

use super::{Failure, Fixture, Outcome};
use crate::{Context, MachineRef, ObserveScope, Provider};
use futures_util::future;
use rig_model::MachineId;
use std::time::Duration;

/// How long everything may take together.
const LIMIT: Duration = Duration::from_secs(30);

/// How often what is still there is looked for: a call that was cut may make its object after a first look.
const ROUNDS: usize = 5;

/// Removes everything that carries the fixture's workspace, and checks that nothing is left.
pub(super) async fn sweep(provider: &dyn Provider, fixture: &Fixture) -> Outcome {
    let cx = Context::alone(LIMIT);
    let mut last = None;
    for _ in 0..ROUNDS {
        let there = provider.observe(&cx, &fixture.workspace, ObserveScope::ALL).await?;
        let reference = |id: &MachineId| MachineRef { workspace: fixture.workspace.clone(), id: id.clone() };
        let machines: Vec<MachineRef> = there.machines.iter().map(|machine| reference(&machine.id)).collect();
        let snapshots = match provider.snapshots() {
            Some(snapshots) => snapshots.list_snapshots(&cx, &fixture.workspace).await?,
            None => Vec::new(),
        };
        let boxes: Vec<_> = there.boxes.iter().filter(|there| is_ours(fixture, there.name.as_str())).collect();
        let is_swept = [machines.len(), snapshots.len(), there.networks.len(), there.volumes.len(), boxes.len()];
        if is_swept == [0; 5] {
            return Ok(());
        }
        let mut results = future::join_all(machines.iter().map(|machine| provider.destroy(&cx, machine))).await;
        if let Some(capability) = provider.snapshots() {
            for snapshot in &snapshots {
                results.push(capability.delete(&cx, &reference(&snapshot.machine), &snapshot.name).await);
            }
        }
        if let Some(networks) = provider.networks() {
            let removals = there.networks.iter().map(|network| networks.remove_network(&cx, &network.native));
            results.extend(future::join_all(removals).await);
        }
        if let Some(volumes) = provider.volumes() {
            let removals = there.volumes.iter().map(|volume| volumes.remove_volume(&cx, &volume.native));
            results.extend(future::join_all(removals).await);
        }
        if let Some(images) = provider.images() {
            // One after the other: a parent goes only after its child.
            for image in boxes.iter().rev() {
                results.push(images.remove(&cx, &image.image).await);
            }
        }
        last = results.into_iter().find_map(Result::err);
    }
    Err(last.map_or_else(|| Failure::new("what the case made is still there after its removal"), Failure::from))
}

fn is_ours(fixture: &Fixture, name: &str) -> bool {
    name.strip_prefix(fixture.workspace.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
}
