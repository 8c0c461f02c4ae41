//! Plans that take machines away.

use super::Graph;
use crate::Selection;
use rig_model::{Action, Cause, MachineId, MachineState, Observed, ObservedMachine, OpId, Plan, ProviderId, Workspace};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

/// How long a service has to end when its machine is not declared any more.
const UNDECLARED_GRACE: Duration = Duration::from_secs(10);

/// What `destroy` takes away beside machines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DestroyOptions {
    /// The volumes of the destroyed machines with their data.
    pub volumes: bool,
}

/// Stops machines, those that others wait for last. Suspended ones forget what they held in memory.
#[must_use]
pub fn halt(workspace: &Workspace, observed: &Observed, selection: &Selection) -> Plan {
    let mut graph = Graph::default();
    stop_all(&mut graph, workspace, observed, &|machine| selection.contains(machine));
    graph.finish(workspace)
}

/// Stops those of some machines that run or may go on, those that others wait for last.
pub(super) fn stop_all(
    graph: &mut Graph,
    workspace: &Workspace,
    observed: &Observed,
    selected: &dyn Fn(&MachineId) -> bool,
) -> Vec<OpId> {
    let goes_on = |state: MachineState| state.is_running() || state.can_resume() || state == MachineState::Restarting;
    let selected = |machine: &&ObservedMachine| selected(&machine.id) && goes_on(machine.state);
    let machines: Vec<&ObservedMachine> = observed.machines.iter().filter(selected).collect();
    each_dependents_first(graph, workspace, &machines, &|machine| stop(workspace, &machine.id))
}

/// Does the same to some machines, to those that others wait for last.
pub(super) fn each_dependents_first(
    graph: &mut Graph,
    workspace: &Workspace,
    machines: &[&ObservedMachine],
    action: &dyn Fn(&ObservedMachine) -> Action,
) -> Vec<OpId> {
    let mut done: BTreeMap<&MachineId, OpId> = BTreeMap::new();
    for machine in dependents_first(workspace, machines) {
        let dependents = machines.iter().filter(|other| {
            workspace
                .machine(&other.id)
                .is_some_and(|spec| spec.dependencies().any(|dependency| dependency.machine == machine.id))
        });
        let after: Vec<OpId> = dependents.filter_map(|other| done.get(&other.id).copied()).collect();
        let op = graph.ask(&machine.provider, action(machine), Cause::Requested, after);
        done.insert(&machine.id, op);
    }
    done.into_values().collect()
}

/// Removes machines with their snapshots, the networks that are then empty, and volumes only when asked.
#[must_use]
pub fn destroy(workspace: &Workspace, observed: &Observed, selection: &Selection, options: DestroyOptions) -> Plan {
    let mut graph = Graph::default();
    let mut gone: BTreeMap<(&ProviderId, &MachineId), OpId> = BTreeMap::new();
    for machine in observed.machines.iter().filter(|machine| selection.contains(&machine.id)) {
        let op = remove(&mut graph, workspace, machine, &Cause::Requested, []);
        gone.insert((&machine.provider, &machine.id), op);
    }
    for network in &observed.networks {
        let on = |machine: &&ObservedMachine| {
            machine.provider == network.provider && machine.id.topology == network.topology
        };
        let members: BTreeSet<_> =
            observed.machines.iter().filter(on).map(|machine| (&machine.provider, &machine.id)).collect();
        let empty = members.iter().all(|id| gone.contains_key(id));
        let meant = selection.is_all() || !members.is_empty();
        if empty && meant {
            let action = Action::RemoveNetwork {
                topology: network.topology.clone(),
                name: network.name.clone(),
                native: network.native.clone(),
            };
            let members = members.iter().filter_map(|id| gone.get(id).copied());
            graph.ask(&network.provider, action, Cause::Requested, members);
        }
    }
    for snapshot in observed.snapshots.iter().filter(|snapshot| selection.contains(&snapshot.machine)) {
        let action = Action::DeleteSnapshot { machine: snapshot.machine.clone(), name: snapshot.name.clone() };
        graph.ask(
            &snapshot.provider,
            action,
            Cause::Requested,
            gone.get(&(&snapshot.provider, &snapshot.machine)).copied(),
        );
    }
    if options.volumes {
        for volume in observed.volumes.iter().filter(|volume| selection.contains(&volume.machine)) {
            let action = Action::RemoveVolume {
                machine: volume.machine.clone(),
                name: volume.name.clone(),
                native: volume.native.clone(),
            };
            graph.ask(
                &volume.provider,
                action,
                Cause::Requested,
                gone.get(&(&volume.provider, &volume.machine)).copied(),
            );
        }
    }
    graph.finish(workspace)
}

/// Removes one machine. A service whose data outlives it gets the time to end in order; any other is not waited for.
pub(super) fn remove(
    graph: &mut Graph,
    workspace: &Workspace,
    machine: &ObservedMachine,
    cause: &Cause,
    after: impl IntoIterator<Item = OpId>,
) -> OpId {
    let keeps_data = machine.fields.iter().any(|field| field.path.starts_with("volume."));
    let mut after: Vec<OpId> = after.into_iter().collect();
    if keeps_data && machine.state.is_running() {
        after = vec![graph.ask(&machine.provider, stop(workspace, &machine.id), cause.clone(), after)];
    }
    graph.ask(&machine.provider, Action::DestroyMachine { machine: machine.id.clone() }, cause.clone(), after)
}

/// Stops one machine with the time that its file gives it.
pub(super) fn stop(workspace: &Workspace, machine: &MachineId) -> Action {
    let grace = workspace.machine(machine).map_or(UNDECLARED_GRACE, |spec| spec.stop_timeout);
    Action::StopMachine { machine: machine.clone(), grace }
}

/// Machines in an order in which one stands behind all that depend on it. `after` has no cycles.
fn dependents_first<'a>(workspace: &Workspace, machines: &[&'a ObservedMachine]) -> Vec<&'a ObservedMachine> {
    let mut order: Vec<&MachineId> = Vec::new();
    let mut visited: BTreeSet<&MachineId> = BTreeSet::new();
    fn visit<'w>(
        workspace: &'w Workspace,
        id: &'w MachineId,
        visited: &mut BTreeSet<&'w MachineId>,
        order: &mut Vec<&'w MachineId>,
    ) {
        if !visited.insert(id) {
            return;
        }
        if let Some(spec) = workspace.machine(id) {
            for dependency in spec.dependencies() {
                visit(workspace, &dependency.machine, visited, order);
            }
        }
        order.push(id);
    }
    for machine in machines {
        visit(workspace, &machine.id, &mut visited, &mut order);
    }
    order.iter().rev().filter_map(|id| machines.iter().find(|machine| machine.id == **id)).copied().collect()
}
