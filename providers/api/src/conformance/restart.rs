//! Restart policies.

use super::{
    Case, Failure, Fixture, Outcome,
    case::{case, ensure, ensure_eq},
    stage::{Stage, reference},
};
use crate::StopMode;
use rig_model::{MachineState, RestartPolicy};
use std::time::Duration;
use tokio::time::Instant;

pub(super) fn cases() -> Vec<Case> {
    vec![
        case!(a_failing_service_is_started_again, Service),
        case!(what_was_stopped_stays_stopped, Service),
        case!(success_is_no_failure, Service),
    ]
}

async fn a_failing_service_is_started_again(stage: &Stage<'_>) -> Outcome {
    let mut machine = stage.machine("failing");
    machine.command = Fixture::shell("exit 7");
    machine.restart = RestartPolicy::OnFailure;
    stage.up(&machine).await?;
    let end = Instant::now() + Duration::from_secs(15);
    while stage.inspected(&machine).await?.restarts.unwrap_or_default() < 2 {
        ensure!(Instant::now() < end, "a failing service was not started again twice within 15 s");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    stage.provider.stop(&stage.cx, &reference(&machine), StopMode::Kill).await?;
    let restarts = stage.inspected(&machine).await?.restarts;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let seen = stage.inspected(&machine).await?;
    ensure_eq!(seen.state, MachineState::Exited, "a failing machine that was stopped is");
    ensure_eq!(seen.restarts, restarts, "the restarts after the stop are");
    Ok(())
}

async fn what_was_stopped_stays_stopped(stage: &Stage<'_>) -> Outcome {
    let mut machine = stage.machine("always");
    machine.restart = RestartPolicy::Always;
    stage.up(&machine).await?;
    stage.provider.stop(&stage.cx, &reference(&machine), StopMode::Kill).await?;
    tokio::time::sleep(Duration::from_millis(500)).await;
    ensure_eq!(
        stage.seen(&machine).await?.state,
        MachineState::Exited,
        "a machine with restart=always that was stopped is"
    );
    Ok(())
}

async fn success_is_no_failure(stage: &Stage<'_>) -> Outcome {
    let mut machine = stage.machine("done");
    machine.command = Fixture::shell("exit 0");
    machine.restart = RestartPolicy::OnFailure;
    stage.up(&machine).await?;
    stage.until(&machine, MachineState::Exited).await?;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let seen = stage.inspected(&machine).await?;
    ensure_eq!(seen.state, MachineState::Exited, "a one-shot is");
    ensure_eq!(seen.exit.map(|exit| exit.code).ok_or_else(|| Failure::new("no exit code"))?, 0, "its exit code is");
    Ok(())
}
