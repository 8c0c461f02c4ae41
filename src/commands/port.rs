//! `rig port`

use crate::{app::App, cli::Targets, engine_choice::Start, failure::Failure, render};
use rig_engine::Selection;
use rig_model::PublishedPort;
use rig_provider_api::ObserveScope;
use serde::Serialize;
use std::time::Duration;

#[derive(Serialize)]
struct Machine {
    machine: String,
    ports: Vec<PublishedPort>,
}

#[derive(Serialize)]
struct Document {
    machines: Vec<Machine>,
}

/// Shows which ports of this host lead into machines.
pub(crate) async fn run(app: &App, arguments: &Targets) -> Result<(), Failure> {
    let opened = app.open()?;
    let session = app.session(&opened, Start::Never).await?;
    let observed = session.observe(&app.context(Duration::from_secs(30)), ObserveScope::MACHINES).await?;
    let selection = Selection::resolve(&arguments.targets, &session.workspace, &observed)?;
    let machines: Vec<Machine> = observed
        .machines
        .into_iter()
        .filter(|machine| selection.contains(&machine.id) && machine.state.is_running())
        .map(|machine| Machine { machine: machine.id.to_string(), ports: machine.ports })
        .collect();
    if app.ui.is_json() {
        app.ui.document("rig.port/1", &Document { machines });
        return Ok(());
    }
    let rows: Vec<Vec<String>> = machines
        .iter()
        .flat_map(|machine| {
            machine.ports.iter().map(|port| {
                vec![
                    machine.machine.clone(),
                    format!("{}/{}", port.guest, port.protocol),
                    format!("{}:{}", port.bind, port.host),
                ]
            })
        })
        .collect();
    if rows.is_empty() {
        app.ui.say("no port is published by a running machine");
    } else {
        app.ui.result(render::table(&["MACHINE", "PORT", "HOST"], rows));
    }
    Ok(())
}
