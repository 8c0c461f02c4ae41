//! `rig sync`

use crate::{app::App, cli::Sync, engine_choice::Start, failure::Failure};
use camino::Utf8PathBuf;
use futures_util::{StreamExt, stream};
use rig_engine::{EngineError, Selection, Session, list_folder, watch_folders};
use rig_model::{Digest, Event, MachineId, OpId, Outcome, Phase, seconds};
use rig_provider_api::{Context, MachineRef, ObserveScope};
use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

/// How long copying may take.
const LIMIT: Duration = Duration::from_secs(24 * 3600);

/// When copying is tried again that has failed, if nothing changes before.
const AGAIN: Duration = Duration::from_secs(5);

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
    if !arguments.watch {
        return bring_all(app, &session, &machines, 0).await;
    }
    // Watched first: what changes while it is copied is copied again.
    let folders: Vec<Utf8PathBuf> = folders.into_iter().collect();
    let mut watching = blocking({
        let folders = folders.clone();
        move || watch_folders(&folders)
    })
    .await??;
    let mut copied = None;
    for round in 0.. {
        let now = look(&folders).await?;
        // What a folder's `.rigignore` names may change as it likes.
        if copied.is_none() || now != copied {
            copied = match bring_all(app, &session, &machines, round).await {
                Ok(()) => now,
                Err(_) if cx.cancel().is_cancelled() => break,
                // It was told. A machine that is being started anew is there again soon.
                Err(_) => None,
            };
        }
        tokio::select! {
            () = watching.changed() => {}
            () = tokio::time::sleep(AGAIN), if copied.is_none() => {}
            () = cx.cancel().cancelled() => break,
        }
    }
    Ok(())
}

/// What there is in folders; nothing where one cannot be read just now, as its copying will say.
async fn look(folders: &[Utf8PathBuf]) -> Result<Option<Vec<Digest>>, Failure> {
    let folders = folders.to_vec();
    blocking(move || folders.iter().map(|folder| Some(list_folder(folder).ok()?.digest())).collect()).await
}

/// Does something with files away from the runtime.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Failure> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| EngineError::Host { doing: "looking at folders".to_owned(), why: error.to_string() }.into())
}

/// Brings the folders of all machines. One that fails keeps no other one from getting its own; the first failure is given.
async fn bring_all(app: &App, session: &Session, machines: &[MachineId], round: u32) -> Result<(), Failure> {
    let (first, cx) = (round * machines.len() as u32 + 1, app.context(LIMIT));
    let all = machines.iter().zip(first..).map(|(id, number)| bring(app, session, &cx, id, OpId(number)));
    let all: Vec<Result<(), Failure>> = stream::iter(all).buffer_unordered(AT_ONCE).collect().await;
    all.into_iter().collect()
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
