//! The plan that makes what is into what the file says.

use super::{Addresses, Graph, HostPorts, budget, down, resolve::Resolver};
use crate::{BoxTable, PlanError, Selection};
use camino::Utf8Path;
use rig_model::{
    Action, BoxName, Cause, Condition, EngineFacts, Field, FieldChange, MachineId, MachineSpec, MachineState, Name,
    Observed, ObservedMachine, OpId, Plan, PlanNote, ResolvedMachine, Workspace,
};
use std::collections::BTreeMap;

/// What should be.
#[derive(Clone, Copy)]
pub struct Desired<'a> {
    /// The file.
    pub workspace: &'a Workspace,
    /// The folder of the file.
    pub folder: &'a Utf8Path,
    /// The boxes with their hashes.
    pub boxes: &'a BoxTable,
    /// The host's proxies, for machines.
    pub proxies: &'a [(String, String)],
    /// The engine, for the budget.
    pub engine: &'a EngineFacts,
}

/// How far `up` goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UpOptions {
    /// Stops and starts machines that run as they should (`reload`).
    pub restart: bool,
    /// Leaves out what is not there (`reload` of what runs).
    pub existing_only: bool,
    /// Removes machines that the file does not declare any more.
    pub remove_orphans: bool,
}

/// Makes the plan.
///
/// # Errors
/// All reasons why there is none.
pub fn up(
    desired: Desired<'_>,
    observed: &Observed,
    selection: &Selection,
    options: UpOptions,
) -> Result<Plan, Vec<PlanError>> {
    let workspace = desired.workspace;
    let selected = |id: &MachineId| {
        selection.contains(id) && (!options.existing_only || observed.machines.iter().any(|seen| seen.id == *id))
    };
    let one = |error: PlanError| vec![error];
    let addresses = Addresses::assign(workspace, observed).map_err(one)?;
    let ports = HostPorts::assign(workspace, observed, &selected)?;
    let budget = budget::check_budget(workspace, observed, &selected, desired.engine).map_err(one)?;
    let image = |name: &BoxName| desired.boxes.get(name).map(|choice| choice.image.clone());
    let resolver = Resolver {
        workspace,
        folder: desired.folder,
        addresses: &addresses,
        ports: &ports,
        image: &image,
        proxies: desired.proxies,
    };
    let mut planner = Planner {
        desired,
        observed,
        options,
        addresses: &addresses,
        resolver,
        graph: Graph::default(),
        networks: BTreeMap::new(),
        boxes: BTreeMap::new(),
        artifacts: BTreeMap::new(),
        removed: Vec::new(),
        replaced: BTreeMap::new(),
        machines: BTreeMap::new(),
    };
    planner.remove_undeclared(selection);
    let machines: Vec<&MachineSpec> =
        dependencies_first(workspace).into_iter().filter(|machine| selected(&machine.id)).collect();
    let mut errors = Vec::new();
    // Everything that goes goes first: what is made may need its address or its port.
    let results: Vec<_> = machines.iter().map(|machine| planner.remove_changed(machine)).collect();
    let results = results.into_iter().chain(machines.iter().map(|machine| planner.machine(machine)));
    for result in results {
        if let Err(error) = result {
            errors.push(error);
        }
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    let Planner { mut graph, machines, .. } = planner;
    if let Some(note) = budget.filter(|_| !machines.is_empty()) {
        graph.note(note);
    }
    Ok(graph.finish(workspace))
}

/// The operations that lead to a machine's states.
#[derive(Clone, Copy, Default)]
struct MachineOps {
    start: Option<OpId>,
    ready: Option<OpId>,
    done: Option<OpId>,
}

struct Planner<'a> {
    desired: Desired<'a>,
    observed: &'a Observed,
    options: UpOptions,
    addresses: &'a Addresses,
    resolver: Resolver<'a>,
    graph: Graph,
    networks: BTreeMap<(Name, Name), OpId>,
    boxes: BTreeMap<BoxName, OpId>,
    artifacts: BTreeMap<Name, OpId>,
    /// Removals that free addresses and ports for what is created.
    removed: Vec<OpId>,
    /// Machines that are removed to be made anew, and why.
    replaced: BTreeMap<MachineId, Cause>,
    machines: BTreeMap<MachineId, MachineOps>,
}

impl Planner<'_> {
    /// Machines that are there and that the file does not declare.
    fn remove_undeclared(&mut self, selection: &Selection) {
        for seen in &self.observed.machines {
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
            let op = down::remove(&mut self.graph, self.desired.workspace, seen, &cause, []);
            self.removed.push(op);
        }
    }

    /// Removes a machine that was made from other values than the file gives now.
    fn remove_changed(&mut self, spec: &MachineSpec) -> Result<(), PlanError> {
        let Some(seen) = self.observed.machines.iter().find(|seen| seen.id == spec.id) else { return Ok(()) };
        let resolved = self.resolver.machine(spec)?;
        let cause = if seen.digest != Some(resolved.digest()) {
            Cause::Changed { changes: changes(&seen.fields, &resolved.fields()) }
        } else if seen.state == MachineState::Dead {
            Cause::Unusable { state: seen.state.to_string() }
        } else {
            return Ok(());
        };
        let gone = down::remove(&mut self.graph, self.desired.workspace, seen, &cause, []);
        self.removed.push(gone);
        self.replaced.insert(spec.id.clone(), cause);
        Ok(())
    }

    fn machine(&mut self, spec: &MachineSpec) -> Result<(), PlanError> {
        let resolved = self.resolver.machine(spec)?;
        let seen = self.observed.machines.iter().find(|seen| seen.id == spec.id);
        match seen {
            None => self.create(spec, resolved, Cause::Missing),
            Some(seen) => match self.replaced.get(&spec.id).cloned() {
                Some(cause) => self.create(spec, resolved, cause),
                None => self.existing(spec, seen),
            },
        }
    }

    /// A machine that was made as the file says.
    fn existing(&mut self, spec: &MachineSpec, seen: &ObservedMachine) -> Result<(), PlanError> {
        match seen.state {
            // It has been removed above.
            MachineState::Dead => Ok(()),
            MachineState::Running | MachineState::Restarting if !self.options.restart => self.running(spec, seen),
            MachineState::Running | MachineState::Restarting | MachineState::Paused => {
                let cause = match seen.state {
                    MachineState::Paused => Cause::Unusable { state: seen.state.to_string() },
                    _ => Cause::Requested,
                };
                let stopped = self.graph.add(down::stop(self.desired.workspace, &spec.id), cause.clone(), []);
                self.start(spec, cause, vec![stopped])
            }
            // A one-shot that ended well has done what it is for.
            MachineState::Exited
                if self.is_one_shot(&spec.id) && seen.exit.as_ref().is_some_and(|exit| exit.code == 0) =>
            {
                Ok(())
            }
            MachineState::Created | MachineState::Exited => {
                let network = self.network_ops(spec);
                self.start(spec, Cause::Stopped, network)
            }
        }
    }

    /// A machine that runs as the file says: nothing to do, unless it is still on its way, or what it depends on is made
    /// anew and it has to find that again.
    fn running(&mut self, spec: &MachineSpec, seen: &ObservedMachine) -> Result<(), PlanError> {
        if self.is_one_shot(&spec.id) {
            let action = Action::AwaitDone { machine: spec.id.clone(), timeout: spec.ready.timeout };
            let done = self.graph.add(action, Cause::NotReady, []);
            self.machines.entry(spec.id.clone()).or_default().done = Some(done);
            return Ok(());
        }
        let made_anew = spec.after.iter().find_map(|dependency| {
            let ops = self.machines.get(&dependency.machine)?;
            ops.ready.or(ops.start)
        });
        if seen.ready == Some(false) || seen.state == MachineState::Restarting || made_anew.is_some() {
            self.await_ready(spec, Cause::NotReady, made_anew)?;
        }
        Ok(())
    }

    fn create(&mut self, spec: &MachineSpec, resolved: ResolvedMachine, cause: Cause) -> Result<(), PlanError> {
        let mut after = self.removed.clone();
        after.extend(self.network_ops(spec));
        after.extend(self.box_op(&spec.box_name, &format!("machine {}", spec.id)));
        let created = self.graph.add(Action::CreateMachine { machine: Box::new(resolved) }, cause.clone(), after);
        self.start(spec, cause, vec![created])
    }

    fn start(&mut self, spec: &MachineSpec, cause: Cause, mut after: Vec<OpId>) -> Result<(), PlanError> {
        for dependency in &spec.after {
            let ops = self.machines.get(&dependency.machine).copied().unwrap_or_default();
            after.extend(match dependency.condition {
                Condition::Started => ops.start,
                Condition::Ready => ops.ready.or(ops.start),
                Condition::Done => ops.done,
            });
        }
        let action = Action::StartMachine { machine: spec.id.clone(), restart: spec.restart };
        let started = self.graph.add(action, cause.clone(), after);
        self.machines.entry(spec.id.clone()).or_default().start = Some(started);
        if self.is_one_shot(&spec.id) {
            let action = Action::AwaitDone { machine: spec.id.clone(), timeout: spec.ready.timeout };
            let done = self.graph.add(action, cause, [started]);
            self.machines.entry(spec.id.clone()).or_default().done = Some(done);
            return Ok(());
        }
        self.await_ready(spec, cause, Some(started))
    }

    fn await_ready(&mut self, spec: &MachineSpec, cause: Cause, started: Option<OpId>) -> Result<(), PlanError> {
        if spec.ready.probes.is_empty() {
            return Ok(());
        }
        let ready = spec
            .ready
            .resolve(&|machine| self.resolver.ip(machine))
            .ok_or_else(|| PlanError::Unresolved { machine: spec.id.clone(), origin: spec.origin.clone() })?;
        let op = self.graph.add(Action::AwaitReady { machine: spec.id.clone(), ready }, cause, started);
        self.machines.entry(spec.id.clone()).or_default().ready = Some(op);
        Ok(())
    }

    fn is_one_shot(&self, machine: &MachineId) -> bool {
        let waits = |dependency: &rig_model::Dependency| {
            dependency.machine == *machine && dependency.condition == Condition::Done
        };
        self.desired.workspace.machines().any(|other| other.after.iter().any(waits))
    }

    fn network_ops(&mut self, spec: &MachineSpec) -> Vec<OpId> {
        let mut ops = Vec::new();
        for attachment in &spec.networks {
            let key = (spec.id.topology.clone(), attachment.network.clone());
            let there = self.observed.networks.iter().any(|seen| seen.topology == key.0 && seen.name == key.1);
            if there {
                continue;
            }
            if let Some(op) = self.networks.get(&key) {
                ops.push(*op);
            } else if let Some(network) = self.addresses.network(&key.0, &key.1) {
                let op = self.graph.add(Action::CreateNetwork { network: network.clone() }, Cause::Missing, []);
                self.networks.insert(key, op);
                ops.push(op);
            }
        }
        ops
    }

    /// The operation that makes a box, with those for its parents and artifacts; nothing when it is there.
    fn box_op(&mut self, name: &BoxName, needed_by: &str) -> Option<OpId> {
        if let Some(op) = self.boxes.get(name) {
            return Some(*op);
        }
        let choice = self.desired.boxes.get(name)?;
        if choice.present {
            return None;
        }
        let needed = format!("box {name}");
        let mut after: Vec<OpId> =
            choice.parent.as_ref().and_then(|parent| self.box_op(parent, &needed)).into_iter().collect();
        for artifact in &choice.artifacts {
            after.extend(self.artifact_op(artifact, &needed));
        }
        let action = Action::BuildBox {
            name: name.clone(),
            image: choice.image.clone(),
            digest: choice.digest.clone(),
            no_cache: choice.no_cache,
        };
        let op = self.graph.add(action, Cause::NeededBy { what: needed_by.to_owned() }, after);
        self.boxes.insert(name.clone(), op);
        Some(op)
    }

    fn artifact_op(&mut self, name: &Name, needed_by: &str) -> Option<OpId> {
        if let Some(op) = self.artifacts.get(name) {
            return Some(*op);
        }
        let artifact = self.desired.workspace.artifacts.get(name)?;
        let action = Action::FetchArtifact { artifact: Box::new(artifact.clone()) };
        let op = self.graph.add(action, Cause::NeededBy { what: needed_by.to_owned() }, []);
        self.artifacts.insert(name.clone(), op);
        Some(op)
    }
}

/// The plan that makes the boxes of the table that are not there, and nothing else.
#[must_use]
pub fn build_boxes(workspace: &Workspace, boxes: &BoxTable) -> Plan {
    let mut ops: BTreeMap<BoxName, OpId> = BTreeMap::new();
    let mut artifacts: BTreeMap<Name, OpId> = BTreeMap::new();
    let mut graph = Graph::default();
    // Parents stand before children in the table.
    for (name, choice) in boxes.iter().filter(|(_, choice)| !choice.present) {
        let mut after: Vec<OpId> =
            choice.parent.as_ref().and_then(|parent| ops.get(parent)).copied().into_iter().collect();
        for artifact in &choice.artifacts {
            let Some(spec) = workspace.artifacts.get(artifact) else { continue };
            let op = artifacts.entry(artifact.clone()).or_insert_with(|| {
                let cause = Cause::NeededBy { what: format!("box {name}") };
                graph.add(Action::FetchArtifact { artifact: Box::new(spec.clone()) }, cause, [])
            });
            after.push(*op);
        }
        let action = Action::BuildBox {
            name: name.clone(),
            image: choice.image.clone(),
            digest: choice.digest.clone(),
            no_cache: choice.no_cache,
        };
        let cause = if choice.no_cache { Cause::Requested } else { Cause::Missing };
        let op = graph.add(action, cause, after);
        ops.insert(name.clone(), op);
    }
    graph.finish(workspace)
}

/// Which properties differ. Values that were sealed are compared sealed.
fn changes(old: &[Field], new: &[Field]) -> Vec<FieldChange> {
    let old: BTreeMap<&str, &Field> = old.iter().map(|field| (field.path.as_str(), field)).collect();
    let new: BTreeMap<&str, &Field> = new.iter().map(|field| (field.path.as_str(), field)).collect();
    let mut paths: Vec<&str> = old.keys().chain(new.keys()).copied().collect();
    paths.sort_unstable();
    paths.dedup();
    let same = |old: &Field, new: &Field| if old.is_sealed() { *old == new.clone().sealed() } else { old == new };
    paths
        .into_iter()
        .filter_map(|path| {
            let (old, new) = (old.get(path), new.get(path));
            if let (Some(old), Some(new)) = (old, new)
                && same(old, new)
            {
                return None;
            }
            let value = |field: Option<&&Field>| field.map(|field| field.value.clone());
            Some(FieldChange { field: path.to_owned(), old: value(old), new: value(new) })
        })
        .collect()
}

/// Machines in an order in which one stands behind all it depends on. `after` has no cycles: the decoder refuses them.
fn dependencies_first(workspace: &Workspace) -> Vec<&MachineSpec> {
    fn visit<'w>(
        workspace: &'w Workspace,
        spec: &'w MachineSpec,
        seen: &mut std::collections::HashSet<&'w MachineId>,
        order: &mut Vec<&'w MachineSpec>,
    ) {
        if !seen.insert(&spec.id) {
            return;
        }
        for dependency in &spec.after {
            if let Some(other) = workspace.machine(&dependency.machine) {
                visit(workspace, other, seen, order);
            }
        }
        order.push(spec);
    }
    let mut order = Vec::new();
    let mut seen = std::collections::HashSet::new();
    for spec in workspace.machines() {
        visit(workspace, spec, &mut seen, &mut order);
    }
    order
}
