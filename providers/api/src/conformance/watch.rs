//! News of machines.

use super::{
    Case, Failure, Fixture, Outcome,
    case::{case, ensure, ensure_eq},
    stage::{Stage, name, reference},
};
use crate::{MachineEvent, MachineEventKind, Result as ProviderResult, StopMode, Watch};
use futures_util::{StreamExt, TryStreamExt, stream::BoxStream};
use rig_model::{Exit, MachineState};
use std::time::Duration;

pub(super) fn cases() -> Vec<Case> {
    vec![
        case!(a_life_is_told_from_start_to_end, Watch, Service),
        case!(nothing_is_missed_after_opening, Watch, Service),
        case!(a_stop_is_told_as_an_end, Watch, Service),
        case!(other_workspaces_are_not_told_of, Watch, Service),
    ]
}

fn watch<'a>(stage: &Stage<'a>) -> Outcome<&'a dyn Watch> {
    stage.provider.watch().ok_or_else(|| Failure::new("the provider tells no news"))
}

/// The next piece of news, which must come soon.
async fn next(events: &mut BoxStream<'static, ProviderResult<MachineEvent>>) -> Outcome<MachineEvent> {
    let next = tokio::time::timeout(Duration::from_secs(10), events.try_next()).await;
    let next = next.map_err(|_| Failure::new("no news came within 10 s"))??;
    next.ok_or_else(|| Failure::new("the news ended"))
}

async fn a_life_is_told_from_start_to_end(stage: &Stage<'_>) -> Outcome {
    let mut events = watch(stage)?.watch(&stage.cx, &stage.fixture.workspace).await?;
    let mut machine = stage.machine("told");
    machine.command = Fixture::shell("sleep 0.2; exit 7");
    stage.up(&machine).await?;
    let died = MachineEventKind::Died(Exit { code: 7, out_of_memory: false });
    for kind in [MachineEventKind::Started, died] {
        ensure_eq!(
            next(&mut events).await?,
            MachineEvent { id: machine.id.clone(), kind: kind.clone() },
            "the news is"
        );
    }
    stage.destroy(&machine).await?;
    let news = next(&mut events).await?;
    ensure_eq!(news, MachineEvent { id: machine.id.clone(), kind: MachineEventKind::Destroyed }, "the news is");
    Ok(())
}

async fn nothing_is_missed_after_opening(stage: &Stage<'_>) -> Outcome {
    let events = watch(stage)?.watch(&stage.cx, &stage.fixture.workspace).await?;
    // Nobody reads while it happens: what came before the first read was told all the same.
    let mut machine = stage.machine("early");
    machine.command = Fixture::shell("exit 0");
    stage.up(&machine).await?;
    stage.until(&machine, MachineState::Exited).await?;
    let mut events = events;
    ensure_eq!(next(&mut events).await?.kind, MachineEventKind::Started, "the first news is");
    let died = MachineEventKind::Died(Exit { code: 0, out_of_memory: false });
    ensure_eq!(next(&mut events).await?.kind, died, "the second news is");
    Ok(())
}

async fn a_stop_is_told_as_an_end(stage: &Stage<'_>) -> Outcome {
    let machine = stage.running("stopped").await?;
    let mut events = watch(stage)?.watch(&stage.cx, &stage.fixture.workspace).await?;
    stage.provider.stop(&stage.cx, &reference(&machine), StopMode::Kill).await?;
    let news = next(&mut events).await?;
    let killed = MachineEventKind::Died(Exit { code: 137, out_of_memory: false });
    ensure_eq!(news, MachineEvent { id: machine.id.clone(), kind: killed }, "the news is");
    Ok(())
}

async fn other_workspaces_are_not_told_of(stage: &Stage<'_>) -> Outcome {
    let stranger = name(&format!("{}x", stage.fixture.workspace));
    let mut events = watch(stage)?.watch(&stage.cx, &stranger).await?;
    let machine = stage.running("private").await?;
    stage.destroy(&machine).await?;
    let news = tokio::time::timeout(Duration::from_millis(500), events.next()).await;
    ensure!(news.is_err(), "another workspace is told {news:?}");
    Ok(())
}
