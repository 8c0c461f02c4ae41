//! `rig upload`

use super::ssh::{mutable, patience};
use crate::{app::App, cli::Upload, engine_choice::Start, failure::Failure};
use rig_engine::EngineError;
use rig_model::{Event, OWN_FOLDER, OpId, Outcome, Phase, Progress, seconds};
use rig_provider_api::ObserveScope;
use rig_ssh::transfer::{UploadOptions, UploadSource, upload};
use std::time::{Duration, Instant};

/// How long an upload may take.
const LIMIT: Duration = Duration::from_secs(24 * 3600);

/// Copies a file or folder into a machine.
pub(crate) async fn run(app: &App, arguments: &Upload) -> Result<(), Failure> {
    let source = app.settings.folder.join(&arguments.source);
    let metadata = fs_err::metadata(&source).map_err(|error| Failure::usage(error.to_string()))?;
    let opened = app.open()?;
    let session = app.session(&opened, Start::Never).await?;
    let cx = app.context(LIMIT);
    let observed = session.observe(&cx, ObserveScope::MACHINES).await?;
    let id = mutable(&session, &observed, arguments.machine.as_deref())?;
    let access = &session.access;
    let connection = access.session(&cx.within(Duration::from_secs(60)), &id).await?;
    let failed = |error| EngineError::Ssh { machine: id.clone(), error, tail: Vec::new() };
    let target = target(&connection, &arguments.destination).await.map_err(failed)?;
    let bulk = connection.another(&patience(&cx), &|_| ()).await.map_err(failed)?;
    let leave_out = Some(OWN_FOLDER.to_owned());
    let options = UploadOptions { sudo: arguments.sudo, leave_out, ..UploadOptions::default() };
    let content = if metadata.is_dir() { UploadSource::Folder(source) } else { UploadSource::File(source) };

    let (sink, op, began) = (app.ui.sink(), OpId(1), Instant::now());
    let title = format!("upload {} to {id}:{target}", arguments.source);
    let (phase, machine) = (Phase::Provision, Some(id.clone()));
    sink.emit(Event::OperationStarted { op, title: title.clone(), phase, machine: machine.clone() });
    let progress = |done: u64, total: u64| {
        sink.emit(Event::OperationProgress { op, progress: Progress::bytes("sent", done, Some(total)) });
    };
    let doing = format!("uploading to machine {id}");
    let uploaded = cx.run(&doing, async { Ok(upload(&bulk, content, &target, &options, &progress).await) }).await;
    let uploaded = uploaded.map_err(EngineError::from).and_then(|uploaded| uploaded.map_err(failed));
    let outcome = match &uploaded {
        Ok(_) => Outcome::Done,
        Err(error) if error.is_cancelled() => Outcome::Cancelled,
        Err(error) => Outcome::Failed { error: error.to_string() },
    };
    sink.emit(Event::OperationFinished { op, title, phase, machine, seconds: seconds(began.elapsed()), outcome });
    uploaded?;
    Ok(())
}

/// The absolute path of a destination; a relative one is in the user's home.
async fn target(connection: &rig_ssh::Session, text: &str) -> Result<String, rig_ssh::SshError> {
    if text.starts_with('/') {
        return Ok(text.to_owned());
    }
    let home = connection.run("pwd", None, 4096).await?;
    let home = String::from_utf8_lossy(&home.stdout).trim_end().to_owned();
    Ok(format!("{home}/{}", text.trim_start_matches("~/")))
}
