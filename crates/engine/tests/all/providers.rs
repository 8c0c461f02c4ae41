//! Two providers side by side: one graph, one budget, each with machines, networks and boxes of its own.

use crate::support::{digest, engine, lines, load};
use rig_engine::{
    BoxChoice, BoxTable, DestroyOptions, Engines, EventSink, Executor, Interrupt, PlanError, Provisioning, Selection,
    Session, UpOptions, reconcile,
};
use rig_model::{Event, Name, Observed, Plan, Workspace};
use rig_provider_api::{Context, Images, ObserveScope, Provider};
use rig_provider_fake::FakeProvider;
use rig_state::Layout;
use std::{sync::Arc, time::Duration};

const MIXED: &str = r#"
workspace "lab"
variable "where" "vms"
box "small" { image "small" }
topology "main" idiom="immutable" {
    defaults { box "small"; limits memory="3GiB" }
    machine "store" { provider "{where}"; ready tcp=80 }
    machine "web" count=1 { provider "docker"; after "store" is="ready" }
}
"#;

/// A backend of containers and one of virtual machines, on the same host.
struct Host {
    docker: FakeProvider,
    vms: FakeProvider,
}

struct Silent;

impl EventSink for Silent {
    fn emit(&self, _: Event) {}
}

impl Host {
    fn new() -> Self {
        let named = |name: &str| FakeProvider::new().named(Name::new(name).unwrap());
        let host = Self { docker: named("docker"), vms: named("vms") };
        for provider in host.each() {
            provider.machine("main/store").listens(80);
            provider.add_box(&Name::new("small").unwrap(), &digest(), None);
        }
        host
    }

    fn each(&self) -> [&FakeProvider; 2] {
        [&self.docker, &self.vms]
    }

    fn session(&self, workspace: &Workspace) -> Session {
        let members = self.each().map(|fake| Arc::new(fake.clone()) as Arc<dyn Provider>);
        Session::new(workspace.clone(), "/lab".into(), members, Vec::new(), Layout::new("/lab".into()))
    }

    async fn observe(&self, workspace: &Workspace) -> Observed {
        self.session(workspace).observe(&Context::alone(Duration::from_secs(5)), ObserveScope::ALL).await.unwrap()
    }

    /// The plan for a host with so much memory.
    async fn plan(&self, workspace: &Workspace, memory: u64) -> Result<Plan, Vec<PlanError>> {
        let name = Name::new("small").unwrap();
        let choice = |fake: &FakeProvider| BoxChoice {
            digest: digest(),
            image: fake.reference(&name, &digest()),
            parent: None,
            artifacts: Vec::new(),
            present: true,
            no_cache: false,
        };
        let boxes = self.each().map(|fake| ((fake.id().clone(), name.clone()), choice(fake)));
        let engines: Engines = self.each().map(|fake| (fake.id().clone(), engine(memory))).into();
        let desired = reconcile::Desired {
            workspace,
            folder: "/lab".into(),
            boxes: &BoxTable::from_iter(boxes),
            proxies: &[],
            provisioning: &Provisioning::default(),
            engines: &engines,
        };
        reconcile::up(desired, &self.observe(workspace).await, &Selection::All, &UpOptions::default())
    }

    async fn execute(&self, workspace: &Workspace, plan: &Plan) {
        let session = self.session(workspace);
        let executor = Executor {
            providers: session.providers.clone(),
            makes: Arc::new(crate::support::NoMakes { fake: self.docker.clone() }),
            access: session.access.clone(),
            sink: Arc::new(Silent),
            jobs: 8,
            interrupt: Interrupt::default(),
        };
        let report = executor.execute(plan).await;
        assert!(report.is_success(), "{:?}", report.failed);
    }
}

/// Who has which machines.
fn homes(observed: &Observed) -> Vec<String> {
    observed.machines.iter().map(|seen| format!("{} at {}", seen.id.machine, seen.provider)).collect()
}

#[tokio::test]
async fn one_graph_leads_over_providers() {
    let (workspace, host) = (load(MIXED, &[]), Host::new());
    let plan = host.plan(&workspace, 8 << 30).await.unwrap();
    let at = |plan: &Plan| {
        let provider = |operation: &rig_model::Operation| operation.provider.as_ref().unwrap().to_string();
        plan.operations.iter().map(provider).collect::<Vec<_>>().join(" ")
    };
    insta::with_settings!({filters => [(r"10\.89\.\d+", "10.89.N")]}, {
        insta::assert_snapshot!(lines(&plan), @r"
         1 create network main/default 10.89.N.0/24 (not there yet) <- []
         2 create machine main/store (not there yet) <- [1]
         3 start machine main/store (not there yet) <- [2]
         4 await machine main/store ready (not there yet) <- [3]
         5 create network main/default 10.89.N.0/24 (not there yet) <- []
         6 create machine main/web1 (not there yet) <- [5]
         7 start machine main/web1 (not there yet) <- [4 6]
        ");
    });
    assert_eq!(at(&plan), "vms vms vms vms docker docker docker");
    host.execute(&workspace, &plan).await;
    let observed = host.observe(&workspace).await;
    assert_eq!(homes(&observed), ["store at vms", "web1 at docker"]);
    // Each has what is its own, and the addresses are of one range.
    assert_eq!(observed.networks.len(), 2);
    assert_eq!(observed.networks[0].subnet, observed.networks[1].subnet);
    assert_ne!(observed.machines[0].addresses, observed.machines[1].addresses);
    assert!(host.plan(&workspace, 8 << 30).await.unwrap().operations.is_empty());
    let plan = reconcile::destroy(&workspace, &observed, &Selection::All, DestroyOptions::default());
    host.execute(&workspace, &plan).await;
    let left = host.observe(&workspace).await;
    assert!(left.machines.is_empty() && left.networks.is_empty(), "{left:?}");
}

#[tokio::test]
async fn a_machine_moves_to_another_provider() {
    let (workspace, host) = (load(MIXED, &[]), Host::new());
    host.execute(&workspace, &host.plan(&workspace, 8 << 30).await.unwrap()).await;
    let moved = load(MIXED, &[("where", "docker")]);
    let plan = host.plan(&moved, 8 << 30).await.unwrap();
    let destroyed = plan.operations.iter().find(|operation| operation.action.verb() == "destroy").unwrap();
    assert_eq!(destroyed.cause.to_string(), "provider: vms → docker");
    assert_eq!(destroyed.provider.as_ref().unwrap().as_str(), "vms");
    host.execute(&moved, &plan).await;
    assert_eq!(homes(&host.observe(&moved).await), ["store at docker", "web1 at docker"]);
}

#[tokio::test]
async fn a_copy_elsewhere_goes_and_its_volumes_are_spoken_of() {
    let text = MIXED.replace("ready tcp=80", "ready tcp=80; volume \"data\" \"/data\"");
    let (workspace, host) = (load(&text, &[]), Host::new());
    host.execute(&workspace, &host.plan(&workspace, 8 << 30).await.unwrap()).await;
    let moved = load(&text, &[("where", "docker")]);
    let plan = host.plan(&moved, 8 << 30).await.unwrap();
    assert!(plan.notes[0].text.contains("stay at provider vms"), "{:?}", plan.notes);
    host.execute(&moved, &plan).await;
    // Somebody else's rig made it there again meanwhile: that one goes, the one at home stays as it is.
    let before = host.observe(&moved).await;
    let again = host.plan(&workspace, 8 << 30).await.unwrap();
    let made: Vec<_> = again.operations.iter().filter(|operation| operation.action.verb() == "create").collect();
    host.execute(&workspace, &Plan { operations: made.into_iter().cloned().map(alone).collect(), ..again.clone() })
        .await;
    assert_eq!(homes(&host.observe(&moved).await), ["store at docker", "store at vms", "web1 at docker"]);
    let plan = host.plan(&moved, 8 << 30).await.unwrap();
    assert_eq!(plan.operations.iter().filter(|operation| operation.action.verb() == "create").count(), 0);
    host.execute(&moved, &plan).await;
    let after = host.observe(&moved).await;
    assert_eq!(homes(&after), ["store at docker", "web1 at docker"]);
    assert_eq!(after.machines[0].native, before.machines[0].native);
    // Everything goes, wherever it is.
    let plan = reconcile::destroy(&moved, &after, &Selection::All, DestroyOptions { volumes: true });
    host.execute(&moved, &plan).await;
    let left = host.observe(&moved).await;
    assert!(left.machines.is_empty() && left.networks.is_empty() && left.volumes.is_empty(), "{left:?}");
}

/// The same operation, behind nothing.
fn alone(operation: rig_model::Operation) -> rig_model::Operation {
    rig_model::Operation { after: Vec::new(), ..operation }
}

#[tokio::test]
async fn a_provider_without_boxes_is_asked_for_none() {
    let (workspace, host) = (load(MIXED, &[("where", "docker")]), Host::new());
    let session = host.session(&workspace);
    let boxes = session.boxes_for(&Selection::All);
    assert_eq!(boxes.keys().map(Name::as_str).collect::<Vec<_>>(), ["docker"]);
    assert_eq!(session.homes_of(&boxes[&boxes.keys().next().unwrap().clone()]), boxes);
}

#[tokio::test]
async fn engines_of_one_host_share_its_memory() {
    let (workspace, host) = (load(MIXED, &[]), Host::new());
    let errors = host.plan(&workspace, 5 << 30).await.unwrap_err();
    assert!(matches!(&errors[..], [PlanError::MemoryBudget { .. }]), "{errors:?}");
}

#[tokio::test]
async fn a_provider_that_there_is_not_is_named_with_its_place() {
    let (workspace, host) = (load(MIXED, &[("where", "clouds")]), Host::new());
    let error = host.session(&workspace).validate(&Selection::All).unwrap_err().to_string();
    assert!(error.contains("clouds") && error.contains("workspace.kdl:7"), "{error}");
}
