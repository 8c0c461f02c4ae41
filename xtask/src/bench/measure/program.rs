//! Running the programs that are measured: quietly, with a deadline, keeping what they say when they fail.

use crate::cargo::Result;
use std::{
    fs,
    os::unix::process::CommandExt,
    path::Path,
    process::{Command, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

/// Longer than the slowest contender takes for 50 machines on a loaded host.
const LIMIT: Duration = Duration::from_secs(600);
/// How many of its last lines are kept from a program that fails.
const TAIL: usize = 4;

/// Runs a program to its end, and says how long it took. What it writes goes into a file in `folder`.
///
/// # Errors
/// When it cannot be started, fails, or is killed after ten minutes.
pub(super) fn run(title: &str, command: &mut Command, folder: &Path) -> Result<Duration> {
    let path = folder.join("output");
    let output =
        fs::File::create(&path).map_err(|error| format!("{title}: creating a file for its output: {error}"))?;
    let errors = output.try_clone().map_err(|error| format!("{title}: sharing the file for its output: {error}"))?;
    command.stdin(Stdio::null()).stdout(output).stderr(errors).process_group(0);
    let began = Instant::now();
    let mut child = command.spawn().map_err(|error| format!("{title}: {error}"))?;
    let group = format!("-{}", child.id());
    let (done, ended) = mpsc::channel::<()>();
    let watch = thread::spawn(move || {
        let late = ended.recv_timeout(LIMIT) == Err(mpsc::RecvTimeoutError::Timeout);
        // Whether that works, its end says.
        late.then(|| Command::new("kill").args(["-KILL", "--", &group]).status().is_ok()).is_some()
    });
    let status = child.wait();
    let took = began.elapsed();
    drop(done);
    let late = watch.join().unwrap_or(false);
    let status = status.map_err(|error| format!("{title}: waiting for it: {error}"))?;
    if status.success() {
        return Ok(took);
    }
    if late {
        return Err(format!("{title}: killed after {} s", LIMIT.as_secs()));
    }
    let text = fs::read_to_string(&path).unwrap_or_default();
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    Err(format!("{title}: {status}: {}", lines[lines.len().saturating_sub(TAIL)..].join(" | ")))
}

/// The first line that a program writes, for its version.
pub(super) fn first_line(command: &mut Command) -> Result<String> {
    let title = format!("{command:?}");
    let output = command.stdin(Stdio::null()).output().map_err(|error| format!("{title}: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().next().map(|line| line.trim().to_owned()).ok_or_else(|| format!("{title} says nothing"))
}
