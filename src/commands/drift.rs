//! `rig drift`

use crate::{
    app::App,
    cli::Drift as Arguments,
    engine_choice::Start,
    failure::{ExitCode, Failure},
    render::{self, Paint},
};
use rig_drift::{Change, Drift, FileDrift, ItemDrift};
use rig_engine::{EngineError, MachineDrift, Selection, Session, TextDrift, machine_drift, one_machine, text_drift};
use rig_model::{DriftClass, MachineId, MachineSpec, ObservedMachine};
use rig_provider_api::ObserveScope;
use serde::Serialize;
use similar::TextDiff;
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

/// How long all looks together may take.
const LIMIT: Duration = Duration::from_secs(600);

/// How many paths of a machine are listed unless all are asked for.
const LISTED: usize = 30;

#[derive(Serialize)]
struct Document<'a> {
    violated: bool,
    machines: Vec<Entry<'a>>,
    failed: Vec<FailedLook>,
    /// Declared machines that do not run: nothing is known of them.
    missing: Vec<String>,
}

#[derive(Serialize)]
struct Entry<'a> {
    machine: String,
    idiom: String,
    since: String,
    taken: Option<jiff::Timestamp>,
    violation: bool,
    counts: BTreeMap<DriftClass, usize>,
    #[serde(flatten)]
    drift: &'a Drift,
    gaps: &'a BTreeSet<String>,
}

#[derive(Serialize)]
struct FailedLook {
    machine: String,
    error: String,
}

#[derive(Serialize)]
struct TextDocument<'a> {
    machine: String,
    path: &'a str,
    old: Option<&'a str>,
    new: Option<&'a str>,
    diff: &'a str,
}

/// Shows what is different in machines from what the file describes.
pub(crate) async fn run(app: &App, arguments: &Arguments) -> Result<(), Failure> {
    let opened = app.open()?;
    let session = app.session(&opened, Start::Never).await?;
    let cx = app.context(LIMIT);
    let observed = session.observe(&cx, ObserveScope::MACHINES).await?;
    let since = arguments.since.clone();
    let declared = |seen: &ObservedMachine| session.workspace.machine(&seen.id);
    if let Some(path) = &arguments.diff {
        let [target] = arguments.targets.targets.as_slice() else {
            return Err(Failure::Usage {
                message: "a text file's difference is that of one machine".to_owned(),
                hint: Some(format!("name it: `rig drift MACHINE --diff {path}`")),
            });
        };
        let id = one_machine(target, &session.workspace, &observed)?;
        let seen = observed.machines.iter().find(|seen| seen.id == id);
        let pair = seen.and_then(|seen| Some((declared(seen)?, seen)));
        let pair = pair.ok_or_else(|| EngineError::Gone { machine: id.clone() })?;
        let text = text_drift(&cx, &session, &opened.layout, pair, path, since).await?;
        return show_text(app, &id, path, &text);
    }
    let selection = Selection::resolve(&arguments.targets.targets, &session.workspace, &observed)?;
    let machines: Vec<(&MachineSpec, &ObservedMachine)> = observed
        .machines
        .iter()
        .filter(|seen| selection.contains(&seen.id))
        .filter_map(|seen| Some((declared(seen)?, seen)))
        .filter(|(_, seen)| seen.state.is_running())
        .collect();
    let missing = missing(&session, &selection, &machines);
    let mut found = Vec::new();
    let mut failed = Vec::new();
    for (id, result) in machine_drift(&cx, &session, &opened.layout, &machines, since).await {
        match result {
            Ok(drift) => found.push(drift),
            Err(error) if error.is_cancelled() => return Err(error.into()),
            Err(error) => failed.push((id, error)),
        }
    }
    let is_failed = !failed.is_empty() || (!missing.is_empty() && !arguments.targets.targets.is_empty());
    if app.ui.is_json() {
        document(app, &found, &failed, &missing);
    } else {
        show(app, &found, &missing, arguments.all);
        for (_, error) in failed {
            render::failure(&app.ui, &error.into());
        }
    }
    // What was asked for by name and cannot be told is a failure.
    if is_failed {
        return Err(Failure::Said(ExitCode::Failed));
    }
    if found.iter().any(MachineDrift::is_violation) { Err(Failure::Said(ExitCode::Unmet)) } else { Ok(()) }
}

/// Machines that were meant and could not be looked into because they do not run.
fn missing(session: &Session, selection: &Selection, looked: &[(&MachineSpec, &ObservedMachine)]) -> Vec<MachineId> {
    let meant = session.workspace.machines().map(|machine| &machine.id).filter(|id| selection.contains(id));
    meant.filter(|id| !looked.iter().any(|(machine, _)| machine.id == **id)).cloned().collect()
}

fn document(app: &App, found: &[MachineDrift], failed: &[(MachineId, EngineError)], missing: &[MachineId]) {
    let entry = |drift| -> Entry<'_> {
        let drift: &MachineDrift = drift;
        Entry {
            machine: drift.machine.to_string(),
            idiom: drift.idiom.to_string(),
            since: drift.since.to_string(),
            taken: drift.taken,
            violation: drift.is_violation(),
            counts: drift.drift.counts(),
            drift: &drift.drift,
            gaps: &drift.gaps,
        }
    };
    let failed = failed.iter().map(|(id, error)| FailedLook { machine: id.to_string(), error: error.to_string() });
    let document = Document {
        violated: found.iter().any(MachineDrift::is_violation),
        machines: found.iter().map(entry).collect(),
        failed: failed.collect(),
        missing: missing.iter().map(ToString::to_string).collect(),
    };
    app.ui.document("rig.drift/1", &document);
}

fn show(app: &App, found: &[MachineDrift], missing: &[MachineId], all: bool) {
    for machine in found {
        let head = format!("{} ({}, since {})", machine.machine, machine.idiom, machine.since);
        if machine.drift.is_empty() {
            app.ui.result(format!("{} {head}: nothing differs", Paint::Good.paint("✓")));
        } else {
            let counts = machine.drift.counts();
            let counts = counts.iter().map(|(class, count)| format!("{count} {class}"));
            let items = [
                ("package", "packages", &machine.drift.packages),
                ("process", "processes", &machine.drift.processes),
                ("listener", "listeners", &machine.drift.listeners),
            ];
            let items = items.into_iter().filter(|(.., items)| !items.is_empty());
            let items = items.map(|(one, many, items)| match items.len() {
                1 => format!("1 {one}"),
                count => format!("{count} {many}"),
            });
            let all: Vec<String> = counts.chain(items).collect();
            let mark = if machine.is_violation() { Paint::Bad.paint("✗") } else { Paint::Faint.paint("·") };
            let violation = if machine.is_violation() { ": an immutable machine has changed" } else { "" };
            app.ui.result(format!("{mark} {head}{violation}: {}", all.join(", ")));
        }
        let rows = rows(&machine.drift, all);
        if !rows.is_empty() {
            let text = render::table(&["", "", "", ""], rows);
            for line in text.lines().skip(1) {
                app.ui.result(format!("  {line}"));
            }
        }
        let hidden = hidden(&machine.drift, all);
        if hidden > 0 {
            app.ui.say(format!("  and {hidden} more paths; --all lists them"));
        }
        for gap in &machine.gaps {
            app.ui.warn(format!("machine {}: {gap}", machine.machine));
        }
    }
    for id in missing {
        app.ui.say(format!("machine {id} does not run: nothing is known of it"));
    }
}

/// Which paths are worth a line when not all are asked for: what services are known to write is only counted.
fn is_listed(file: &FileDrift) -> bool {
    matches!(file.class, DriftClass::Program | DriftClass::Configuration | DriftClass::State)
}

fn hidden(drift: &Drift, all: bool) -> usize {
    if all {
        return 0;
    }
    drift.files.len() - drift.files.iter().filter(|file| is_listed(file)).count().min(LISTED)
}

fn rows(drift: &Drift, all: bool) -> Vec<Vec<String>> {
    let limit = if all { usize::MAX } else { LISTED };
    let files = drift.files.iter().filter(|file| all || is_listed(file)).take(limit).map(|file| {
        let fields = file.fields.iter().map(|field| {
            // Of a hash the beginning is enough to tell two apart.
            let shown =
                |text: &String| if field.field == "sha256" { text.chars().take(12).collect() } else { text.clone() };
            let value = |value: &Option<String>| value.as_ref().map_or_else(|| "–".to_owned(), shown);
            format!("{} {} → {}", field.field, visible(&value(&field.old)), visible(&value(&field.new)))
        });
        vec![
            word(file.change).to_owned(),
            file.class.to_string(),
            visible(&file.path),
            fields.collect::<Vec<_>>().join(", "),
        ]
    });
    let items = [("package", &drift.packages), ("process", &drift.processes), ("listener", &drift.listeners)];
    let items = items.into_iter().flat_map(|(what, items)| items.iter().map(move |item| (what, item)));
    files.chain(items.map(|(what, item)| row(what, item))).collect()
}

fn row(what: &str, item: &ItemDrift) -> Vec<String> {
    let versions = match (&item.old, &item.new) {
        (Some(old), Some(new)) => format!("{old} → {new}"),
        (old, new) => old.as_ref().or(new.as_ref()).cloned().unwrap_or_default(),
    };
    vec![word(item.change).to_owned(), what.to_owned(), visible(&item.name), visible(&versions)]
}

/// What a machine says, without what would speak to this host's terminal: names of files may hold anything.
fn visible(text: &str) -> String {
    let mut visible = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() && c != '\t' { visible.extend(c.escape_default()) } else { visible.push(c) }
    }
    visible
}

fn word(change: Change) -> &'static str {
    match change {
        Change::Added => "added",
        Change::Changed => "changed",
        Change::Removed => "removed",
    }
}

/// Shows how a text file differs, in the form of `diff -u`.
fn show_text(app: &App, id: &MachineId, path: &str, text: &TextDrift) -> Result<(), Failure> {
    if text.old.is_none() && text.new.is_none() {
        return Err(Failure::host(format!("machine {id} has no file {path}, nor had it one")));
    }
    let (old, new) = (text.old.as_deref(), text.new.as_deref());
    let diff = TextDiff::from_lines(old.unwrap_or_default(), new.unwrap_or_default());
    let (from, to) = (format!("a{path}"), format!("b{path}"));
    let (from, to) = (if old.is_some() { &from } else { "/dev/null" }, if new.is_some() { &to } else { "/dev/null" });
    let unified = diff.unified_diff().header(from, to).to_string();
    if app.ui.is_json() {
        let document = TextDocument { machine: id.to_string(), path, old, new, diff: &unified };
        app.ui.document("rig.drift-text/1", &document);
    } else if unified.is_empty() {
        app.ui.say(format!("{path} is what it was"));
    } else {
        for line in unified.lines() {
            let paint = match line.as_bytes().first() {
                Some(b'+') => Paint::Good,
                Some(b'-') => Paint::Bad,
                _ => Paint::Faint,
            };
            app.ui.result(paint.paint(visible(line)));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_speaks_to_the_terminal() {
        assert_eq!(visible("/tmp/x\n✓ web\x1b[2J"), "/tmp/x\\n✓ web\\u{1b}[2J");
    }
}
