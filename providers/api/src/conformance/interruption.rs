//! Calls that are cut in the middle: by the user, or by a crash between the engine's work and its answer.

use super::{
    Case, Outcome,
    case::{case, ensure, ensure_eq},
    stage::{Stage, reference},
};
use crate::{Context, NoProgress};
use rig_model::{MachineState, ObservedMachine, ResolvedMachine};
use std::{sync::Arc, time::Duration};
use tokio_util::sync::CancellationToken;

pub(super) fn cases() -> Vec<Case> {
    vec![
        case!(a_cancelled_creation_leaves_nothing_or_all, Networks),
        case!(a_crash_during_creation_leaves_nothing_or_all, Networks),
        case!(a_crash_during_a_start_leaves_a_machine_that_starts),
        case!(a_crash_during_a_destruction_leaves_what_can_be_destroyed),
        case!(a_deadline_ends_a_call),
    ]
}

/// When a call is cut: at once, and while an engine is at it. A creation takes some ten milliseconds.
const MOMENTS: [u64; 4] = [0, 5, 20, 60];

/// A machine on both networks: for most engines more than one step.
fn wide(stage: &Stage<'_>, number: usize) -> ResolvedMachine {
    let mut machine = stage.machine(&format!("cut{number}"));
    machine.networks.push(stage.attachment(1));
    machine
}

async fn a_cancelled_creation_leaves_nothing_or_all(stage: &Stage<'_>) -> Outcome {
    stage.make(&stage.network(0)).await?;
    stage.make(&stage.network(1)).await?;
    for (number, moment) in MOMENTS.into_iter().enumerate() {
        let machine = wide(stage, number);
        let cancel = CancellationToken::new();
        let cx = Context::new(cancel.clone(), Duration::from_secs(30), Arc::new(NoProgress));
        let cut = async {
            tokio::time::sleep(Duration::from_millis(moment)).await;
            cancel.cancel();
        };
        let (_, ()) = tokio::join!(stage.provider.create(&cx, &machine), cut);
        nothing_or_all(stage, &machine).await?;
    }
    Ok(())
}

async fn a_crash_during_creation_leaves_nothing_or_all(stage: &Stage<'_>) -> Outcome {
    stage.make(&stage.network(0)).await?;
    stage.make(&stage.network(1)).await?;
    for (number, moment) in MOMENTS.into_iter().enumerate() {
        let machine = wide(stage, number);
        // The future is dropped where it stands; whatever it returned is lost.
        let _ = tokio::time::timeout(Duration::from_millis(moment), stage.provider.create(&stage.cx, &machine)).await;
        nothing_or_all(stage, &machine).await?;
    }
    Ok(())
}

/// What was cut is complete, or known to be beyond use, or absent; and the next try makes it complete.
async fn nothing_or_all(stage: &Stage<'_>, machine: &ResolvedMachine) -> Outcome {
    if let Some(seen) = stage.find(machine).await? {
        ensure!(
            seen.state == MachineState::Dead || is_complete(&seen, machine),
            "a cut creation left a {} machine with addresses {:?} of {:?}",
            seen.state,
            seen.addresses,
            machine.networks
        );
    }
    stage.provider.create(&stage.cx, machine).await?;
    let seen = stage.seen(machine).await?;
    ensure_eq!(seen.state, MachineState::Created, "after a second creation the machine is");
    ensure!(
        is_complete(&seen, machine),
        "after a second creation the machine has only the addresses {:?}",
        seen.addresses
    );
    stage.start(machine).await?;
    ensure_eq!(stage.seen(machine).await?.state, MachineState::Running, "the machine is");
    Ok(())
}

fn is_complete(seen: &ObservedMachine, machine: &ResolvedMachine) -> bool {
    let has = |(network, ip)| seen.addresses.contains(&(network, ip));
    seen.digest == Some(machine.digest())
        && machine.networks.iter().filter_map(|at| Some((at.network.clone(), at.ip?))).all(has)
}

async fn a_crash_during_a_start_leaves_a_machine_that_starts(stage: &Stage<'_>) -> Outcome {
    for (number, moment) in MOMENTS.into_iter().enumerate() {
        let machine = stage.machine(&format!("cut{number}"));
        stage.create(&machine).await?;
        let _ = tokio::time::timeout(Duration::from_millis(moment), stage.start(&machine)).await;
        stage.start(&machine).await?;
        ensure_eq!(stage.seen(&machine).await?.state, MachineState::Running, "after a second start the machine is");
    }
    Ok(())
}

async fn a_crash_during_a_destruction_leaves_what_can_be_destroyed(stage: &Stage<'_>) -> Outcome {
    for (number, moment) in MOMENTS.into_iter().enumerate() {
        let machine = stage.running(&format!("cut{number}")).await?;
        let _ = tokio::time::timeout(Duration::from_millis(moment), stage.destroy(&machine)).await;
        stage.destroy(&machine).await?;
        ensure_eq!(stage.find(&machine).await?, None, "after a second destruction the machine is");
    }
    Ok(())
}

async fn a_deadline_ends_a_call(stage: &Stage<'_>) -> Outcome {
    let mut machine = stage.machine("slow");
    machine.command.clone_from(&stage.fixture.ignores_term);
    stage.up(&machine).await?;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let cx = Context::alone(Duration::from_millis(400));
    let stop = crate::StopMode::Graceful(Duration::from_secs(30));
    let result = stage.provider.stop(&cx, &reference(&machine), stop).await;
    ensure!(
        matches!(result, Err(crate::ProviderError::TimedOut { .. })),
        "a stop that takes longer than its deadline gives {result:?}"
    );
    Ok(())
}
