//! `rig check`

use crate::{
    app::App,
    cli::Check,
    engine_choice::Start,
    failure::{ExitCode, Failure},
    render::Paint,
};
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};
use rig_engine::{CheckResult, Session, run_check};
use rig_model::{CheckSpec, seconds};
use rig_provider_api::ObserveScope;
use serde::Serialize;
use std::time::Duration;

#[derive(Serialize)]
struct Document<'a> {
    passed: usize,
    failed: usize,
    checks: Vec<Entry<'a>>,
}

#[derive(Serialize)]
struct Entry<'a> {
    name: &'a str,
    topology: &'a str,
    machine: String,
    seconds: f64,
    passed: bool,
    failure: Option<&'a str>,
    stdout: &'a str,
    stderr: &'a str,
}

/// Runs the checks in the file's order.
pub(crate) async fn run(app: &App, arguments: &Check) -> Result<(), Failure> {
    let opened = app.open()?;
    let checks = selected(&opened.loaded.workspace.checks, arguments)?;
    if checks.is_empty() {
        return Err(Failure::Usage {
            message: "the file has no check to run".to_owned(),
            hint: Some("add `check \"name\" on=\"machine\" { run \"…\" }` to a topology".to_owned()),
        });
    }
    let session = app.session(&opened, Start::Never).await?;
    let cx = app.context(Duration::from_secs(24 * 3600));
    let observed = session.observe(&cx, ObserveScope::MACHINES).await?;
    let ip = Session::addresses(&session.workspace, &observed.machines);
    let mut results = Vec::new();
    for check in &checks {
        if !app.ui.is_json() {
            app.ui.say(format!("check {}/{} …", check.topology, check.name));
        }
        let result = run_check(&session, &cx, check, &ip).await;
        if !app.ui.is_json() {
            show(app, &result, arguments.show_output);
        }
        results.push(result);
        if cx.cancel().is_cancelled() {
            return Err(Failure::Said(ExitCode::Interrupted));
        }
    }
    if let Some(path) = &arguments.junit {
        let path = app.settings.folder.join(path);
        let text = junit(&session.workspace.name, &results)
            .map_err(|error| Failure::host(format!("writing {path}: {error}")))?;
        rig_state::write_atomically(&path, text.as_bytes(), rig_state::Access::Default)?;
    }
    let failed = results.iter().filter(|result| result.failure.is_some()).count();
    if app.ui.is_json() {
        let checks = results.iter().map(entry).collect();
        app.ui.document("rig.check/1", &Document { passed: results.len() - failed, failed, checks });
    } else {
        app.ui.result(format!("{} checks passed, {failed} failed", results.len() - failed));
    }
    if failed == 0 { Ok(()) } else { Err(Failure::Said(ExitCode::Unmet)) }
}

/// The checks that the command line names, in the file's order.
fn selected<'a>(all: &'a [CheckSpec], arguments: &Check) -> Result<Vec<&'a CheckSpec>, Failure> {
    let of =
        |check: &&CheckSpec| arguments.topology.as_ref().is_none_or(|topology| check.topology.as_str() == topology);
    for name in &arguments.checks {
        if !all.iter().filter(of).any(|check| check.name.as_str() == name) {
            let mut known: Vec<&str> = all.iter().filter(of).map(|check| check.name.as_str()).collect();
            known.sort_unstable();
            known.dedup();
            return Err(Failure::Usage {
                message: format!("there is no check {name:?}"),
                hint: Some(format!("there are: {}", known.join(", "))),
            });
        }
    }
    let named = |check: &&CheckSpec| {
        arguments.checks.is_empty() || arguments.checks.iter().any(|name| check.name.as_str() == name)
    };
    Ok(all.iter().filter(of).filter(named).collect())
}

fn show(app: &App, result: &CheckResult, show_output: bool) {
    let time = Paint::Faint.paint(format!("{:.1}s", result.elapsed.as_secs_f64()));
    let name = format!("{}/{}", result.topology, result.name);
    match &result.failure {
        None => app.ui.result(format!("{} {name} {time}", Paint::Good.paint("✓"))),
        Some(why) => app.ui.result(format!("{} {name} {time}: {why}", Paint::Bad.paint("✗"))),
    }
    // What a job printed as its result is what people want to see; what went wrong needs more.
    let lines = if result.failure.is_some() || show_output { 30 } else { 3 };
    for (text, always) in [(&result.stdout, true), (&result.stderr, result.failure.is_some() || show_output)] {
        if !always {
            continue;
        }
        let all: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
        for line in &all[all.len().saturating_sub(lines)..] {
            app.ui.say(format!("  {} {line}", Paint::Faint.paint("|")));
        }
    }
}

fn entry(result: &CheckResult) -> Entry<'_> {
    Entry {
        name: result.name.as_str(),
        topology: result.topology.as_str(),
        machine: result.machine.to_string(),
        seconds: seconds(result.elapsed),
        passed: result.failure.is_none(),
        failure: result.failure.as_deref(),
        stdout: &result.stdout,
        stderr: &result.stderr,
    }
}

fn junit(workspace: &rig_model::Name, results: &[CheckResult]) -> Result<String, quick_junit::SerializeError> {
    let mut report = Report::new(workspace.as_str());
    let mut topologies: Vec<&rig_model::Name> = results.iter().map(|result| &result.topology).collect();
    topologies.sort();
    topologies.dedup();
    for topology in topologies {
        let mut suite = TestSuite::new(topology.as_str());
        for result in results.iter().filter(|result| result.topology == *topology) {
            let status = match &result.failure {
                None => TestCaseStatus::success(),
                Some(why) => {
                    let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
                    status.set_message(why.clone());
                    status
                }
            };
            let mut case = TestCase::new(result.name.as_str(), status);
            case.set_classname(result.machine.to_string()).set_time(result.elapsed);
            case.set_system_out(result.stdout.clone()).set_system_err(result.stderr.clone());
            suite.add_test_case(case);
        }
        report.add_test_suite(suite);
    }
    report.to_string()
}
