//! Steps between start and readiness.

use crate::support::{execute, fake, lines, load, observe, plan, plan_with, planned};
use rig_engine::{Interrupt, ProvisionOptions, Provisioning, Selection, UpOptions};
use rig_model::{Action, MachineState, Observed, Plan, StepRecord, Workspace};
use rig_provider_fake::FakeProvider;

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
    let fake = fake();
    let mut plan = planned(workspace, &fake).await.unwrap();
    let keeps = |action: &Action| {
        !matches!(action, Action::Connect { .. } | Action::Provision { .. } | Action::AwaitReady { .. })
    };
    plan.operations.retain(|operation| keeps(&operation.action));
    for operation in &mut plan.operations {
        operation.after.clear();
    }
    let report = execute(workspace, &fake, &plan, 1, Interrupt::default()).await;
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
    let fake = fake();
    let plan = planned(&workspace, &fake).await.unwrap();
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
    // A copy of folders that was cut is continued, and one that is there needs nothing.
    let mut copying = done.clone();
    copying.copies.extend(copying.records.keys().cloned());
    copying.records.values_mut().next_back().unwrap().has_folders = true;
    insta::assert_snapshot!(lines(&all(&workspace, &copying)), @r"
    1 connect machine main/node1 (needed by the folders of machine main/node1) <- []
    2 await machine main/node1 ready (follows the copy of its folders) <- [1]
    3 await machine main/node2 ready (running, but not ready) <- [2]
    ");
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
    let fake = fake();
    let plan = planned(&workspace, &fake).await.unwrap();
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
