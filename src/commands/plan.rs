//! `rig plan`

use super::up;
use crate::{
    app::App,
    cli::Plan,
    engine_choice::Start,
    failure::{ExitCode, Failure},
    render,
};
use rig_engine::UpOptions;

/// Shows what `up` would do.
pub(crate) async fn run(app: &App, arguments: &Plan) -> Result<(), Failure> {
    let opened = app.open()?;
    let session = app.session(&opened, Start::Never).await?;
    let options = UpOptions { remove_orphans: arguments.remove_orphans, ..UpOptions::default() };
    let prepared = up::prepare(app, &session, &opened.layout, &arguments.targets.targets, &options).await?;
    render::print_plan(&app.ui, &prepared.plan);
    if arguments.exit_code && !prepared.plan.operations.is_empty() {
        return Err(Failure::Said(ExitCode::Pending));
    }
    Ok(())
}
