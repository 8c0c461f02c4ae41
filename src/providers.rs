//! Which providers there are: the only place that knows them by name.

use crate::{
    app::App,
    engine_choice::{self, Start},
    failure::Failure,
};
use rig_model::Workspace;
use rig_provider_api::Provider;
use std::sync::Arc;

/// Connects to every provider that there is, whichever the file names: a machine may still be where an earlier version of the
/// file put it. Checking the machines says which of them name one that there is not, and where.
pub(crate) async fn connect(app: &App, workspace: &Workspace, start: Start) -> Result<Vec<Arc<dyn Provider>>, Failure> {
    Ok(vec![docker(app, Some(workspace), start).await?])
}

/// Connects to the engine of containers.
pub(crate) async fn docker(
    app: &App,
    workspace: Option<&Workspace>,
    start: Start,
) -> Result<Arc<dyn Provider>, Failure> {
    let named = workspace.and_then(|workspace| workspace.engine.as_deref());
    let provider = engine_choice::connect(app, app.global.engine.as_deref().or(named), start).await?;
    Ok(Arc::new(provider))
}
