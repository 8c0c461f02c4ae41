//! Many machines at the same time.

use super::{
    Case, Outcome,
    case::{case, ensure, ensure_eq},
    stage::{Stage, name, reference},
};
use crate::ObserveScope;
use futures_util::future::try_join_all;
use rig_model::MachineState;
use std::collections::BTreeSet;

pub(super) fn cases() -> Vec<Case> {
    vec![case!(ten_machines_come_and_go_together)]
}

async fn ten_machines_come_and_go_together(stage: &Stage<'_>) -> Outcome {
    let machines: Vec<_> = (1..=10)
        .map(|index| {
            let mut machine = stage.machine(&format!("scale{index}"));
            machine.group = name("scale");
            machine.index = Some(index);
            machine
        })
        .collect();
    try_join_all(machines.iter().map(|machine| stage.up(machine))).await?;
    let seen = stage.provider.observe(&stage.cx, &stage.fixture.workspace, ObserveScope::MACHINES).await?.machines;
    ensure_eq!(seen.len(), machines.len(), "machines that are there");
    // In the order of their numbers, not of their names: 10 stands behind 9.
    for (seen, machine) in seen.iter().zip(&machines) {
        ensure_eq!(seen.id, machine.id, "in this place stands");
        ensure_eq!(seen.state, MachineState::Running, "{} is", seen.id);
        let address = machine.networks.iter().find_map(|at| at.ip);
        ensure_eq!(seen.addresses.first().map(|(_, ip)| *ip), address, "the address of {} is", seen.id);
    }
    let natives: BTreeSet<_> = seen.iter().map(|machine| &machine.native).collect();
    ensure_eq!(natives.len(), machines.len(), "identifiers");
    try_join_all(machines.iter().map(|machine| async { stage.provider.destroy(&stage.cx, &reference(machine)).await }))
        .await?;
    let left = stage.provider.observe(&stage.cx, &stage.fixture.workspace, ObserveScope::MACHINES).await?.machines;
    ensure!(left.is_empty(), "{} machines are left", left.len());
    Ok(())
}
