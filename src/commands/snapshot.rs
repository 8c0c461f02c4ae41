//! `rig snapshot` and `rig reset`

use super::{
    confirm::{self, Refusal},
    up,
};
use crate::{
    app::{App, HostBoxes, Opened},
    cli::{Act, At, Reset, Snapshot, Targets},
    engine_choice::Start,
    failure::Failure,
    render,
};
use jiff::Timestamp;
use rig_engine::{Selection, Session, reconcile};
use rig_model::{Action, Name, Observed, ObservedSnapshot, Plan};
use rig_provider_api::ObserveScope;
use serde::Serialize;
use std::{collections::BTreeMap, time::Duration};

/// How long looking at what is there may take.
const LOOK: Duration = Duration::from_secs(60);

/// Takes snapshots, goes back to them, lists and removes them.
pub(crate) async fn run(app: &App, arguments: &Snapshot) -> Result<(), Failure> {
    match arguments {
        Snapshot::Save { at, force } => save(app, at, *force).await,
        Snapshot::Restore { at, force } => {
            let without = "`rig snapshot restore -f` does not ask";
            restore(app, ("rig snapshot restore", without), Some(&at.name), &at.act, *force).await
        }
        Snapshot::List(targets) => list(app, targets).await,
        Snapshot::Delete(at) => delete(app, at).await,
    }
}

/// Brings machines back to a snapshot, the newest one unless another is named.
pub(crate) async fn reset(app: &App, arguments: &Reset) -> Result<(), Failure> {
    let words = ("rig reset", "`rig reset -f` does not ask");
    restore(app, words, arguments.to.as_ref(), &arguments.act, arguments.force).await
}

async fn save(app: &App, At { name, act }: &At, force: bool) -> Result<(), Failure> {
    let (opened, _lock) = app.open_locked("rig snapshot save", act.execution.dry_run).await?;
    let look = look(app, &opened, &act.targets.targets).await?;
    let plan = reconcile::save_snapshots(&look.session.workspace, &look.observed, &look.selection, name, force)?;
    look.carry_out(app, &opened, &plan, act).await
}

async fn restore(
    app: &App,
    (command, without): (&str, &'static str),
    name: Option<&Name>,
    act: &Act,
    force: bool,
) -> Result<(), Failure> {
    let (opened, _lock) = app.open_locked(command, act.execution.dry_run).await?;
    let look = look(app, &opened, &act.targets.targets).await?;
    let engines = look.session.providers.probe(&app.context(LOOK)).await?;
    let name = match name {
        Some(name) => name.clone(),
        None => reconcile::newest_snapshot(&look.observed, &look.selection)?,
    };
    let workspace = &look.session.workspace;
    let plan = reconcile::restore_snapshots(workspace, &look.observed, &look.selection, &name, &engines)?;
    if !force && !act.execution.dry_run {
        let times = plan.operations.iter().filter_map(|operation| match &operation.action {
            Action::RestoreSnapshot { taken, .. } => Some(*taken),
            _ => None,
        });
        let times: Vec<Timestamp> = times.collect();
        let when = times.iter().max().map(|taken| format!(", taken {}", age(*taken))).unwrap_or_default();
        let question =
            format!("Bring {} machines back to snapshot {name}{when}? What they are now is lost.", times.len());
        let refusal = Refusal { what: "restoring machines", without, declined: "nothing was restored" };
        confirm::ask(app, &question, &refusal)?;
    }
    look.carry_out(app, &opened, &plan, act).await
}

async fn delete(app: &App, At { name, act }: &At) -> Result<(), Failure> {
    let (opened, _lock) = app.open_locked("rig snapshot delete", act.execution.dry_run).await?;
    let look = look(app, &opened, &act.targets.targets).await?;
    let plan = reconcile::delete_snapshots(&look.session.workspace, &look.observed, &look.selection, name)?;
    look.carry_out(app, &opened, &plan, act).await
}

/// What plans are made from.
struct Look {
    session: Session,
    observed: Observed,
    selection: Selection,
}

async fn look(app: &App, opened: &Opened, targets: &[String]) -> Result<Look, Failure> {
    let session = app.session(opened, Start::Never).await?;
    let observed = session.observe_snapshots(&app.context(LOOK), ObserveScope::MACHINES).await?;
    let selection = Selection::resolve(targets, &session.workspace, &observed)?;
    session.must_have_snapshots(&selection)?;
    Ok(Look { session, observed, selection })
}

impl Look {
    async fn carry_out(&self, app: &App, opened: &Opened, plan: &Plan, act: &Act) -> Result<(), Failure> {
        if act.execution.dry_run {
            render::print_plan(&app.ui, plan);
            return Ok(());
        }
        let report = app.execute(&self.session, &opened.layout, HostBoxes::new(), plan, &act.execution).await?;
        up::finish(app, &report)
    }
}

#[derive(Serialize)]
struct Document<'a> {
    snapshots: Vec<Entry<'a>>,
}

/// All machines' snapshots of one name.
#[derive(Serialize)]
struct Entry<'a> {
    name: &'a Name,
    /// When the last of them was taken.
    taken: Option<Timestamp>,
    machines: Vec<Member>,
}

#[derive(Serialize)]
struct Member {
    machine: String,
    taken: Option<Timestamp>,
    running: Option<bool>,
    volumes: Option<usize>,
    size_bytes: Option<u64>,
    complete: bool,
}

async fn list(app: &App, targets: &Targets) -> Result<(), Failure> {
    let opened = app.open()?;
    let look = look(app, &opened, &targets.targets).await?;
    let ours = look.observed.snapshots.iter().filter(|snapshot| look.selection.contains(&snapshot.machine));
    let mut names: BTreeMap<&Name, Vec<&ObservedSnapshot>> = BTreeMap::new();
    for snapshot in ours {
        names.entry(&snapshot.name).or_default().push(snapshot);
    }
    let mut entries: Vec<Entry<'_>> = names
        .into_iter()
        .map(|(name, snapshots)| Entry {
            name,
            taken: snapshots.iter().filter_map(|snapshot| snapshot.taken.as_ref()).map(|taken| taken.at).max(),
            machines: snapshots.into_iter().map(member).collect(),
        })
        .collect();
    entries.sort_by(|a, b| (b.taken, a.name).cmp(&(a.taken, b.name)));
    if app.ui.is_json() {
        app.ui.document("rig.snapshots/1", &Document { snapshots: entries });
    } else if entries.is_empty() {
        app.ui.say("there are no snapshots: `rig snapshot save NAME` takes one");
    } else {
        let rows = entries.iter().flat_map(|entry| entry.machines.iter().map(|member| row(entry.name, member)));
        let head = ["SNAPSHOT", "MACHINE", "TAKEN", "STATE", "VOLUMES", "SIZE"];
        app.ui.result(render::table(&head, rows.collect::<Vec<_>>()));
    }
    Ok(())
}

fn member(snapshot: &ObservedSnapshot) -> Member {
    let taken = snapshot.taken.as_ref();
    Member {
        machine: snapshot.machine.to_string(),
        taken: taken.map(|taken| taken.at),
        running: taken.map(|taken| taken.running),
        volumes: taken.map(|taken| taken.volumes),
        size_bytes: taken.map(|taken| taken.size.0),
        complete: taken.is_some(),
    }
}

fn row(name: &Name, member: &Member) -> Vec<String> {
    let dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    let state = match member.running {
        Some(true) => "running",
        Some(false) => "stopped",
        None => "not complete",
    };
    vec![
        name.to_string(),
        member.machine.clone(),
        dash(member.taken.map(age)),
        state.to_owned(),
        dash(member.volumes.map(|count| count.to_string())),
        dash(member.size_bytes.map(size)),
    ]
}

fn size(bytes: u64) -> String {
    if bytes < 1_000_000 { format!("{:.1} kB", bytes as f64 / 1e3) } else { format!("{:.1} MB", bytes as f64 / 1e6) }
}

/// How long ago something was.
fn age(time: Timestamp) -> String {
    format!("{} ago", render::span(Timestamp::now().duration_since(time).as_secs().max(0)))
}
