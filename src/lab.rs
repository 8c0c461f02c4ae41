//! Machines of a workspace of their own, for `rig compare`: what people work with stays as it is.

use crate::{
    app::{App, HostBoxes},
    cli::Execution,
    commands::up,
    engine_choice::Start,
    failure::{ExitCode, Failure},
};
use async_trait::async_trait;
use camino::Utf8PathBuf;
use rig_compare::{Comparison, Report, SCHEMA, summarise};
use rig_config::Loaded;
use rig_engine::{
    Deed, DestroyOptions, Lab, LabError, ProvisionOptions, Report as Done, Seen, Selection, Session, UpOptions,
    Variation, reconcile,
};
use rig_model::{Action, Digest, Hasher, Name, Observed, Plan};
use rig_provider_api::ObserveScope;
use rig_state::{Layout, Scale};
use serde::Serialize;
use std::{collections::BTreeMap, time::Duration};

/// What the name of the workspace of a comparison ends with.
const SUFFIX: &str = "-compare";

/// How long the engine has to say what is there.
const OBSERVE: Duration = Duration::from_secs(60);

/// How long the engine has to remove a box.
const REMOVE: Duration = Duration::from_secs(300);

/// How many lines of a machine's log stand with a failure.
const TAIL: usize = 5;

/// The lab of this host.
pub(crate) struct HostLab {
    app: App,
    file: Utf8PathBuf,
    layout: Layout,
    session: Session,
    topologies: Vec<Name>,
    execution: Execution,
}

impl HostLab {
    /// Reads the file, with the counts that it has itself, and connects to its engine.
    pub(crate) async fn open(app: &App, cold: bool) -> Result<Self, Failure> {
        let file = app.file()?;
        let folder = file.parent().map_or_else(|| Utf8PathBuf::from("."), camino::Utf8Path::to_owned);
        let outer = Layout::new(&folder);
        outer.prepare()?;
        let layout = outer.compare();
        let mut settings = app.settings.clone();
        if cold {
            settings.dirs.cache = layout.own_cache();
        }
        let inner = App {
            global: app.global.clone(),
            settings,
            ui: app.ui.inner(),
            interrupt: app.interrupt.clone(),
            no_cache: cold,
            once_more: false,
        };
        let loaded = apart(inner.load(&file, &Scale::default())?)?;
        let provider = app.connect(Some(&loaded.workspace), Start::IfNeeded).await?;
        let proxies = app.trust(&loaded.workspace).proxies;
        let session = Session::new(loaded.workspace, loaded.folder, provider, proxies);
        let execution = Execution { no_parallel: false, jobs: 8, dry_run: false };
        Ok(Self { app: inner, file, layout, session, topologies: Vec::new(), execution })
    }

    /// Says which topologies are meant.
    pub(crate) fn compare(&mut self, topologies: &[Name]) {
        self.topologies = topologies.to_vec();
    }

    /// What these topologies are made of, as one hash: machines, boxes, and what every step does.
    pub(crate) async fn subject(&self, more: &impl Serialize) -> Result<Digest, Failure> {
        let look = self.boxes(&self.app).await?;
        let contents = self.app.provisioning(&self.session, &self.layout).await?.contents;
        let provisioning = rig_engine::Provisioning { contents, records: BTreeMap::new() };
        let nothing = Observed::default();
        let seen = Seen { observed: &nothing, boxes: &look.table, engine: &look.engine };
        let plan = self.session.plan_up(seen, &provisioning, &look.selection, &UpOptions::default())?;
        let mut hasher = Hasher::new("comparison/1");
        hasher.part(text(more));
        for name in &self.topologies {
            hasher.part(text(&self.session.workspace.topologies.get(name)));
        }
        for (name, choice) in &look.table {
            hasher.part(name.as_str()).part(choice.digest.as_str());
        }
        for operation in &plan.operations {
            if let Action::Provision { step, .. } = &operation.action {
                hasher.part(step.digest().as_str());
            }
        }
        Ok(hasher.finish())
    }

    /// The workspace with a variation.
    fn varied(&self, topology: &Name, variation: &Variation) -> Result<Session, Failure> {
        let mut scale = Scale::default();
        for (group, count) in &variation.counts {
            scale.set(topology.clone(), group.clone(), *count);
        }
        let mut app = self.app.clone();
        app.global.variables.extend(variation.variables.iter().cloned());
        let loaded = apart(app.load(&self.file, &scale)?)?;
        let proxies = app.trust(&loaded.workspace).proxies;
        Ok(Session::new(loaded.workspace, loaded.folder, self.session.provider.clone(), proxies))
    }

    /// The same with boxes that are built anew beside those that are there.
    fn anew(&self) -> App {
        App { no_cache: true, once_more: true, ..self.app.clone() }
    }

    async fn bring_up(&self, app: &App, topology: &Name, variation: &Variation) -> Result<Deed, Failure> {
        let varied;
        let session = if *variation == Variation::default() {
            &self.session
        } else {
            varied = self.varied(topology, variation)?;
            &varied
        };
        let targets = [topology.to_string()];
        let options = UpOptions::default();
        let prepared = up::prepare(app, session, &self.layout, &targets, &options).await?;
        let report = app.execute(session, &self.layout, prepared.boxes, &prepared.plan, &self.execution).await?;
        done(prepared.plan, report)
    }

    async fn carry_out(&self, plan: Plan, boxes: HostBoxes) -> Result<Deed, Failure> {
        let report = self.app.execute(&self.session, &self.layout, boxes, &plan, &self.execution).await?;
        done(plan, report)
    }

    async fn observed(&self, scope: ObserveScope) -> Result<Observed, Failure> {
        Ok(self.session.observe(&self.app.context(OBSERVE), scope).await?)
    }

    /// The boxes of the topologies.
    async fn boxes(&self, app: &App) -> Result<up::Look, Failure> {
        let targets: Vec<String> = self.topologies.iter().map(ToString::to_string).collect();
        up::look(app, &self.session, &targets, false).await
    }

    /// Removes the boxes of the topologies that are there.
    async fn remove_boxes(&self, app: &App) -> Result<(), Failure> {
        let look = self.boxes(app).await?;
        let Some(images) = self.session.provider.images() else { return Ok(()) };
        // Children first.
        let ordered = self.session.workspace.boxes.keys().rev().filter_map(|name| look.table.get(name));
        for choice in ordered.filter(|choice| choice.present) {
            images.remove(&app.context(REMOVE), &choice.image).await?;
        }
        Ok(())
    }
}

/// The workspace under a name of its own.
fn apart(mut loaded: Loaded) -> Result<Loaded, Failure> {
    let name = format!("{}{SUFFIX}", loaded.workspace.name);
    loaded.workspace.name = Name::new(name.as_str()).map_err(|error| Failure::Usage {
        message: format!("the machines of a comparison would belong to a workspace {name:?}: {error}"),
        hint: Some("give the workspace a shorter name".to_owned()),
    })?;
    Ok(loaded)
}

fn text(value: &impl Serialize) -> String {
    // Shapes are maps of plain data: writing them cannot fail.
    serde_json::to_string(value).unwrap_or_default()
}

/// What was carried out whole; anything else is a failure with what a person needs to understand it.
fn done(plan: Plan, report: Done) -> Result<Deed, Failure> {
    if report.interrupted {
        return Err(Failure::Said(ExitCode::Interrupted));
    }
    let whys: Vec<String> = report
        .failed
        .iter()
        .map(|failure| {
            let tail = failure.error.tail();
            let tail = tail[tail.len().saturating_sub(TAIL)..].join(" | ");
            let log = if tail.is_empty() { tail } else { format!("; its log ends with: {tail}") };
            format!("{}: {}{log}", failure.title, failure.error)
        })
        .collect();
    if whys.is_empty() { Ok(Deed { plan, report }) } else { Err(Failure::host(whys.join("; "))) }
}

#[expect(clippy::needless_pass_by_value, reason = "it is what errors are mapped with")]
fn failed(failure: Failure) -> LabError {
    if failure.exit_code() == ExitCode::Interrupted {
        return LabError::Interrupted;
    }
    LabError::Failed(match failure.hint() {
        Some(hint) => format!("{failure} ({hint})"),
        None => failure.to_string(),
    })
}

#[async_trait(?Send)]
impl Lab for HostLab {
    fn session(&self) -> &Session {
        &self.session
    }

    fn layout(&self) -> &Layout {
        &self.layout
    }

    async fn up(&self, topology: &Name, variation: &Variation) -> Result<Deed, LabError> {
        self.bring_up(&self.app, topology, variation).await.map_err(failed)
    }

    async fn provision(&self, topology: &Name) -> Result<Deed, LabError> {
        let again = async {
            let look = up::look(&self.app, &self.session, &[topology.to_string()], true).await?;
            let provisioning = self.app.provisioning(&self.session, &self.layout).await?;
            let options = ProvisionOptions { skip: false, force: true, with: Vec::new() };
            let plan = self.session.plan_provision(look.seen(), &provisioning, &look.selection, options)?;
            self.carry_out(plan, look.boxes).await
        };
        again.await.map_err(failed)
    }

    async fn halt(&self, topology: &Name) -> Result<Deed, LabError> {
        let halt = async {
            let observed = self.observed(ObserveScope::MACHINES).await?;
            let selection = Selection::resolve(&[topology.to_string()], &self.session.workspace, &observed)?;
            let plan = reconcile::halt(&self.session.workspace, &observed, &selection);
            self.carry_out(plan, HostBoxes::none()).await
        };
        halt.await.map_err(failed)
    }

    async fn clear(&self) -> Result<Deed, LabError> {
        let clear = async {
            let scope = ObserveScope { networks: true, volumes: true, ..ObserveScope::MACHINES };
            let observed = self.observed(scope).await?;
            let options = DestroyOptions { volumes: true };
            let plan = reconcile::destroy(&self.session.workspace, &observed, &Selection::All, options);
            self.carry_out(plan, HostBoxes::none()).await
        };
        clear.await.map_err(failed)
    }

    async fn up_anew(&self, topology: &Name) -> Result<Deed, LabError> {
        self.bring_up(&self.anew(), topology, &Variation::default()).await.map_err(failed)
    }

    async fn discard(&self) -> Result<(), LabError> {
        self.remove_boxes(&self.anew()).await.map_err(failed)
    }

    async fn forget(&self) -> Result<(), LabError> {
        let forget = async {
            self.remove_boxes(&self.app).await?;
            let cache = self.layout.own_cache();
            match fs_err::remove_dir_all(&cache) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    Err(Failure::host(format!("emptying the cache of the comparison: {error}")))
                }
                _ => Ok(()),
            }
        };
        forget.await.map_err(failed)
    }

    fn keep(&self, comparison: &Comparison) -> Result<(), LabError> {
        keep(&self.layout, comparison).map_err(failed)
    }
}

/// Writes what was measured so far.
fn keep(layout: &Layout, comparison: &Comparison) -> Result<(), Failure> {
    let text = document(comparison, false)?;
    rig_state::write_atomically(&layout.comparison(), text.as_bytes(), rig_state::Access::Default)?;
    Ok(())
}

/// The document of a comparison.
pub(crate) fn document(comparison: &Comparison, unfair: bool) -> Result<String, Failure> {
    #[derive(Serialize)]
    struct Document<'a> {
        schema: &'static str,
        #[serde(flatten)]
        report: Report<'a>,
    }
    let summary = summarise(comparison, unfair).ok_or_else(|| Failure::host("there is nothing to compare"))?;
    let document = Document { schema: SCHEMA, report: Report { comparison, summary: &summary } };
    serde_json::to_string_pretty(&document).map_err(|error| Failure::host(format!("writing the comparison: {error}")))
}
