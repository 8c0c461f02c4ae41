//! `rig box add`

use super::{
    stored::{self, Row},
    work::alone,
};
use crate::{app::App, cli::AddBox, failure::Failure};
use rig_box_store::{AddRequest, without_secrets};
use rig_model::Phase;
use serde::Serialize;

#[derive(Serialize)]
struct Document {
    #[serde(rename = "box")]
    stored: Row,
    /// Whether it was there before.
    already: bool,
}

/// Stores a box.
pub(super) async fn run(app: &App, arguments: AddBox) -> Result<(), Failure> {
    let store = app.box_store(arguments.insecure);
    let request = AddRequest {
        source: arguments.source,
        folder: app.settings.folder.clone(),
        name: arguments.name,
        version: arguments.version,
        provider: arguments.which.provider,
        architecture: arguments.which.architecture,
        checksum: arguments.checksum,
        insecure: arguments.insecure,
        force: arguments.force,
        mirrors: arguments.mirrors,
    };
    let source = without_secrets(&request.source);
    let title = format!("store {}", request.name.as_ref().map_or(&*source, |name| name.as_str()));
    let added = alone(app, title, Phase::Fetch, |cx| {
        let (store, request) = (&store, &request);
        async move { store.add(request, &cx).await }
    })
    .await?;
    if app.ui.is_json() {
        app.ui.last_line("rig.box-add/1", &Document { stored: (&added.stored).into(), already: added.already });
        return Ok(());
    }
    let (key, size) = (added.stored.key(), stored::megabytes(added.stored.record.size()));
    // A file of this host is the user's own.
    if !added.already && !added.stored.record.checked && added.stored.record.source.contains("://") {
        app.ui.warn(format!("nothing said what {key} must be: its box file was taken without a checksum"));
    }
    app.ui.result(if added.already { format!("{key} is stored already") } else { format!("stored {key} ({size})") });
    Ok(())
}
