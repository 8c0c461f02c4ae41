//! Which providers there are: the only place that knows them by name.

use crate::{
    app::App,
    engine_choice::{self, Start},
    failure::Failure,
};
use rig_model::Workspace;
use rig_provider_api::Provider;
use std::{collections::BTreeSet, sync::Arc};

/// Containers of a Docker engine.
const DOCKER: &str = "docker";

/// Connects to the providers that a file's machines name; to the one of containers when it has no machines. One that there is
/// not is left out: checking the machines says which of them name it, and where.
pub(crate) async fn connect(app: &App, workspace: &Workspace, start: Start) -> Result<Vec<Arc<dyn Provider>>, Failure> {
    let named: BTreeSet<&str> = workspace.machines().map(|machine| machine.provider.as_str()).collect();
    let mut providers: Vec<Arc<dyn Provider>> = Vec::new();
    if named.is_empty() || named.contains(DOCKER) {
        providers.push(docker(app, Some(workspace), start).await?);
    }
    Ok(providers)
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
