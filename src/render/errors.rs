//! Errors for people and programs.

use super::{
    style::Paint,
    ui::{Ui, err},
};
use crate::failure::Failure;
use rig_engine::OperationFailure;
use serde::Serialize;

/// Says why a command failed.
pub(crate) fn failure(ui: &Ui, failure: &Failure) {
    match failure {
        Failure::Said(_) => {}
        Failure::File(mistakes) if ui.is_json() => {
            #[derive(Serialize)]
            struct Document<'a> {
                mistakes: Vec<rig_config::MistakeInfo<'a>>,
            }
            ui.document("rig.mistakes/1", &Document { mistakes: mistakes.iter().collect() });
        }
        Failure::File(mistakes) => err(format!("{:?}", miette::Report::new(mistakes.as_ref().clone())).trim_end()),
        other if ui.is_json() => {
            #[derive(Serialize)]
            struct Document<'a> {
                error: String,
                hint: Option<String>,
                log: &'a [String],
            }
            ui.last_line("rig.error/1", &Document { error: other.to_string(), hint: other.hint(), log: other.tail() });
        }
        other => block(&other.to_string(), other.tail(), other.hint().as_deref()),
    }
}

/// Says which operations failed, each with the end of its log.
pub(crate) fn operation_failures(ui: &Ui, failures: &[OperationFailure]) {
    if ui.is_json() {
        return;
    }
    for failure in failures {
        // Errors say themselves what was being done, and to what.
        let text = failure.error.to_string();
        block(&text, failure.error.tail(), failure.error.hint().as_deref());
    }
}

fn block(text: &str, tail: &[String], hint: Option<&str>) {
    err(&format!("{} {text}", Paint::Bad.paint("error:")));
    for line in tail {
        err(&format!("  {} {line}", Paint::Faint.paint("|")));
    }
    if let Some(hint) = hint {
        err(&format!("  {} {hint}", Paint::Strong.paint("help:")));
    }
}
