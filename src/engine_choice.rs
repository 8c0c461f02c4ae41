//! Which engine is used: what the file or `--engine` names; `DOCKER_HOST` or the docker context; the platform's default
//! socket; on Linux as root an engine of rig's own; where none can run, one in a virtual machine.

use crate::{app::App, engine_vm, failure::Failure};
use rig_model::Workspace;
use rig_provider_api::{Context, ProviderError};
use rig_provider_docker::{DockerProvider, EngineAddress, PrivateEngine, Tls, docker_context, other_dockerd};
use rig_state::{FileLock, Patience};
use std::{path::PathBuf, time::Duration};

/// Whether an engine of rig's own may be started when none answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    IfNeeded,
    Never,
}

/// Why an engine was taken that somebody named.
const NAMED: &str = "named by --engine or the file";

#[cfg(windows)]
const DEFAULT: &str = "npipe:////./pipe/docker_engine";
#[cfg(not(windows))]
const DEFAULT: &str = "unix:///var/run/docker.sock";

/// The file of the default socket.
const SOCKET: &str = "/var/run/docker.sock";

/// Connects to the first engine that is named, or that answers.
///
/// A virtual machine that has to be made gets room for the workspace.
pub(crate) async fn connect(
    app: &App,
    wanted: Option<&str>,
    workspace: Option<&Workspace>,
    start: Start,
) -> Result<DockerProvider, Failure> {
    if wanted == Some(engine_vm::NAME) {
        return engine_vm::connect(app, workspace, start, NAMED).await;
    }
    let cx = app.context(Duration::from_secs(120));
    if let Some(address) = named(app, wanted)? {
        return Ok(DockerProvider::connect(&cx, address).await?);
    }
    let default =
        EngineAddress::parse(DEFAULT, None, "default socket").map_err(|error| Failure::host(error.to_string()))?;
    let unreachable = match DockerProvider::connect(&cx, default).await {
        Ok(provider) => return Ok(provider),
        Err(error) => error,
    };
    if let Some(own) = private(app) {
        if start == Start::IfNeeded && may_start() {
            // Whoever comes second finds the engine of the first.
            let _lock = lock(app).await?;
            if own.pid().is_none() {
                if let Some(other) = other_dockerd() {
                    let why = format!("a dockerd runs already (process {other}), and does not answer at {DEFAULT}");
                    let error = ProviderError::failed("starting an engine of rig's own", why);
                    return Err(error.hinted("name its socket: `--engine unix:///PATH`, or stop it first").into());
                }
                app.ui.say("no engine answers; starting one of rig's own");
                own.start(&cx).await?;
            }
        }
        if own.pid().is_some() {
            return Ok(DockerProvider::connect(&cx, address_of(&own)?).await?);
        }
    }
    // One that is there and lets this user not in is somebody's: theirs are the machines that may be in it.
    let has_vm = engine_vm::is_there(app) || (start == Start::IfNeeded && engine_vm::can_be_made(app));
    if !can_run(app) && has_vm && !std::path::Path::new(SOCKET).exists() {
        return engine_vm::connect(app, workspace, start, "no engine answers on this host, and none can run").await;
    }
    Err(unreachable.into())
}

/// The engine that somebody named.
fn named(app: &App, wanted: Option<&str>) -> Result<Option<EngineAddress>, Failure> {
    let docker = &app.settings.docker;
    let tls = || {
        docker
            .tls_verify
            .then(|| docker.cert_path.clone().or_else(|| docker.config.clone()))
            .flatten()
            .map(|folder| Tls::in_folder(&folder))
    };
    let parse = |text: &str, why: &str| {
        EngineAddress::parse(text, tls(), why).map(Some).map_err(|error| Failure::usage(error.to_string()))
    };
    if let Some(text) = wanted {
        return parse(text, NAMED);
    }
    if let Some(text) = &docker.host {
        return parse(text, "DOCKER_HOST");
    }
    match &docker.config {
        Some(folder) => docker_context(folder, docker.context.as_deref()).map_err(|error| Failure::Host {
            message: error.to_string(),
            hint: Some("`--engine ADDRESS` names an engine without the docker context".to_owned()),
        }),
        None => Ok(None),
    }
}

/// rig's own engine, where dockerd is installed.
pub(crate) fn private(app: &App) -> Option<PrivateEngine> {
    let layout = app.settings.dirs.engine_layout();
    let program =
        std::env::split_paths(&app.settings.path).map(|folder| folder.join("dockerd")).find(|path| path.is_file())?;
    Some(PrivateEngine {
        program,
        socket: PathBuf::from(layout.socket()),
        pid_file: PathBuf::from(layout.pid_file()),
        log: PathBuf::from(layout.log()),
        data_root: PathBuf::from(layout.data_root()),
        exec_root: PathBuf::from(layout.exec_root()),
    })
}

/// Whether an engine of rig's own can run on this host.
pub(crate) fn can_run(app: &App) -> bool {
    may_start() && private(app).is_some()
}

/// Whether this user can run a dockerd: root on Linux.
pub(crate) fn may_start() -> bool {
    #[cfg(target_os = "linux")]
    return rustix::process::geteuid().is_root();
    #[cfg(not(target_os = "linux"))]
    false
}

/// The address of rig's own engine.
pub(crate) fn address_of(own: &PrivateEngine) -> Result<EngineAddress, ProviderError> {
    EngineAddress::parse(&format!("unix://{}", own.socket.display()), None, "rig's own engine")
        .map_err(|error| ProviderError::failed("finding rig's own engine", error))
}

/// Starts rig's own engine, whatever else there is.
pub(crate) async fn start_private(app: &App, cx: &Context) -> Result<PrivateEngine, Failure> {
    let own = private(app).ok_or_else(|| Failure::Host {
        message: "there is no dockerd on this host".to_owned(),
        hint: Some("`rig doctor --fix` installs it on Debian and Ubuntu".to_owned()),
    })?;
    if !may_start() {
        return Err(Failure::Host {
            message: "an engine of rig's own needs Linux and root".to_owned(),
            hint: Some("run it with sudo, or use the engine that is installed".to_owned()),
        });
    }
    let _lock = lock(app).await?;
    own.start(cx).await?;
    Ok(own)
}

/// Held while rig's own engine is started.
async fn lock(app: &App) -> Result<FileLock, Failure> {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(120);
    let patience = Patience { cancel: app.interrupt.stop.clone(), deadline };
    Ok(FileLock::acquire(&app.settings.dirs.engine_layout().lock(), &patience, || ()).await?)
}
