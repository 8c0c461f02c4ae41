//! Golden plans: what a file and an observation lead to, as people read it.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends")]

use camino::Utf8PathBuf;
use rig_config::{NoSources, Overrides};
use rig_engine::{
    Access, BoxChoice, BoxTable, DestroyOptions, EngineError, EventSink, Executor, Interrupt, Makes, PlanError,
    ProvisionOptions, Provisioning, Report, Selection, Session, UpOptions, reconcile,
};
use rig_model::{
    Action, ArtifactSpec, BoxName, Bytes, Digest, EngineFacts, Event, MachineState, MilliCpus, Name, Observed, Plan,
    StepRecord, Workspace,
};
use rig_provider_api::{Context, Images, ObserveScope, Provider};
use rig_provider_fake::{FakeProvider, Verb};
use rig_state::Layout;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

const CLUSTER: &str = r#"
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

fn load(text: &str, variables: &[(&str, &str)]) -> Workspace {
    let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let overrides = Overrides { variables, counts: BTreeMap::new() };
    rig_config::parse("workspace.kdl", text, &overrides, &NoSources).unwrap().workspace
}

fn digest() -> Digest {
    Digest::of(b"small")
}

fn boxes(fake: &FakeProvider, present: bool) -> BoxTable {
    let name = Name::new("small").unwrap();
    let image = fake.reference(&name, &digest());
    let choice = BoxChoice { digest: digest(), image, parent: None, artifacts: Vec::new(), present, no_cache: false };
    BoxTable::from_iter([(name, choice)])
}

fn engine(memory: u64) -> EngineFacts {
    EngineFacts {
        endpoint: "fake".into(),
        chosen_by: "test".into(),
        version: "0".into(),
        memory: Bytes(memory),
        cpus: MilliCpus(8000),
        platform: "linux/amd64".into(),
        local: true,
    }
}

fn plan(
    workspace: &Workspace,
    fake: &FakeProvider,
    observed: &Observed,
    selection: &Selection,
    options: &UpOptions,
) -> Result<Plan, Vec<PlanError>> {
    plan_with(workspace, fake, observed, selection, options, &Provisioning::default())
}

fn plan_with(
    workspace: &Workspace,
    fake: &FakeProvider,
    observed: &Observed,
    selection: &Selection,
    options: &UpOptions,
    provisioning: &Provisioning,
) -> Result<Plan, Vec<PlanError>> {
    let table = boxes(fake, !observed.boxes.is_empty());
    let facts = engine(8 << 30);
    let desired = reconcile::Desired {
        workspace,
        folder: "/lab".into(),
        boxes: &table,
        proxies: &[],
        provisioning,
        engine: &facts,
    };
    reconcile::up(desired, observed, selection, options)
}

/// One line per operation: number, what, why, behind what.
fn lines(plan: &Plan) -> String {
    plan.operations
        .iter()
        .map(|operation| {
            let after: Vec<String> = operation.after.iter().map(|op| op.0.to_string()).collect();
            format!("{:2} {} ({}) <- [{}]\n", operation.id.0, operation.action, operation.cause, after.join(" "))
        })
        .collect()
}

struct NoMakes {
    fake: FakeProvider,
}

#[async_trait::async_trait]
impl Makes for NoMakes {
    async fn fetch(&self, _: &Context, artifact: &ArtifactSpec) -> Result<Utf8PathBuf, EngineError> {
        Ok(Utf8PathBuf::from(artifact.name.as_str()))
    }
    async fn make_box(&self, _: &Context, name: &BoxName, digest: &Digest, _: bool) -> Result<(), EngineError> {
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

async fn execute(fake: &FakeProvider, plan: &Plan, jobs: usize, interrupt: Interrupt) -> Report {
    // No plan of these tests goes over SSH.
    let session = Session::new(load(CLUSTER, &[]), "/lab".into(), Arc::new(fake.clone()), Vec::new());
    let executor = Executor {
        provider: Arc::new(fake.clone()),
        access: Arc::new(Access::new(&session, Layout::new("/lab".into()))),
        makes: Arc::new(NoMakes { fake: fake.clone() }),
        sink: Arc::new(Recorder::default()),
        jobs,
        interrupt,
    };
    executor.execute(plan).await
}

async fn observe(fake: &FakeProvider, workspace: &Workspace) -> Observed {
    fake.observe(&Context::alone(Duration::from_secs(5)), &workspace.name, ObserveScope::ALL).await.unwrap()
}

/// A cluster that is up.
async fn up(workspace: &Workspace) -> FakeProvider {
    let fake = FakeProvider::new();
    fake.machine("main/first").listens(80);
    let nothing = observe(&fake, workspace).await;
    let plan = plan(workspace, &fake, &nothing, &Selection::All, &UpOptions::default()).unwrap();
    let report = execute(&fake, &plan, 8, Interrupt::default()).await;
    assert!(report.is_success(), "{:?}", report.failed);
    fake
}

#[tokio::test]
async fn from_nothing() {
    let workspace = load(CLUSTER, &[]);
    let fake = FakeProvider::new();
    let plan =
        plan(&workspace, &fake, &observe(&fake, &workspace).await, &Selection::All, &UpOptions::default()).unwrap();
    insta::with_settings!({filters => vec![(r"10\.89\.\d+\.0/24", "10.89.x.0/24")]}, {
        insta::assert_snapshot!(lines(&plan), @r"
         1 create network main/default 10.89.x.0/24 (not there yet) <- []
         2 build box small (needed by machine main/first) <- []
         3 create machine main/first (not there yet) <- [1 2]
         4 start machine main/first (not there yet) <- [3]
         5 await machine main/first ready (not there yet) <- [4]
         6 create machine main/node1 (not there yet) <- [1 2]
         7 start machine main/node1 (not there yet) <- [5 6]
         8 create machine main/node2 (not there yet) <- [1 2]
         9 start machine main/node2 (not there yet) <- [5 8]
        ");
    });
}

#[tokio::test]
async fn nothing_to_do_is_empty() {
    let workspace = load(CLUSTER, &[]);
    let fake = up(&workspace).await;
    let again =
        plan(&workspace, &fake, &observe(&fake, &workspace).await, &Selection::All, &UpOptions::default()).unwrap();
    insta::assert_snapshot!(lines(&again), @"");
}

#[tokio::test]
async fn a_changed_limit_names_its_field_and_touches_nothing_else() {
    let fake = up(&load(CLUSTER, &[])).await;
    let workspace = load(CLUSTER, &[("node-memory", "72MiB")]);
    let plan =
        plan(&workspace, &fake, &observe(&fake, &workspace).await, &Selection::All, &UpOptions::default()).unwrap();
    insta::assert_snapshot!(lines(&plan), @r"
     1 destroy machine main/node1 (limits.memory: 64MiB → 72MiB) <- []
     2 destroy machine main/node2 (limits.memory: 64MiB → 72MiB) <- []
     3 create machine main/node1 (limits.memory: 64MiB → 72MiB) <- [1 2]
     4 start machine main/node1 (limits.memory: 64MiB → 72MiB) <- [3]
     5 create machine main/node2 (limits.memory: 64MiB → 72MiB) <- [1 2]
     6 start machine main/node2 (limits.memory: 64MiB → 72MiB) <- [5]
    ");
    let report = execute(&fake, &plan, 8, Interrupt::default()).await;
    assert!(report.is_success(), "{:?}", report.failed);
    let again =
        self::plan(&workspace, &fake, &observe(&fake, &workspace).await, &Selection::All, &UpOptions::default())
            .unwrap();
    assert!(again.operations.is_empty());
}

#[tokio::test]
async fn a_network_that_cannot_be_changed_is_refused_before_anything_goes() {
    let fake = up(&load(CLUSTER, &[])).await;
    let workspace =
        load(&CLUSTER.replace("    defaults {", "    network \"default\" internal=#true\n    defaults {"), &[]);
    let errors =
        plan(&workspace, &fake, &observe(&fake, &workspace).await, &Selection::All, &UpOptions::default()).unwrap_err();
    insta::assert_snapshot!(errors[0], @"workspace.kdl:7: network main/default: internal is false, the file says true; that cannot be changed while it exists");
}

#[tokio::test]
async fn an_unfinished_one_shot_is_waited_for() {
    let text = CLUSTER
        .replace("machine \"first\" { ready tcp=80;", "machine \"first\" {")
        .replace("is=\"ready\"", "is=\"done\"");
    let workspace = load(&text, &[]);
    let fake = FakeProvider::new();
    let whole =
        plan(&workspace, &fake, &observe(&fake, &workspace).await, &Selection::All, &UpOptions::default()).unwrap();
    // Interrupted behind the start of the one-shot.
    let begun = Plan { operations: whole.operations.iter().filter(|op| op.id.0 <= 4).cloned().collect(), ..whole };
    assert!(execute(&fake, &begun, 8, Interrupt::default()).await.is_success());
    let rest =
        plan(&workspace, &fake, &observe(&fake, &workspace).await, &Selection::All, &UpOptions::default()).unwrap();
    insta::assert_snapshot!(lines(&rest), @r"
     1 await machine main/first done (running, but not ready) <- []
     2 create machine main/node1 (not there yet) <- []
     3 start machine main/node1 (not there yet) <- [1 2]
     4 create machine main/node2 (not there yet) <- []
     5 start machine main/node2 (not there yet) <- [1 4]
    ");
}

#[tokio::test]
async fn an_environment_value_is_compared_without_being_written_down() {
    let fake = up(&load(CLUSTER, &[])).await;
    let workspace = load(&CLUSTER.replace("TOKEN \"secret\"", "TOKEN \"other\""), &[]);
    let observed = observe(&fake, &workspace).await;
    assert!(!serde_json::to_string(&observed).unwrap().contains("\"secret\""), "a secret is in what is observed");
    let plan = plan(&workspace, &fake, &observed, &Selection::All, &UpOptions::default()).unwrap();
    let changes: Vec<&Action> = plan.operations.iter().map(|operation| &operation.action).collect();
    assert_eq!(changes.iter().filter(|action| matches!(action, Action::CreateMachine { .. })).count(), 1);
    assert!(lines(&plan).contains("env.TOKEN: sha256:"), "{}", lines(&plan));
}

#[tokio::test]
async fn scaling_down_removes_the_highest_numbers() {
    let fake = up(&load(CLUSTER, &[("nodes", "4")])).await;
    let workspace = load(CLUSTER, &[("nodes", "1")]);
    let plan =
        plan(&workspace, &fake, &observe(&fake, &workspace).await, &Selection::All, &UpOptions::default()).unwrap();
    insta::assert_snapshot!(lines(&plan), @r"
     1 destroy machine main/node4 (count is 1) <- []
     2 destroy machine main/node3 (count is 1) <- []
     3 destroy machine main/node2 (count is 1) <- []
    ");
}

#[tokio::test]
async fn orphans_are_named_and_only_removed_when_asked() {
    let fake = up(&load(CLUSTER, &[])).await;
    let text = CLUSTER
        .replace("machine \"first\"", "machine \"other\"")
        .replace("\"first\"", "\"other\"")
        .replace("first.ip", "other.ip");
    let workspace = load(&text, &[]);
    let observed = observe(&fake, &workspace).await;
    let quiet = plan(&workspace, &fake, &observed, &Selection::All, &UpOptions::default()).unwrap();
    assert!(!lines(&quiet).contains("main/first"));
    assert_eq!(quiet.notes.len(), 1);
    let options = UpOptions { remove_orphans: true, ..UpOptions::default() };
    let thorough = plan(&workspace, &fake, &observed, &Selection::All, &options).unwrap();
    assert!(lines(&thorough).contains("destroy machine main/first (no longer in the file)"), "{}", lines(&thorough));
}

#[tokio::test]
async fn destroying_ends_services_with_data_in_order_and_keeps_volumes() {
    let workspace = load(CLUSTER, &[]);
    let fake = up(&workspace).await;
    let observed = observe(&fake, &workspace).await;
    let kept = reconcile::destroy(&workspace, &observed, &Selection::All, DestroyOptions::default());
    insta::assert_snapshot!(lines(&kept), @r"
     1 stop machine main/first (requested) <- []
     2 destroy machine main/first (requested) <- [1]
     3 destroy machine main/node1 (requested) <- []
     4 destroy machine main/node2 (requested) <- []
     5 remove network main/default (requested) <- [2 3 4]
    ");
    let all = reconcile::destroy(&workspace, &observed, &Selection::All, DestroyOptions { volumes: true });
    assert!(lines(&all).contains("remove volume main/first/data (requested) <- [2]"), "{}", lines(&all));
    let halt = reconcile::halt(&workspace, &observed, &Selection::All);
    insta::assert_snapshot!(lines(&halt), @r"
     1 stop machine main/node2 (requested) <- []
     2 stop machine main/node1 (requested) <- []
     3 stop machine main/first (requested) <- [1 2]
    ");
}

#[tokio::test]
async fn more_memory_than_there_is_is_refused_with_the_list() {
    let workspace = load(CLUSTER, &[("node-memory", "6GiB")]);
    let fake = FakeProvider::new();
    let errors =
        plan(&workspace, &fake, &observe(&fake, &workspace).await, &Selection::All, &UpOptions::default()).unwrap_err();
    insta::assert_snapshot!(errors[0], @r"
    the machines may use 12.1GiB of memory, the engine has 8GiB:
         64MiB  main/first
          6GiB  main/node1
          6GiB  main/node2
    ");
}

#[tokio::test]
async fn a_failure_skips_what_depends_on_it_and_nothing_else() {
    let workspace = load(CLUSTER, &[]);
    let fake = FakeProvider::new();
    fake.machine("main/first").listens(80);
    fake.on(Verb::Create).of("main/node1").fails("no room");
    let plan =
        plan(&workspace, &fake, &observe(&fake, &workspace).await, &Selection::All, &UpOptions::default()).unwrap();
    let report = execute(&fake, &plan, 8, Interrupt::default()).await;
    assert_eq!(report.failed.len(), 1);
    assert!(report.failed[0].error.to_string().contains("no room"));
    assert_eq!(report.left, vec!["start machine main/node1"]);
    assert_eq!(report.done, plan.operations.len() - 2);
}

#[tokio::test]
async fn one_job_means_one_after_the_other() {
    let workspace = load(CLUSTER, &[("nodes", "6")]);
    let fake = FakeProvider::new();
    fake.machine("main/first").listens(80);
    fake.on(Verb::Create).takes(Duration::from_millis(5));
    let plan =
        plan(&workspace, &fake, &observe(&fake, &workspace).await, &Selection::All, &UpOptions::default()).unwrap();
    fake.forget_calls();
    let report = execute(&fake, &plan, 1, Interrupt::default()).await;
    assert!(report.is_success(), "{:?}", report.failed);
    let creates: Vec<_> = fake.calls().into_iter().filter(|call| call.verb == Verb::Create).collect();
    assert!(
        creates.windows(2).all(|pair| pair[0].ended < Some(pair[1].began)),
        "two machines were created at the same time"
    );
}

#[tokio::test]
async fn an_interruption_lets_calls_end_and_says_what_is_left() {
    let workspace = load(CLUSTER, &[]);
    let fake = FakeProvider::new();
    // Nobody listens: the wait would go on to its time-out.
    let plan =
        plan(&workspace, &fake, &observe(&fake, &workspace).await, &Selection::All, &UpOptions::default()).unwrap();
    let interrupt = Interrupt::default();
    let stop = interrupt.stop.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(300)).await;
        stop.cancel();
    });
    let report = execute(&fake, &plan, 8, interrupt).await;
    assert!(report.interrupted);
    assert!(report.failed.is_empty(), "{:?}", report.failed);
    assert!(report.left.contains(&"start machine main/node1".to_owned()), "{:?}", report.left);
}

#[tokio::test]
async fn a_machine_that_dies_ends_the_wait_with_its_log() {
    let workspace = load(CLUSTER, &[]);
    let fake = FakeProvider::new();
    fake.machine("main/first").prints("out of luck").dies(Duration::from_millis(50), 3);
    let plan =
        plan(&workspace, &fake, &observe(&fake, &workspace).await, &Selection::All, &UpOptions::default()).unwrap();
    let report =
        tokio::time::timeout(Duration::from_secs(10), execute(&fake, &plan, 8, Interrupt::default())).await.unwrap();
    assert_eq!(report.failed[0].error.to_string(), "machine main/first ended with exit code 3 while rig waited for it");
    assert_eq!(report.failed[0].error.tail(), ["out of luck"]);
}

#[test]
fn addresses_stay_when_machines_come_before() {
    let workspace = load(CLUSTER, &[]);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let fake = up(&workspace).await;
        let before = observe(&fake, &workspace).await;
        let text = CLUSTER.replace("machine \"first\"", "machine \"early\"\n    machine \"first\"");
        let workspace = load(&text, &[]);
        let addresses = reconcile::Addresses::assign(&workspace, &before).unwrap();
        let network = Name::new("default").unwrap();
        for seen in &before.machines {
            assert_eq!(addresses.ip(&seen.id, &network), Some(seen.addresses[0].1), "{}", seen.id);
        }
    });
}

const NAUGHTY: &str = r#"
workspace "lab"
variable "nodes" 2
variable "text" "one"
box "small" { image "small" }
topology "main" idiom="mutable" {
    defaults { box "small"; shell "base" inline="echo base" }
    machine "node" count="{nodes}" {
        serial
        shell "install" inline="echo {text}"
        service "server" { command "/bin/server" "{ip}"; after "node1" is="ready" }
        ready tcp=80
        leave "hand-over" timeout="1m" remove-volumes=#true
        volume "data" "/data"
    }
}
"#;

/// Brings the machines of a workspace up as far as the fake can: it has no SSH server.
async fn machines_alone(workspace: &Workspace) -> FakeProvider {
    let fake = FakeProvider::new();
    let nothing = observe(&fake, workspace).await;
    let mut plan = plan(workspace, &fake, &nothing, &Selection::All, &UpOptions::default()).unwrap();
    let keeps = |action: &Action| {
        !matches!(action, Action::Connect { .. } | Action::Provision { .. } | Action::AwaitReady { .. })
    };
    plan.operations.retain(|operation| keeps(&operation.action));
    for operation in &mut plan.operations {
        operation.after.clear();
    }
    let report = execute(&fake, &plan, 1, Interrupt::default()).await;
    assert!(report.is_success(), "{:?}", report.failed);
    fake
}

/// What is known after every step of a plan was done.
fn records(plan: &Plan, observed: &Observed) -> Provisioning {
    let mut provisioning = Provisioning::default();
    for operation in &plan.operations {
        let Action::Provision { machine, step, .. } = &operation.action else { continue };
        let seen = observed.machines.iter().find(|seen| seen.id == *machine).unwrap();
        let record = provisioning.records.entry(machine.clone()).or_default();
        record.native.clone_from(&seen.native);
        record.note(StepRecord { id: step.id.clone(), digest: step.digest(), fields: step.fields.clone() });
    }
    provisioning
}

#[tokio::test]
async fn steps_come_between_start_and_readiness() {
    let workspace = load(NAUGHTY, &[]);
    let fake = FakeProvider::new();
    let plan =
        plan(&workspace, &fake, &observe(&fake, &workspace).await, &Selection::All, &UpOptions::default()).unwrap();
    insta::with_settings!({filters => vec![(r"10\.89\.\d+\.0/24", "10.89.x.0/24")]}, {
        insta::assert_snapshot!(lines(&plan), @r"
         1 create network main/default 10.89.x.0/24 (not there yet) <- []
         2 build box small (needed by machine main/node1) <- []
         3 create machine main/node1 (not there yet) <- [1 2]
         4 start machine main/node1 (not there yet) <- [3]
         5 connect machine main/node1 (not there yet) <- [4]
         6 provision machine main/node1 base (not there yet) <- [5]
         7 provision machine main/node1 install (not there yet) <- [6]
         8 provision machine main/node1 service server (not there yet) <- [7]
         9 await machine main/node1 ready (not there yet) <- [8]
        10 create machine main/node2 (not there yet) <- [1 2]
        11 start machine main/node2 (not there yet) <- [9 10]
        12 connect machine main/node2 (not there yet) <- [11]
        13 provision machine main/node2 base (not there yet) <- [12]
        14 provision machine main/node2 install (not there yet) <- [13]
        15 provision machine main/node2 service server (not there yet) <- [9 14]
        16 await machine main/node2 ready (not there yet) <- [15]
        ");
    });
}

#[tokio::test]
async fn done_steps_stay_done_until_they_change() {
    let workspace = load(NAUGHTY, &[]);
    let fake = machines_alone(&workspace).await;
    let mut observed = observe(&fake, &workspace).await;
    observed.machines.iter_mut().for_each(|seen| seen.ready = Some(true));
    let all = |workspace: &Workspace, provisioning: &Provisioning| {
        plan_with(workspace, &fake, &observed, &Selection::All, &UpOptions::default(), provisioning).unwrap()
    };
    let first = all(&workspace, &Provisioning::default());
    let done = records(&first, &observed);
    assert_eq!(lines(&all(&workspace, &done)), "");
    let changed = load(NAUGHTY, &[("text", "two")]);
    insta::with_settings!({filters => vec![(r"sha256:[0-9a-f]{12}", "sha256:…")]}, {
        insta::assert_snapshot!(lines(&all(&changed, &done)), @r"
         1 connect machine main/node1 (needed by step install) <- []
         2 provision machine main/node1 install (script: sha256:… → sha256:…) <- [1]
         3 provision machine main/node1 service server (follows install) <- [2]
         4 await machine main/node1 ready (follows install) <- [3]
         5 connect machine main/node2 (needed by step install) <- []
         6 provision machine main/node2 install (script: sha256:… → sha256:…) <- [5]
         7 provision machine main/node2 service server (follows install) <- [4 6]
         8 await machine main/node2 ready (follows install) <- [4 7]
        ");
    });
    // Made anew, a machine has another identity, and what was done to the old one is of no use.
    let mut other = observed.clone();
    other.machines[0].native = "another".to_owned();
    let anew = plan_with(&workspace, &fake, &other, &Selection::All, &UpOptions::default(), &done).unwrap();
    assert!(lines(&anew).contains("provision machine main/node1 base (not there yet)"), "{}", lines(&anew));
    assert!(!lines(&anew).contains("main/node2 base"), "{}", lines(&anew));
}

#[tokio::test]
async fn a_step_tells_what_it_makes_undone() {
    let workspace = load(NAUGHTY, &[]);
    let fake = FakeProvider::new();
    let nothing = observe(&fake, &workspace).await;
    let plan = plan(&workspace, &fake, &nothing, &Selection::All, &UpOptions::default()).unwrap();
    let stale = |name: &str| -> Vec<String> {
        let of = plan.operations.iter().find_map(|operation| match &operation.action {
            Action::Provision { step, stale, .. } if step.id.name == name => Some(stale),
            _ => None,
        });
        of.unwrap().iter().map(ToString::to_string).collect()
    };
    assert_eq!(stale("base"), ["install", "service server"]);
    assert_eq!(stale("service server"), Vec::<String>::new());
}

#[tokio::test]
async fn a_machine_that_does_not_run_cannot_hand_over_and_stays() {
    let two = load(NAUGHTY, &[]);
    let fake = machines_alone(&two).await;
    let mut observed = observe(&fake, &two).await;
    observed.machines[1].state = MachineState::Exited;
    let one = load(NAUGHTY, &[("nodes", "1")]);
    let options = UpOptions { provision: ProvisionOptions { skip: true, ..Default::default() }, ..Default::default() };
    let errors = plan(&one, &fake, &observed, &Selection::All, &options).unwrap_err();
    assert_eq!(
        errors[0].to_string(),
        "machine main/node2 is exited: it cannot hand over what it has before it is removed"
    );
    let forced = UpOptions { force_leave: true, ..options };
    assert!(plan(&one, &fake, &observed, &Selection::All, &forced).is_ok());
}

#[tokio::test]
async fn machines_of_a_smaller_group_hand_over_one_by_one_before_they_go() {
    let three = load(NAUGHTY, &[("nodes", "3")]);
    let fake = machines_alone(&three).await;
    let mut observed = observe(&fake, &three).await;
    observed.machines.iter_mut().for_each(|seen| seen.ready = Some(true));
    let done = plan_with(&three, &fake, &observed, &Selection::All, &UpOptions::default(), &Provisioning::default());
    let done = records(&done.unwrap(), &observed);
    let one = load(NAUGHTY, &[("nodes", "1")]);
    let down = plan_with(&one, &fake, &observed, &Selection::All, &UpOptions::default(), &done).unwrap();
    insta::assert_snapshot!(lines(&down), @r"
     1 retire machine main/node3 (count is 1) <- []
     2 stop machine main/node3 (count is 1) <- [1]
     3 destroy machine main/node3 (count is 1) <- [2]
     4 remove volume main/node3/data (count is 1) <- [3]
     5 retire machine main/node2 (count is 1) <- [3]
     6 stop machine main/node2 (count is 1) <- [5]
     7 destroy machine main/node2 (count is 1) <- [6]
     8 remove volume main/node2/data (count is 1) <- [7]
    ");
    let options = UpOptions { force_leave: true, ..UpOptions::default() };
    let forced = plan_with(&one, &fake, &observed, &Selection::All, &options, &done).unwrap();
    assert!(!lines(&forced).contains("retire") && !lines(&forced).contains("remove volume"), "{}", lines(&forced));
}
