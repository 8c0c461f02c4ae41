//! `rig engine`

use super::confirm;
use crate::{
    app::App,
    cli::Engine,
    engine_choice::{self, Start},
    engine_vm,
    failure::Failure,
    providers,
};
use rig_model::Workspace;
use rig_provider_api::Provider;
use std::time::Duration;

/// Starts, stops and describes the engine.
pub(crate) async fn run(app: &App, command: &Engine) -> Result<(), Failure> {
    let cx = app.context(Duration::from_secs(120));
    match command {
        Engine::Start => {
            let workspace = workspace(app);
            if in_vm(app, workspace.as_ref()) || (!engine_choice::can_run(app) && engine_vm::can_be_made(app)) {
                let provider = engine_vm::connect(app, workspace.as_ref(), Start::IfNeeded, "rig's own engine").await?;
                let facts = provider.probe(&cx).await?;
                app.ui.result(format!("rig's own engine runs in its virtual machine: {}", facts.version));
                return Ok(());
            }
            let own = engine_choice::start_private(app, &cx).await?;
            app.ui.result(format!("rig's own engine runs at unix://{}", own.socket.display()));
            Ok(())
        }
        Engine::Stop => {
            let vm_only = in_vm(app, workspace(app).as_ref());
            let private = engine_choice::private(app).filter(|own| own.pid().is_some() && !vm_only);
            if let Some(own) = &private {
                own.stop(&cx).await?;
                app.ui.result("rig's own engine is stopped");
            }
            if engine_vm::stop(app).await? {
                app.ui.result("the virtual machine of rig's own engine is stopped");
            } else if private.is_none() {
                app.ui.result("rig's own engine does not run");
            }
            Ok(())
        }
        Engine::Destroy { force } => {
            if !engine_vm::is_there(app) {
                app.ui.result("rig's own engine has no virtual machine");
                return Ok(());
            }
            if !force {
                confirm::ask(
                    app,
                    "Remove the virtual machine of rig's own engine, with all boxes, containers and volumes in it?",
                    &confirm::Refusal {
                        what: "removing the engine's virtual machine",
                        without: "`rig engine destroy -f` does not ask",
                        declined: "nothing was removed",
                    },
                )?;
            }
            engine_vm::destroy(app).await?;
            app.ui.result("the virtual machine of rig's own engine is removed");
            Ok(())
        }
        Engine::Status => {
            let provider = providers::docker(app, workspace(app).as_ref(), Start::Never).await?;
            let facts = provider.probe(&cx).await?;
            if app.ui.is_json() {
                app.ui.document("rig.engine/1", &facts);
            } else {
                app.ui.result(format!("{} at {} ({})", facts.version, facts.endpoint, facts.chosen_by));
                app.ui.result(format!("{}, {} processors, {} memory", facts.platform, facts.cpus, facts.memory));
            }
            Ok(())
        }
    }
}

/// The workspace, whose file may name an engine. Without a file the questions still have answers.
fn workspace(app: &App) -> Option<Workspace> {
    app.file().ok().and_then(|_| app.open().ok()).map(|opened| opened.loaded.workspace)
}

/// Whether the engine is meant that runs in a virtual machine.
fn in_vm(app: &App, workspace: Option<&Workspace>) -> bool {
    let named = workspace.and_then(|workspace| workspace.engine.as_deref());
    app.global.engine.as_deref().or(named) == Some(engine_vm::NAME)
}
