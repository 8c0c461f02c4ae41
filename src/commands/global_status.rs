//! `rig global-status`

use crate::{
    app::App,
    engine_choice::Start,
    engine_vm,
    failure::Failure,
    providers,
    render::{self, Paint},
};
use rig_model::Name;
use rig_provider_api::{Context, ObserveScope, Provider};
use rig_state::KnownWorkspace;
use serde::Serialize;
use std::{sync::Arc, time::Duration};

/// How long all providers may take to say what they have.
const OBSERVE: Duration = Duration::from_secs(60);

#[derive(Serialize)]
struct Document {
    machines: Vec<Row>,
}

/// A machine of any workspace.
#[derive(Serialize)]
struct Row {
    workspace: Name,
    machine: String,
    provider: Name,
    state: String,
    id: String,
    /// Where its workspace lay when a command last acted on it; nothing where no command of this user has.
    file: Option<String>,
}

/// Lists the machines of all workspaces that this user's providers have.
pub(crate) async fn run(app: &App) -> Result<(), Failure> {
    let cx = app.context(OBSERVE);
    let mut rows = Vec::new();
    for provider in there(app).await {
        rows.extend(of(app, &cx, provider.as_ref()).await?);
    }
    rows.sort_by(|a, b| (&a.workspace, &a.machine).cmp(&(&b.workspace, &b.machine)));
    if app.ui.is_json() {
        app.ui.document("rig.global-status/1", &Document { machines: rows });
        return Ok(());
    }
    if rows.is_empty() {
        app.ui.say("there are no machines");
        return Ok(());
    }
    let cells = rows.into_iter().map(|row| {
        let state = if row.state == "running" { Paint::Good } else { Paint::Warn }.paint(&row.state);
        let (workspace, provider) = (row.workspace.to_string(), row.provider.to_string());
        vec![workspace, row.machine, provider, state, row.file.unwrap_or_else(|| "-".to_owned())]
    });
    let cells = cells.collect();
    app.ui.result(render::table(&["WORKSPACE", "MACHINE", "PROVIDER", "STATE", "FILE"], cells));
    Ok(())
}

/// The providers that are there. One that is not has no machines to show.
async fn there(app: &App) -> Vec<Arc<dyn Provider>> {
    let mut there: Vec<Arc<dyn Provider>> = Vec::new();
    match providers::docker(app, None, Start::Never).await {
        Ok(docker) => there.push(docker),
        Err(error) => app.ui.say(format!("no containers: {error}")),
    }
    let is_vm = app.global.engine.as_deref() == Some(engine_vm::NAME);
    if engine_vm::is_there(app) && !is_vm {
        // One that does not run shows as a machine of QEMU.
        let vm = engine_vm::connect(app, None, Start::Never, "it is there").await;
        there.extend(vm.map(|docker| -> Arc<dyn Provider> { Arc::new(docker) }));
    }
    there.extend(providers::qemu(app));
    there.extend(providers::virtualbox(app));
    there
}

async fn of(app: &App, cx: &Context, provider: &dyn Provider) -> Result<Vec<Row>, Failure> {
    let mut rows = Vec::new();
    for workspace in provider.workspaces(cx).await? {
        let file = KnownWorkspace::load(&app.settings.dirs, &workspace)?.map(|known| known.file.into_string());
        for seen in provider.observe(cx, &workspace, ObserveScope::MACHINES).await?.machines {
            rows.push(Row {
                workspace: workspace.clone(),
                machine: seen.id.to_string(),
                provider: seen.provider,
                state: seen.state.to_string(),
                id: seen.native,
                file: file.clone(),
            });
        }
    }
    Ok(rows)
}
