//! `rig up` and `rig reload`

use super::settle::settle;
use crate::{
    app::{App, HostBoxes, Opened, with_dependencies},
    cli::{Act, Execution, Up},
    engine_choice::Start,
    failure::Failure,
    render,
};
use rig_engine::{BoxTable, Engines, ProvisionOptions, Report, Seen, Selection, Session, UpOptions};
use rig_model::{Observed, Plan, seconds};
use rig_provider_api::ObserveScope;
use rig_state::{Layout, WorkspaceLock};
use serde::Serialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

/// A plan with what is needed to carry it out.
pub(crate) struct Prepared {
    pub(crate) plan: Plan,
    pub(crate) boxes: HostBoxes,
}

/// Brings machines up.
pub(crate) async fn run(app: &App, arguments: &Up) -> Result<(), Failure> {
    let provision = ProvisionOptions {
        skip: arguments.no_provision,
        force: arguments.provision,
        with: arguments.provision_with.clone(),
    };
    let options = UpOptions { remove_orphans: arguments.remove_orphans, provision, ..UpOptions::default() };
    let Act { targets, execution } = &arguments.act;
    let (opened, lock) = app.open_locked("rig up", execution.dry_run).await?;
    let wish = Wish { targets: &targets.targets, options, execution };
    if let Some(report) = bring_up(app, &opened, lock.as_ref(), wish, || Ok(())).await? {
        if arguments.timings {
            timings(app, &report);
        }
        finish(app, &report)?;
    }
    Ok(())
}

/// Stops and starts machines, with what changed.
pub(crate) async fn reload(app: &App, arguments: &Act) -> Result<(), Failure> {
    let options = UpOptions { restart: true, existing_only: true, ..UpOptions::default() };
    let (opened, lock) = app.open_locked("rig reload", arguments.execution.dry_run).await?;
    let wish = Wish { targets: &arguments.targets.targets, options, execution: &arguments.execution };
    match bring_up(app, &opened, lock.as_ref(), wish, || Ok(())).await? {
        Some(report) => finish(app, &report),
        None => Ok(()),
    }
}

/// What should be brought up, and how.
#[derive(Clone)]
pub(crate) struct Wish<'a> {
    pub(crate) targets: &'a [String],
    pub(crate) options: UpOptions,
    pub(crate) execution: &'a Execution,
}

/// Plans and executes; nothing when it was a dry run. `planned` is called once it is clear that there is a plan.
pub(crate) async fn bring_up(
    app: &App,
    opened: &Opened,
    lock: Option<&WorkspaceLock>,
    wish: Wish<'_>,
    planned: impl FnOnce() -> Result<(), Failure>,
) -> Result<Option<Report>, Failure> {
    let Wish { targets, options, execution } = wish;
    let session = app.session(opened, if execution.dry_run { Start::Never } else { Start::IfNeeded }).await?;
    let prepared = prepare(app, &session, &opened.layout, targets, &options).await?;
    if execution.dry_run {
        render::print_plan(&app.ui, &prepared.plan);
        return Ok(None);
    }
    planned()?;
    let mut report = app.execute(&session, &opened.layout, prepared.boxes, &prepared.plan, execution).await?;
    if lock.is_some_and(WorkspaceLock::is_after_crash) {
        // What was asked for by name is done by now.
        let provision = ProvisionOptions { force: false, ..options.provision };
        let options = UpOptions { restart: false, provision, ..options };
        let again = async || {
            let prepared = prepare(app, &session, &opened.layout, targets, &options).await?;
            if prepared.plan.operations.is_empty() {
                return Ok(None);
            }
            app.execute(&session, &opened.layout, prepared.boxes, &prepared.plan, execution).await.map(Some)
        };
        settle(&mut report, again).await?;
    }
    Ok(Some(report))
}

/// Observes and makes the plan.
pub(crate) async fn prepare(
    app: &App,
    session: &Session,
    layout: &Layout,
    targets: &[String],
    options: &UpOptions,
) -> Result<Prepared, Failure> {
    let look = look(app, session, targets, options.existing_only).await?;
    known_steps(session, &look.selection, &options.provision.with)?;
    let provisioning = app.provisioning(session, layout).await?;
    let plan = session.plan_up(look.seen(), &provisioning, &look.selection, options)?;
    Ok(Prepared { plan, boxes: look.boxes })
}

/// Everything that plans are made from.
pub(crate) struct Look {
    pub(crate) observed: Observed,
    pub(crate) table: BoxTable,
    pub(crate) engines: Engines,
    pub(crate) selection: Selection,
    pub(crate) boxes: HostBoxes,
}

impl Look {
    pub(crate) fn seen(&self) -> Seen<'_> {
        Seen { observed: &self.observed, boxes: &self.table, engines: &self.engines }
    }
}

/// Observes what plans are made from.
pub(crate) async fn look(
    app: &App,
    session: &Session,
    targets: &[String],
    existing_only: bool,
) -> Result<Look, Failure> {
    let cx = app.context(Duration::from_secs(60));
    // Targets may name machines that only the engine knows.
    let selection = if targets.is_empty() {
        Selection::All
    } else {
        let seen = session.observe(&cx, ObserveScope::MACHINES).await?;
        let selection = Selection::resolve(targets, &session.workspace, &seen)?;
        if existing_only { selection } else { with_dependencies(&session.workspace, selection) }
    };
    session.validate(&selection)?;
    let wanted = session.boxes_for(&selection);
    let mut plans = None;
    let (observed, table, engines) = session
        .observe_for_up(&cx, &selection, |observed, engines| {
            let computed = app.box_plans(session, engines, observed, &wanted)?;
            let table = app.box_table(session, &computed)?;
            plans = Some(computed);
            Ok(table)
        })
        .await?;
    let boxes = plans.ok_or_else(|| Failure::host("boxes were not planned"))?;
    Ok(Look { observed, table, engines, selection, boxes })
}

/// Steps that are asked for by name are there.
pub(crate) fn known_steps(session: &Session, selection: &Selection, names: &[String]) -> Result<(), Failure> {
    let machines = session.workspace.machines().filter(|machine| selection.contains(&machine.id));
    let known: BTreeSet<&str> = machines
        .flat_map(|machine| &machine.steps)
        .flat_map(|step| {
            step.id.recipe.as_ref().map(rig_model::Name::as_str).into_iter().chain([step.id.name.as_str()])
        })
        .collect();
    match names.iter().find(|name| !known.contains(name.as_str())) {
        None => Ok(()),
        Some(name) => Err(Failure::Usage {
            message: format!("no step or recipe of these machines is called {name:?}"),
            hint: Some(format!("there are: {}", known.into_iter().collect::<Vec<_>>().join(", "))),
        }),
    }
}

/// What a run did, as JSON.
#[derive(Serialize)]
struct Result_<'a> {
    done: usize,
    failed: Vec<FailedOperation>,
    left: &'a [String],
    seconds: f64,
    phases: BTreeMap<String, f64>,
    topologies: BTreeMap<String, BTreeMap<String, f64>>,
}

#[derive(Serialize)]
struct FailedOperation {
    title: String,
    machine: Option<String>,
    error: String,
    hint: Option<String>,
    log: Vec<String>,
}

/// Prints the end of a run.
pub(crate) fn finish(app: &App, report: &Report) -> Result<(), Failure> {
    if app.ui.is_json() {
        app.ui.last_line(
            "rig.run/1",
            &Result_ {
                done: report.done,
                failed: report
                    .failed
                    .iter()
                    .map(|failure| FailedOperation {
                        title: failure.title.clone(),
                        machine: failure.machine.as_ref().map(ToString::to_string),
                        error: failure.error.to_string(),
                        hint: failure.error.hint(),
                        log: failure.error.tail().to_vec(),
                    })
                    .collect(),
                left: &report.left,
                seconds: seconds(report.elapsed),
                phases: phase_seconds(&report.phases),
                topologies: report
                    .topologies
                    .iter()
                    .map(|(name, phases)| (name.to_string(), phase_seconds(phases)))
                    .collect(),
            },
        );
    } else if report.done == 0 && report.failed.is_empty() && !report.interrupted {
        app.ui.say("nothing to do: everything is as the file says");
    }
    app.conclude(report)
}

fn phase_seconds(phases: &BTreeMap<rig_model::Phase, Duration>) -> BTreeMap<String, f64> {
    phases.iter().map(|(phase, time)| (phase.to_string(), seconds(*time))).collect()
}

/// How long each phase took, over everything and per topology. Phases overlap: their sum is more than the whole.
fn timings(app: &App, report: &Report) {
    if app.ui.is_json() {
        return;
    }
    let mut rows = vec![row("everything", &report.phases)];
    rows.extend(report.topologies.iter().map(|(name, phases)| row(name.as_str(), phases)));
    let head = ["", "fetch", "build", "create", "boot", "provision", "converge"];
    app.ui.result(render::table(&head, rows));
    app.ui.result(format!("all in all {:.1} s; phases of different machines overlap", report.elapsed.as_secs_f64()));
}

fn row(name: &str, phases: &BTreeMap<rig_model::Phase, Duration>) -> Vec<String> {
    use rig_model::Phase;
    let columns = [Phase::Fetch, Phase::Build, Phase::Create, Phase::Boot, Phase::Provision, Phase::Converge];
    std::iter::once(name.to_owned())
        .chain(columns.iter().map(|phase| {
            phases.get(phase).map_or_else(|| "-".to_owned(), |time| format!("{:.1} s", time.as_secs_f64()))
        }))
        .collect()
}
