//! `rig box outdated` and `rig box update`

use super::{
    stored,
    work::{LIMIT, Work},
};
use crate::{
    app::App,
    cli::{OutdatedBoxes, UpdateBoxes},
    failure::{ExitCode, Failure},
    render,
};
use rig_box_store::{AddRequest, Age, BoxKey, BoxStore, Filter, Version};
use rig_model::Phase;
use serde::Serialize;

#[derive(Serialize)]
struct Document<'a> {
    boxes: Vec<Row<'a>>,
}

#[derive(Serialize)]
struct Row<'a> {
    #[serde(flatten)]
    key: &'a BoxKey,
    newest: Option<&'a Version>,
    outdated: bool,
    catalogue: Option<&'a str>,
    problem: Option<&'a str>,
}

impl<'a> From<&'a Age> for Row<'a> {
    fn from(age: &'a Age) -> Self {
        Self {
            key: &age.key,
            newest: age.newest.as_ref(),
            outdated: age.is_outdated(),
            catalogue: age.catalogue.as_deref(),
            problem: age.problem.as_deref(),
        }
    }
}

/// Says which stored boxes have newer versions.
pub(super) async fn outdated(app: &App, arguments: &OutdatedBoxes) -> Result<(), Failure> {
    let ages = ages(app, &app.box_store(arguments.insecure), arguments).await?;
    if app.ui.is_json() {
        let boxes = ages.iter().map(Row::from).collect();
        app.ui.document("rig.box-outdated/1", &Document { boxes });
    } else if ages.is_empty() {
        app.ui.say("no boxes are stored; `rig box add` adds them");
    } else {
        app.ui.result(table(&ages));
    }
    // A box without a catalogue has no newer versions; a catalogue that does not answer is a failure.
    let failed = ages.iter().any(|age| age.catalogue.is_some() && age.problem.is_some());
    if failed { Err(Failure::Said(ExitCode::Failed)) } else { Ok(()) }
}

fn table(ages: &[Age]) -> String {
    let cells = ages.iter().map(|age| {
        let key = &age.key;
        let newest = age.newest.as_ref().map_or("-", Version::as_str);
        let state = match (&age.problem, age.is_outdated()) {
            (Some(problem), _) => problem.as_str(),
            (None, true) => "outdated",
            (None, false) => "current",
        };
        let cells =
            [key.name.as_str(), key.provider.as_str(), key.architecture.as_str(), key.version.as_str(), newest, state];
        cells.map(str::to_owned).into()
    });
    render::table(&["STORED", "PROVIDER", "ARCHITECTURE", "VERSION", "NEWEST", "STATE"], cells.collect())
}

async fn ages(app: &App, store: &BoxStore, arguments: &OutdatedBoxes) -> Result<Vec<Age>, Failure> {
    let filter = Filter {
        name: arguments.name.clone(),
        provider: arguments.which.provider.clone(),
        architecture: arguments.which.architecture.clone(),
        ..Filter::default()
    };
    Ok(store.outdated(&filter, arguments.insecure, &app.context(LIMIT)).await?)
}

#[derive(Serialize)]
struct Updates {
    /// What was added.
    updated: Vec<stored::Row>,
    failed: usize,
}

/// Stores the newest versions of what is outdated.
pub(super) async fn run(app: &App, arguments: &UpdateBoxes) -> Result<(), Failure> {
    let store = app.box_store(arguments.boxes.insecure);
    let ages = ages(app, &store, &arguments.boxes).await?;
    for age in ages.iter().filter(|age| age.catalogue.is_some()) {
        if let Some(problem) = &age.problem {
            app.ui.warn(format!("{}: {problem}", age.key));
        }
    }
    let mut failed = ages.iter().filter(|age| age.catalogue.is_some() && age.problem.is_some()).count();
    let outdated: Vec<&Age> = ages.iter().filter(|age| age.is_outdated()).collect();
    let request = AddRequest {
        insecure: arguments.boxes.insecure,
        mirrors: arguments.mirrors.clone(),
        ..AddRequest::new("", app.settings.folder.clone())
    };
    let mut work = Work::begin(app, outdated.len());
    let mut updated = Vec::new();
    for age in outdated {
        let newest = age.newest.as_ref().map_or("", Version::as_str);
        let title = format!("update {} to {newest}", age.key);
        let (store, request) = (&store, &request);
        let added = work.run(title, Phase::Fetch, |cx| async move { store.update(age, request, &cx).await }).await;
        match added {
            Ok(added) => updated.push(added.stored),
            Err(error) if error.is_cancelled() => {
                work.end();
                return Err(error.into());
            }
            Err(error) => {
                failed += 1;
                if !app.ui.is_json() {
                    render::failure(&app.ui, &error.into());
                }
            }
        }
    }
    work.end();
    if app.ui.is_json() {
        let updates = Updates { updated: updated.iter().map(Into::into).collect(), failed };
        app.ui.last_line("rig.box-update/1", &updates);
    } else if updated.is_empty() && failed == 0 {
        app.ui.say("nothing to update: every stored box with a catalogue is the newest");
    }
    for stored in updated.iter().filter(|_| !app.ui.is_json()) {
        app.ui.result(format!("stored {} ({})", stored.key(), stored::megabytes(stored.record.size())));
    }
    if failed > 0 { Err(Failure::Said(ExitCode::Failed)) } else { Ok(()) }
}
