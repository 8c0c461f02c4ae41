//! Machines of a workspace of their own, for `rig compare`: what people work with stays as it is.

use crate::{
    app::{App, HostBoxes, ProviderBoxes, images_of},
    cli::Execution,
    commands::up,
    engine_choice::Start,
    failure::{ExitCode, Failure},
    makes::HostMakes,
    providers,
};
use async_trait::async_trait;
use camino::Utf8PathBuf;
use rig_compare::{Comparison, Report, SCHEMA, summarise};
use rig_config::Loaded;
use rig_engine::{
    Deed, DestroyOptions, Lab, LabError, Makes, ProvisionOptions, Report as Done, Seen, Selection, Session, UpOptions,
    Variation, reconcile,
};
use rig_model::{Action, Digest, Hasher, Name, Observed, Plan, Topology};
use rig_provider_api::ObserveScope;
use rig_state::{Layout, Scale};
use serde::Serialize;
use serde_json::Value;
use std::{
    cell::RefCell,
    rc::Rc,
    time::{Duration, Instant},
};

/// What the name of the workspace of a comparison ends with.
const SUFFIX: &str = "-compare-";

/// How many digits of the folder's hash follow.
const PLACE: usize = 6;

/// How long the engine has to say what is there.
const OBSERVE: Duration = Duration::from_secs(60);

/// How long a download may take.
const FETCH: Duration = Duration::from_secs(2 * 3600);

/// How long the engine has to remove a box.
const REMOVE: Duration = Duration::from_secs(300);

/// How many lines of a machine's log stand with a failure.
const TAIL: usize = 5;

/// The lab of this host.
pub(crate) struct HostLab {
    app: App,
    file: Utf8PathBuf,
    layout: Layout,
    session: Rc<Session>,
    /// Workspaces with a variation of a topology.
    varied: RefCell<Vec<(Name, Variation, Rc<Session>)>>,
    topologies: Vec<Name>,
    /// What else decides what is measured, as text.
    measured: String,
    execution: Execution,
}

impl HostLab {
    /// Reads the file, with the counts that it has itself, and connects to its engine.
    pub(crate) async fn open(app: &App, cold: bool) -> Result<Self, Failure> {
        let file = app.file()?;
        let loaded = apart(app.load(&file, &Scale::default())?)?;
        let outer = Layout::new(&loaded.folder);
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
        let providers = providers::connect(app, &loaded.workspace, Start::IfNeeded).await?;
        let proxies = app.trust(&loaded.workspace).proxies;
        let session = Session::new(loaded.workspace, loaded.folder, providers, proxies, layout.clone());
        let execution = Execution { no_parallel: false, jobs: 8, dry_run: false };
        let topologies = session.workspace.topologies.keys().cloned().collect();
        let (session, varied, measured) = (Rc::new(session), RefCell::default(), String::new());
        Ok(Self { app: inner, file, layout, session, varied, topologies, measured, execution })
    }

    /// Says which topologies are meant, and what else decides what is measured.
    pub(crate) fn compare(&mut self, topologies: &[Name], measured: &impl Serialize) {
        self.topologies = topologies.to_vec();
        self.measured = text(measured);
    }

    /// What the topologies are made of, as one hash: machines, boxes, what every step does, the checks that are meant. Where
    /// in the file something stands does not matter.
    async fn made_of(&self) -> Result<Digest, Failure> {
        let mut hasher = Hasher::new("comparison/1");
        hasher.part(&self.measured);
        for name in &self.topologies {
            let topology = self.session.workspace.topologies.get(name);
            hasher.part(text(topology));
            let (look, plan) = self.as_from_nothing(&self.session, name).await?;
            for ((provider, name), choice) in &look.table {
                hasher.part(provider.as_str()).part(name.as_str()).part(choice.digest.as_str());
            }
            for operation in &plan.operations {
                if let Action::Provision { step, .. } = &operation.action {
                    hasher.part(step.digest().as_str());
                }
            }
        }
        for check in self.session.workspace.checks.iter().filter(|check| self.topologies.contains(&check.topology)) {
            hasher.part(text(check));
        }
        Ok(hasher.finish())
    }

    /// What would be done for a topology of which nothing is there.
    async fn as_from_nothing(&self, session: &Session, topology: &Name) -> Result<(up::Look, Plan), Failure> {
        let look = up::look(&self.app, session, &[topology.to_string()], false).await?;
        let contents = self.app.provisioning(session, &self.layout).await?.contents;
        let provisioning = rig_engine::Provisioning { contents, ..Default::default() };
        let nothing = Observed::default();
        let seen = Seen { observed: &nothing, boxes: &look.table, engines: &look.engines };
        let plan = session.plan_up(seen, &provisioning, &look.selection, &UpOptions::default())?;
        Ok((look, plan))
    }

    /// Makes the boxes and fetches the downloads of one topology.
    async fn make_ready(&self, topology: &Name, variation: &Variation) -> Result<(), Failure> {
        let session = self.varied(topology, variation)?;
        let (look, plan) = self.as_from_nothing(&session, topology).await?;
        let is_made = |action: &Action| matches!(action, Action::FetchArtifact { .. } | Action::BuildBox { .. });
        let operations = plan.operations.into_iter().filter(|operation| is_made(&operation.action)).collect();
        let plan = Plan { operations, notes: Vec::new(), ..plan };
        let report = self.app.execute(&session, &self.layout, look.boxes, &plan, &self.execution).await?;
        done(plan, report, Duration::ZERO)?;
        // What steps put into place is fetched when they need it: here, before.
        let makes = HostMakes::new(&self.app, &session, HostBoxes::new());
        let topology = session.workspace.topologies.get(topology);
        for artifact in topology.map(Topology::step_artifacts).unwrap_or_default() {
            makes.fetch(&self.app.context(FETCH), artifact).await?;
        }
        Ok(())
    }

    /// The workspace with a variation, as the file was when it was first asked for.
    fn varied(&self, topology: &Name, variation: &Variation) -> Result<Rc<Session>, Failure> {
        if *variation == Variation::default() {
            return Ok(self.session.clone());
        }
        let same = |(of, known, _): &&(Name, Variation, Rc<Session>)| of == topology && known == variation;
        if let Some((.., session)) = self.varied.borrow().iter().find(same) {
            return Ok(session.clone());
        }
        let session = Rc::new(self.load_varied(topology, variation)?);
        self.varied.borrow_mut().push((topology.clone(), variation.clone(), session.clone()));
        Ok(session)
    }

    fn load_varied(&self, topology: &Name, variation: &Variation) -> Result<Session, Failure> {
        let mut scale = Scale::default();
        for (group, count) in &variation.counts {
            scale.set(topology.clone(), group.clone(), *count);
        }
        let mut app = self.app.clone();
        app.global.variables.extend(variation.variables.iter().cloned());
        let loaded = apart(app.load(&self.file, &scale)?)?;
        let proxies = app.trust(&loaded.workspace).proxies;
        let providers: Vec<_> = self.session.bare().collect();
        Ok(Session::new(loaded.workspace, loaded.folder, providers, proxies, self.layout.clone()))
    }

    /// The same with boxes that are built anew beside those that are there.
    fn anew(&self) -> App {
        App { no_cache: true, once_more: true, ..self.app.clone() }
    }

    async fn bring_up(&self, app: &App, topology: &Name, variation: &Variation) -> Result<Deed, Failure> {
        let session = self.varied(topology, variation)?;
        let targets = [topology.to_string()];
        let options = UpOptions::default();
        let began = Instant::now();
        let prepared = up::prepare(app, &session, &self.layout, &targets, &options).await?;
        let planning = began.elapsed();
        let report = app.execute(&session, &self.layout, prepared.boxes, &prepared.plan, &self.execution).await?;
        done(prepared.plan, report, planning)
    }

    /// Carries out what was planned since `began`.
    async fn carry_out(&self, plan: Plan, boxes: HostBoxes, began: Instant) -> Result<Deed, Failure> {
        let planning = began.elapsed();
        let report = self.app.execute(&self.session, &self.layout, boxes, &plan, &self.execution).await?;
        done(plan, report, planning)
    }

    async fn observed(&self, scope: ObserveScope) -> Result<Observed, Failure> {
        Ok(self.session.observe(&self.app.context(OBSERVE), scope).await?)
    }

    /// The boxes of the topologies.
    async fn boxes(&self, app: &App) -> Result<up::Look, Failure> {
        let targets: Vec<String> = self.topologies.iter().map(ToString::to_string).collect();
        up::look(app, &self.session, &targets, false).await
    }

    /// Removes the downloads of comparisons without a cache.
    pub(crate) fn empty_cache(&self) -> Result<(), Failure> {
        match fs_err::remove_dir_all(self.layout.own_cache()) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(Failure::host(format!("emptying the cache of the comparison: {error}")))
            }
            _ => Ok(()),
        }
    }

    /// Removes the boxes of the topologies that are there.
    async fn remove_boxes(&self, app: &App) -> Result<(), Failure> {
        let look = self.boxes(app).await?;
        for (provider, ProviderBoxes { plans, .. }) in &look.boxes {
            let images = images_of(self.session.providers.get(provider)?.as_ref())?;
            // Children first. A box that is pulled is the same one, whoever asks for it.
            let made = plans.iter().rev().filter(|(_, plan)| !plan.source.is_fetched());
            let choices = made.filter_map(|(name, _)| look.table.get(&(provider.clone(), name.clone())));
            for choice in choices.filter(|choice| choice.present) {
                images.remove(&app.context(REMOVE), &choice.image).await?;
            }
        }
        Ok(())
    }
}

/// The workspace under a name of its own, which no other folder's comparison has: all that is of that name is removed again
/// and again.
fn apart(mut loaded: Loaded) -> Result<Loaded, Failure> {
    let place = loaded.folder.canonicalize_utf8().unwrap_or_else(|_| loaded.folder.clone());
    let place: String = Digest::of(place.as_str().as_bytes()).short().chars().take(PLACE).collect();
    let name = format!("{}{SUFFIX}{place}", loaded.workspace.name);
    loaded.workspace.name = Name::new(name.as_str()).map_err(|error| Failure::Usage {
        message: format!("the machines of a comparison would belong to a workspace {name:?}: {error}"),
        hint: Some("give the workspace a shorter name".to_owned()),
    })?;
    Ok(loaded)
}

/// A part of the file as text, without the places where it stands.
fn text(value: impl Serialize) -> String {
    fn displace(value: &mut Value) {
        match value {
            Value::Object(fields) => {
                fields.remove("origin");
                fields.values_mut().for_each(displace);
            }
            Value::Array(items) => items.iter_mut().for_each(displace),
            _ => {}
        }
    }
    // Shapes are maps of plain data: writing them cannot fail.
    let mut value = serde_json::to_value(value).unwrap_or_default();
    displace(&mut value);
    value.to_string()
}

/// What was carried out whole; anything else is a failure with what a person needs to understand it.
fn done(plan: Plan, report: Done, planning: Duration) -> Result<Deed, Failure> {
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
    let elapsed = planning + report.elapsed;
    if whys.is_empty() { Ok(Deed { plan, report, elapsed }) } else { Err(Failure::host(whys.join("; "))) }
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

    async fn subject(&self) -> Result<Digest, LabError> {
        self.made_of().await.map_err(failed)
    }

    async fn prepare(&self, variations: &[(Name, Variation)]) -> Result<(), LabError> {
        for (topology, variation) in variations {
            self.make_ready(topology, variation).await.map_err(failed)?;
        }
        Ok(())
    }

    async fn up(&self, topology: &Name, variation: &Variation) -> Result<Deed, LabError> {
        self.bring_up(&self.app, topology, variation).await.map_err(failed)
    }

    async fn provision(&self, topology: &Name) -> Result<Deed, LabError> {
        let began = Instant::now();
        let again = async {
            let look = up::look(&self.app, &self.session, &[topology.to_string()], true).await?;
            let provisioning = self.app.provisioning(&self.session, &self.layout).await?;
            let options = ProvisionOptions { skip: false, force: true, with: Vec::new() };
            let plan = self.session.plan_provision(look.seen(), &provisioning, &look.selection, options)?;
            self.carry_out(plan, look.boxes, began).await
        };
        again.await.map_err(failed)
    }

    async fn halt(&self, topology: &Name) -> Result<Deed, LabError> {
        let began = Instant::now();
        let halt = async {
            let observed = self.observed(ObserveScope::MACHINES).await?;
            let selection = Selection::resolve(&[topology.to_string()], &self.session.workspace, &observed)?;
            let plan = reconcile::halt(&self.session.workspace, &observed, &selection);
            self.carry_out(plan, HostBoxes::new(), began).await
        };
        halt.await.map_err(failed)
    }

    async fn clear(&self) -> Result<Deed, LabError> {
        let began = Instant::now();
        let clear = async {
            let scope = ObserveScope { networks: true, volumes: true, ..ObserveScope::MACHINES };
            let observed = self.observed(scope).await?;
            let options = DestroyOptions { volumes: true };
            let plan = reconcile::destroy(&self.session.workspace, &observed, &Selection::All, options);
            self.carry_out(plan, HostBoxes::new(), began).await
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
            self.empty_cache()
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
