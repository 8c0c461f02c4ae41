//! The file's boxes, as images of its engine.

use crate::{
    app::{App, images_of},
    engine_choice::Start,
    failure::Failure,
    render,
};
use rig_model::{BoxName, ObservedBox};
use rig_provider_api::ObserveScope;
use serde::Serialize;
use std::time::Duration;

/// A box of the file.
#[derive(Serialize)]
pub(super) struct Row {
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

/// An image that is, or would be, gone.
#[derive(Serialize)]
pub(super) struct Removed {
    pub(super) image: String,
    pub(super) size_bytes: u64,
}

/// Looks at the boxes of the file on its engine.
pub(super) async fn list(app: &App) -> Result<Vec<Row>, Failure> {
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
    Ok(rows)
}

/// The same as a table for people.
pub(super) fn table(rows: &[Row]) -> String {
    let dash = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    let cells = rows
        .iter()
        .map(|row| {
            let size = row.size_bytes.map_or_else(|| "-".to_owned(), |bytes| format!("{:.0} MB", bytes as f64 / 1e6));
            vec![row.name.clone(), dash(&row.parent), row.state.to_owned(), size, dash(&row.created), dash(&row.image)]
        })
        .collect();
    render::table(&["BOX", "PARENT", "STATE", "SIZE", "BUILT", "IMAGE"], cells)
}

/// Removes boxes of this file's names that are not what the file describes now.
pub(super) async fn prune(app: &App, dry_run: bool) -> Result<Vec<Removed>, Failure> {
    let (opened, _lock) = app.open_locked("rig box prune", dry_run).await?;
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
    let mut removed = Vec::new();
    for seen in old {
        if !dry_run {
            let images = images_of(session.providers.get(&seen.provider)?.as_ref())?;
            // Another workspace's machine may be made from it: that is the engine's to know.
            if let Err(error) = images.remove(&cx, &seen.image).await {
                app.ui.warn(error.to_string());
                continue;
            }
        }
        removed.push(Removed { image: seen.image.clone(), size_bytes: seen.size.0 });
    }
    Ok(removed)
}
