//! The plan that makes what is into what the file says.

mod provisioning;
mod undeclared;

use super::{Addresses, Graph, HostPorts, boxes::BoxOps, budget, changes::changes, down, resolve::Resolver};
use crate::{BoxTable, Engines, PlanError, Provisioning, Selection};
use camino::Utf8Path;
use rig_model::{
    Action, BoxName, Cause, Condition, Dependency, FieldChange, MachineId, MachineSpec, MachineState, Name, Observed,
    ObservedMachine, OpId, Plan, PlanNote, ProviderId, ResolvedMachine, Workspace,
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
    /// What provisioning steps hold, and which were done.
    pub provisioning: &'a Provisioning,
    /// The engines, for the budget.
    pub engines: &'a Engines,
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
    plan(desired, observed, selection, options, About::Everything)
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
    plan(desired, observed, selection, &options, About::Steps)
}

/// What a plan is about.
#[derive(Clone, Copy)]
enum About {
    Everything,
    Steps,
}

fn plan(
    desired: Desired<'_>,
    observed: &Observed,
    selection: &Selection,
    options: &UpOptions,
    about: About,
) -> Result<Plan, Vec<PlanError>> {
    let workspace = desired.workspace;
    let selected = |id: &MachineId| {
        selection.contains(id) && (!options.existing_only || observed.machines.iter().any(|seen| seen.id == *id))
    };
    let one = |error: PlanError| vec![error];
    let addresses = Addresses::assign(workspace, observed).map_err(one)?;
    let ports = HostPorts::assign(workspace, observed, &selected)?;
    let budget = budget::check_budget(workspace, observed, &selected, desired.engines).map_err(one)?;
    let image = |provider: &ProviderId, name: &BoxName| {
        desired.boxes.get(&(provider.clone(), name.clone())).map(|choice| choice.image.clone())
    };
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
        boxes: BoxOps::new(workspace, desired.boxes),
        removed: Vec::new(),
        replaced: BTreeMap::new(),
        machines: BTreeMap::new(),
    };
    let machines: Vec<&MachineSpec> =
        dependencies_first(workspace).into_iter().filter(|machine| selected(&machine.id)).collect();
    let mut errors = Vec::new();
    if let About::Everything = about {
        errors.extend(planner.remove_undeclared(selection));
        // Everything that goes goes first: what is made may need its address or its port.
        errors.extend(machines.iter().filter_map(|machine| planner.remove_changed(machine).err()));
    }
    for machine in &machines {
        let planned = match about {
            About::Everything => planner.machine(machine),
            About::Steps => planner.steps_alone(machine),
        };
        errors.extend(planned.err());
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    let Planner { mut graph, machines, .. } = planner;
    for note in budget.into_iter().filter(|_| !machines.is_empty()) {
        graph.note(note);
    }
    Ok(graph.finish(workspace))
}

/// Whether something waits for a machine to end.
pub(super) fn is_one_shot(workspace: &Workspace, machine: &MachineId) -> bool {
    let waits = |dependency: &Dependency| dependency.machine == *machine && dependency.condition == Condition::Done;
    workspace.machines().any(|other| other.dependencies().any(waits))
}

/// The operations that lead to a machine's states.
#[derive(Clone, Copy, Default)]
pub(super) struct MachineOps {
    pub(super) start: Option<OpId>,
    provisioned: Option<OpId>,
    pub(super) ready: Option<OpId>,
    pub(super) done: Option<OpId>,
}

impl MachineOps {
    /// The operation after which the machine is in a state, if this plan brings it there.
    pub(super) fn reach(self, condition: Condition) -> Option<OpId> {
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
    /// By provider, topology and name: each provider whose machines are on it has one of its own.
    networks: BTreeMap<(ProviderId, Name, Name), OpId>,
    boxes: BoxOps<'a>,
    /// Removals that free addresses and ports for what is created.
    removed: Vec<OpId>,
    /// Machines that are removed to be made anew, and why.
    replaced: BTreeMap<MachineId, Cause>,
    machines: BTreeMap<MachineId, MachineOps>,
}

impl<'a> Planner<'a> {
    /// Removes a machine that was made from other values than the file gives now, or that is not where the file puts it.
    fn remove_changed(&mut self, spec: &MachineSpec) -> Result<(), PlanError> {
        let elsewhere = |seen: &&ObservedMachine| seen.id == spec.id && seen.provider != spec.provider;
        for seen in self.observed.machines.iter().filter(elsewhere) {
            let cause = Cause::Changed { changes: vec![moved(seen, spec)] };
            self.removed.push(down::remove(&mut self.graph, self.desired.workspace, seen, &cause, []));
            if self.at_home(spec).is_none() {
                self.replaced.insert(spec.id.clone(), cause);
            }
            if let Some(note) = left_behind(seen) {
                self.graph.note(note);
            }
        }
        let Some(seen) = self.at_home(spec) else { return Ok(()) };
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
        match (self.replaced.get(&spec.id).cloned(), self.at_home(spec)) {
            // What was done to the old one is of no use for the new one.
            (Some(cause), _) => self.create(spec, resolved, cause),
            (None, None) => self.create(spec, resolved, Cause::Missing),
            (None, Some(seen)) => self.existing(spec, seen),
        }
    }

    /// What is there of a machine where the file puts it.
    pub(super) fn at_home(&self, spec: &MachineSpec) -> Option<&'a ObservedMachine> {
        self.observed.machines.iter().find(|seen| seen.id == spec.id && seen.provider == spec.provider)
    }

    /// A machine that was made as the file says.
    fn existing(&mut self, spec: &MachineSpec, seen: &ObservedMachine) -> Result<(), PlanError> {
        match seen.state {
            // It has been removed above.
            MachineState::Dead => Ok(()),
            MachineState::Running | MachineState::Restarting if !self.options.restart => self.running(spec, seen),
            MachineState::Paused | MachineState::Suspended if !self.options.restart => {
                let cause = Cause::Unusable { state: seen.state.to_string() };
                self.begin(spec, Some(seen), Action::ResumeMachine { machine: spec.id.clone() }, cause, Vec::new())
            }
            MachineState::Running | MachineState::Restarting | MachineState::Paused | MachineState::Suspended => {
                let stop = down::stop(self.desired.workspace, &spec.id);
                let stopped = self.graph.ask(&spec.provider, stop, Cause::Requested, []);
                self.start(spec, Some(seen), Cause::Requested, vec![stopped])
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
            let done = self.graph.ask(&spec.provider, action, Cause::NotReady, []);
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
        let needed = Cause::NeededBy { what: format!("machine {}", spec.id) };
        after.extend(self.boxes.make(&mut self.graph, (&spec.provider, &spec.box_name), needed));
        let action = Action::CreateMachine { machine: Box::new(resolved) };
        let created = self.graph.ask(&spec.provider, action, cause.clone(), after);
        self.start(spec, None, cause, vec![created])
    }

    /// Starts a machine; `seen` is what is there of it, when it is not made anew.
    fn start(
        &mut self,
        spec: &MachineSpec,
        seen: Option<&ObservedMachine>,
        cause: Cause,
        after: Vec<OpId>,
    ) -> Result<(), PlanError> {
        let action = Action::StartMachine { machine: spec.id.clone(), restart: spec.restart };
        self.begin(spec, seen, action, cause, after)
    }

    /// Starts a machine or lets it go on, provisions it and waits until it is ready.
    fn begin(
        &mut self,
        spec: &MachineSpec,
        seen: Option<&ObservedMachine>,
        action: Action,
        cause: Cause,
        mut after: Vec<OpId>,
    ) -> Result<(), PlanError> {
        after.extend(self.reached(&spec.after));
        let started = self.graph.ask(&spec.provider, action, cause.clone(), after);
        self.machines.entry(spec.id.clone()).or_default().start = Some(started);
        if self.is_one_shot(&spec.id) {
            let action = Action::AwaitDone { machine: spec.id.clone(), timeout: spec.ready.timeout };
            let done = self.graph.ask(&spec.provider, action, cause, [started]);
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
        let action = Action::AwaitReady { machine: spec.id.clone(), ready };
        let op = self.graph.ask(&spec.provider, action, cause, after);
        self.machines.entry(spec.id.clone()).or_default().ready = Some(op);
        Ok(())
    }

    fn is_one_shot(&self, machine: &MachineId) -> bool {
        is_one_shot(self.desired.workspace, machine)
    }

    fn network_ops(&mut self, spec: &MachineSpec) -> Vec<OpId> {
        let mut ops = Vec::new();
        for attachment in &spec.networks {
            let key = (spec.provider.clone(), spec.id.topology.clone(), attachment.network.clone());
            let there = self
                .observed
                .networks
                .iter()
                .any(|seen| seen.provider == key.0 && seen.topology == key.1 && seen.name == key.2);
            if there {
                continue;
            }
            if let Some(op) = self.networks.get(&key) {
                ops.push(*op);
            } else if let Some(network) = self.addresses.network(&key.1, &key.2) {
                let action = Action::CreateNetwork { network: network.clone() };
                let op = self.graph.ask(&spec.provider, action, Cause::Missing, []);
                self.networks.insert(key, op);
                ops.push(op);
            }
        }
        ops
    }
}

/// A machine that the file gives to another provider than the one that has it.
fn moved(seen: &ObservedMachine, spec: &MachineSpec) -> FieldChange {
    let (old, new) = (Some(seen.provider.to_string()), Some(spec.provider.to_string()));
    FieldChange { field: "provider".to_owned(), old, new }
}

/// Volumes do not move with their machine.
fn left_behind(seen: &ObservedMachine) -> Option<PlanNote> {
    let keeps_data = seen.fields.iter().any(|field| field.path.starts_with("volume."));
    keeps_data.then(|| PlanNote {
        text: format!(
            "the volumes of machine {} stay at provider {}, and it begins without data",
            seen.id, seen.provider
        ),
        hint: Some(format!("`rig destroy --volumes {}` before removes them", seen.id)),
        origin: None,
    })
}

/// Machines in an order in which one stands behind all it depends on. `after` has no cycles: the decoder refuses them.
pub(super) fn dependencies_first(workspace: &Workspace) -> Vec<&MachineSpec> {
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
