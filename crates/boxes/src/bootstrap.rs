//! A Debian root file system from packages, made on this host with `mmdebstrap` and handed on while it is packed.
//!
//! What runs here is Debian's packages and rig's own hooks in a root of their own; nothing of a workspace's boxes.

use crate::{
    BoxError, Result, apt_sources,
    process::{self, Ended},
    tools::MMDEBSTRAP,
};
use camino::{Utf8Path, Utf8PathBuf};
use rig_model::{Bootstrap, Progress};
use rig_provider_api::{ByteStream, Context};
use tempfile::TempDir;
use tokio::{process::Command, sync::oneshot};

/// Essential packages and apt: a box names what else it needs.
const VARIANT: &str = "--variant=apt";

/// The program's own hooks that merge `/bin` into `/usr/bin` before anything is installed. Where the suite does that with
/// a package, the package brings the whole of Perl, 50 MB that nothing else needs.
const MERGE_HOOKS: &str = "/usr/share/mmdebstrap/hooks/maybe-merged-usr";

/// Runs when the essential packages are installed.
const ESSENTIAL_HOOK: &str = include_str!("../../../boxes/debian/essential.sh");

/// Runs when everything is installed.
const CUSTOMIZE_HOOK: &str = include_str!("../../../boxes/debian/customize.sh");

/// Puts the host's certificates in; `$1` is the new root.
const CERTIFICATES_HOOK: &str = r#"set -eu
mkdir -p "$1/usr/local/share/ca-certificates"
cp "$RIG_CERTIFICATES"/*.crt "$1/usr/local/share/ca-certificates/"
chmod 644 "$1"/usr/local/share/ca-certificates/rig-host-*.crt
chroot "$1" update-ca-certificates >&2"#;

/// Unpacks a kernel for virtual machines.
const KERNEL_HOOK: &str = include_str!("../../../boxes/vm/kernel.sh");

/// Puts [`MACHINE_FILES`] into their places.
const MACHINE_HOOK: &str = include_str!("../../../boxes/vm/layout.sh");

/// What a virtual machine has of rig, by the names under which [`MACHINE_HOOK`] finds it. The SSH server is set up as in
/// containers.
const MACHINE_FILES: [(&str, &str); 5] = [
    ("vm-init", include_str!("../../../boxes/vm/vm-init")),
    ("vm-finish", include_str!("../../../boxes/vm/vm-finish")),
    ("rig-seed", include_str!("../../../boxes/vm/rig-seed")),
    ("sshd-run", include_str!("../../../boxes/vm/s6/sshd/run")),
    ("sshd_config", include_str!("../../../boxes/sshd/sshd_config")),
];

/// The packages without which a virtual machine neither boots nor lets anybody in. `busybox-static` is what its initrd runs.
const MACHINE_PACKAGES: [&str; 10] = [
    "busybox-static",
    "iproute2",
    "kmod",
    "mount",
    "openssh-server",
    "openssh-sftp-server",
    "passwd",
    "procps",
    "s6",
    "sudo",
];

/// What decides how a root is made beside what the box says; part of the box's hash.
pub(crate) const RECIPE: [&str; 5] = [VARIANT, MERGE_HOOKS, ESSENTIAL_HOOK, CUSTOMIZE_HOOK, CERTIFICATES_HOOK];

/// What providers make of such a root (`providers/qemu/src/image`: disk, journal, initrd). To be counted up when they make
/// another one of the same root, so that existing boxes are not taken for it.
const MACHINE_FORM: &str = "machine/1";

/// The same for what a kernel brings along.
pub(crate) fn machine_recipe() -> impl Iterator<Item = &'static str> {
    let files = MACHINE_FILES.into_iter().flat_map(|(name, content)| [name, content]);
    [MACHINE_FORM, KERNEL_HOOK, MACHINE_HOOK].into_iter().chain(MACHINE_PACKAGES).chain(files)
}

/// How the program's messages begin that a person wants to see.
const STEPS: [&str; 6] = [
    "running apt-get update",
    "downloading packages",
    "extracting archives",
    "installing essential",
    "installing remaining",
    "creating tarball",
];

/// What the certificates hook needs.
const CERTIFICATES_PACKAGE: &str = "ca-certificates";

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
    let inputs = Inputs::lay_out(bootstrap, certificates)?;
    let mut command = Command::new(program);
    command.args(arguments(bootstrap, &inputs, !certificates.is_empty()));
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

fn arguments(bootstrap: &Bootstrap, inputs: &Inputs, has_certificates: bool) -> Vec<String> {
    let mut packages: Vec<&str> = bootstrap.packages.iter().map(String::as_str).collect();
    if has_certificates {
        packages.push(CERTIFICATES_PACKAGE);
    }
    if bootstrap.kernel {
        packages.extend(MACHINE_PACKAGES);
    }
    packages.sort_unstable();
    packages.dedup();
    let mut arguments = vec![VARIANT.to_owned(), "--format=tar".to_owned()];
    if !packages.is_empty() {
        arguments.push(format!("--include={}", packages.join(",")));
    }
    // Old versions have none; the result is larger then, and otherwise the same.
    if Utf8Path::new(MERGE_HOOKS).is_dir() {
        arguments.push(format!("--hook-dir={MERGE_HOOKS}"));
    }
    arguments.push(format!("--essential-hook={ESSENTIAL_HOOK}"));
    if has_certificates {
        arguments.push(format!("--customize-hook={CERTIFICATES_HOOK}"));
    }
    if bootstrap.kernel {
        arguments.push(format!("--customize-hook={KERNEL_HOOK}"));
        arguments.push(format!("--customize-hook={MACHINE_HOOK}"));
    }
    // The last one: it removes what the others left in caches.
    arguments.push(format!("--customize-hook={CUSTOMIZE_HOOK}"));
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
    fn lay_out(bootstrap: &Bootstrap, certificates: &[String]) -> Result<Self> {
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
        for (name, content) in MACHINE_FILES.iter().filter(|_| bootstrap.kernel) {
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
