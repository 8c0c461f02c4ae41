//! A small workspace, the fake provider, and plans for both.

use camino::Utf8PathBuf;
use rig_config::{NoSources, Overrides};
use rig_engine::{
    BoxChoice, BoxTable, EngineError, Engines, EventSink, Executor, Interrupt, Makes, PlanError, Provisioning, Report,
    Selection, Session, UpOptions, reconcile,
};
use rig_model::{ArtifactSpec, BoxName, Bytes, Digest, EngineFacts, Event, MilliCpus, Name, Observed, Plan, Workspace};
use rig_provider_api::{Context, Images, ObserveScope, Provider};
use rig_provider_fake::FakeProvider;
use rig_state::Layout;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

pub(crate) const CLUSTER: &str = r#"
workspace "lab"
variable "node-memory" "64MiB"
variable "nodes" 2
box "small" { image "small" }
topology "main" idiom="immutable" {
    defaults { box "small"; limits memory="64MiB" cpus=1 }
    machine "first" { ready tcp=80; volume "data" "/data"; env { TOKEN "secret" } }
    machine "node" count="{nodes}" {
        limits memory="{node-memory}"
        after "first" is="ready"
        env { FIRST "{first.ip}" }
        port 80 host="auto"
    }
}
"#;

pub(crate) fn load(text: &str, variables: &[(&str, &str)]) -> Workspace {
    let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let overrides = Overrides { variables, counts: BTreeMap::new() };
    rig_config::parse("workspace.kdl", text, &overrides, &NoSources).unwrap().workspace
}

/// The backend in memory under the name that files mean when they name none.
pub(crate) fn fake() -> FakeProvider {
    FakeProvider::new().named(Name::new("docker").unwrap())
}

pub(crate) fn digest() -> Digest {
    Digest::of(b"small")
}

pub(crate) fn boxes(fake: &FakeProvider, present: bool) -> BoxTable {
    let name = Name::new("small").unwrap();
    let image = fake.reference(&name, &digest());
    let choice = BoxChoice { digest: digest(), image, parent: None, artifacts: Vec::new(), present, no_cache: false };
    BoxTable::from_iter([((fake.id().clone(), name), choice)])
}

pub(crate) fn engine(memory: u64) -> EngineFacts {
    EngineFacts {
        endpoint: "fake".into(),
        chosen_by: "test".into(),
        version: "0".into(),
        memory: Bytes(memory),
        cpus: MilliCpus(8000),
        platform: "linux/amd64".into(),
        system: None,
        storage: None,
        local: true,
        ports_here: true,
    }
}

/// An engine with room for all machines of these tests.
pub(crate) fn engines() -> Engines {
    Engines::from([(fake().id().clone(), engine(8 << 30))])
}

pub(crate) fn plan(
    workspace: &Workspace,
    fake: &FakeProvider,
    observed: &Observed,
    selection: &Selection,
    options: &UpOptions,
) -> Result<Plan, Vec<PlanError>> {
    plan_with(workspace, fake, observed, selection, options, &Provisioning::default())
}

/// The plan for all machines of a workspace, as they are now.
pub(crate) async fn planned(workspace: &Workspace, fake: &FakeProvider) -> Result<Plan, Vec<PlanError>> {
    plan(workspace, fake, &observe(fake, workspace).await, &Selection::All, &UpOptions::default())
}

pub(crate) fn plan_with(
    workspace: &Workspace,
    fake: &FakeProvider,
    observed: &Observed,
    selection: &Selection,
    options: &UpOptions,
    provisioning: &Provisioning,
) -> Result<Plan, Vec<PlanError>> {
    let table = boxes(fake, !observed.boxes.is_empty());
    let desired = reconcile::Desired {
        workspace,
        folder: "/lab".into(),
        boxes: &table,
        proxies: &[],
        provisioning,
        engines: &engines(),
    };
    reconcile::up(desired, observed, selection, options)
}

/// One line per operation: number, what, why, behind what.
pub(crate) fn lines(plan: &Plan) -> String {
    plan.operations
        .iter()
        .map(|operation| {
            let after: Vec<String> = operation.after.iter().map(|op| op.0.to_string()).collect();
            format!("{:2} {} ({}) <- [{}]\n", operation.id.0, operation.action, operation.cause, after.join(" "))
        })
        .collect()
}

pub(crate) struct NoMakes {
    pub(crate) fake: FakeProvider,
}

#[async_trait::async_trait]
impl Makes for NoMakes {
    async fn fetch(&self, _: &Context, artifact: &ArtifactSpec) -> Result<Utf8PathBuf, EngineError> {
        Ok(Utf8PathBuf::from(artifact.name.as_str()))
    }
    async fn make_box(
        &self,
        _: &Context,
        _: &dyn Provider,
        name: &BoxName,
        digest: &Digest,
        _: bool,
    ) -> Result<(), EngineError> {
        self.fake.add_box(name, digest, None);
        Ok(())
    }
}

#[derive(Default)]
struct Recorder(Mutex<Vec<Event>>);

impl EventSink for Recorder {
    fn emit(&self, event: Event) {
        self.0.lock().unwrap().push(event);
    }
}

pub(crate) async fn execute(
    workspace: &Workspace,
    fake: &FakeProvider,
    plan: &Plan,
    jobs: usize,
    interrupt: Interrupt,
) -> Report {
    execute_in(Layout::new("/lab".into()), (workspace, fake), plan, jobs, interrupt).await
}

/// A workspace on one backend in memory.
pub(crate) fn session(workspace: &Workspace, fake: &FakeProvider) -> Session {
    session_in(Layout::new("/lab".into()), workspace, fake)
}

/// The same beside a state folder.
fn session_in(layout: Layout, workspace: &Workspace, fake: &FakeProvider) -> Session {
    let members = [Arc::new(fake.clone()) as Arc<dyn Provider>];
    Session::new(workspace.clone(), "/lab".into(), members, Vec::new(), layout)
}

/// Carries a plan out beside a state folder.
pub(crate) async fn execute_in(
    layout: Layout,
    (workspace, fake): (&Workspace, &FakeProvider),
    plan: &Plan,
    jobs: usize,
    interrupt: Interrupt,
) -> Report {
    // No plan of these tests goes over SSH.
    let session = session_in(layout, workspace, fake);
    let executor = Executor {
        providers: session.providers.clone(),
        access: session.access.clone(),
        makes: Arc::new(NoMakes { fake: fake.clone() }),
        sink: Arc::new(Recorder::default()),
        jobs,
        interrupt,
    };
    executor.execute(plan).await
}

pub(crate) async fn observe(fake: &FakeProvider, workspace: &Workspace) -> Observed {
    fake.observe(&Context::alone(Duration::from_secs(5)), &workspace.name, ObserveScope::ALL).await.unwrap()
}

/// A cluster that is up.
pub(crate) async fn up(workspace: &Workspace) -> FakeProvider {
    let fake = fake();
    fake.machine("main/first").listens(80);
    let plan = planned(workspace, &fake).await.unwrap();
    let report = execute(workspace, &fake, &plan, 8, Interrupt::default()).await;
    assert!(report.is_success(), "{:?}", report.failed);
    fake
}
