//! `rig compare`

use crate::{
    app::{App, FILE},
    cli::Compare as Arguments,
    failure::{ExitCode, Failure},
    lab::{self, HostLab},
    render::{self, Paint},
};
use camino::{Utf8Path, Utf8PathBuf};
use rig_compare::{
    Caches, Compared, Comparison, Host, Plan, ReadError, Report, SCHEMA, Summary, Table, baseline, baseline::Changes,
    differences, failures, gaps, html, metrics, mismatches, shown, summarise,
};
use rig_engine::{End, Engines, Lab, Runner, Setup, Wishes};
use rig_model::{EngineFacts, Name, Scenario};
use rig_provider_api::ObserveScope;
use rig_state::Scale;
use serde::Serialize;
use std::{io::ErrorKind, time::Duration};

/// How many runs `--quick` makes: fewer cannot tell a difference from noise.
const QUICK_RUNS: u32 = 3;

/// How long `--quick` may take. On a slow host it makes fewer runs, and claims nothing.
const QUICK: Duration = Duration::from_secs(8 * 60);

/// What `--quick` leaves out: what takes as long as everything else.
const SLOW: [Scenario; 6] = [
    Scenario::ScaleOut,
    Scenario::Restart,
    Scenario::Replace,
    Scenario::Change,
    Scenario::Reproducibility,
    Scenario::Idempotence,
];

/// A comparison takes as long as it takes; every step in it has a deadline of its own.
const LIMIT: Duration = Duration::from_secs(365 * 24 * 3600);

/// What decides which machines and which work are measured, beside the topologies themselves.
#[derive(Serialize)]
struct Measured<'a> {
    job: &'a Option<Name>,
    checks: &'a [Name],
    nodes: &'a [Name],
    change: &'a Option<(String, String)>,
}

/// Measures topologies side by side.
pub(crate) async fn run(app: &App, arguments: &Arguments) -> Result<(), Failure> {
    if arguments.remove {
        return remove(app).await;
    }
    // What is wrong with the words is said before an engine is started for them. Counts are the file's own.
    let workspace = app.load(&app.file()?, &Scale::default())?.workspace;
    let setup = setup(arguments, &workspace)?;
    let targets = Targets::new(app, arguments)?;
    let mut lab = HostLab::open(app, arguments.cold).await?;
    let Setup { job, checks, nodes, change, .. } = &setup;
    lab.compare(&setup.topologies, &Measured { job, checks, nodes, change });
    let _lock = app.lock(lab.layout(), "rig compare").await?;
    for (scenario, why) in &setup.left_out {
        app.ui.say(format!("scenario {scenario} is left out: {why}"));
    }
    let planned = planned(app, arguments, &lab, &setup, workspace.name).await?;
    let mut comparison = resumed(app, arguments, &lab, planned)?;
    let earlier = targets.baseline(&comparison, arguments.threshold)?;
    begin(app, &lab, &comparison).await?;
    let within = arguments.quick.then_some(QUICK);
    let runner = Runner { lab: &lab, setup: &setup, within, sink: app.ui.sink(), cx: app.context(LIMIT) };
    let end = runner.run(&mut comparison).await;
    let summary =
        summarise(&comparison, arguments.unfair).ok_or_else(|| Failure::host("there is nothing to compare"))?;
    let changes = match (&end, earlier) {
        (End::Done, Some(earlier)) => Some(
            baseline::changes(&earlier, &comparison, arguments.threshold)
                .map_err(|error| Failure::usage(error.to_string()))?,
        ),
        _ => None,
    };
    if !comparison.runs.is_empty() {
        show(app, &comparison, &summary, changes.as_ref());
    }
    match end {
        End::Done => {}
        End::Interrupted => {
            unfinished(app, &lab);
            return Err(Failure::Said(ExitCode::Interrupted));
        }
        End::Stopped(why) => {
            unfinished(app, &lab);
            return Err(Failure::host(why));
        }
    }
    targets.report(app, &lab, &comparison, &summary, arguments.unfair)?;
    match summary.failures.len() {
        0 => {}
        failed => return Err(Failure::host(format!("{failed} of {} runs failed", summary.made))),
    }
    match changes {
        Some(changes) if changes.compared == 0 => Err(Failure::host(
            "nothing could be compared with the baseline: both need three runs or more of the same scenarios",
        )),
        Some(changes) if !changes.hold() => Err(Failure::Said(ExitCode::Unmet)),
        _ => Ok(()),
    }
}

/// Removes what an interrupted comparison left.
async fn remove(app: &App) -> Result<(), Failure> {
    let lab = HostLab::open(app, false).await?;
    let _lock = app.lock(lab.layout(), "rig compare").await?;
    let removed = lab.clear().await?.report.done;
    lab.discard().await?;
    let kept = forget(&lab)?;
    lab.empty_cache()?;
    app.ui.say(if removed > 0 || kept {
        "removed machines and results of the comparison"
    } else {
        "nothing to remove"
    });
    Ok(())
}

/// Removes the kept comparison; says whether there was one.
fn forget(lab: &HostLab) -> Result<bool, Failure> {
    let mut found = false;
    for file in [lab.layout().comparison(), lab.layout().unreported()] {
        match fs_err::remove_file(file) {
            Ok(()) => found = true,
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(Failure::host(error.to_string())),
        }
    }
    Ok(found)
}

fn setup(arguments: &Arguments, workspace: &rig_model::Workspace) -> Result<Setup, Failure> {
    let mut wishes = Wishes { runs: arguments.runs, scenarios: arguments.scenario.clone(), ..Wishes::default() };
    for text in &arguments.topologies {
        let name = Name::new(text.as_str())
            .map_err(|error| Failure::usage(format!("{text:?} is the name of no topology: {error}")))?;
        wishes.topologies.push(name);
    }
    if arguments.quick {
        wishes.runs = Some(QUICK_RUNS);
        wishes.without = SLOW.to_vec();
    }
    Setup::new(workspace, &wishes).map_err(|error| Failure::Usage { message: error.message, hint: error.hint })
}

/// The comparison as it would begin.
async fn planned(
    app: &App,
    arguments: &Arguments,
    lab: &HostLab,
    setup: &Setup,
    workspace: Name,
) -> Result<Comparison, Failure> {
    let session = lab.session();
    let engines = session.providers.probe(&app.context(Duration::from_secs(60))).await?;
    let subject = lab.subject().await?;
    let compared = setup.topologies.iter().filter_map(|name| session.workspace.topologies.get(name));
    let now = jiff::Timestamp::now();
    Ok(Comparison {
        workspace,
        topologies: compared.map(|one| Compared { name: one.name.clone(), idiom: one.idiom }).collect(),
        scenarios: setup.scenarios.clone(),
        caches: if arguments.cold { Caches::Cold } else { Caches::Warm },
        seed: arguments.seed.unwrap_or_else(new_seed),
        planned_runs: setup.runs,
        host: host(&engines),
        started: now,
        updated: now,
        subject,
        fairness: Vec::new(),
        runs: Vec::new(),
    })
}

/// What it was measured on. Of several engines the least that one of them has is told.
fn host(engines: &Engines) -> Host {
    let each = |fact: &dyn Fn(&EngineFacts) -> String| {
        let facts: Vec<String> = engines.values().map(fact).collect();
        facts.join(", ")
    };
    let unknown = |fact: &Option<String>, what: &str| fact.clone().unwrap_or_else(|| format!("unknown{what}"));
    Host {
        engine: each(&|engine| engine.version.clone()),
        storage_driver: each(&|engine| unknown(&engine.storage, "")),
        cpus: engines.values().map(|engine| engine.cpus).min().unwrap_or_default(),
        memory: engines.values().map(|engine| engine.memory).min().unwrap_or_default(),
        os: each(&|engine| format!("{}, {}", unknown(&engine.system, " system"), engine.platform)),
        rig: env!("CARGO_PKG_VERSION").to_owned(),
    }
}

/// A number that nobody chose; which one does not matter, for it is printed.
fn new_seed() -> u32 {
    jiff::Timestamp::now().subsec_nanosecond().unsigned_abs()
}

/// The kept comparison, where it was not over and this is the same one; else the planned one.
fn resumed(app: &App, arguments: &Arguments, lab: &HostLab, mut planned: Comparison) -> Result<Comparison, Failure> {
    if arguments.fresh {
        forget(lab)?;
        return Ok(planned);
    }
    let path = lab.layout().comparison();
    let text = match fs_err::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(planned),
        Err(error) => return Err(Failure::host(error.to_string())),
    };
    let kept = Comparison::read(&String::from_utf8_lossy(&text));
    let kept = kept.map_err(|error| unreadable(&path, &error, "`--fresh` begins anew"))?;
    // One that is over is a report, and the next one begins anew.
    let is_over = Plan::of(&kept).left(&kept.runs).next().is_none();
    if is_over && !lab.layout().unreported().exists() {
        return Ok(planned);
    }
    if arguments.seed.is_none() {
        planned.seed = kept.seed;
    }
    let obstacles = kept.obstacles_to_resuming(&planned);
    if !obstacles.is_empty() {
        let why: Vec<String> = obstacles.iter().map(ToString::to_string).collect();
        return Err(Failure::Usage {
            message: format!("an interrupted comparison is kept, and this is not the same one: {}", why.join("; ")),
            hint: Some("the command that began it goes on with it; `--fresh` forgets it and begins anew".to_owned()),
        });
    }
    app.ui.say(format!(
        "goes on with the comparison that was begun on {}: {} runs are there",
        kept.started.strftime("%Y-%m-%d %H:%M UTC"),
        kept.runs.len()
    ));
    Ok(Comparison { planned_runs: planned.planned_runs, ..kept })
}

fn unreadable(path: &Utf8Path, error: &ReadError, hint: &str) -> Failure {
    Failure::Usage { message: format!("{path} {error}"), hint: Some(hint.to_owned()) }
}

/// Says what is about to happen.
async fn begin(app: &App, lab: &HostLab, comparison: &Comparison) -> Result<(), Failure> {
    let names: Vec<String> = comparison.topologies.iter().map(|one| one.name.to_string()).collect();
    let scenarios: Vec<&str> = comparison.scenarios.iter().map(|scenario| scenario.as_str()).collect();
    app.ui.say(format!(
        "compares {}: {} rounds of {}, {} caches, order from seed {}",
        names.join(" with "),
        comparison.planned_runs,
        scenarios.join(", "),
        comparison.caches,
        comparison.seed
    ));
    let workspace = &comparison.workspace;
    let cx = app.context(Duration::from_secs(60));
    let observed = lab.session().providers.observe(&cx, workspace, ObserveScope::MACHINES).await?;
    let running = observed.machines.iter().filter(|machine| machine.state.is_running()).count();
    if running > 0 {
        app.ui.warn(format!(
            "{running} machines of workspace {workspace} run beside it and make its figures worse; `rig halt` stops them"
        ));
    }
    Ok(())
}

fn unfinished(app: &App, lab: &HostLab) {
    app.ui.say(format!(
        "what was measured is kept in {}; the same command goes on, `rig compare --remove` removes it and the machines",
        lab.layout().comparison()
    ));
}

/// Where the report goes beside the terminal, and what it is compared with.
struct Targets {
    html: Option<Utf8PathBuf>,
    document: Option<Utf8PathBuf>,
    baseline: Option<(Utf8PathBuf, Comparison)>,
}

impl Targets {
    /// Checks all of them first: half an hour later is too late to find a folder missing.
    fn new(app: &App, arguments: &Arguments) -> Result<Self, Failure> {
        let place = |path: &Option<Utf8PathBuf>| -> Result<Option<Utf8PathBuf>, Failure> {
            let Some(path) = path else { return Ok(None) };
            let path = app.settings.folder.join(path);
            let folder = path.parent().filter(|folder| folder.is_dir());
            if path.is_dir() || folder.is_none() {
                return Err(Failure::Usage {
                    message: format!("{path} is no place for a file"),
                    hint: Some("name a file in a folder that is there".to_owned()),
                });
            }
            Ok(Some(path))
        };
        let baseline = match &arguments.baseline {
            None => None,
            Some(path) => {
                let path = app.settings.folder.join(path);
                let text = fs_err::read_to_string(&path).map_err(|error| Failure::usage(error.to_string()))?;
                let hint = format!("`rig compare --json FILE` writes one; of the results of {FILE} this is none");
                let earlier = Comparison::read(&text).map_err(|error| unreadable(&path, &error, &hint))?;
                Some((path, earlier))
            }
        };
        let (html, document) = (place(&arguments.html)?, place(&arguments.document)?);
        if html.is_some() && html == document {
            return Err(Failure::usage("the page and the document cannot be the same file"));
        }
        Ok(Self { html, document, baseline })
    }

    /// The earlier comparison, if it can be compared with this one.
    fn baseline(&self, now: &Comparison, threshold: f64) -> Result<Option<Comparison>, Failure> {
        let Some((path, earlier)) = &self.baseline else { return Ok(None) };
        let found = mismatches(earlier, now);
        if !found.is_empty() {
            let why: Vec<String> = found.iter().map(ToString::to_string).collect();
            return Err(Failure::Usage {
                message: format!("{path} cannot be compared with this comparison: {}", why.join("; ")),
                hint: Some("a baseline is of the same workspace, machine and engine".to_owned()),
            });
        }
        baseline::changes(earlier, earlier, threshold).map_err(|error| Failure::usage(error.to_string()))?;
        Ok(Some(earlier.clone()))
    }

    /// Writes the report. One that cannot be written is written by the same command later: nothing is measured again for it.
    fn report(
        &self,
        app: &App,
        lab: &HostLab,
        comparison: &Comparison,
        summary: &Summary,
        unfair: bool,
    ) -> Result<(), Failure> {
        let mark = lab.layout().unreported();
        rig_state::write_atomically(&mark, b"", rig_state::Access::Default)?;
        // A report that was there is replaced by a whole one only.
        if let Err(error) = self.write(app, comparison, summary, unfair) {
            app.ui.say(
                "what was measured is kept: the same command, with another place for its report if need be, writes it",
            );
            return Err(error);
        }
        fs_err::remove_file(&mark).map_err(|error| Failure::host(error.to_string()))
    }

    fn write(&self, app: &App, comparison: &Comparison, summary: &Summary, unfair: bool) -> Result<(), Failure> {
        let write = |path: &Utf8Path, text: String| -> Result<(), Failure> {
            rig_state::write_atomically(path, text.as_bytes(), rig_state::Access::Default)?;
            app.ui.say(format!("wrote {path}"));
            Ok(())
        };
        if let Some(path) = &self.document {
            write(path, lab::document(comparison, unfair)?)?;
        }
        if let Some(path) = &self.html {
            let page =
                html(comparison, summary).map_err(|error| Failure::host(format!("writing the page: {error}")))?;
            write(path, page)?;
        }
        Ok(())
    }
}

/// Prints the report.
fn show(app: &App, comparison: &Comparison, summary: &Summary, changes: Option<&Changes>) {
    if app.ui.is_json() {
        app.ui.last_line(SCHEMA, &Line { report: Report { comparison, summary }, baseline: changes });
        return;
    }
    let table = |title: &str, table: Table| {
        if table.rows.is_empty() {
            return;
        }
        let head: Vec<&str> = table.header.iter().map(String::as_str).collect();
        app.ui.result("");
        if !title.is_empty() {
            app.ui.result(Paint::Warn.paint(title));
        }
        app.ui.result(render::table(&head, table.rows));
    };
    for answer in &summary.answers {
        app.ui.result("");
        app.ui.result(Paint::Good.paint(answer.asked));
        for sentence in &answer.sentences {
            app.ui.result(format!("  {sentence}"));
        }
    }
    table("", metrics(summary));
    table("What differs between the topologies, and makes ratios unfair:", differences(comparison));
    table("Runs that failed:", failures(summary));
    table("What could not be measured:", gaps(summary));
    app.ui.result("");
    app.ui.result(format!(
        "{} runs on {} ({}, {} CPUs, {}), {} caches, seed {}",
        summary.made,
        comparison.host.engine,
        comparison.host.os,
        comparison.host.cpus,
        comparison.host.memory,
        comparison.caches,
        comparison.seed
    ));
    if let Some(changes) = changes {
        against(app, changes);
    }
}

/// The last line of the events: the document, and what a comparison with the baseline says.
#[derive(Serialize)]
struct Line<'a> {
    #[serde(flatten)]
    report: Report<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    baseline: Option<&'a Changes>,
}

/// Prints what is otherwise than in an earlier comparison.
fn against(app: &App, changes: &Changes) {
    let line = |change: &baseline::Change, word: &str| {
        let percent = change.percent.map_or_else(String::new, |percent| format!(" ({percent:+.0} %)"));
        let (before, after) = (shown(change.unit, change.before.median), shown(change.unit, change.now.median));
        format!("{word} {} of {}: {before} before, {after} now{percent}", change.metric, change.topology)
    };
    app.ui.result("");
    for change in &changes.regressions {
        app.ui.result(line(change, &Paint::Bad.paint("✗ worse:")));
    }
    for change in &changes.improvements {
        app.ui.result(line(change, &Paint::Good.paint("✓ better:")));
    }
    for lost in &changes.lost {
        let mark = Paint::Bad.paint("✗ not measured:");
        app.ui.result(format!("{mark} {} of {}: {}", lost.metric, lost.topology, lost.why));
    }
    app.ui.result(format!("{} metrics compared with the baseline", changes.compared));
}
