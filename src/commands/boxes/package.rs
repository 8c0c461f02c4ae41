//! `rig package`

use super::{stored::megabytes, work::alone};
use crate::{app::App, cli::PackageMachine, engine_choice::Start, failure::Failure};
use rig_box_store::{Architecture, BoxProvider, Package, Repackaged};
use rig_engine::{EngineError, package};
use rig_model::{MachineId, Phase};
use rig_provider_api::{Context, ObserveScope};
use serde::Serialize;
use std::time::Duration;

/// How long the providers may take to say what is there.
const OBSERVE: Duration = Duration::from_secs(60);

#[derive(Serialize)]
struct Document {
    machine: String,
    path: String,
    sha256: String,
    size_bytes: u64,
}

/// Makes a box file of a machine.
pub(crate) async fn run(app: &App, arguments: &PackageMachine) -> Result<(), Failure> {
    let output = app.settings.folder.join(&arguments.output);
    Package::may_write(&output, arguments.force)?;
    let (opened, _lock) = app.open_locked("rig package", false).await?;
    let session = app.session(&opened, Start::Never).await?;
    let observed = session.observe(&app.context(OBSERVE), ObserveScope::MACHINES).await?;
    let machine = super::super::ssh::mutable(&session, &observed, arguments.machine.as_deref())?;
    let (session, machine, output) = (&session, &machine, &output);
    let made = alone(app, format!("package {machine}"), Phase::Build, |cx| async move {
        make(&cx, session, machine, output, arguments.force).await
    })
    .await?;
    if app.ui.is_json() {
        let document = Document {
            machine: machine.to_string(),
            path: made.path.to_string(),
            sha256: made.sha256.to_string(),
            size_bytes: made.size,
        };
        app.ui.last_line("rig.package/1", &document);
    } else {
        app.ui.result(format!("{} ({}, sha256 {})", made.path, megabytes(made.size), made.sha256));
        app.ui.say(format!("`rig box add {} --name NAME` stores it", arguments.output));
    }
    Ok(())
}

/// Exports the machine beside the file, where there is room for it, and packs what came out.
async fn make(
    cx: &Context,
    session: &rig_engine::Session,
    machine: &MachineId,
    output: &camino::Utf8Path,
    force: bool,
) -> Result<Repackaged, Failure> {
    let beside = output.parent().unwrap_or(output);
    let failed = |error: std::io::Error| Failure::host(format!("making a folder in {beside}: {error}"));
    let folder = tempfile::Builder::new().prefix(".rig-package-").tempdir_in(beside).map_err(failed)?;
    let path = camino::Utf8Path::from_path(folder.path())
        .ok_or_else(|| Failure::host(format!("{} is not UTF-8", folder.path().display())))?;
    let packaged = package(cx, session, machine, path).await?;
    let user = session.workspace.machine(machine).and_then(|spec| spec.ssh.as_ref()).map(|ssh| ssh.user.clone());
    let user = user.ok_or_else(|| EngineError::NoSsh { machine: machine.clone() })?;
    let provider = BoxProvider::new(packaged.kind).map_err(|error| Failure::host(error.to_string()))?;
    let package = Package {
        folder: path.to_owned(),
        provider,
        architecture: Architecture::of_host(),
        mac: packaged.mac,
        disk: packaged.disk,
        user,
    };
    Ok(package.write(output, force, cx).await?)
}
