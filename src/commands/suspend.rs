//! `rig suspend` and `rig resume`

use super::up;
use crate::{
    app::{App, HostBoxes},
    cli::Act,
    engine_choice::Start,
    failure::Failure,
    render,
};
use rig_engine::{Engines, Selection, Session, reconcile};
use rig_model::{Observed, Plan};
use rig_provider_api::ObserveScope;
use std::time::Duration;

/// How long looking at what is there may take.
const LOOK: Duration = Duration::from_secs(60);

/// Suspends machines.
pub(crate) async fn run(app: &App, arguments: &Act) -> Result<(), Failure> {
    carry_out(app, "rig suspend", arguments, |session, observed, selection, _| {
        Ok(reconcile::suspend(&session.workspace, observed, selection))
    })
    .await
}

/// Lets suspended machines go on.
pub(crate) async fn resume(app: &App, arguments: &Act) -> Result<(), Failure> {
    carry_out(app, "rig resume", arguments, |session, observed, selection, engines| {
        Ok(reconcile::resume(&session.workspace, observed, selection, engines)?)
    })
    .await
}

async fn carry_out(
    app: &App,
    command: &str,
    arguments: &Act,
    plan: impl Fn(&Session, &Observed, &Selection, &Engines) -> Result<Plan, Failure>,
) -> Result<(), Failure> {
    let (opened, _lock) = app.open_locked(command, arguments.execution.dry_run).await?;
    let session = app.session(&opened, Start::Never).await?;
    let observed = session.observe(&app.context(LOOK), ObserveScope::MACHINES).await?;
    let engines = session.providers.probe(&app.context(LOOK)).await?;
    let selection = Selection::resolve(&arguments.targets.targets, &session.workspace, &observed)?;
    let plan = plan(&session, &observed, &selection, &engines)?;
    if arguments.execution.dry_run {
        render::print_plan(&app.ui, &plan);
        return Ok(());
    }
    let report = app.execute(&session, &opened.layout, HostBoxes::new(), &plan, &arguments.execution).await?;
    up::finish(app, &report)
}
