//! Machines, networks and volumes.

use crate::support::{CLUSTER, execute, fake, lines, load, observe, plan, planned, up};
use rig_engine::{DestroyOptions, Interrupt, Selection, Session, UpOptions, reconcile};
use rig_model::{Action, Name, Plan};
use rig_provider_fake::Verb;
use rig_state::Layout;
use std::time::Duration;

#[tokio::test]
async fn from_nothing() {
    let workspace = load(CLUSTER, &[]);
    let fake = fake();
    let plan = planned(&workspace, &fake).await.unwrap();
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
async fn machines_reach_each_other_past_a_proxy() {
    let workspace = load(CLUSTER, &[]);
    let proxies = |list: &[(&str, &str)]| {
        let list = list.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Session::new(workspace.clone(), "/lab".into(), [], list, Layout::new("/lab".into())).proxies
    };
    assert_eq!(proxies(&[]), []);
    let both = proxies(&[("no_proxy", "intra.net, node1"), ("http_proxy", "http://proxy:3128")]);
    assert_eq!(both[0].0, "http_proxy");
    assert_eq!(both[1], ("no_proxy".to_owned(), "intra.net,node1,127.0.0.1,first,localhost,node2".to_owned()));
}

#[tokio::test]
async fn nothing_to_do_is_empty() {
    let workspace = load(CLUSTER, &[]);
    let fake = up(&workspace).await;
    let again = planned(&workspace, &fake).await.unwrap();
    insta::assert_snapshot!(lines(&again), @"");
}

#[tokio::test]
async fn a_changed_limit_names_its_field_and_touches_nothing_else() {
    let fake = up(&load(CLUSTER, &[])).await;
    let workspace = load(CLUSTER, &[("node-memory", "72MiB")]);
    let plan = planned(&workspace, &fake).await.unwrap();
    insta::assert_snapshot!(lines(&plan), @r"
     1 destroy machine main/node1 (limits.memory: 64MiB → 72MiB) <- []
     2 destroy machine main/node2 (limits.memory: 64MiB → 72MiB) <- []
     3 create machine main/node1 (limits.memory: 64MiB → 72MiB) <- [1 2]
     4 start machine main/node1 (limits.memory: 64MiB → 72MiB) <- [3]
     5 create machine main/node2 (limits.memory: 64MiB → 72MiB) <- [1 2]
     6 start machine main/node2 (limits.memory: 64MiB → 72MiB) <- [5]
    ");
    let report = execute(&workspace, &fake, &plan, 8, Interrupt::default()).await;
    assert!(report.is_success(), "{:?}", report.failed);
    let again = planned(&workspace, &fake).await.unwrap();
    assert!(again.operations.is_empty());
}

#[tokio::test]
async fn a_network_that_cannot_be_changed_is_refused_before_anything_goes() {
    let fake = up(&load(CLUSTER, &[])).await;
    let workspace =
        load(&CLUSTER.replace("    defaults {", "    network \"default\" internal=#true\n    defaults {"), &[]);
    let errors = planned(&workspace, &fake).await.unwrap_err();
    insta::assert_snapshot!(errors[0], @"workspace.kdl:7: network main/default: internal is false, the file says true; that cannot be changed while it exists");
}

#[tokio::test]
async fn an_unfinished_one_shot_is_waited_for() {
    let text = CLUSTER
        .replace("machine \"first\" { ready tcp=80;", "machine \"first\" {")
        .replace("is=\"ready\"", "is=\"done\"");
    let workspace = load(&text, &[]);
    let fake = fake();
    let whole = planned(&workspace, &fake).await.unwrap();
    // Interrupted behind the start of the one-shot.
    let begun = Plan { operations: whole.operations.iter().filter(|op| op.id.0 <= 4).cloned().collect(), ..whole };
    assert!(execute(&workspace, &fake, &begun, 8, Interrupt::default()).await.is_success());
    let rest = planned(&workspace, &fake).await.unwrap();
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
    let plan = planned(&workspace, &fake).await.unwrap();
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
async fn the_network_of_a_topology_that_is_no_longer_in_the_file_goes_with_its_machines() {
    let fake = up(&load(CLUSTER, &[])).await;
    let workspace = load(&CLUSTER.replace("topology \"main\"", "topology \"other\""), &[]);
    let observed = observe(&fake, &workspace).await;
    let options = UpOptions { remove_orphans: true, ..UpOptions::default() };
    let plan = plan(&workspace, &fake, &observed, &Selection::All, &options).unwrap();
    assert!(lines(&plan).contains("remove network main/default (no longer in the file) <- ["), "{}", lines(&plan));
    let quiet = planned(&workspace, &fake).await.unwrap();
    assert!(!lines(&quiet).contains("remove network"), "{}", lines(&quiet));
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
    let fake = fake();
    let errors = planned(&workspace, &fake).await.unwrap_err();
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
    let fake = fake();
    fake.machine("main/first").listens(80);
    fake.on(Verb::Create).of("main/node1").fails("no room");
    let plan = planned(&workspace, &fake).await.unwrap();
    let report = execute(&workspace, &fake, &plan, 8, Interrupt::default()).await;
    assert_eq!(report.failed.len(), 1);
    assert!(report.failed[0].error.to_string().contains("no room"));
    assert_eq!(report.left, vec!["start machine main/node1"]);
    assert_eq!(report.done, plan.operations.len() - 2);
}

#[tokio::test]
async fn one_job_means_one_after_the_other() {
    let workspace = load(CLUSTER, &[("nodes", "6")]);
    let fake = fake();
    fake.machine("main/first").listens(80);
    fake.on(Verb::Create).takes(Duration::from_millis(5));
    let plan = planned(&workspace, &fake).await.unwrap();
    fake.forget_calls();
    let report = execute(&workspace, &fake, &plan, 1, Interrupt::default()).await;
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
    let fake = fake();
    // Nobody listens: the wait would go on to its time-out.
    let plan = planned(&workspace, &fake).await.unwrap();
    let interrupt = Interrupt::default();
    let stop = interrupt.stop.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(300)).await;
        stop.cancel();
    });
    let report = execute(&workspace, &fake, &plan, 8, interrupt).await;
    assert!(report.interrupted);
    assert!(report.failed.is_empty(), "{:?}", report.failed);
    assert!(report.left.contains(&"start machine main/node1".to_owned()), "{:?}", report.left);
}

#[tokio::test]
async fn a_machine_that_dies_ends_the_wait_with_its_log() {
    let workspace = load(CLUSTER, &[]);
    let fake = fake();
    fake.machine("main/first").prints("out of luck").dies(Duration::from_millis(50), 3);
    let plan = planned(&workspace, &fake).await.unwrap();
    let report =
        tokio::time::timeout(Duration::from_secs(10), execute(&workspace, &fake, &plan, 8, Interrupt::default()))
            .await
            .unwrap();
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
