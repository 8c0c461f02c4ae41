//! Stored boxes as rows, and `rig box remove` and `repackage`.

use super::work::{alone, look};
use crate::{
    app::App,
    cli::{RemoveBox, RepackageBox},
    failure::Failure,
    render,
};
use rig_box_store::{BoxKey, Constraint, Filter, StoreError, StoredBox, Wish};
use rig_model::Phase;
use serde::Serialize;

/// A stored box, for programs.
#[derive(Serialize)]
pub(super) struct Row {
    #[serde(flatten)]
    key: BoxKey,
    /// All files, unpacked.
    size_bytes: u64,
    added: String,
    /// Where the box file came from.
    source: String,
    catalogue: Option<String>,
    /// Whether the box file had the checksum that was promised.
    checked: bool,
    /// The checksum of the box file.
    sha256: String,
    folder: String,
}

impl From<&StoredBox> for Row {
    fn from(stored: &StoredBox) -> Self {
        let record = &stored.record;
        Self {
            key: record.key.clone(),
            size_bytes: record.size(),
            added: record.added.to_string(),
            source: record.source.clone(),
            catalogue: record.catalogue.clone(),
            checked: record.checked,
            sha256: record.archive_sha256.to_string(),
            folder: stored.folder.to_string(),
        }
    }
}

/// Stored boxes as a table for people.
pub(super) fn table(boxes: &[StoredBox]) -> String {
    let cells = boxes
        .iter()
        .map(|stored| {
            let key = stored.key();
            let added = stored.record.added.strftime("%Y-%m-%d %H:%M UTC").to_string();
            let names = [key.name.as_str(), key.version.as_str(), key.provider.as_str(), key.architecture.as_str()];
            let mut cells: Vec<String> = names.map(str::to_owned).into();
            cells.extend([megabytes(stored.record.size()), added]);
            cells
        })
        .collect();
    render::table(&["STORED", "VERSION", "PROVIDER", "ARCHITECTURE", "SIZE", "ADDED"], cells)
}

/// A size as the other tables of boxes show it.
pub(super) fn megabytes(bytes: u64) -> String {
    format!("{:.0} MB", bytes as f64 / 1e6)
}

#[derive(Serialize)]
struct Gone {
    removed: Vec<BoxKey>,
}

/// `rig box remove`
pub(super) async fn remove(app: &App, arguments: &RemoveBox) -> Result<(), Failure> {
    let store = app.box_store(false);
    let filter = Filter {
        name: Some(arguments.name.clone()),
        constraint: arguments.version.clone().map(Constraint::exactly).unwrap_or_default(),
        provider: arguments.which.provider.clone(),
        architecture: arguments.which.architecture.clone(),
    };
    let unreadable = look(|| store.unreadable(&filter))?;
    let boxes = match look(|| Ok(store.select(&filter)))? {
        Err(StoreError::NotStored { .. }) if !unreadable.is_empty() => Vec::new(),
        boxes => boxes?,
    };
    let keys: Vec<&BoxKey> = boxes.iter().map(StoredBox::key).chain(&unreadable).collect();
    if keys.len() > 1 && !arguments.all {
        let names: Vec<String> = keys.iter().map(ToString::to_string).collect();
        return Err(Failure::Usage {
            message: format!("the store has {} boxes {}: {}", names.len(), arguments.name, names.join("; ")),
            hint: Some(
                "choose with `--version`, `--provider` and `--architecture`, or remove all with `--all`".to_owned(),
            ),
        });
    }
    let cx = app.context(super::work::LIMIT);
    let removed = |stored: &StoredBox| {
        if !app.ui.is_json() {
            app.ui.result(format!("removed {} ({})", stored.key(), megabytes(stored.record.size())));
        }
    };
    store.remove_all(&boxes, &cx, removed).await?;
    for key in &unreadable {
        store.remove(key, arguments.force, &cx).await?;
        if !app.ui.is_json() {
            app.ui.result(format!("removed {key}, whose record could not be read"));
        }
    }
    if app.ui.is_json() {
        let removed = keys.into_iter().cloned().collect();
        app.ui.document("rig.box-remove/1", &Gone { removed });
    }
    Ok(())
}

#[derive(Serialize)]
struct File {
    path: String,
    sha256: String,
    size_bytes: u64,
}

/// `rig box repackage`
pub(super) async fn repackage(app: &App, arguments: RepackageBox) -> Result<(), Failure> {
    let store = app.box_store(false);
    let wish = Wish {
        constraint: arguments.version.unwrap_or_default(),
        provider: arguments.which.provider,
        architecture: arguments.which.architecture,
    };
    let stored = look(|| store.get(&arguments.name, &wish))?;
    let output = app.settings.folder.join(&arguments.output);
    let title = format!("pack {}", stored.key());
    let made = alone(app, title, Phase::Build, |cx| {
        let (store, stored, output) = (&store, &stored, &output);
        async move { store.repackage(stored, output, arguments.force, &cx).await }
    })
    .await?;
    if app.ui.is_json() {
        let file = File { path: made.path.to_string(), sha256: made.sha256.to_string(), size_bytes: made.size };
        app.ui.last_line("rig.box-repackage/1", &file);
    } else {
        app.ui.result(format!("{} ({}, sha256 {})", made.path, megabytes(made.size), made.sha256));
    }
    Ok(())
}
