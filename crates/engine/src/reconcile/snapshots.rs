//! Plans that take snapshots, go back to them, and remove them. The snapshot of a topology is the set of its machines'
//! snapshots of one name.

use super::{
    Graph, budget,
    down::stop_all,
    up::{MachineOps, dependencies_first, is_one_shot},
};
use crate::{Engines, PlanError, Selection};
use rig_model::{
    Action, Cause, MachineId, MachineSpec, Name, Observed, ObservedMachine, ObservedSnapshot, OpId, Plan, PlanNote,
    ProviderId, TakenSnapshot, Workspace,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::Ipv4Addr,
};

/// Takes snapshots of the machines that are there. With `force`, those of that name go first.
///
/// # Errors
/// When a machine that was asked for is not there, or the name is taken.
pub fn save_snapshots(
    workspace: &Workspace,
    observed: &Observed,
    selection: &Selection,
    name: &Name,
    force: bool,
) -> Result<Plan, PlanError> {
    let there: BTreeSet<&MachineId> = observed.machines.iter().map(|machine| &machine.id).collect();
    let absent = match selection {
        Selection::Machines(machines) => machines.iter().filter(|id| !there.contains(id)).cloned().collect(),
        Selection::All if there.is_empty() => workspace.machines().map(|machine| machine.id.clone()).collect(),
        Selection::All => Vec::new(),
    };
    if !absent.is_empty() {
        return Err(PlanError::NotThere { machines: absent });
    }
    let machines: Vec<&MachineId> = there.into_iter().filter(|id| selection.contains(id)).collect();
    let has = |id: &&MachineId| snapshot(observed, id, name).is_some();
    let taken: Vec<MachineId> = machines.iter().copied().filter(has).cloned().collect();
    if !force && !taken.is_empty() {
        return Err(PlanError::SnapshotTaken { name: name.clone(), machines: taken });
    }
    let mut graph = Graph::default();
    let cleared = clear(&mut graph, observed, selection);
    for seen in observed.machines.iter().filter(|seen| machines.contains(&&seen.id)) {
        let id = &seen.id;
        let mut after: Vec<OpId> = cleared.get(id).cloned().unwrap_or_default();
        if taken.contains(id) {
            after.push(graph.ask(&seen.provider, delete(id, name), Cause::Requested, []));
        }
        let spec = workspace.machine(id).cloned().map(Box::new);
        let action = Action::SaveSnapshot { machine: id.clone(), name: name.clone(), spec };
        graph.ask(&seen.provider, action, Cause::Requested, after);
    }
    Ok(graph.finish(workspace))
}

/// Makes machines what they were: all that run are stopped, then all are restored, then those are started that ran when their
/// snapshot was taken. A machine that is there and has no such snapshot is a reason to refuse.
///
/// # Errors
/// All reasons why there is no plan.
pub fn restore_snapshots(
    workspace: &Workspace,
    observed: &Observed,
    selection: &Selection,
    name: &Name,
    engines: &Engines,
) -> Result<Plan, PlanError> {
    let targets = targets(observed, selection, name)?;
    let runs = |id: &MachineId| targets.get(id).is_some_and(|target| target.taken.running);
    // What is restored and rests makes room.
    let others = Observed {
        machines: observed.machines.iter().filter(|seen| !targets.contains_key(&seen.id)).cloned().collect(),
        ..Observed::default()
    };
    let budget = budget::check_budget(workspace, &others, &runs, engines)?;
    let mut graph = Graph::default();
    let cleared = clear(&mut graph, observed, selection);
    // Nothing is lost before everything has stopped, and nothing starts before everything is what it was: services of a
    // topology speak with each other.
    let mut after = stop_all(&mut graph, workspace, observed, &|id| targets.contains_key(id));
    after.extend(cleared.into_values().flatten());
    let mut restored = Vec::new();
    for (id, Target { provider, taken }) in &targets {
        note_other_form(&mut graph, observed, id, name, taken);
        let action = Action::RestoreSnapshot { machine: (*id).clone(), name: name.clone(), taken: taken.at };
        restored.push(graph.ask(provider, action, Cause::Requested, after.clone()));
    }
    let ip = |id: &MachineId| address(workspace, observed, &targets, id);
    let mut ops: BTreeMap<&MachineId, MachineOps> = BTreeMap::new();
    for spec in dependencies_first(workspace).into_iter().filter(|spec| runs(&spec.id)) {
        let provider = targets.get(&spec.id).map_or(&spec.provider, |target| target.provider);
        let reached = spec.after.iter().filter_map(|other| ops.get(&other.machine)?.reach(other.condition));
        let after: Vec<OpId> = restored.iter().copied().chain(reached).collect();
        let made = start(&mut graph, workspace, (spec, provider), after, &ip)?;
        ops.insert(&spec.id, made);
    }
    for (id, target) in targets.iter().filter(|(id, _)| runs(id) && workspace.machine(id).is_none()) {
        let action = Action::StartMachine { machine: (*id).clone(), restart: rig_model::RestartPolicy::No };
        graph.ask(target.provider, action, Cause::Requested, restored.clone());
    }
    for note in budget {
        graph.note(note);
    }
    Ok(graph.finish(workspace))
}

/// Removes the snapshots of a name.
///
/// # Errors
/// When there is none.
pub fn delete_snapshots(
    workspace: &Workspace,
    observed: &Observed,
    selection: &Selection,
    name: &Name,
) -> Result<Plan, PlanError> {
    let mut graph = Graph::default();
    let mut found = false;
    for snapshot in observed.snapshots.iter().filter(|snapshot| selection.contains(&snapshot.machine)) {
        if snapshot.name == *name {
            found = true;
            graph.ask(&snapshot.provider, delete(&snapshot.machine, name), Cause::Requested, []);
        } else if snapshot.taken.is_none() {
            graph.ask(&snapshot.provider, delete(&snapshot.machine, &snapshot.name), cut(), []);
        }
    }
    if !found {
        let machines = match selection {
            Selection::All => Vec::new(),
            Selection::Machines(machines) => machines.iter().cloned().collect(),
        };
        return Err(PlanError::NoSnapshot { name: Some(name.clone()), machines, there: names(observed, selection) });
    }
    Ok(graph.finish(workspace))
}

/// The name that was taken last.
///
/// # Errors
/// When there is none.
pub fn newest_snapshot(observed: &Observed, selection: &Selection) -> Result<Name, PlanError> {
    let ours = observed.snapshots.iter().filter(|snapshot| selection.contains(&snapshot.machine));
    let taken = ours.filter_map(|snapshot| Some((snapshot.taken.as_ref()?.at, &snapshot.name)));
    let newest = taken.max().map(|(_, name)| name.clone());
    newest.ok_or(PlanError::NoSnapshot { name: None, machines: Vec::new(), there: names(observed, &Selection::All) })
}

/// What a machine is brought back to.
struct Target<'a> {
    provider: &'a ProviderId,
    taken: &'a TakenSnapshot,
}

/// What is restored of which machines: those that are there, and those that only the snapshot has.
fn targets<'a>(
    observed: &'a Observed,
    selection: &'a Selection,
    name: &Name,
) -> Result<BTreeMap<&'a MachineId, Target<'a>>, PlanError> {
    let holders = observed.snapshots.iter().filter(|snapshot| snapshot.name == *name && snapshot.taken.is_some());
    let mut meant: BTreeSet<&MachineId> = holders.map(|snapshot| &snapshot.machine).collect();
    meant.extend(observed.machines.iter().map(|machine| &machine.id));
    meant.retain(|id| selection.contains(id));
    if let Selection::Machines(machines) = selection {
        meant.extend(machines);
    }
    let (found, missing): (Vec<_>, Vec<_>) =
        meant.into_iter().map(|id| (id, snapshot(observed, id, name))).partition(|(_, target)| target.is_some());
    if !missing.is_empty() || found.is_empty() {
        let machines = if found.is_empty() && selection.is_all() { &[][..] } else { &missing };
        return Err(PlanError::NoSnapshot {
            name: Some(name.clone()),
            machines: machines.iter().map(|(id, _)| (*id).clone()).collect(),
            there: names(observed, selection),
        });
    }
    Ok(found.into_iter().filter_map(|(id, target)| Some((id, target?))).collect())
}

/// A machine's complete snapshot of that name.
fn snapshot<'a>(observed: &'a Observed, machine: &MachineId, name: &Name) -> Option<Target<'a>> {
    // A machine that is at another provider by now has nothing to do with the snapshot.
    let there = observed.machines.iter().find(|seen| seen.id == *machine);
    let is_it = |snapshot: &&ObservedSnapshot| {
        let is_same = there.is_none_or(|seen| seen.provider == snapshot.provider);
        snapshot.machine == *machine && snapshot.name == *name && is_same
    };
    let found = observed.snapshots.iter().find(is_it)?;
    Some(Target { provider: &found.provider, taken: found.taken.as_ref()? })
}

/// The names that there are, the newest first.
fn names(observed: &Observed, selection: &Selection) -> Vec<Name> {
    let mut taken: BTreeMap<&Name, jiff::Timestamp> = BTreeMap::new();
    for snapshot in observed.snapshots.iter().filter(|snapshot| selection.contains(&snapshot.machine)) {
        if let Some(snapshot_taken) = &snapshot.taken {
            let at = taken.entry(&snapshot.name).or_insert(snapshot_taken.at);
            *at = snapshot_taken.at.max(*at);
        }
    }
    let mut names: Vec<(jiff::Timestamp, &Name)> = taken.into_iter().map(|(name, at)| (at, name)).collect();
    names.sort_by(|a, b| b.cmp(a));
    names.into_iter().map(|(_, name)| name.clone()).collect()
}

/// Removes what saves have left that were cut; by machine.
fn clear<'a>(graph: &mut Graph, observed: &'a Observed, selection: &Selection) -> BTreeMap<&'a MachineId, Vec<OpId>> {
    let mut cleared: BTreeMap<&MachineId, Vec<OpId>> = BTreeMap::new();
    let ours = observed.snapshots.iter().filter(|snapshot| selection.contains(&snapshot.machine));
    for snapshot in ours.filter(|snapshot| snapshot.taken.is_none()) {
        let op = graph.ask(&snapshot.provider, delete(&snapshot.machine, &snapshot.name), cut(), []);
        cleared.entry(&snapshot.machine).or_default().push(op);
    }
    cleared
}

fn delete(machine: &MachineId, name: &Name) -> Action {
    Action::DeleteSnapshot { machine: machine.clone(), name: name.clone() }
}

fn cut() -> Cause {
    Cause::Unusable { state: "what a save left that was cut".to_owned() }
}

/// A machine that was made otherwise since becomes the old one with all its properties, and the file asks for others.
fn note_other_form(graph: &mut Graph, observed: &Observed, id: &MachineId, name: &Name, taken: &TakenSnapshot) {
    let seen: Option<&ObservedMachine> = observed.machines.iter().find(|seen| seen.id == *id);
    if seen.is_some_and(|seen| seen.digest != taken.digest) {
        graph.note(PlanNote {
            text: format!("machine {id} was made otherwise when snapshot {name} was taken, and becomes what it was"),
            hint: Some("`rig up` would replace it then; `rig plan` says why".to_owned()),
            origin: None,
        });
    }
}

/// Starts a machine and waits for it.
fn start(
    graph: &mut Graph,
    workspace: &Workspace,
    (spec, provider): (&MachineSpec, &ProviderId),
    after: Vec<OpId>,
    ip: &dyn Fn(&MachineId) -> Option<Ipv4Addr>,
) -> Result<MachineOps, PlanError> {
    let mut ops = MachineOps::default();
    let action = Action::StartMachine { machine: spec.id.clone(), restart: spec.restart };
    let started = graph.ask(provider, action, Cause::Requested, after);
    ops.start = Some(started);
    if spec.ssh.is_some() {
        // Where its memory was kept too, it has missed what happened since, the time first: it is told when it is entered.
        let connect = Action::Connect { machine: spec.id.clone() };
        graph.ask(provider, connect, Cause::Requested, [started]);
    }
    if is_one_shot(workspace, &spec.id) {
        let action = Action::AwaitDone { machine: spec.id.clone(), timeout: spec.ready.timeout };
        ops.done = Some(graph.ask(provider, action, Cause::Requested, [started]));
    } else if !spec.ready.probes.is_empty() {
        let ready = spec
            .ready
            .resolve(ip)
            .ok_or_else(|| PlanError::Unresolved { machine: spec.id.clone(), origin: spec.origin.clone() })?;
        let action = Action::AwaitReady { machine: spec.id.clone(), ready };
        ops.ready = Some(graph.ask(provider, action, Cause::Requested, [started]));
    }
    Ok(ops)
}

/// The address that a machine will have, on the first network that the file gives it.
fn address(
    workspace: &Workspace,
    observed: &Observed,
    targets: &BTreeMap<&MachineId, Target<'_>>,
    id: &MachineId,
) -> Option<Ipv4Addr> {
    let addresses = match targets.get(id) {
        Some(target) => &target.taken.addresses,
        None => &observed.machines.iter().find(|seen| seen.id == *id)?.addresses,
    };
    let first = workspace.machine(id).and_then(|spec| spec.networks.first());
    let of_first = addresses.iter().find(|(network, _)| first.is_none_or(|first| first.network == *network));
    of_first.map(|(_, ip)| *ip)
}
