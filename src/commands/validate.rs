//! `rig validate`

use crate::{app::App, failure::Failure};
use rig_engine::Provisioning;
use serde::Serialize;

#[derive(Serialize)]
struct Document {
    workspace: String,
    files: Vec<String>,
    topologies: usize,
    machines: usize,
    boxes: usize,
    checks: usize,
}

/// Reads the file and says what is in it.
pub(crate) fn run(app: &App) -> Result<(), Failure> {
    let opened = app.open()?;
    let workspace = &opened.loaded.workspace;
    // Templates and files that steps name are part of what can be wrong.
    Provisioning::contents(workspace, &opened.loaded.folder)?;
    let document = Document {
        workspace: workspace.name.to_string(),
        files: opened.loaded.files.iter().map(ToString::to_string).collect(),
        topologies: workspace.topologies.len(),
        machines: workspace.machines().count(),
        boxes: workspace.boxes.len(),
        checks: workspace.checks.len(),
    };
    if app.ui.is_json() {
        app.ui.document("rig.validate/1", &document);
    } else {
        app.ui.result(format!(
            "workspace {} is valid: {} topologies, {} machines, {} boxes, {} checks",
            document.workspace, document.topologies, document.machines, document.boxes, document.checks
        ));
    }
    Ok(())
}
