//! Machines are suspended and go on.

use crate::support::{CLUSTER, engines, execute, lines, load, observe, planned, up};
use rig_engine::{Engines, Interrupt, PlanError, Selection, reconcile};
use rig_model::{MachineState, Observed};
use rig_provider_fake::FakeProvider;

async fn suspended(fake: &FakeProvider, workspace: &rig_model::Workspace) -> Observed {
    let observed = observe(fake, workspace).await;
    let plan = reconcile::suspend(workspace, &observed, &Selection::All);
    let report = execute(workspace, fake, &plan, 8, Interrupt::default()).await;
    assert!(report.is_success(), "{:?}", report.failed);
    observe(fake, workspace).await
}

#[tokio::test]
async fn what_others_wait_for_is_suspended_last_and_goes_on_first() {
    let workspace = load(CLUSTER, &[]);
    let fake = up(&workspace).await;
    let plan = reconcile::suspend(&workspace, &observe(&fake, &workspace).await, &Selection::All);
    insta::assert_snapshot!(lines(&plan), @r"
    1 suspend machine main/node2 (requested) <- []
    2 suspend machine main/node1 (requested) <- []
    3 suspend machine main/first (requested) <- [1 2]
    ");
    let observed = suspended(&fake, &workspace).await;
    assert!(observed.machines.iter().all(|seen| seen.state == MachineState::Paused));
    // Nothing is left to do for a second time.
    assert!(reconcile::suspend(&workspace, &observed, &Selection::All).operations.is_empty());
    let plan = reconcile::resume(&workspace, &observed, &Selection::All, &engines()).unwrap();
    insta::assert_snapshot!(lines(&plan), @r"
    1 resume machine main/first (requested) <- []
    2 resume machine main/node1 (requested) <- [1]
    3 resume machine main/node2 (requested) <- [1]
    4 await machine main/first ready (requested) <- [1 2 3]
    ");
    let report = execute(&workspace, &fake, &plan, 8, Interrupt::default()).await;
    assert!(report.is_success(), "{:?}", report.failed);
    let observed = observe(&fake, &workspace).await;
    assert!(observed.machines.iter().all(|seen| seen.state == MachineState::Running));
    assert!(reconcile::resume(&workspace, &observed, &Selection::All, &engines()).unwrap().operations.is_empty());
}

#[tokio::test]
async fn up_lets_suspended_machines_go_on_and_halt_stops_them() {
    let workspace = load(CLUSTER, &[]);
    let fake = up(&workspace).await;
    let observed = suspended(&fake, &workspace).await;
    insta::assert_snapshot!(lines(&reconcile::halt(&workspace, &observed, &Selection::All)), @r"
    1 stop machine main/node2 (requested) <- []
    2 stop machine main/node1 (requested) <- []
    3 stop machine main/first (requested) <- [1 2]
    ");
    insta::assert_snapshot!(lines(&planned(&workspace, &fake).await.unwrap()), @r"
    1 resume machine main/first (it is paused) <- []
    2 await machine main/first ready (it is paused) <- [1]
    3 resume machine main/node1 (it is paused) <- [2]
    4 resume machine main/node2 (it is paused) <- [2]
    ");
}

#[tokio::test]
async fn machines_go_on_only_where_there_is_room() {
    let workspace = load(CLUSTER, &[]);
    let fake = up(&workspace).await;
    let observed = suspended(&fake, &workspace).await;
    let small = Engines::from([(observed.machines[0].provider.clone(), crate::support::engine(100 << 20))]);
    let refused = reconcile::resume(&workspace, &observed, &Selection::All, &small).unwrap_err();
    assert!(matches!(refused, PlanError::MemoryBudget { .. }), "{refused}");
}
