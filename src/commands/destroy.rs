//! `rig destroy`

use super::{
    confirm::{self, Refusal},
    settle::settle,
    up,
};
use crate::{
    app::{App, HostBoxes},
    cli::Destroy,
    engine_choice::Start,
    failure::Failure,
    render,
};
use rig_engine::{DestroyOptions, Selection, reconcile};
use rig_model::Action;
use rig_provider_api::ObserveScope;
use rig_state::{Scale, WorkspaceLock};
use std::time::Duration;

/// Removes machines, with their networks, and with their volumes when asked.
pub(crate) async fn run(app: &App, arguments: &Destroy) -> Result<(), Failure> {
    let execution = &arguments.act.execution;
    let (opened, lock) = app.open_locked("rig destroy", execution.dry_run).await?;
    let session = app.session(&opened, Start::Never).await?;
    let scope = ObserveScope { networks: true, volumes: arguments.volumes, ..ObserveScope::MACHINES };
    let observed = session.observe_snapshots(&app.context(Duration::from_secs(60)), scope).await?;
    let selection = Selection::resolve(&arguments.act.targets.targets, &session.workspace, &observed)?;
    let plan =
        reconcile::destroy(&session.workspace, &observed, &selection, DestroyOptions { volumes: arguments.volumes });
    if execution.dry_run {
        render::print_plan(&app.ui, &plan);
        return Ok(());
    }
    if !arguments.force && !plan.operations.is_empty() {
        confirm(app, &plan)?;
    }
    let mut report = app.execute(&session, &opened.layout, HostBoxes::new(), &plan, execution).await?;
    if lock.as_ref().is_some_and(WorkspaceLock::is_after_crash) {
        let again = async || {
            let observed = session.observe_snapshots(&app.context(Duration::from_secs(60)), scope).await?;
            let options = DestroyOptions { volumes: arguments.volumes };
            let plan = reconcile::destroy(&session.workspace, &observed, &selection, options);
            if plan.operations.is_empty() {
                return Ok(None);
            }
            app.execute(&session, &opened.layout, HostBoxes::new(), &plan, execution).await.map(Some)
        };
        settle(&mut report, again).await?;
    }
    // Without machines nothing is scaled: the next `up` begins with the file's counts.
    if selection.is_all() && report.is_success() {
        Scale::clear(&opened.layout)?;
    }
    up::finish(app, &report)
}

fn confirm(app: &App, plan: &rig_model::Plan) -> Result<(), Failure> {
    let count =
        |wanted: fn(&Action) -> bool| plan.operations.iter().filter(|operation| wanted(&operation.action)).count();
    let machines = count(|action| matches!(action, Action::DestroyMachine { .. }));
    let snapshots = count(|action| matches!(action, Action::DeleteSnapshot { .. }));
    let volumes = count(|action| matches!(action, Action::RemoveVolume { .. }));
    let past = if snapshots > 0 { format!(" and {snapshots} snapshots") } else { String::new() };
    let data = if volumes > 0 { format!(" and {volumes} volumes with their data") } else { String::new() };
    confirm::ask(
        app,
        &format!("Remove {machines} machines{past}{data}?"),
        &Refusal {
            what: "destroying machines",
            without: "`rig destroy -f` does not ask",
            declined: "nothing was removed",
        },
    )
}
