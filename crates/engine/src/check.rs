//! Running the file's checks.

use crate::{Questions, Session, probe};
use rig_model::{CheckSpec, CheckTarget, Expectation, MachineId, Name, Probe};
use rig_provider_api::{Context, ExecRequest, MachineRef, StopMode};
use std::{
    net::Ipv4Addr,
    time::{Duration, Instant},
};

/// How much of a command's output is kept for the report, in bytes; the end of it.
const KEPT: usize = 64 << 10;

/// The pause between two looks at a machine that was restarted.
const AGAIN: Duration = Duration::from_millis(500);

/// What became of a check.
#[derive(Clone, Debug)]
pub struct CheckResult {
    /// The check.
    pub name: Name,
    /// The topology it ran on.
    pub topology: Name,
    /// The machine it was about.
    pub machine: MachineId,
    /// How long it took.
    pub elapsed: Duration,
    /// Why it did not hold; nothing when it did.
    pub failure: Option<String>,
    /// What a command wrote to standard output, the last 64 KiB.
    pub stdout: String,
    /// What a command wrote to standard error, the last 64 KiB.
    pub stderr: String,
}

/// Runs one check. A machine that does not run, or cannot be entered, is a check that does not hold.
pub async fn run_check(
    session: &Session,
    cx: &Context,
    check: &CheckSpec,
    ip: &(dyn Fn(&MachineId) -> Option<Ipv4Addr> + Sync),
) -> CheckResult {
    let began = Instant::now();
    let cx = cx.within(check.timeout);
    let mut result = CheckResult {
        name: check.name.clone(),
        topology: check.topology.clone(),
        machine: machine(check).clone(),
        elapsed: Duration::ZERO,
        failure: None,
        stdout: String::new(),
        stderr: String::new(),
    };
    let outcome = match &check.target {
        CheckTarget::Probe(probe) => ask(session, &cx, probe, ip, check.timeout).await,
        CheckTarget::Restart { machines, then } => {
            let restarted = restart(session, &cx, machines, ip).await;
            match restarted {
                // Boxed: a check that runs checks.
                Ok(()) => Box::pin(others(session, &cx, check, then, ip)).await,
                failed => failed,
            }
        }
        CheckTarget::Run { on, command, expect } => {
            let words: Option<Vec<rig_model::Text>> =
                command.iter().map(|text| text.resolve(&|machine| ip(machine)).map(rig_model::Text::literal)).collect();
            match words {
                None => Err("it needs the address of a machine that is not there; `rig up` first".to_owned()),
                Some(words) => {
                    let machine = MachineRef { workspace: session.workspace.name.clone(), id: on.clone() };
                    let request = ExecRequest { command: probe::shell_or_words(&words), ..ExecRequest::default() };
                    match session.run(&cx, &machine, &request, KEPT).await {
                        Ok(output) => {
                            result.stdout = String::from_utf8_lossy(&output.stdout).into_owned();
                            result.stderr = String::from_utf8_lossy(&output.stderr).into_owned();
                            expectations(expect, output.code, &result.stdout, &result.stderr, ip)
                        }
                        Err(error) => Err(error.to_string()),
                    }
                }
            }
        }
    };
    result.failure = outcome.err();
    result.elapsed = began.elapsed();
    result
}

/// The machine that a check is about.
#[must_use]
pub fn machine(check: &CheckSpec) -> &MachineId {
    match &check.target {
        CheckTarget::Run { on, .. } => on,
        CheckTarget::Probe(probe) => &probe.on,
        // Never empty: the decoder refuses that.
        CheckTarget::Restart { machines, .. } => &machines[0],
    }
}

/// Stops and starts machines, and waits until their probes pass again.
async fn restart(
    session: &Session,
    cx: &Context,
    machines: &[MachineId],
    ip: &(dyn Fn(&MachineId) -> Option<Ipv4Addr> + Sync),
) -> Result<(), String> {
    let each = machines.iter().map(|id| async move {
        let spec = session.workspace.machine(id).ok_or_else(|| format!("there is no machine {id}"))?;
        let machine = MachineRef { workspace: session.workspace.name.clone(), id: id.clone() };
        let provider = session.providers.of(id).map_err(|error| error.to_string())?;
        let failed = |error: rig_provider_api::ProviderError| error.to_string();
        provider.stop(cx, &machine, StopMode::Graceful(spec.stop_timeout)).await.map_err(failed)?;
        provider.start(cx, &machine).await.map_err(failed)?;
        let deadline = Instant::now() + spec.ready.timeout;
        // A machine without probes is ready when it runs.
        while session.health(cx, spec, ip, Questions::All).await == Some(false) {
            if Instant::now() >= deadline || cx.cancel().is_cancelled() {
                return Err(format!(
                    "machine {id} is not ready {:.0} s after its restart",
                    spec.ready.timeout.as_secs_f64()
                ));
            }
            tokio::time::sleep(AGAIN).await;
        }
        Ok(())
    });
    futures_util::future::join_all(each).await.into_iter().collect()
}

/// Runs the checks that must hold after a restart.
async fn others(
    session: &Session,
    cx: &Context,
    check: &CheckSpec,
    names: &[Name],
    ip: &(dyn Fn(&MachineId) -> Option<Ipv4Addr> + Sync),
) -> Result<(), String> {
    for name in names {
        let same = |other: &&CheckSpec| other.topology == check.topology && other.name == *name;
        let Some(other) = session.workspace.checks.iter().find(same) else { continue };
        if let Some(why) = run_check(session, cx, other, ip).await.failure {
            return Err(format!("after the restart, check {name} does not hold: {why}"));
        }
    }
    Ok(())
}

/// Asks until the probe passes or the time is over: what a check asks for may just be coming about.
async fn ask(
    session: &Session,
    cx: &Context,
    probe: &Probe,
    ip: &(dyn Fn(&MachineId) -> Option<Ipv4Addr> + Sync),
    timeout: Duration,
) -> Result<(), String> {
    let probe = probe
        .resolve(&|machine| ip(machine))
        .ok_or("it needs the address of a machine that is not there; `rig up` first")?;
    // A probe that has not passed in this time is not about to.
    let deadline = Instant::now() + timeout.min(Duration::from_secs(15));
    loop {
        let last = match session.ask(cx, &probe).await {
            Ok(()) => return Ok(()),
            Err(last) => last,
        };
        if Instant::now() >= deadline || cx.cancel().is_cancelled() {
            return Err(last);
        }
        tokio::time::sleep(probe.every).await;
    }
}

fn expectations(
    expect: &[Expectation],
    code: i64,
    stdout: &str,
    stderr: &str,
    ip: &(dyn Fn(&MachineId) -> Option<Ipv4Addr> + Sync),
) -> Result<(), String> {
    let wanted = expect.iter().find_map(|expectation| match expectation {
        Expectation::Exit(code) => Some(*code),
        _ => None,
    });
    if code != wanted.unwrap_or(0) {
        return Err(format!("exit code {code}, expected {}: {}", wanted.unwrap_or(0), telling(stdout, stderr)));
    }
    for expectation in expect {
        let (found, what) = match expectation {
            Expectation::Exit(_) => continue,
            Expectation::Stdout(text) | Expectation::Stderr(text) => {
                let text = text
                    .resolve(&|machine| ip(machine))
                    .ok_or("an expected text needs an address that is not known")?;
                let (stream, name) = match expectation {
                    Expectation::Stderr(_) => (stderr, "standard error"),
                    _ => (stdout, "standard output"),
                };
                (stream.contains(&text), format!("{name} does not contain {text:?}"))
            }
            Expectation::Matches(pattern) => {
                let regex = regex::Regex::new(pattern).map_err(|error| format!("{pattern:?}: {error}"))?;
                (regex.is_match(stdout), format!("standard output does not match {pattern:?}"))
            }
        };
        if !found {
            return Err(what);
        }
    }
    Ok(())
}

/// Words of lines that say why a program failed, in small letters.
const TROUBLE: [&str; 7] = ["error", "exception", "fatal", "failed", "denied", "refused", "not found"];

/// The line of a failed program's output that says most: the last one that speaks of trouble, for many programs tidy up
/// afterwards and tell of that too; else the last one.
fn telling<'a>(stdout: &'a str, stderr: &'a str) -> &'a str {
    let lines = || stderr.lines().rev().chain(stdout.lines().rev()).filter(|line| !line.trim().is_empty());
    let is_trouble = |line: &&str| {
        let line = line.to_lowercase();
        TROUBLE.iter().any(|word| line.contains(word))
    };
    lines().find(is_trouble).or_else(|| lines().next()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::telling;

    #[test]
    fn the_line_that_says_why_is_told() {
        let java = "Exception in thread \"main\": System memory must be at least 471859200\nINFO ShutdownHookManager: Deleting /tmp/x\n";
        assert!(telling("", java).contains("471859200"));
        assert_eq!(telling("12 rows\n", "done\n\n"), "done");
        assert_eq!(telling("12 rows\n", ""), "12 rows");
    }
}
