//! `rig box prune`

use super::{
    images, stored,
    work::{LIMIT, look},
};
use crate::{app::App, cli::PruneBoxes, failure::Failure, providers};
use rig_box_store::{BoxKey, Filter, StoredBox, StoredFor};
use rig_model::BoxSource;
use serde::Serialize;

#[derive(Serialize)]
struct Document {
    /// Whether nothing was really removed.
    dry_run: bool,
    images: Vec<images::Removed>,
    stored: Vec<BoxKey>,
    /// What commands that were killed had left behind.
    leftovers: usize,
}

/// Removes old images of the file's boxes, where there is a file, and old versions of stored boxes.
pub(super) async fn run(app: &App, arguments: &PruneBoxes) -> Result<(), Failure> {
    let done = if arguments.dry_run { "would remove" } else { "removed" };
    let tell = |what: &str, bytes: u64| {
        if !app.ui.is_json() {
            app.ui.result(format!("{done} {what} ({})", stored::megabytes(bytes)));
        }
    };
    let has_file = !arguments.stored && app.is_in_workspace();
    let images = if has_file { images::prune(app, arguments.dry_run).await? } else { Vec::new() };
    for removed in &images {
        tell(&removed.image, removed.size_bytes);
    }
    let (store, filter, keep) = (app.box_store(false), Filter::default(), usize::from(arguments.keep));
    let used = if has_file { used_by_file(app)? } else { Vec::new() };
    let used = used.as_slice();
    let told = |stored: &StoredBox| tell(&stored.key().to_string(), stored.record.size());
    let pruned = if arguments.dry_run {
        let pruned = look(|| store.prunable(&filter, keep, used))?;
        pruned.boxes.iter().for_each(told);
        pruned
    } else {
        store.prune(&filter, keep, used, &app.context(LIMIT), told).await?
    };
    if app.ui.is_json() {
        let stored = pruned.boxes.iter().map(|stored| stored.key().clone()).collect();
        let document = Document { dry_run: arguments.dry_run, images, stored, leftovers: pruned.leftovers };
        app.ui.document("rig.box-prune/1", &document);
    } else if images.is_empty() && pruned.boxes.is_empty() {
        app.ui.say("nothing to remove: every box that is there is used or current");
    }
    Ok(())
}

/// The stored boxes that the file's boxes are made of.
fn used_by_file(app: &App) -> Result<Vec<BoxKey>, Failure> {
    let opened = app.open()?;
    let sources = opened.loaded.workspace.boxes.values().flat_map(|spec| &spec.sources);
    let wanted = sources.filter_map(|source| match source {
        BoxSource::Stored(wanted) => Some(wanted),
        _ => None,
    });
    let providers = [providers::virtualbox_id(), providers::qemu_id()];
    let finders = providers.map(|provider| StoredFor { store: app.box_store(false), provider });
    // One that is not stored needs nothing to be kept.
    let keys = wanted.flat_map(|wanted| finders.iter().filter_map(|finder| finder.newest(wanted).ok()));
    Ok(keys.map(|stored| stored.key().clone()).collect())
}
