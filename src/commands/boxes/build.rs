//! `rig box build`

use crate::{app::App, cli::Execution, commands::up, engine_choice::Start, failure::Failure, render};
use rig_engine::{Session, reconcile};
use rig_model::{BoxName, Name};
use rig_provider_api::ObserveScope;
use std::time::Duration;

/// Makes boxes of the file.
pub(super) async fn run(app: &App, boxes: &[String], no_cache: bool, execution: &Execution) -> Result<(), Failure> {
    let (opened, _lock) = app.open_locked("rig box build", execution.dry_run).await?;
    let session = app.session(&opened, if execution.dry_run { Start::Never } else { Start::IfNeeded }).await?;
    let names = wanted(&session, boxes)?;
    let cx = app.context(Duration::from_secs(60));
    let scope = ObserveScope { boxes: true, ..ObserveScope::MACHINES };
    let (observed, engines) = tokio::join!(session.observe(&cx, scope), session.providers.probe(&cx));
    let made = app.box_plans(&session, &engines?, &observed?, &session.homes_of(&names))?;
    let mut table = app.box_table(&session, &made)?;
    // Anew are the named ones; what they are built from is made only where it is missing.
    for ((provider, name), choice) in &mut table {
        let missing = made.get(provider).is_some_and(|own| own.plans.to_make(&names, false).contains(&&*name));
        choice.no_cache = no_cache && names.contains(name);
        choice.present = !missing && !choice.no_cache;
    }
    let plan = reconcile::build_boxes(&session.workspace, &table);
    if execution.dry_run {
        render::print_plan(&app.ui, &plan);
        return Ok(());
    }
    let report = app.execute(&session, &opened.layout, made, &plan, execution).await?;
    up::finish(app, &report)
}

/// The boxes that the command line names, or all.
fn wanted(session: &Session, names: &[String]) -> Result<Vec<BoxName>, Failure> {
    if names.is_empty() {
        return Ok(session.workspace.boxes.keys().cloned().collect());
    }
    names
        .iter()
        .map(|text| {
            Name::new(text).ok().filter(|name| session.workspace.boxes.contains_key(name)).ok_or_else(|| {
                let known: Vec<String> = session.workspace.boxes.keys().map(ToString::to_string).collect();
                Failure::Usage {
                    message: format!("there is no box {text:?}"),
                    hint: Some(format!("there are: {}", known.join(", "))),
                }
            })
        })
        .collect()
}
