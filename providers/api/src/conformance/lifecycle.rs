//! Create, start, stop, destroy: each once, twice, and where nothing is.

use super::{
    Case, Outcome,
    case::{case, ensure, ensure_eq},
    stage::{Stage, reference},
};
use crate::{Context, Endpoint, NoProgress, ProviderError, StopMode};
use rig_model::MachineState;
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub(super) fn cases() -> Vec<Case> {
    vec![
        case!(creating_twice_is_creating_once),
        case!(a_taken_name_is_refused_and_left_alone),
        case!(starting_twice_is_starting_once),
        case!(starting_what_is_absent_says_so),
        case!(stopping_twice_is_stopping_once),
        case!(stopping_what_is_absent_succeeds),
        case!(a_stopped_machine_starts_again),
        case!(term_reaches_process_one, Service),
        case!(grace_ends_a_machine_that_ignores_term, Service),
        case!(killing_waits_for_nothing),
        case!(destroying_twice_succeeds),
        case!(destroying_what_was_never_there_succeeds),
        case!(only_running_machines_have_an_endpoint),
        case!(a_call_that_was_cancelled_before_does_nothing),
    ]
}

async fn creating_twice_is_creating_once(stage: &Stage<'_>) -> Outcome {
    let machine = stage.machine("once");
    stage.create(&machine).await?;
    let first = stage.seen(&machine).await?;
    stage.create(&machine).await?;
    let second = stage.seen(&machine).await?;
    ensure_eq!(second.native, first.native, "the machine was made anew, its identifier is");
    ensure_eq!(second.state, MachineState::Created, "a machine that was created twice is");

    // Running changes nothing about what it was made from.
    stage.start(&machine).await?;
    stage.create(&machine).await?;
    ensure_eq!(stage.seen(&machine).await?.state, MachineState::Running, "a running machine that was created again is");
    Ok(())
}

async fn a_taken_name_is_refused_and_left_alone(stage: &Stage<'_>) -> Outcome {
    let machine = stage.running("taken").await?;
    let before = stage.seen(&machine).await?;
    let mut other = machine.clone();
    other.env.insert("ROLE".to_owned(), "other".to_owned());
    ensure!(stage.create(&other).await.is_err(), "another machine of the same name was created");
    ensure_eq!(stage.seen(&machine).await?, before, "the machine of that name is now");
    Ok(())
}

async fn starting_twice_is_starting_once(stage: &Stage<'_>) -> Outcome {
    let machine = stage.running("twice").await?;
    let first = stage.inspected(&machine).await?;
    ensure!(first.started.is_some(), "a running machine has no start time");
    stage.start(&machine).await?;
    let second = stage.inspected(&machine).await?;
    ensure_eq!(second.started, first.started, "the machine was started anew, at");
    Ok(())
}

async fn starting_what_is_absent_says_so(stage: &Stage<'_>) -> Outcome {
    let result = stage.provider.start(&stage.cx, &reference(&stage.machine("nobody"))).await;
    ensure!(result.as_ref().is_err_and(ProviderError::is_absent), "starting an absent machine gives {result:?}");
    Ok(())
}

async fn stopping_twice_is_stopping_once(stage: &Stage<'_>) -> Outcome {
    let machine = stage.running("stopped").await?;
    for _ in 0..2 {
        stage.provider.stop(&stage.cx, &reference(&machine), StopMode::Graceful(Duration::from_secs(10))).await?;
        ensure_eq!(stage.seen(&machine).await?.state, MachineState::Exited, "a stopped machine is");
    }
    Ok(())
}

async fn stopping_what_is_absent_succeeds(stage: &Stage<'_>) -> Outcome {
    let machine = stage.machine("nobody");
    stage.provider.stop(&stage.cx, &reference(&machine), StopMode::Kill).await?;
    stage.provider.stop(&stage.cx, &reference(&machine), StopMode::Graceful(Duration::from_secs(1))).await?;
    // One that was never started is as good as stopped.
    stage.create(&machine).await?;
    stage.provider.stop(&stage.cx, &reference(&machine), StopMode::Kill).await?;
    ensure!(!stage.seen(&machine).await?.state.is_running(), "stopping a created machine started it");
    Ok(())
}

async fn a_stopped_machine_starts_again(stage: &Stage<'_>) -> Outcome {
    let machine = stage.running("again").await?;
    let before = stage.seen(&machine).await?;
    stage.provider.stop(&stage.cx, &reference(&machine), StopMode::Kill).await?;
    stage.start(&machine).await?;
    let after = stage.seen(&machine).await?;
    ensure_eq!(after, before, "the machine after a stop and a start is");
    Ok(())
}

async fn term_reaches_process_one(stage: &Stage<'_>) -> Outcome {
    let machine = stage.running("polite").await?;
    // The shell must have come as far as its trap.
    tokio::time::sleep(Duration::from_millis(300)).await;
    let began = Instant::now();
    stage.provider.stop(&stage.cx, &reference(&machine), StopMode::Graceful(Duration::from_secs(20))).await?;
    ensure!(began.elapsed() < Duration::from_secs(10), "stopping took {:?}: TERM did not arrive", began.elapsed());
    let code = stage.inspected(&machine).await?.exit.map(|exit| exit.code);
    ensure_eq!(code, Some(0), "the exit code of a machine that ends with 0 on TERM is");
    Ok(())
}

async fn grace_ends_a_machine_that_ignores_term(stage: &Stage<'_>) -> Outcome {
    let mut machine = stage.machine("stubborn");
    machine.command.clone_from(&stage.fixture.ignores_term);
    stage.up(&machine).await?;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let began = Instant::now();
    stage.provider.stop(&stage.cx, &reference(&machine), StopMode::Graceful(Duration::from_secs(2))).await?;
    let took = began.elapsed();
    ensure!(took > Duration::from_millis(1500), "a grace of 2 s ended after {took:?}");
    ensure!(took < Duration::from_secs(8), "a grace of 2 s took {took:?}");
    let code = stage.inspected(&machine).await?.exit.map(|exit| exit.code);
    ensure_eq!(code, Some(137), "the exit code of a machine that had to be killed is");
    Ok(())
}

async fn killing_waits_for_nothing(stage: &Stage<'_>) -> Outcome {
    let mut machine = stage.machine("killed");
    machine.command.clone_from(&stage.fixture.ignores_term);
    stage.up(&machine).await?;
    let began = Instant::now();
    stage.provider.stop(&stage.cx, &reference(&machine), StopMode::Kill).await?;
    ensure!(began.elapsed() < Duration::from_secs(5), "killing took {:?}", began.elapsed());
    ensure_eq!(stage.seen(&machine).await?.state, MachineState::Exited, "a killed machine is");
    Ok(())
}

async fn destroying_twice_succeeds(stage: &Stage<'_>) -> Outcome {
    let machine = stage.running("gone").await?;
    for _ in 0..2 {
        stage.destroy(&machine).await?;
        ensure_eq!(stage.find(&machine).await?, None, "a destroyed machine is");
    }
    ensure_eq!(stage.provider.inspect(&stage.cx, &reference(&machine)).await?, None, "a closer look at nothing shows");

    // Two at the same time, as two impatient users do.
    stage.up(&machine).await?;
    let (first, second) = tokio::join!(stage.destroy(&machine), stage.destroy(&machine));
    first?;
    second
}

async fn destroying_what_was_never_there_succeeds(stage: &Stage<'_>) -> Outcome {
    stage.destroy(&stage.machine("nobody")).await
}

async fn only_running_machines_have_an_endpoint(stage: &Stage<'_>) -> Outcome {
    let machine = stage.machine("entered");
    let of = async || stage.provider.endpoint(&stage.cx, &reference(&machine)).await;
    ensure_eq!(of().await?, None, "the endpoint of an absent machine is");
    stage.create(&machine).await?;
    ensure_eq!(of().await?, None, "the endpoint of a created machine is");
    stage.start(&machine).await?;
    ensure_eq!(of().await?, stage.provider.exec().map(|_| Endpoint::Exec), "the endpoint of a running machine is");
    Ok(())
}

async fn a_call_that_was_cancelled_before_does_nothing(stage: &Stage<'_>) -> Outcome {
    let machine = stage.machine("never");
    stage.create(&machine).await?;
    let cancel = CancellationToken::new();
    cancel.cancel();
    let cx = Context::new(cancel, Duration::from_secs(10), Arc::new(NoProgress));
    let result = stage.provider.start(&cx, &reference(&machine)).await;
    ensure!(matches!(result, Err(ProviderError::Cancelled { .. })), "a cancelled start gives {result:?}");
    ensure_eq!(stage.seen(&machine).await?.state, MachineState::Created, "after a cancelled start the machine is");
    let result = stage.provider.destroy(&cx, &reference(&machine)).await;
    ensure!(matches!(result, Err(ProviderError::Cancelled { .. })), "a cancelled destruction gives {result:?}");
    stage.seen(&machine).await?;
    Ok(())
}
