//! Machines that are there and that the file does not declare, or not any more.

use super::Planner;
use crate::{PlanError, Selection, reconcile::down};
use rig_model::{Action, Cause, MachineId, MachineState, Name, OpId, PlanNote};
use std::collections::BTreeMap;

impl Planner<'_> {
    /// Removes machines that the file does not declare. Those of one group go one by one, the last one first.
    pub(super) fn remove_undeclared(&mut self, selection: &Selection) -> Vec<PlanError> {
        let mut refused = Vec::new();
        let mut left: BTreeMap<(&Name, &Name), OpId> = BTreeMap::new();
        let mut gone: BTreeMap<&MachineId, OpId> = BTreeMap::new();
        for seen in self.observed.machines.iter().rev() {
            if self.desired.workspace.machine(&seen.id).is_some() || !selection.contains(&seen.id) {
                continue;
            }
            let topology = self.desired.workspace.topologies.get(&seen.id.topology);
            let count = topology.and_then(|topology| topology.counts.get(&seen.group)).filter(|_| seen.index.is_some());
            let cause = if let Some(count) = count {
                Cause::ScaledDown { count: *count }
            } else if self.options.remove_orphans {
                Cause::Undeclared
            } else {
                self.graph.note(PlanNote {
                    text: format!("machine {} is there, but the file does not declare it", seen.id),
                    hint: Some(format!("`rig destroy {}` or `rig up --remove-orphans` removes it", seen.id)),
                    origin: None,
                });
                continue;
            };
            let leave = topology.and_then(|topology| topology.leaves.get(&seen.group));
            let leave = leave.filter(|_| count.is_some() && !self.options.force_leave);
            if leave.is_some() && seen.state != MachineState::Running {
                refused.push(PlanError::CannotLeave { machine: seen.id.clone(), state: seen.state.to_string() });
                continue;
            }
            let group = (&seen.id.topology, &seen.group);
            let before = left.get(&group).copied();
            let handed_over = leave.map(|leave| {
                let action =
                    Action::Leave { machine: seen.id.clone(), command: leave.command.clone(), timeout: leave.timeout };
                self.graph.ask(&seen.provider, action, cause.clone(), before)
            });
            let op = down::remove(&mut self.graph, self.desired.workspace, seen, &cause, handed_over);
            self.removed.push(op);
            gone.insert(&seen.id, op);
            if leave.is_some() {
                left.insert(group, op);
            }
            if leave.is_some_and(|leave| leave.remove_volumes) {
                for volume in self.observed.volumes.iter().filter(|volume| volume.machine == seen.id) {
                    let action = Action::RemoveVolume {
                        machine: volume.machine.clone(),
                        name: volume.name.clone(),
                        native: volume.native.clone(),
                    };
                    self.removed.push(self.graph.ask(&volume.provider, action, cause.clone(), [op]));
                }
            }
        }
        if self.options.remove_orphans && selection.is_all() {
            self.remove_orphaned_networks(&gone);
        }
        refused
    }

    /// Removes the networks of topologies that the file does not declare, once the machines on them are gone.
    fn remove_orphaned_networks(&mut self, gone: &BTreeMap<&MachineId, OpId>) {
        let topologies = &self.desired.workspace.topologies;
        for network in self.observed.networks.iter().filter(|network| !topologies.contains_key(&network.topology)) {
            let members = gone.iter().filter(|(id, _)| id.topology == network.topology).map(|(_, op)| *op);
            let action = Action::RemoveNetwork {
                topology: network.topology.clone(),
                name: network.name.clone(),
                native: network.native.clone(),
            };
            let members: Vec<OpId> = members.collect();
            self.removed.push(self.graph.ask(&network.provider, action, Cause::Undeclared, members));
        }
    }
}
