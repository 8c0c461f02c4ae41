//! The output of process 1.

use super::{
    Case, Failure, Fixture, Outcome,
    case::{case, ensure, ensure_eq},
    stage::{Stage, reference},
};
use crate::{LogRequest, StopMode};
use futures_util::TryStreamExt;
use rig_model::MachineState;
use std::time::Duration;

pub(super) fn cases() -> Vec<Case> {
    vec![
        case!(both_streams_are_kept, Logs, Service),
        case!(the_tail_is_the_last_lines, Logs, Service),
        case!(time_stamps_are_added, Logs, Service),
        case!(following_ends_with_the_machine, Logs, Service),
        case!(following_shows_lines_as_they_come, Logs, Service),
        case!(a_log_goes_on_after_a_restart, Logs, Service),
        case!(an_absent_machine_has_no_log, Logs),
    ]
}

async fn both_streams_are_kept(stage: &Stage<'_>) -> Outcome {
    let mut machine = stage.machine("speaker");
    machine.command = Fixture::shell("echo out; echo err >&2");
    stage.up(&machine).await?;
    stage.until(&machine, MachineState::Exited).await?;
    let log = stage.log(&machine, &LogRequest::default()).await?;
    ensure_eq!((log.0.as_str(), log.1.as_str()), ("out\n", "err\n"), "the two streams are");
    Ok(())
}

async fn the_tail_is_the_last_lines(stage: &Stage<'_>) -> Outcome {
    let mut machine = stage.machine("counter");
    machine.command = Fixture::shell("echo one; echo two; echo three");
    stage.up(&machine).await?;
    stage.until(&machine, MachineState::Exited).await?;
    let tail = |lines| LogRequest { tail: Some(lines), ..LogRequest::default() };
    ensure_eq!(stage.log(&machine, &tail(2)).await?.0, "two\nthree\n", "the last two lines are");
    ensure_eq!(stage.log(&machine, &tail(0)).await?.0, "", "the last zero lines are");
    ensure_eq!(stage.log(&machine, &tail(10)).await?.0, "one\ntwo\nthree\n", "the last ten of three lines are");
    Ok(())
}

async fn time_stamps_are_added(stage: &Stage<'_>) -> Outcome {
    let mut machine = stage.machine("timed");
    machine.command = Fixture::shell("echo line");
    stage.up(&machine).await?;
    stage.until(&machine, MachineState::Exited).await?;
    let request = LogRequest { timestamps: true, ..LogRequest::default() };
    let (log, _) = stage.log(&machine, &request).await?;
    let (time, line) = log.trim_end().split_once(' ').unwrap_or_default();
    ensure!(time.parse::<jiff::Timestamp>().is_ok(), "{time:?} is no time");
    ensure_eq!(line, "line", "behind the time stands");
    Ok(())
}

async fn following_ends_with_the_machine(stage: &Stage<'_>) -> Outcome {
    let machine = stage.running("followed").await?;
    let request = LogRequest { follow: true, ..LogRequest::default() };
    let stop = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        stage.provider.stop(&stage.cx, &reference(&machine), StopMode::Kill).await
    };
    let follow = tokio::time::timeout(Duration::from_secs(10), stage.log(&machine, &request));
    let (stopped, followed) = tokio::join!(stop, follow);
    stopped?;
    followed.map_err(|_| Failure::new("following goes on after the machine's end"))??;
    Ok(())
}

async fn following_shows_lines_as_they_come(stage: &Stage<'_>) -> Outcome {
    let mut machine = stage.machine("narrator");
    machine.command = Fixture::shell("echo first; sleep 1; echo second; sleep 3600");
    stage.up(&machine).await?;
    let logs = stage.provider.logs().ok_or_else(|| Failure::new("the provider has no logs"))?;
    let request = LogRequest { follow: true, ..LogRequest::default() };
    let mut events = logs.logs(&stage.cx, &reference(&machine), &request).await?;
    let mut text = String::new();
    while !text.contains("second") {
        let next = tokio::time::timeout(Duration::from_secs(5), events.try_next()).await;
        let next = next.map_err(|_| Failure::new(format!("no more lines behind {text:?}")))??;
        let event = next.ok_or_else(|| Failure::new(format!("the log ended behind {text:?}")))?;
        text.push_str(&String::from_utf8_lossy(&event.bytes));
    }
    ensure_eq!(text, "first\nsecond\n", "the lines are");
    Ok(())
}

async fn a_log_goes_on_after_a_restart(stage: &Stage<'_>) -> Outcome {
    let mut machine = stage.machine("again");
    machine.command = Fixture::shell("echo life");
    stage.up(&machine).await?;
    stage.until(&machine, MachineState::Exited).await?;
    stage.start(&machine).await?;
    stage.until(&machine, MachineState::Exited).await?;
    // The state may be known before the last line is written.
    tokio::time::sleep(Duration::from_millis(200)).await;
    ensure_eq!(stage.log(&machine, &LogRequest::default()).await?.0, "life\nlife\n", "the log of two lives is");
    Ok(())
}

async fn an_absent_machine_has_no_log(stage: &Stage<'_>) -> Outcome {
    let logs = stage.provider.logs().ok_or_else(|| Failure::new("the provider has no logs"))?;
    let opened = logs.logs(&stage.cx, &reference(&stage.machine("nobody")), &LogRequest::default()).await;
    let result = match opened {
        Ok(mut events) => events.try_next().await.map(|_| ()),
        Err(error) => Err(error),
    };
    ensure!(
        result.as_ref().is_err_and(crate::ProviderError::is_absent),
        "the log of an absent machine gives {result:?}"
    );
    Ok(())
}
