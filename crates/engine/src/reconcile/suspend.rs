//! Plans that suspend machines and let them go on.

use super::{Graph, budget, down::each_dependents_first, up::dependencies_first};
use crate::{Engines, PlanError, Selection};
use rig_model::{Action, Cause, MachineId, MachineState, Observed, ObservedMachine, OpId, Plan, Workspace};
use std::{collections::BTreeMap, net::Ipv4Addr};

/// Suspends machines that run, those that others wait for last.
#[must_use]
pub fn suspend(workspace: &Workspace, observed: &Observed, selection: &Selection) -> Plan {
    let mut graph = Graph::default();
    let runs = |seen: &&ObservedMachine| selection.contains(&seen.id) && seen.state == MachineState::Running;
    let machines: Vec<&ObservedMachine> = observed.machines.iter().filter(runs).collect();
    each_dependents_first(&mut graph, workspace, &machines, &|seen| Action::SuspendMachine {
        machine: seen.id.clone(),
    });
    graph.finish(workspace)
}

/// Lets suspended machines go on, each after those that it waits for, and waits until they are ready again.
///
/// # Errors
/// When they do not fit into the memory that is there, or a probe needs an address that nothing has.
pub fn resume(
    workspace: &Workspace,
    observed: &Observed,
    selection: &Selection,
    engines: &Engines,
) -> Result<Plan, PlanError> {
    let meant = |seen: &&ObservedMachine| selection.contains(&seen.id) && seen.state.can_resume();
    let machines: BTreeMap<&MachineId, &ObservedMachine> =
        observed.machines.iter().filter(meant).map(|seen| (&seen.id, seen)).collect();
    let budget = budget::check_budget(workspace, observed, &|id| machines.contains_key(id), engines)?;
    let mut graph = Graph::default();
    let mut resumed: BTreeMap<&MachineId, OpId> = BTreeMap::new();
    let ordered = dependencies_first(workspace).into_iter().filter_map(|spec| machines.get_key_value(&spec.id));
    let undeclared = machines.iter().filter(|(id, _)| workspace.machine(id).is_none());
    for (id, seen) in ordered.chain(undeclared) {
        let others = workspace.machine(id).into_iter().flat_map(|spec| spec.dependencies());
        let after: Vec<OpId> = others.filter_map(|other| resumed.get(&other.machine).copied()).collect();
        let action = Action::ResumeMachine { machine: (*id).clone() };
        resumed.insert(id, graph.ask(&seen.provider, action, Cause::Requested, after));
    }
    let ip = |id: &MachineId| address(workspace, observed, id);
    for (id, seen) in &machines {
        let spec = workspace.machine(id).filter(|spec| !spec.ready.probes.is_empty());
        let Some(spec) = spec else { continue };
        let unresolved = || PlanError::Unresolved { machine: spec.id.clone(), origin: spec.origin.clone() };
        let ready = spec.ready.resolve(&ip).ok_or_else(unresolved)?;
        // What it speaks with goes on first, whether it waits for that or not.
        let action = Action::AwaitReady { machine: spec.id.clone(), ready };
        graph.ask(&seen.provider, action, Cause::Requested, resumed.values().copied());
    }
    for note in budget {
        graph.note(note);
    }
    Ok(graph.finish(workspace))
}

/// The address that a machine has on the first network that the file gives it.
fn address(workspace: &Workspace, observed: &Observed, id: &MachineId) -> Option<Ipv4Addr> {
    let seen = observed.machines.iter().find(|seen| seen.id == *id)?;
    let first = workspace.machine(id).and_then(|spec| spec.networks.first());
    let of_first = seen.addresses.iter().find(|(network, _)| first.is_none_or(|first| first.network == *network));
    of_first.map(|(_, ip)| *ip)
}
