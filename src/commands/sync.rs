//! `rig sync`

use crate::{app::App, cli::Sync, engine_choice::Start, failure::Failure};
use camino::Utf8PathBuf;
use futures_util::{StreamExt, TryStreamExt, stream};
use rig_engine::{EngineError, Selection, Session, watch_folders};
use rig_model::{Event, MachineId, OpId, Outcome, Phase, seconds};
use rig_provider_api::{Context, MachineRef, ObserveScope};
use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

/// How long copying may take.
const LIMIT: Duration = Duration::from_secs(24 * 3600);

/// How many machines are brought folders at once.
const AT_ONCE: usize = 8;

/// Brings copies of synced folders up to date, once or whenever something changes.
pub(crate) async fn run(app: &App, arguments: &Sync) -> Result<(), Failure> {
    let opened = app.open()?;
    let session = app.session(&opened, Start::Never).await?;
    let cx = app.context(LIMIT);
    let observed = session.observe(&cx, ObserveScope::MACHINES).await?;
    let selection = Selection::resolve(&arguments.targets.targets, &session.workspace, &observed)?;
    let running = observed.machines.iter().filter(|seen| seen.state.is_running() && selection.contains(&seen.id));
    let mut machines: Vec<MachineId> = Vec::new();
    let mut folders: BTreeSet<Utf8PathBuf> = BTreeSet::new();
    for seen in running {
        let Some(spec) = session.workspace.machine(&seen.id) else { continue };
        if !spec.syncs.is_empty() && session.providers.get(&seen.provider)?.folders().is_some() {
            machines.push(seen.id.clone());
            folders.extend(spec.syncs.iter().map(|sync| session.folder.join(&sync.source)));
        }
    }
    if machines.is_empty() {
        app.ui.say("no machine that runs has a copy of a folder; others have the folders themselves");
        return Ok(());
    }
    // Watched first: what changes while it is copied is copied again.
    let folders: Vec<Utf8PathBuf> = folders.into_iter().collect();
    let mut watching = arguments.watch.then(|| watch_folders(&folders)).transpose()?;
    let mut rounds = 0..;
    loop {
        let round = rounds.next().unwrap_or_default();
        bring_all(app, &session, &machines, &cx, round).await?;
        let Some(watching) = &mut watching else { return Ok(()) };
        tokio::select! {
            () = watching.changed() => {}
            () = cx.cancel().cancelled() => return Ok(()),
        }
    }
}

async fn bring_all(
    app: &App,
    session: &Session,
    machines: &[MachineId],
    cx: &Context,
    round: u32,
) -> Result<(), Failure> {
    let first = round * machines.len() as u32 + 1;
    let all = machines.iter().zip(first..).map(|(id, number)| bring(app, session, cx, id, OpId(number)));
    stream::iter(all).buffer_unordered(AT_ONCE).try_collect::<()>().await
}

async fn bring(app: &App, session: &Session, cx: &Context, id: &MachineId, op: OpId) -> Result<(), Failure> {
    let provider = session.providers.of(id)?;
    let Some(folders) = provider.folders() else { return Ok(()) };
    let (sink, began) = (app.ui.sink(), Instant::now());
    let title = format!("copy folders to machine {id}");
    let (phase, machine) = (Phase::Provision, Some(id.clone()));
    sink.emit(Event::OperationStarted { op, title: title.clone(), phase, machine: machine.clone() });
    let reference = MachineRef { workspace: session.workspace.name.clone(), id: id.clone() };
    let brought = folders.bring(cx, &reference).await.map_err(EngineError::from);
    let outcome = match &brought {
        Ok(()) => Outcome::Done,
        Err(error) if error.is_cancelled() => Outcome::Cancelled,
        Err(error) => Outcome::Failed { error: error.to_string() },
    };
    sink.emit(Event::OperationFinished { op, title, phase, machine, seconds: seconds(began.elapsed()), outcome });
    Ok(brought?)
}
