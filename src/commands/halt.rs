//! `rig halt`

use super::up;
use crate::{
    app::{App, HostBoxes},
    cli::Act,
    engine_choice::Start,
    failure::Failure,
    render,
};
use rig_engine::{Selection, reconcile};
use rig_provider_api::ObserveScope;
use std::time::Duration;

/// Stops machines.
pub(crate) async fn run(app: &App, arguments: &Act) -> Result<(), Failure> {
    let (opened, _lock) = app.open_locked("rig halt", arguments.execution.dry_run).await?;
    let session = app.session(&opened, Start::Never).await?;
    let observed = session.observe(&app.context(Duration::from_secs(60)), ObserveScope::MACHINES).await?;
    let selection = Selection::resolve(&arguments.targets.targets, &session.workspace, &observed)?;
    let plan = reconcile::halt(&session.workspace, &observed, &selection);
    if arguments.execution.dry_run {
        render::print_plan(&app.ui, &plan);
        return Ok(());
    }
    let report = app.execute(&session, &opened.layout, HostBoxes::new(), &plan, &arguments.execution).await?;
    up::finish(app, &report)
}
