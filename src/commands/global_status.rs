//! `rig global-status`

use crate::{
    app::App,
    engine_choice::{self, Start},
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
    let mut rows = Vec::new();
    for provider in there(app).await {
        match of(app, &app.context(OBSERVE), provider.as_ref()).await {
            Ok(found) => rows.extend(found),
            Err(error) => app.ui.warn(format!("machines of {}: {error}", provider.id())),
        }
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
    let wanted = app.global.engine.as_deref();
    let mut is_vm = false;
    match engine_choice::connect(app, wanted, None, Start::Never).await {
        Ok(docker) => {
            is_vm = docker.address().host().is_some();
            there.push(Arc::new(docker));
        }
        Err(error) => app.ui.say(format!("no containers: {error}")),
    }
    if engine_vm::is_there(app) && !is_vm && wanted != Some(engine_vm::NAME) {
        // One that does not run shows as a machine of QEMU.
        match engine_vm::connect(app, None, Start::Never, "it is there").await {
            Ok(docker) => there.push(Arc::new(docker)),
            Err(error) => app.ui.say(format!("no containers of the engine in a virtual machine: {error}")),
        }
    }
    there.extend(providers::qemu(app));
    there.extend(providers::virtualbox(app));
    there
}

async fn of(app: &App, cx: &Context, provider: &dyn Provider) -> Result<Vec<Row>, Failure> {
    let mut rows = Vec::new();
    for workspace in provider.workspaces(cx).await? {
        // What cannot be read is no reason to leave its machines out.
        let known = KnownWorkspace::load(&app.settings.dirs, &workspace).ok().flatten();
        let file = known.map(|known| known.file.into_string());
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
