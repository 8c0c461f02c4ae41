//! A current Docker engine beside the older one of Debian stable: both are what users have.
//!
//! Debian's unstable suite has it, with compose and buildx. Its programs live in a file system of their own below
//! `target/`, and replace the host's inside the mount namespace of the engine.

use super::{
    dockerd::{Dockerd, Network},
    packages,
};
use crate::cargo::{self, Result, root};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// The suite with the newest packages; the folder is named after it.
const SUITE: &str = "sid";
const MIRROR: &str = "http://deb.debian.org/debian";
/// `docker-cli` serves those who want to look into the engine by hand.
const PACKAGES: &str = "docker.io,docker-cli,docker-compose,docker-buildx,iptables,ca-certificates";

/// Everything of this engine.
fn folder() -> PathBuf {
    root().join("target").join("lab").join("current-engine").join(SUITE)
}

/// The engine, running or not.
pub(crate) fn engine(network: Network) -> Dockerd {
    let name = match network {
        Network::Host => "current",
        Network::Own => "current-own-network",
    };
    let run = Path::new("/run/rig-lab").join(name);
    Dockerd { data: folder().join(name), run, programs: Some(folder().join("root")), network }
}

/// Makes the file system with its programs, unless it is there. About a minute; needs root.
///
/// # Errors
/// When debootstrap cannot be installed or fails.
pub(crate) fn prepare() -> Result<PathBuf> {
    let root = folder().join("root");
    if root.is_dir() {
        return Ok(root);
    }
    packages::install(&["debootstrap"])?;
    // Under another name until it is whole.
    let unfinished = folder().join("unfinished");
    remove(&unfinished)?;
    fs::create_dir_all(&unfinished).map_err(|error| format!("creating {}: {error}", unfinished.display()))?;
    let mut debootstrap = Command::new("debootstrap");
    debootstrap.args(["--variant=minbase", &format!("--include={PACKAGES}"), SUITE]).arg(&unfinished).arg(MIRROR);
    // What is told to somebody who watches is a line per package.
    debootstrap.stdout(std::process::Stdio::null());
    cargo::run("install a current engine with compose and buildx", &mut debootstrap)?;
    for waste in ["var/cache/apt/archives", "var/lib/apt/lists", "usr/share/doc", "usr/share/locale", "usr/share/man"] {
        remove(&unfinished.join(waste))?;
    }
    fs::rename(&unfinished, &root).map_err(|error| format!("naming {}: {error}", root.display()))?;
    Ok(root)
}

fn remove(folder: &Path) -> Result {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(format!("removing {}: {error}", folder.display()))
        }
        _ => Ok(()),
    }
}

/// Starts the engine, and says where its socket is. In the host's network, the caller has stopped every other dockerd.
///
/// # Errors
/// When it cannot be made, another engine runs in the same network, or it does not come up.
pub(crate) fn start(network: Network) -> Result<PathBuf> {
    prepare()?;
    engine(network).start()
}

/// Stops what `start` started.
///
/// # Errors
/// When it does not end.
pub(crate) fn stop(network: Network) -> Result {
    engine(network).stop()
}

/// Compose of the same suite. It runs on the host: its own loader brings its own libraries.
///
/// # Errors
/// When the engine's programs cannot be made.
#[cfg_attr(not(feature = "bench"), expect(dead_code, reason = "the benchmarks run it"))]
pub(crate) fn compose() -> Result<Command> {
    let root = prepare()?;
    let mut command = Command::new(root.join("usr/lib64/ld-linux-x86-64.so.2"));
    command.arg("--library-path").arg(root.join("usr/lib/x86_64-linux-gnu"));
    command.arg(root.join("usr/libexec/docker/cli-plugins/docker-compose"));
    Ok(command)
}
