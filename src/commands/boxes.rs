//! `rig box`

use super::up;
use crate::{
    app::{App, images_of},
    cli::Boxes,
    engine_choice::Start,
    failure::Failure,
    render,
};
use rig_engine::{Session, reconcile};
use rig_model::{BoxName, Name, ObservedBox};
use rig_provider_api::ObserveScope;
use serde::Serialize;
use std::time::Duration;

#[derive(Serialize)]
struct Document {
    boxes: Vec<Row>,
}

#[derive(Serialize)]
struct Row {
    name: String,
    provider: String,
    parent: Option<String>,
    /// `built`, `changed` (an older version is there) or `missing`.
    state: &'static str,
    digest: Option<String>,
    image: Option<String>,
    /// The engine's own identifier.
    id: Option<String>,
    /// All layers, uncompressed.
    size_bytes: Option<u64>,
    created: Option<String>,
}

/// Lists, builds and removes boxes.
pub(crate) async fn run(app: &App, command: Boxes) -> Result<(), Failure> {
    match command {
        Boxes::List => list(app).await,
        Boxes::Build { boxes, no_cache, execution } => {
            let (opened, _lock) = app.open_locked("rig box build", execution.dry_run).await?;
            let session = app.session(&opened, if execution.dry_run { Start::Never } else { Start::IfNeeded }).await?;
            let names = wanted(&session, &boxes)?;
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
            let report = app.execute(&session, &opened.layout, made, &plan, &execution).await?;
            up::finish(app, &report)
        }
        Boxes::Prune => prune(app).await,
    }
}

async fn list(app: &App) -> Result<(), Failure> {
    let opened = app.open()?;
    let session = app.session(&opened, Start::Never).await?;
    let cx = app.context(Duration::from_secs(60));
    let scope = ObserveScope { boxes: true, ..ObserveScope::MACHINES };
    let (observed, engines) = tokio::join!(session.observe(&cx, scope), session.providers.probe(&cx));
    let (observed, engines) = (observed?, engines?);
    let names: Vec<BoxName> = session.workspace.boxes.keys().cloned().collect();
    let boxes = app.box_plans(&session, &engines, &observed, &session.homes_of(&names))?;
    let planned =
        boxes.iter().flat_map(|(provider, own)| own.plans.iter().map(move |(name, plan)| (provider, name, plan)));
    let rows: Vec<Row> = planned
        .map(|(provider, name, plan)| {
            let there = || observed.boxes.iter().filter(|seen| seen.provider == *provider && seen.name == *name);
            let current = there().find(|seen| seen.digest == plan.digest);
            let older = there().max_by_key(|seen| seen.created);
            let shown = current.or(older);
            Row {
                name: name.to_string(),
                provider: provider.to_string(),
                parent: plan.parent.as_ref().map(ToString::to_string),
                state: match (current, older) {
                    (Some(_), _) => "built",
                    (None, Some(_)) => "changed",
                    (None, None) => "missing",
                },
                digest: shown.map(|seen| seen.digest.to_string()),
                image: shown.map(|seen| seen.image.clone()),
                id: shown.map(|seen| seen.native.clone()),
                size_bytes: shown.map(|seen| seen.size.0),
                created: shown
                    .and_then(|seen| seen.created)
                    .map(|time| time.strftime("%Y-%m-%d %H:%M UTC").to_string()),
            }
        })
        .collect();
    if app.ui.is_json() {
        app.ui.document("rig.boxes/1", &Document { boxes: rows });
        return Ok(());
    }
    let dash = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    let cells = rows
        .iter()
        .map(|row| {
            let size = row.size_bytes.map_or_else(|| "-".to_owned(), |bytes| format!("{:.0} MB", bytes as f64 / 1e6));
            vec![row.name.clone(), dash(&row.parent), row.state.to_owned(), size, dash(&row.created), dash(&row.image)]
        })
        .collect();
    app.ui.result(render::table(&["BOX", "PARENT", "STATE", "SIZE", "BUILT", "IMAGE"], cells));
    Ok(())
}

/// Removes boxes of this file's names that are not what the file describes now.
async fn prune(app: &App) -> Result<(), Failure> {
    let (opened, _lock) = app.open_locked("rig box prune", false).await?;
    let session = app.session(&opened, Start::Never).await?;
    let cx = app.context(Duration::from_secs(600));
    let scope = ObserveScope { boxes: true, ..ObserveScope::MACHINES };
    let (observed, engines) = tokio::join!(session.observe(&cx, scope), session.providers.probe(&cx));
    let (observed, engines) = (observed?, engines?);
    let names: Vec<BoxName> = session.workspace.boxes.keys().cloned().collect();
    let boxes = app.box_plans(&session, &engines, &observed, &session.homes_of(&names))?;
    let in_use = |seen: &ObservedBox| observed.machines.iter().any(|machine| machine.image == seen.image);
    let old: Vec<&ObservedBox> = observed
        .boxes
        .iter()
        .filter(|seen| {
            let plan = boxes.get(&seen.provider).and_then(|own| own.plans.get(&seen.name));
            plan.is_some_and(|plan| plan.digest != seen.digest) && !in_use(seen)
        })
        .collect();
    for seen in &old {
        let images = images_of(session.providers.get(&seen.provider)?.as_ref())?;
        // Another workspace's machine may be made from it: that is the engine's to know.
        if let Err(error) = images.remove(&cx, &seen.image).await {
            app.ui.warn(error.to_string());
            continue;
        }
        app.ui.result(format!("removed {} ({:.0} MB)", seen.image, seen.size.0 as f64 / 1e6));
    }
    if old.is_empty() {
        app.ui.say("nothing to remove: every box that is there is used or current");
    }
    Ok(())
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
