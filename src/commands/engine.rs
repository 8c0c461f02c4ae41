//! `rig engine`

use crate::{
    app::App,
    cli::Engine,
    engine_choice::{self, Start},
    failure::Failure,
    providers,
};
use std::time::Duration;

/// Starts, stops and describes the engine.
pub(crate) async fn run(app: &App, command: &Engine) -> Result<(), Failure> {
    let cx = app.context(Duration::from_secs(120));
    match command {
        Engine::Start => {
            let own = engine_choice::start_private(app, &cx).await?;
            app.ui.result(format!("rig's own engine runs at unix://{}", own.socket.display()));
            Ok(())
        }
        Engine::Stop => {
            match engine_choice::private(app).filter(|own| own.pid().is_some()) {
                Some(own) => {
                    own.stop(&cx).await?;
                    app.ui.result("rig's own engine is stopped");
                }
                None => app.ui.result("rig's own engine does not run"),
            }
            Ok(())
        }
        Engine::Status => {
            // The file may name an engine; without a file the question still has an answer.
            let workspace = app.file().ok().and_then(|_| app.open().ok()).map(|opened| opened.loaded.workspace);
            let provider = providers::docker(app, workspace.as_ref(), Start::Never).await?;
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
