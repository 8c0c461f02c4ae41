//! Packages of the host, installed with apt when they are missing.

use crate::cargo::{self, Result};
use std::process::Command;

/// Installs those packages that are not there yet; needs Debian or Ubuntu, and root.
///
/// # Errors
/// When there is no apt, or apt fails.
pub(crate) fn install(packages: &[&str]) -> Result {
    let missing: Vec<&str> = packages.iter().copied().filter(|package| !is_installed(package)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let names = missing.join(", ");
    cargo::run("update the package lists", apt().args(["--quiet", "update"]))
        .map_err(|error| format!("installing {names} (needs Debian or Ubuntu, and root): {error}"))?;
    let arguments = ["--quiet", "install", "--yes", "--no-install-recommends"];
    cargo::run(&format!("install {names}"), apt().args(arguments).args(&missing))
}

/// Whether dpkg says that the package is installed.
fn is_installed(package: &str) -> bool {
    Command::new("dpkg-query")
        .args(["--show", "--showformat=${db:Status-Status}", package])
        .output()
        .is_ok_and(|output| output.status.success() && output.stdout == b"installed")
}

fn apt() -> Command {
    let mut command = Command::new("apt-get");
    command.env("DEBIAN_FRONTEND", "noninteractive");
    command
}
