//! `rig provision`

use super::up;
use crate::{app::App, cli::Provision, engine_choice::Start, failure::Failure, render};
use rig_engine::ProvisionOptions;

/// Runs provisioning steps in machines that run.
pub(crate) async fn run(app: &App, arguments: &Provision) -> Result<(), Failure> {
    let execution = &arguments.act.execution;
    let (opened, _lock) = app.open_locked("rig provision", execution.dry_run).await?;
    let session = app.session(&opened, Start::Never).await?;
    let look = up::look(app, &session, &arguments.act.targets.targets, true).await?;
    up::known_steps(&session, &look.selection, &arguments.with)?;
    let provisioning = app.provisioning(&session, &opened.layout).await?;
    let options = ProvisionOptions { skip: false, force: arguments.force, with: arguments.with.clone() };
    let plan = session.plan_provision(look.seen(), &provisioning, &look.selection, options)?;
    if execution.dry_run {
        render::print_plan(&app.ui, &plan);
        return Ok(());
    }
    let report = app.execute(&session, &opened.layout, look.boxes, &plan, execution).await?;
    up::finish(app, &report)
}
