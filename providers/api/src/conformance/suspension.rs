//! Machines stop in the middle of what they do and go on.

use super::{
    Case, Failure, Outcome,
    case::{case, ensure, ensure_eq},
    stage::{Stage, reference},
};
use crate::{ProviderError, StopMode, Suspension};
use rig_model::{MachineState, ResolvedMachine};
use std::time::Duration;

pub(super) fn cases() -> Vec<Case> {
    vec![
        case!(what_is_in_memory_is_there_afterwards, Suspension, Exec, Real),
        case!(suspending_and_resuming_twice_is_doing_it_once, Suspension),
        case!(what_does_not_run_is_not_suspended, Suspension),
        case!(a_suspended_machine_is_stopped, Suspension),
        case!(a_suspended_machine_is_destroyed, Suspension),
    ]
}

fn suspension<'a>(stage: &Stage<'a>) -> Outcome<&'a dyn Suspension> {
    stage.provider.suspension().ok_or_else(|| Failure::new("the provider suspends no machines"))
}

async fn suspend(stage: &Stage<'_>, machine: &ResolvedMachine) -> Outcome {
    suspension(stage)?.suspend(&stage.cx, &reference(machine)).await?;
    let state = stage.seen(machine).await?.state;
    ensure!(state.can_resume(), "a suspended machine is {state}");
    Ok(())
}

async fn resume(stage: &Stage<'_>, machine: &ResolvedMachine) -> Outcome {
    suspension(stage)?.resume(&stage.cx, &reference(machine)).await?;
    ensure_eq!(stage.seen(machine).await?.state, MachineState::Running, "a resumed machine is");
    Ok(())
}

async fn what_is_in_memory_is_there_afterwards(stage: &Stage<'_>) -> Outcome {
    let machine = stage.running("asleep").await?;
    let before = stage.inspected(&machine).await?;
    // A process of its own, whose number nobody else can have while it lives.
    stage.output(&machine, "sleep 3600 >/dev/null 2>&1 & echo $! > /sleeper; echo written > /written").await?;
    let look = "kill -0 $(cat /sleeper) && cat /proc/$(cat /sleeper)/cmdline /written";
    let process = stage.output(&machine, look).await?;
    // A second time finds everything as the first did.
    for _ in 0..2 {
        suspend(stage, &machine).await?;
        resume(stage, &machine).await?;
        ensure_eq!(stage.output(&machine, look).await?, process, "the process and its file are");
    }
    let after = stage.inspected(&machine).await?;
    ensure_eq!((&after.native, after.started), (&before.native, before.started), "its identity and start are");
    Ok(())
}

async fn suspending_and_resuming_twice_is_doing_it_once(stage: &Stage<'_>) -> Outcome {
    let machine = stage.running("twice").await?;
    resume(stage, &machine).await?;
    suspend(stage, &machine).await?;
    let first = stage.seen(&machine).await?;
    suspend(stage, &machine).await?;
    ensure_eq!(stage.seen(&machine).await?, first, "a machine that was suspended twice is");
    resume(stage, &machine).await?;
    resume(stage, &machine).await
}

async fn what_does_not_run_is_not_suspended(stage: &Stage<'_>) -> Outcome {
    let suspension = suspension(stage)?;
    let machine = stage.machine("sleeper");
    let absent = suspension.suspend(&stage.cx, &reference(&machine)).await;
    ensure!(absent.as_ref().is_err_and(ProviderError::is_absent), "suspending an absent machine gives {absent:?}");
    let absent = suspension.resume(&stage.cx, &reference(&machine)).await;
    ensure!(absent.as_ref().is_err_and(ProviderError::is_absent), "resuming an absent machine gives {absent:?}");
    stage.create(&machine).await?;
    ensure!(suspension.suspend(&stage.cx, &reference(&machine)).await.is_err(), "a created machine was suspended");
    ensure!(suspension.resume(&stage.cx, &reference(&machine)).await.is_err(), "a created machine was resumed");
    ensure_eq!(stage.seen(&machine).await?.state, MachineState::Created, "it is");
    Ok(())
}

async fn a_suspended_machine_is_stopped(stage: &Stage<'_>) -> Outcome {
    let machine = stage.running("stopped").await?;
    suspend(stage, &machine).await?;
    stage.provider.stop(&stage.cx, &reference(&machine), StopMode::Graceful(Duration::from_secs(20))).await?;
    ensure_eq!(stage.seen(&machine).await?.state, MachineState::Exited, "a suspended machine that was stopped is");
    stage.start(&machine).await?;
    ensure_eq!(stage.seen(&machine).await?.state, MachineState::Running, "and once it was started");
    Ok(())
}

async fn a_suspended_machine_is_destroyed(stage: &Stage<'_>) -> Outcome {
    let machine = stage.running("gone").await?;
    suspend(stage, &machine).await?;
    stage.destroy(&machine).await?;
    ensure_eq!(stage.find(&machine).await?, None, "a suspended machine that was destroyed is");
    Ok(())
}
