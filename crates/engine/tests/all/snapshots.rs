//! Snapshots of a topology: plans, and what they do.

use crate::support::{CLUSTER, engines, execute, execute_in, lines, load, observe, planned, session, up};
use camino::Utf8Path;
use rig_drift::Manifest;
use rig_engine::{DestroyOptions, EngineError, Interrupt, PlanError, Selection, reconcile};
use rig_model::{MachineId, MachineState, Name, Observed, StepId, StepRecord, Workspace};
use rig_provider_api::{Context, Exec, ExecRequest, MachineRef, Provider, StopMode};
use rig_provider_fake::{Capability, FakeProvider, Verb};
use rig_state::{Baseline, Layout, MachineRecord, SnapshotRecord};
use std::time::Duration;

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn machine(text: &str) -> MachineRef {
    MachineRef { workspace: name("lab"), id: MachineId::new(name("main"), name(text)) }
}

fn only(machines: &[&str]) -> Selection {
    Selection::Machines(machines.iter().map(|text| machine(text).id).collect())
}

fn context() -> Context {
    Context::alone(Duration::from_secs(10))
}

/// What is there, with snapshots.
async fn seen(fake: &FakeProvider, workspace: &Workspace) -> Observed {
    let session = session(workspace, fake);
    let observed = observe(fake, workspace).await;
    let snapshots =
        session.observe_snapshots(&context(), rig_provider_api::ObserveScope::MACHINES).await.unwrap().snapshots;
    Observed { snapshots, ..observed }
}

async fn shell(fake: &FakeProvider, on: &str, line: &str) {
    use futures_util::StreamExt;
    let command = ["/bin/sh", "-c", line].map(str::to_owned).to_vec();
    let request = ExecRequest { command, ..ExecRequest::default() };
    Exec::exec(fake, &context(), &machine(on), &request).await.unwrap().events.collect::<Vec<_>>().await;
}

/// A state folder that goes with the test.
fn folder() -> (tempfile::TempDir, Layout) {
    let folder = tempfile::tempdir().unwrap();
    let layout = Layout::new(Utf8Path::from_path(folder.path()).unwrap());
    (folder, layout)
}

/// A cluster that is up, and a snapshot of it.
async fn saved(workspace: &Workspace, layout: &Layout) -> FakeProvider {
    let fake = up(workspace).await;
    save(&fake, workspace, layout, "before").await;
    fake
}

async fn save(fake: &FakeProvider, workspace: &Workspace, layout: &Layout, snapshot: &str) {
    let observed = seen(fake, workspace).await;
    let plan = reconcile::save_snapshots(workspace, &observed, &Selection::All, &name(snapshot), false).unwrap();
    let report = execute_in(layout.clone(), (workspace, fake), &plan, 8, Interrupt::default()).await;
    assert!(report.is_success(), "{:?}", report.failed);
}

#[tokio::test]
async fn everything_stops_is_restored_and_starts_in_order() {
    let workspace = load(CLUSTER, &[]);
    let (_guard, layout) = folder();
    let fake = saved(&workspace, &layout).await;
    fake.stop(&context(), &machine("node2"), StopMode::Kill).await.unwrap();
    let observed = seen(&fake, &workspace).await;
    let plan =
        reconcile::restore_snapshots(&workspace, &observed, &Selection::All, &name("before"), &engines()).unwrap();
    insta::assert_snapshot!(lines(&plan), @r"
     1 stop machine main/node1 (requested) <- []
     2 stop machine main/first (requested) <- [1]
     3 restore machine main/first to snapshot before (requested) <- [1 2]
     4 restore machine main/node1 to snapshot before (requested) <- [1 2]
     5 restore machine main/node2 to snapshot before (requested) <- [1 2]
     6 start machine main/first (requested) <- [3 4 5]
     7 await machine main/first ready (requested) <- [6]
     8 start machine main/node1 (requested) <- [3 4 5 7]
     9 start machine main/node2 (requested) <- [3 4 5 7]
    ");
    let report = execute_in(layout, (&workspace, &fake), &plan, 8, Interrupt::default()).await;
    assert!(report.is_success(), "{:?}", report.failed);
    assert!(planned(&workspace, &fake).await.unwrap().operations.is_empty());
}

#[tokio::test]
async fn files_and_volumes_go_back_and_nothing_is_left_to_do() {
    let workspace = load(CLUSTER, &[]);
    let (_guard, layout) = folder();
    let fake = up(&workspace).await;
    shell(&fake, "first", "echo old > /file; echo old > /data/file").await;
    save(&fake, &workspace, &layout, "before").await;
    shell(&fake, "first", "echo new > /file; rm /data/file; echo new > /data/added").await;
    let observed = seen(&fake, &workspace).await;
    let all = Selection::All;
    let plan = reconcile::restore_snapshots(&workspace, &observed, &all, &name("before"), &engines()).unwrap();
    assert!(execute_in(layout, (&workspace, &fake), &plan, 8, Interrupt::default()).await.is_success());
    let file = |path| fake.file(&machine("first"), path).map(|content| String::from_utf8(content).unwrap());
    assert_eq!(file("/file").as_deref(), Some("old\n"));
    assert_eq!(file("/data/file").as_deref(), Some("old\n"));
    assert_eq!(file("/data/added"), None);
    assert!(planned(&workspace, &fake).await.unwrap().operations.is_empty());
}

#[tokio::test]
async fn what_was_known_of_a_machine_goes_to_its_next_identity() {
    let workspace = load(CLUSTER, &[]);
    let (_guard, layout) = folder();
    let fake = up(&workspace).await;
    let id = machine("first").id;
    let native = async || fake.inspect(&context(), &machine("first")).await.unwrap().unwrap().native;
    let step = |step: &str| StepRecord {
        id: StepId { recipe: None, name: step.to_owned() },
        digest: rig_model::Digest::of(step.as_bytes()),
        fields: Vec::new(),
    };
    let record = MachineRecord {
        native: native().await,
        host_keys: vec!["key".to_owned()],
        steps: vec![step("one")],
        ..MachineRecord::default()
    };
    record.save(&layout, &id).unwrap();
    let baseline = Baseline { native: record.native.clone(), manifest: Manifest::default(), ..Baseline::default() };
    baseline.save(&layout, &id).unwrap();
    save(&fake, &workspace, &layout, "before").await;
    let later = MachineRecord { steps: vec![step("one"), step("two")], ..record.clone() };
    later.save(&layout, &id).unwrap();
    Baseline::remove(&layout, &id).unwrap();

    let observed = seen(&fake, &workspace).await;
    let only_first = only(&["first"]);
    let plan = reconcile::restore_snapshots(&workspace, &observed, &only_first, &name("before"), &engines()).unwrap();
    assert!(execute_in(layout.clone(), (&workspace, &fake), &plan, 8, Interrupt::default()).await.is_success());
    let new = native().await;
    assert_ne!(new, record.native);
    let known = MachineRecord::load(&layout, &id).unwrap().unwrap();
    assert_eq!(known, MachineRecord { native: new.clone(), ..record });
    assert_eq!(Baseline::load(&layout, &id).unwrap().unwrap().native, new);
    // With the snapshot goes what was kept with it.
    let observed = seen(&fake, &workspace).await;
    let plan = reconcile::delete_snapshots(&workspace, &observed, &Selection::All, &name("before")).unwrap();
    assert!(execute_in(layout.clone(), (&workspace, &fake), &plan, 8, Interrupt::default()).await.is_success());
    assert_eq!(SnapshotRecord::load(&layout, &id, &name("before")).unwrap(), None);
}

#[tokio::test]
async fn a_machine_without_the_snapshot_is_named_before_anything_is_touched() {
    let workspace = load(CLUSTER, &[("nodes", "1")]);
    let (_guard, layout) = folder();
    let fake = saved(&workspace, &layout).await;
    let workspace = load(CLUSTER, &[]);
    let more = planned(&workspace, &fake).await.unwrap();
    assert!(execute(&workspace, &fake, &more, 8, Interrupt::default()).await.is_success());
    let observed = seen(&fake, &workspace).await;
    let restore = |selection: &Selection, snapshot: &str| {
        let plan = reconcile::restore_snapshots(&workspace, &observed, selection, &name(snapshot), &engines());
        plan.map(|plan| plan.operations.len()).map_err(|error| (error.to_string(), error.hint().unwrap_or_default()))
    };
    let (refused, hint) = restore(&Selection::All, "before").unwrap_err();
    assert_eq!(refused, "machine main/node2 has no snapshot before: nothing was touched");
    assert!(hint.contains("there are: before"), "{hint}");
    assert!(restore(&only(&["first", "node1"]), "before").is_ok());
    assert_eq!(restore(&Selection::All, "after").unwrap_err().0, "no machine has a snapshot after");
    assert!(restore(&only(&["first"]), "after").unwrap_err().0.contains("machine main/first has no snapshot after"));
    let unknown = reconcile::delete_snapshots(&workspace, &observed, &Selection::All, &name("after")).unwrap_err();
    assert_eq!(unknown.to_string(), "no machine has a snapshot after");
}

#[tokio::test]
async fn a_name_is_taken_until_it_is_replaced() {
    let workspace = load(CLUSTER, &[]);
    let (_guard, layout) = folder();
    let fake = saved(&workspace, &layout).await;
    let observed = seen(&fake, &workspace).await;
    let save = |selection: &Selection, force| {
        reconcile::save_snapshots(&workspace, &observed, selection, &name("before"), force)
    };
    let taken = save(&only(&["node1"]), false).unwrap_err();
    assert_eq!(taken.to_string(), "machine main/node1 has a snapshot before already");
    insta::assert_snapshot!(lines(&save(&only(&["node1"]), true).unwrap()), @r"
     1 delete snapshot before of machine main/node1 (requested) <- []
     2 save snapshot before of machine main/node1 (requested) <- [1]
    ");
    let plan = save(&Selection::All, true).unwrap();
    assert!(execute_in(layout, (&workspace, &fake), &plan, 8, Interrupt::default()).await.is_success());
    assert_eq!(seen(&fake, &workspace).await.snapshots.len(), 3);
}

#[tokio::test]
async fn the_newest_is_the_one_to_go_back_to() {
    let workspace = load(CLUSTER, &[]);
    let (_guard, layout) = folder();
    let fake = up(&workspace).await;
    let none = reconcile::newest_snapshot(&seen(&fake, &workspace).await, &Selection::All).unwrap_err();
    assert_eq!(none.to_string(), "no machine has a snapshot");
    assert!(none.hint().unwrap().contains("rig snapshot save"));
    for snapshot in ["zero", "one"] {
        save(&fake, &workspace, &layout, snapshot).await;
    }
    let observed = seen(&fake, &workspace).await;
    assert_eq!(reconcile::newest_snapshot(&observed, &Selection::All).unwrap(), name("one"));
}

#[tokio::test]
async fn destroying_machines_removes_their_snapshots() {
    let workspace = load(CLUSTER, &[]);
    let (_guard, layout) = folder();
    let fake = saved(&workspace, &layout).await;
    let observed = seen(&fake, &workspace).await;
    let plan = reconcile::destroy(&workspace, &observed, &only(&["node1"]), DestroyOptions::default());
    insta::assert_snapshot!(lines(&plan), @r"
     1 destroy machine main/node1 (requested) <- []
     2 delete snapshot before of machine main/node1 (requested) <- [1]
    ");
    let plan = reconcile::destroy(&workspace, &observed, &Selection::All, DestroyOptions::default());
    assert!(execute_in(layout, (&workspace, &fake), &plan, 8, Interrupt::default()).await.is_success());
    assert_eq!(seen(&fake, &workspace).await.snapshots, []);
}

#[tokio::test]
async fn one_failure_starts_nothing_and_the_same_command_goes_on() {
    let workspace = load(CLUSTER, &[]);
    let (_guard, layout) = folder();
    let fake = saved(&workspace, &layout).await;
    fake.on(Verb::RestoreSnapshot).of("main/node1 *").nth(1).fails("no space left on device");
    let restore = async || {
        let observed = seen(&fake, &workspace).await;
        let all = Selection::All;
        reconcile::restore_snapshots(&workspace, &observed, &all, &name("before"), &engines()).unwrap()
    };
    let report = execute_in(layout.clone(), (&workspace, &fake), &restore().await, 8, Interrupt::default()).await;
    assert_eq!(report.failed.len(), 1);
    assert!(report.failed[0].title.contains("main/node1"), "{}", report.failed[0].title);
    let running =
        |observed: &Observed| observed.machines.iter().filter(|seen| seen.state == MachineState::Running).count();
    assert_eq!(running(&observe(&fake, &workspace).await), 0, "a topology that is half restored runs");
    let report = execute_in(layout, (&workspace, &fake), &restore().await, 8, Interrupt::default()).await;
    assert!(report.is_success(), "{:?}", report.failed);
    assert_eq!(running(&observe(&fake, &workspace).await), 3);
}

#[tokio::test]
async fn what_was_made_otherwise_is_said() {
    let workspace = load(CLUSTER, &[]);
    let (_guard, layout) = folder();
    let fake = saved(&workspace, &layout).await;
    let larger = load(CLUSTER, &[("node-memory", "72MiB")]);
    let plan = planned(&larger, &fake).await.unwrap();
    assert!(execute(&workspace, &fake, &plan, 8, Interrupt::default()).await.is_success());
    let observed = seen(&fake, &larger).await;
    let node = only(&["node1"]);
    let plan = reconcile::restore_snapshots(&larger, &observed, &node, &name("before"), &engines()).unwrap();
    assert!(plan.notes[0].text.contains("machine main/node1 was made otherwise"), "{:?}", plan.notes);
    assert!(execute_in(layout, (&workspace, &fake), &plan, 8, Interrupt::default()).await.is_success());
    // The machine says itself what it is now.
    let after = planned(&larger, &fake).await.unwrap();
    assert!(lines(&after).contains("destroy machine main/node1 (limits.memory: 64MiB → 72MiB)"), "{}", lines(&after));
}

#[tokio::test]
async fn a_provider_without_snapshots_is_named_with_the_machine_and_its_place() {
    let workspace = load(CLUSTER, &[]);
    let fake = up(&workspace).await.without(Capability::Snapshots);
    assert!(fake.snapshots().is_none());
    let session = session(&workspace, &fake);
    let EngineError::Plan(errors) = session.must_have_snapshots(&only(&["first"])).unwrap_err() else { panic!() };
    assert!(matches!(&errors[..], [PlanError::Unsupported { .. }]));
    let said = errors[0].to_string();
    assert!(
        said.starts_with("workspace.kdl:8:")
            && said.contains("machine main/first: provider: provider docker has no snapshots"),
        "{said}"
    );
    // Everything else goes on as before.
    let observed = session.observe_snapshots(&context(), rig_provider_api::ObserveScope::MACHINES).await.unwrap();
    assert_eq!(observed.snapshots, []);
}

#[tokio::test]
async fn leftovers_of_a_save_go_with_the_next_command() {
    let workspace = load(CLUSTER, &[]);
    let fake = up(&workspace).await;
    let mut observed = observe(&fake, &workspace).await;
    let cut = |on: &str| rig_model::ObservedSnapshot {
        machine: machine(on).id,
        name: name("cut"),
        provider: name("docker"),
        taken: None,
    };
    observed.snapshots = vec![cut("first"), cut("node1")];
    let first = only(&["first"]);
    let plan = reconcile::save_snapshots(&workspace, &observed, &first, &name("new"), false).unwrap();
    insta::assert_snapshot!(lines(&plan), @r"
     1 delete snapshot cut of machine main/first (it is what a save left that was cut) <- []
     2 save snapshot new of machine main/first (requested) <- [1]
    ");
    assert!(reconcile::delete_snapshots(&workspace, &observed, &Selection::All, &name("cut")).is_ok());
}
