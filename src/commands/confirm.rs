//! Asking before something is lost.

use crate::{
    app::App,
    failure::{ExitCode, Failure},
};
use std::io::IsTerminal;

/// What is said when nobody confirms.
pub(super) struct Refusal {
    /// What has to be confirmed.
    pub(super) what: &'static str,
    /// How it is done without a question.
    pub(super) without: &'static str,
    /// What was not done.
    pub(super) declined: &'static str,
}

/// Asks; anything but yes is a failure.
pub(super) fn ask(app: &App, question: &str, refusal: &Refusal) -> Result<(), Failure> {
    if app.ui.is_json() || !std::io::stdin().is_terminal() {
        return Err(Failure::Usage {
            message: format!("{} has to be confirmed, and there is no terminal to ask on", refusal.what),
            hint: Some(refusal.without.to_owned()),
        });
    }
    let yes = dialoguer::Confirm::new().with_prompt(question).default(false).interact_opt().map_err(
        |dialoguer::Error::IO(error)| match error.kind() {
            std::io::ErrorKind::Interrupted => Failure::Said(ExitCode::Interrupted),
            _ => Failure::host(format!("asking for confirmation: {error}")),
        },
    )?;
    if yes == Some(true) { Ok(()) } else { Err(Failure::usage(refusal.declined)) }
}
