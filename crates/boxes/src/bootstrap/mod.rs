//! A Debian root file system from packages, made on this host with `mmdebstrap` and handed on while it is packed.
//!
//! What runs here is Debian's packages and rig's own hooks in a root of their own; nothing of a workspace's boxes.

mod recipe;

pub(crate) use recipe::written;

use crate::{
    BoxError, Result, apt_sources,
    process::{self, Ended},
    tools::MMDEBSTRAP,
};
use camino::{Utf8Path, Utf8PathBuf};
use recipe::{MERGE_HOOKS, Recipe};
use rig_model::{Bootstrap, Progress};
use rig_provider_api::{ByteStream, Context};
use tempfile::TempDir;
use tokio::{process::Command, sync::oneshot};

/// How the program's messages begin that a person wants to see.
const STEPS: [&str; 6] = [
    "running apt-get update",
    "downloading packages",
    "extracting archives",
    "installing essential",
    "installing remaining",
    "creating tarball",
];

/// What tells how a bootstrap ended.
pub(crate) struct Outcome {
    suite: String,
    ended: oneshot::Receiver<Ended>,
}

impl Outcome {
    /// How the program ended; to be asked when the root was read or dropped. `false` when it was stopped from outside.
    ///
    /// # Errors
    /// [`BoxError::Bootstrap`] with the last lines of the log.
    pub(crate) async fn finish(self) -> Result<bool> {
        match self.ended.await {
            Ok(Ended::Well) => Ok(true),
            Ok(Ended::Stopped) | Err(_) => Ok(false),
            Ok(Ended::Failed { why, tail }) => Err(BoxError::Bootstrap { suite: self.suite, why, tail }),
        }
    }
}

/// Starts the program. The root is a tar archive that ends with an error unless the program ends well.
///
/// # Errors
/// When it cannot be started or its files cannot be laid out.
pub(crate) fn start(
    program: &Utf8Path,
    bootstrap: &Bootstrap,
    certificates: &[String],
    proxies: &[(String, String)],
    cx: &Context,
) -> Result<(ByteStream, Outcome)> {
    let recipe = Recipe::of(bootstrap.kind, !certificates.is_empty());
    let inputs = Inputs::lay_out(bootstrap, &recipe, certificates)?;
    let mut command = Command::new(program);
    command.args(arguments(bootstrap, &inputs, &recipe));
    command.env("RIG_CERTIFICATES", inputs.path.join("certificates"));
    command.env("RIG_VM", inputs.path.join("vm"));
    command.envs(proxies.iter().map(|(name, value)| (name, value)));
    // The hooks' messages are read, not shown: they must not depend on the user's language.
    command.env("LC_ALL", "C.UTF-8").current_dir(&inputs.path);
    let progress = cx.clone();
    let step = move |line: &str| {
        if let Some(step) = line.strip_prefix("I: ")
            && STEPS.iter().any(|known| step.starts_with(known))
        {
            progress.progress(Progress::step(step.trim_end_matches('.')));
        }
    };
    let (root, ended) = process::stream(command, cx, step, inputs).map_err(|error| BoxError::Bootstrap {
        suite: bootstrap.suite.clone(),
        why: format!("{program} could not be started: {error}"),
        tail: Vec::new(),
    })?;
    Ok((root, Outcome { suite: bootstrap.suite.clone(), ended }))
}

fn arguments(bootstrap: &Bootstrap, inputs: &Inputs, recipe: &Recipe) -> Vec<String> {
    let mut packages: Vec<&str> = bootstrap.packages.iter().map(String::as_str).collect();
    packages.extend(&recipe.packages);
    packages.sort_unstable();
    packages.dedup();
    let mut arguments: Vec<String> = recipe.options.iter().map(|&option| option.to_owned()).collect();
    arguments.push("--format=tar".to_owned());
    if !packages.is_empty() {
        arguments.push(format!("--include={}", packages.join(",")));
    }
    // Old versions have none; the result is larger then, and otherwise the same.
    if Utf8Path::new(MERGE_HOOKS).is_dir() {
        arguments.push(format!("--hook-dir={MERGE_HOOKS}"));
    }
    arguments.extend(recipe.hooks.iter().map(|(moment, script)| format!("--{moment}-hook={script}")));
    // Behind this, a suite that begins with a hyphen is no option.
    arguments.extend(["--".to_owned(), bootstrap.suite.clone(), "-".to_owned()]);
    arguments.extend(bootstrap.mirror.clone().or_else(|| inputs.sources.as_ref().map(ToString::to_string)));
    arguments
}

/// Files that the program reads; removed when it has ended.
struct Inputs {
    path: Utf8PathBuf,
    /// The package sources, when they are the host's.
    sources: Option<Utf8PathBuf>,
    // Never read: dropping it removes the folder.
    _folder: TempDir,
}

impl Inputs {
    fn lay_out(bootstrap: &Bootstrap, recipe: &Recipe, certificates: &[String]) -> Result<Self> {
        let fail = || BoxError::file(format!("preparing {MMDEBSTRAP} for {}", bootstrap.suite));
        let folder = tempfile::Builder::new().prefix("rig-bootstrap-").tempdir().map_err(fail())?;
        let path = Utf8PathBuf::from_path_buf(folder.path().to_owned()).map_err(|path| {
            fail()(std::io::Error::other(format!("the folder for temporary files {} is no UTF-8", path.display())))
        })?;
        let below = path.join("certificates");
        fs_err::create_dir(&below).map_err(fail())?;
        for (index, pem) in certificates.iter().enumerate() {
            let file = below.join(certificate_name(index));
            fs_err::write(&file, pem).and_then(|()| open_up(&file, 0o644)).map_err(fail())?;
        }
        let machine = path.join("vm");
        fs_err::create_dir(&machine).map_err(fail())?;
        for (name, content) in recipe.files {
            let file = machine.join(name);
            fs_err::write(&file, content).and_then(|()| open_up(&file, 0o644)).map_err(fail())?;
        }
        for folder in [&path, &below, &machine] {
            open_up(folder, 0o755).map_err(fail())?;
        }
        let mut sources = None;
        if bootstrap.mirror.is_none()
            && let Some(text) = apt_sources::of_suite(Utf8Path::new(apt_sources::APT), &bootstrap.suite)
        {
            let file = path.join("host.sources");
            fs_err::write(&file, text).and_then(|()| open_up(&file, 0o644)).map_err(fail())?;
            sources = Some(file);
        }
        Ok(Self { path, sources, _folder: folder })
    }
}

/// Lets everybody read a file or folder, whatever the user's mask is: for a plain user, the program works as another one.
/// Nothing here is secret.
#[cfg(unix)]
fn open_up(path: &Utf8Path, mode: u32) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs_err::set_permissions(path, std::fs::Permissions::from_mode(mode))
}

/// There is no such program here.
#[cfg(windows)]
#[expect(clippy::unnecessary_wraps, reason = "the other platform can fail")]
fn open_up(_: &Utf8Path, _: u32) -> std::io::Result<()> {
    Ok(())
}

/// The file name of a host certificate inside a box.
pub(crate) fn certificate_name(index: usize) -> String {
    format!("rig-host-{}.crt", index + 1)
}
