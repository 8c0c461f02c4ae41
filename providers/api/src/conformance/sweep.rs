//! Removing what a case left behind.

use super::{Failure, Fixture, Outcome};
use crate::{Context, MachineRef, ObserveScope, Provider};
use futures_util::future;
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
        let machines: Vec<MachineRef> = there
            .machines
            .iter()
            .map(|machine| MachineRef { workspace: fixture.workspace.clone(), id: machine.id.clone() })
            .collect();
        let boxes: Vec<_> = there.boxes.iter().filter(|there| is_ours(fixture, there.name.as_str())).collect();
        if machines.is_empty() && there.networks.is_empty() && there.volumes.is_empty() && boxes.is_empty() {
            return Ok(());
        }
        let mut results = future::join_all(machines.iter().map(|machine| provider.destroy(&cx, machine))).await;
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
