//! `rig box list`

use super::{images, stored, work::look};
use crate::{app::App, cli::BoxList, failure::Failure};
use rig_box_store::{BoxKey, Unreadable};
use serde::Serialize;

#[derive(Serialize)]
struct Document {
    boxes: Vec<images::Row>,
    stored: Vec<stored::Row>,
}

/// Lists the file's boxes, where there is a file, and the stored ones.
pub(super) async fn run(app: &App, arguments: &BoxList) -> Result<(), Failure> {
    let listing = look(|| app.box_store(false).list())?;
    let has_file = !arguments.stored && app.is_in_workspace();
    let rows = if has_file { images::list(app).await? } else { Vec::new() };
    for Unreadable { folder, key, why } in &listing.unreadable {
        let hint = match key {
            Some(key) => {
                let BoxKey { name, version, architecture, provider } = key;
                let which = format!("--version {version} --provider {provider} --architecture {architecture}");
                format!("`rig box remove {name} {which}` removes it, `rig box add --force` gets it again")
            }
            None => "rig puts no box there: remove the folder".to_owned(),
        };
        app.ui.warn(format!("the stored box in {folder} cannot be used: {why}; {hint}"));
    }
    if app.ui.is_json() {
        let stored = listing.boxes.iter().map(Into::into).collect();
        app.ui.document("rig.boxes/1", &Document { boxes: rows, stored });
        return Ok(());
    }
    if has_file {
        app.ui.result(images::table(&rows));
    }
    if !listing.boxes.is_empty() {
        if has_file {
            app.ui.result("");
        }
        app.ui.result(stored::table(&listing.boxes));
    } else if !has_file {
        app.ui.say("no boxes are stored; `rig box add` adds them");
    }
    Ok(())
}
