//! The programs of QEMU, and what they say when something is wrong.

use rig_hypervisor::{Lock, files};
use rig_provider_api::{Context, ProviderError, Result};
use std::{
    ffi::OsStr,
    path::PathBuf,
    process::{Output, Stdio},
};
use tokio::process::Command;

/// The program that runs machines of this host's processor.
pub const SYSTEM: &str = if cfg!(target_arch = "aarch64") { "qemu-system-aarch64" } else { "qemu-system-x86_64" };

/// The program that makes disks.
pub const IMAGE: &str = "qemu-img";

/// QEMU as it is installed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Programs {
    /// What runs machines.
    pub system: PathBuf,
    /// What makes disks.
    pub image: PathBuf,
}

impl Programs {
    /// Looks for both in a list of folders, as `PATH` has it.
    #[must_use]
    pub fn find(path: &OsStr) -> Option<Self> {
        let find = |name: &str| std::env::split_paths(path).map(|folder| folder.join(name)).find(|file| file.is_file());
        Some(Self { system: find(SYSTEM)?, image: find(IMAGE)? })
    }
}

/// Runs a program to its end. Whether it is killed when the caller stops waiting is the command's own setting.
///
/// # Errors
/// When it cannot be started, and what it says when it fails.
pub(crate) async fn run(cx: &Context, doing: &str, command: &mut Command) -> Result<Output> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // Ctrl-C at the terminal is rig's: what is half done is brought to its end.
    #[cfg(unix)]
    command.process_group(0);
    let failed = |error: std::io::Error| ProviderError::failed(doing, error);
    let output = cx.run(doing, async { command.output().await.map_err(failed) }).await?;
    succeeded(doing, output)
}

/// Runs a program to its end, whether the caller waits or not. What it is given stays until then.
///
/// # Errors
/// When it cannot be started, and what it says when it fails.
pub(crate) async fn run_held(
    cx: &Context,
    doing: &str,
    mut command: std::process::Command,
    held: Lock,
) -> Result<Output> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    let why = doing.to_owned();
    let work = files::blocking(doing, move || {
        let _held = held;
        command.output().map_err(|error| ProviderError::failed(why, error))
    });
    succeeded(doing, cx.run(doing, work).await?)
}

/// The output of a program that ended well.
fn succeeded(doing: &str, output: Output) -> Result<Output> {
    if output.status.success() {
        return Ok(output);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let lines: Vec<String> = said.lines().map(plain).filter(|line| !line.is_empty()).map(str::to_owned).collect();
    // Warnings come before the reason.
    let (warnings, mut lines): (Vec<_>, Vec<_>) = lines.into_iter().partition(|line| line.starts_with("warning:"));
    let why =
        if lines.is_empty() { format!("it ended with {} and gave no reason", output.status) } else { lines.remove(0) };
    let tail = lines.into_iter().chain(warnings).collect();
    Err(ProviderError::Failed { doing: doing.to_owned(), why, tail, hint: None })
}

/// A line without the program's own name before it.
fn plain(line: &str) -> &str {
    match line.split_once(": ") {
        Some((program, rest)) if program.starts_with("qemu") && !program.contains(' ') => rest.trim(),
        _ => line.trim(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_lose_the_programs_name_alone() {
        assert_eq!(plain("qemu-system-x86_64: -m: too little"), "-m: too little");
        assert_eq!(plain("qemu: could not open kernel file 'x'"), "could not open kernel file 'x'");
        assert_eq!(plain("Is another process using the image [x]?"), "Is another process using the image [x]?");
        assert_eq!(plain("the disk: gone"), "the disk: gone");
    }
}
