//! The plan that makes what is into what the file says.

use super::{
    Addresses, Graph, HostPorts, budget, down,
    resolve::Resolver,
    steps::{self, Due},
};
use crate::{BoxTable, PlanError, Provisioning, Selection};
use camino::Utf8Path;
use rig_model::{
    Action, BoxName, Cause, Condition, Dependency, EngineFacts, Field, FieldChange, FileSource, MachineId, MachineSpec,
    MachineState, Name, Observed, ObservedMachine, OpId, Plan, PlanNote, ResolvedMachine, ResolvedStep, StepKind,
    Workspace,
};
use rig_recipes::Facts;
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
    /// What provisioning steps hold, and which were done.
    pub provisioning: &'a Provisioning,
    /// The engine, for the budget.
    pub engine: &'a EngineFacts,
}

/// How far `up` goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UpOptions {
    /// Stops and starts machines that run as they should (`reload`).
    pub restart: bool,
    /// Leaves out what is not there (`reload` of what runs).
    pub existing_only: bool,
    /// Removes machines that the file does not declare any more.
    pub remove_orphans: bool,
    /// Removes machines of groups that became smaller without letting them hand over what they have.
    pub force_leave: bool,
    /// Which provisioning steps run.
    pub provision: ProvisionOptions,
}

/// Which provisioning steps run, beyond those that are new or changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProvisionOptions {
    /// None at all.
    pub skip: bool,
    /// Also those that were done.
    pub force: bool,
    /// Only those with these names, or of recipes with these names; empty means all.
    pub with: Vec<String>,
}

/// Makes the plan.
///
/// # Errors
/// All reasons why there is none.
pub fn up(
    desired: Desired<'_>,
    observed: &Observed,
    selection: &Selection,
    options: &UpOptions,
) -> Result<Plan, Vec<PlanError>> {
    plan(desired, observed, selection, options, Work::Everything)
}

/// Makes the plan that runs provisioning steps on machines that run, and does nothing else to them.
///
/// # Errors
/// All reasons why there is none.
pub fn provision(
    desired: Desired<'_>,
    observed: &Observed,
    selection: &Selection,
    options: ProvisionOptions,
) -> Result<Plan, Vec<PlanError>> {
    let options = UpOptions { existing_only: true, provision: options, ..UpOptions::default() };
    plan(desired, observed, selection, &options, Work::Steps)
}

/// What a plan is about.
#[derive(Clone, Copy)]
enum Work {
    Everything,
    Steps,
}

fn plan(
    desired: Desired<'_>,
    observed: &Observed,
    selection: &Selection,
    options: &UpOptions,
    work: Work,
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
    let machines: Vec<&MachineSpec> =
        dependencies_first(workspace).into_iter().filter(|machine| selected(&machine.id)).collect();
    let mut errors = Vec::new();
    if let Work::Everything = work {
        errors.extend(planner.remove_undeclared(selection));
        // Everything that goes goes first: what is made may need its address or its port.
        errors.extend(machines.iter().filter_map(|machine| planner.remove_changed(machine).err()));
    }
    for machine in &machines {
        let planned = match work {
            Work::Everything => planner.machine(machine),
            Work::Steps => planner.steps_alone(machine),
        };
        errors.extend(planned.err());
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
    provisioned: Option<OpId>,
    ready: Option<OpId>,
    done: Option<OpId>,
}

impl MachineOps {
    /// The operation after which the machine is in a state, if this plan brings it there.
    fn reach(self, condition: Condition) -> Option<OpId> {
        match condition {
            Condition::Started => self.start,
            Condition::Ready => self.ready.or(self.provisioned).or(self.start),
            Condition::Done => self.done,
        }
    }
}

struct Planner<'a> {
    desired: Desired<'a>,
    observed: &'a Observed,
    options: &'a UpOptions,
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
    /// Machines that are there and that the file does not declare. Those of one group go one by one, the last one first.
    fn remove_undeclared(&mut self, selection: &Selection) -> Vec<PlanError> {
        let mut refused = Vec::new();
        let mut left: BTreeMap<(&Name, &Name), OpId> = BTreeMap::new();
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
                self.graph.add(action, cause.clone(), before)
            });
            let op = down::remove(&mut self.graph, self.desired.workspace, seen, &cause, handed_over);
            self.removed.push(op);
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
                    self.removed.push(self.graph.add(action, cause.clone(), [op]));
                }
            }
        }
        refused
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
                // What was done to the old one is of no use for the new one.
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
                self.start(spec, Some(seen), cause, vec![stopped])
            }
            // A one-shot that ended well has done what it is for.
            MachineState::Exited
                if self.is_one_shot(&spec.id) && seen.exit.as_ref().is_some_and(|exit| exit.code == 0) =>
            {
                Ok(())
            }
            MachineState::Created | MachineState::Exited => {
                let network = self.network_ops(spec);
                self.start(spec, Some(seen), Cause::Stopped, network)
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
        let made_anew =
            spec.dependencies().find_map(|other| self.machines.get(&other.machine)?.reach(Condition::Ready));
        let provisioned = self.steps(spec, Some(seen), None)?;
        let cause = match &provisioned {
            Some((_, step)) => Cause::Follows { step: step.clone() },
            None => Cause::NotReady,
        };
        let last = provisioned.map(|(op, _)| op);
        if seen.ready == Some(false) || seen.state == MachineState::Restarting || last.or(made_anew).is_some() {
            self.await_ready(spec, cause, last.into_iter().chain(made_anew))?;
        }
        Ok(())
    }

    fn create(&mut self, spec: &MachineSpec, resolved: ResolvedMachine, cause: Cause) -> Result<(), PlanError> {
        let mut after = self.removed.clone();
        after.extend(self.network_ops(spec));
        after.extend(self.box_op(&spec.box_name, &format!("machine {}", spec.id)));
        let created = self.graph.add(Action::CreateMachine { machine: Box::new(resolved) }, cause.clone(), after);
        self.start(spec, None, cause, vec![created])
    }

    /// Starts a machine; `seen` is what is there of it, when it is not made anew.
    fn start(
        &mut self,
        spec: &MachineSpec,
        seen: Option<&ObservedMachine>,
        cause: Cause,
        mut after: Vec<OpId>,
    ) -> Result<(), PlanError> {
        after.extend(self.reached(&spec.after));
        let action = Action::StartMachine { machine: spec.id.clone(), restart: spec.restart };
        let started = self.graph.add(action, cause.clone(), after);
        self.machines.entry(spec.id.clone()).or_default().start = Some(started);
        if self.is_one_shot(&spec.id) {
            let action = Action::AwaitDone { machine: spec.id.clone(), timeout: spec.ready.timeout };
            let done = self.graph.add(action, cause, [started]);
            self.machines.entry(spec.id.clone()).or_default().done = Some(done);
            return Ok(());
        }
        let provisioned = self.steps(spec, seen, Some((started, cause.clone())))?;
        self.await_ready(spec, cause, [provisioned.map_or(started, |(op, _)| op)])
    }

    /// The operations that bring other machines into the states that are waited for.
    fn reached(&self, dependencies: &[Dependency]) -> Vec<OpId> {
        let reach = |other: &Dependency| self.machines.get(&other.machine)?.reach(other.condition);
        dependencies.iter().filter_map(reach).collect()
    }

    /// Connects to a machine and runs the steps that are due. `seen` is what is there of it, `started` the operation that
    /// starts it. Gives the last operation, and the first step in words.
    fn steps(
        &mut self,
        spec: &MachineSpec,
        seen: Option<&ObservedMachine>,
        started: Option<(OpId, Cause)>,
    ) -> Result<Option<(OpId, String)>, PlanError> {
        let Some(topology) = self.desired.workspace.topologies.get(&spec.id.topology).filter(|_| spec.ssh.is_some())
        else {
            return Ok(None);
        };
        let ip = |machine: &MachineId| self.resolver.ip(machine);
        let facts = Facts::new(self.desired.workspace.name.as_str(), topology, spec, &ip);
        let resolve = |step| rig_recipes::resolve(step, &spec.id, &facts, &self.desired.provisioning.contents, &ip);
        let resolved: Vec<ResolvedStep> = spec.steps.iter().map(resolve).collect::<Result<_, _>>()?;
        let record = self.desired.provisioning.records.get(&spec.id);
        // A record belongs to one machine: one that was made anew starts without.
        let record = record.filter(|record| seen.is_some_and(|seen| seen.native == record.native));
        let done = record.map_or(&[][..], |record| &record.steps);
        let due = steps::due(&spec.steps, resolved, done, &self.options.provision);
        let connect_cause = match (&started, due.first()) {
            (Some((_, cause)), _) => cause.clone(),
            (None, Some(first)) => Cause::NeededBy { what: format!("step {}", first.step.id) },
            (None, None) => return Ok(None),
        };
        let first = due.first().map_or_else(String::new, |due| due.step.id.to_string());
        let connect = Action::Connect { machine: spec.id.clone() };
        let mut last = self.graph.add(connect, connect_cause, started.map(|(op, _)| op));
        for Due { step, cause, stale, .. } in due {
            let mut after = vec![last];
            if let Some(declared) = spec.steps.iter().find(|declared| declared.id == step.id) {
                after.extend(self.reached(&declared.after));
                if let StepKind::File { source: FileSource::Artifact(artifact), .. } = &declared.kind {
                    after.extend(self.artifact_op(&artifact.name, &format!("machine {}", spec.id)));
                }
            }
            let action = Action::Provision { machine: spec.id.clone(), step: Box::new(step), stale };
            last = self.graph.add(action, cause, after);
        }
        self.machines.entry(spec.id.clone()).or_default().provisioned = Some(last);
        Ok(Some((last, first)))
    }

    /// Runs steps on a machine that runs, and waits until it is ready again.
    fn steps_alone(&mut self, spec: &MachineSpec) -> Result<(), PlanError> {
        let Some(seen) = self.observed.machines.iter().find(|seen| seen.id == spec.id) else { return Ok(()) };
        if seen.state != MachineState::Running {
            self.graph.note(PlanNote {
                text: format!("machine {} is {}, nothing is provisioned in it", spec.id, seen.state),
                hint: Some("`rig up` starts it".to_owned()),
                origin: None,
            });
            return Ok(());
        }
        match self.steps(spec, Some(seen), None)? {
            Some((last, step)) => self.await_ready(spec, Cause::Follows { step }, [last]),
            None => Ok(()),
        }
    }

    fn await_ready(
        &mut self,
        spec: &MachineSpec,
        cause: Cause,
        after: impl IntoIterator<Item = OpId>,
    ) -> Result<(), PlanError> {
        if spec.ready.probes.is_empty() {
            return Ok(());
        }
        let ready = spec
            .ready
            .resolve(&|machine| self.resolver.ip(machine))
            .ok_or_else(|| PlanError::Unresolved { machine: spec.id.clone(), origin: spec.origin.clone() })?;
        let op = self.graph.add(Action::AwaitReady { machine: spec.id.clone(), ready }, cause, after);
        self.machines.entry(spec.id.clone()).or_default().ready = Some(op);
        Ok(())
    }

    fn is_one_shot(&self, machine: &MachineId) -> bool {
        let waits = |dependency: &rig_model::Dependency| {
            dependency.machine == *machine && dependency.condition == Condition::Done
        };
        self.desired.workspace.machines().any(|other| other.dependencies().any(waits))
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
pub(crate) fn changes(old: &[Field], new: &[Field]) -> Vec<FieldChange> {
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
        for dependency in spec.dependencies() {
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
