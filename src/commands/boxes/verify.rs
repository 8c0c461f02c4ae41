//! `rig box verify`

use super::work::{Work, look};
use crate::{
    app::App,
    cli::VerifyBoxes,
    failure::{ExitCode, Failure},
};
use rig_box_store::{BoxKey, Change, Filter, Verdict};
use rig_model::Phase;
use serde::Serialize;

#[derive(Serialize)]
struct Document {
    /// How many boxes are not what they were.
    changed: usize,
    boxes: Vec<Row>,
}

#[derive(Serialize)]
struct Row {
    #[serde(flatten)]
    key: BoxKey,
    changes: Vec<Change>,
}

/// Compares stored boxes with what they were when they were added.
pub(super) async fn run(app: &App, arguments: &VerifyBoxes) -> Result<(), Failure> {
    let store = app.box_store(false);
    let filter = Filter {
        name: arguments.name.clone(),
        provider: arguments.which.provider.clone(),
        architecture: arguments.which.architecture.clone(),
        ..Filter::default()
    };
    let boxes = look(|| store.select(&filter))?;
    let mut work = Work::begin(app, boxes.len());
    let mut verdicts: Vec<Verdict> = Vec::new();
    for stored in &boxes {
        let store = &store;
        let title = format!("verify {}", stored.key());
        match work.run(title, Phase::Fetch, |cx| async move { store.verify(stored, &cx).await }).await {
            Ok(verdict) => verdicts.push(verdict),
            Err(error) => {
                work.end();
                return Err(error.into());
            }
        }
    }
    work.end();
    let changed = verdicts.iter().filter(|verdict| !verdict.changes.is_empty()).count();
    if app.ui.is_json() {
        let boxes = verdicts.into_iter().map(|Verdict { key, changes }| Row { key, changes }).collect();
        app.ui.last_line("rig.box-verify/1", &Document { changed, boxes });
    } else {
        for Verdict { key, changes } in &verdicts {
            if changes.is_empty() {
                app.ui.result(format!("{key} is what it was"));
            }
            for change in changes {
                app.ui.result(format!("{key}: {change}"));
            }
        }
    }
    if changed > 0 { Err(Failure::Said(ExitCode::Unmet)) } else { Ok(()) }
}
