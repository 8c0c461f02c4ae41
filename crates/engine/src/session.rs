//! One workspace and its providers: what commands are made of.

use crate::{
    Access, BoxTable, EngineError, Engines, Output, PlanError, Providers, ProvisionOptions, Provisioning, Selection,
    UpOptions, host_ports, over_ssh::OverSsh, probe::Prober, reconcile, run_command,
};
use camino::Utf8PathBuf;
use futures_util::{StreamExt, stream};
use rig_model::{
    BoxName, MachineId, MachineSpec, MachineState, Observed, ObservedMachine, Plan, Probe, ProbeKind, ProviderId,
    Workspace,
};
use rig_provider_api::{Context, ExecRequest, MachineRef, ObserveScope, Provider};
use rig_state::Layout;
use std::{collections::BTreeMap, net::Ipv4Addr, sync::Arc, time::Duration};

/// How long one look at a machine's probes may take before the machine counts as not ready.
const HEALTH: Duration = Duration::from_secs(3);
/// How many machines are looked at closely at the same time.
const LOOKS: usize = 16;

/// Which probes are asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Questions {
    /// All of them.
    All,
    /// Those that cost nothing: not the ones that run a program in the machine, which may take a second and a processor.
    Cheap,
}

/// What was seen before a plan is made.
#[derive(Clone, Copy)]
pub struct Seen<'a> {
    /// What is there.
    pub observed: &'a Observed,
    /// The boxes with their hashes.
    pub boxes: &'a BoxTable,
    /// The engines.
    pub engines: &'a Engines,
}

/// A workspace and the providers that bring it up.
pub struct Session {
    /// The file.
    pub workspace: Workspace,
    /// The folder of the file.
    pub folder: Utf8PathBuf,
    /// Who brings its machines up.
    pub providers: Providers,
    /// The way into its machines over SSH.
    pub access: Arc<Access>,
    /// The host's proxies, for machines.
    pub proxies: Vec<(String, String)>,
    prober: Prober,
}

/// The name of the variable that lists what is reached without a proxy.
const NO_PROXY: &str = "no_proxy";

/// The host's proxies, past which machines reach each other: no proxy knows their names.
fn past_proxies(mut proxies: Vec<(String, String)>, workspace: &Workspace) -> Vec<(String, String)> {
    if proxies.iter().all(|(name, _)| name == NO_PROXY) {
        return proxies;
    }
    let own = workspace.machines().flat_map(|machine| [machine.id.machine.as_str(), machine.hostname.as_str()]);
    let mut names: Vec<&str> = ["localhost", "127.0.0.1"].into_iter().chain(own).collect();
    let old = proxies.iter().position(|(name, _)| name == NO_PROXY).map(|at| proxies.remove(at).1);
    let given: Vec<&str> =
        old.iter().flat_map(|list| list.split(',')).map(str::trim).filter(|name| !name.is_empty()).collect();
    names.retain(|name| !given.contains(name));
    names.sort_unstable();
    names.dedup();
    proxies.push((NO_PROXY.to_owned(), [given, names].concat().join(",")));
    proxies
}

impl Session {
    /// A workspace, the folder of its file, the providers of its machines, the host's proxies for machines, and where rig
    /// keeps what it knows of them.
    #[must_use]
    pub fn new(
        workspace: Workspace,
        folder: Utf8PathBuf,
        members: impl IntoIterator<Item = Arc<dyn Provider>>,
        proxies: Vec<(String, String)>,
        layout: Layout,
    ) -> Self {
        let proxies = past_proxies(proxies, &workspace);
        let bare = Providers::new(members, &workspace);
        let access = Arc::new(Access::new(&workspace, &folder, bare.clone(), proxies.clone(), layout));
        let members = bare.iter().map(|provider| OverSsh::where_needed(provider.clone(), &access));
        let providers = Providers::new(members, &workspace);
        let prober = Prober::new(providers.clone());
        Self { workspace, folder, providers, access, proxies, prober }
    }

    /// The providers as they were given, for another session.
    pub fn bare(&self) -> impl Iterator<Item = Arc<dyn Provider>> {
        self.access.providers().iter().cloned()
    }

    /// Checks that the providers can do what the file asks of the selected machines.
    ///
    /// # Errors
    /// Everything that they cannot do.
    pub fn validate(&self, selection: &Selection) -> Result<(), EngineError> {
        let mut errors = Vec::new();
        for machine in self.workspace.machines().filter(|machine| selection.contains(&machine.id)) {
            let Ok(provider) = self.providers.get(&machine.provider) else {
                errors.push(PlanError::NoProvider {
                    machine: machine.id.clone(),
                    provider: machine.provider.to_string(),
                    origin: machine.origin.clone(),
                });
                continue;
            };
            let of_box = self.workspace.boxes.get(&machine.box_name);
            errors.extend(provider.validate(machine, of_box).into_iter().map(|issue| PlanError::Unsupported {
                machine: machine.id.clone(),
                field: issue.field,
                message: issue.message,
                hint: issue.hint,
                origin: machine.origin.clone(),
            }));
        }
        if errors.is_empty() { Ok(()) } else { Err(EngineError::Plan(errors)) }
    }

    /// What is there.
    ///
    /// # Errors
    /// When the engine does not answer.
    pub async fn observe(&self, cx: &Context, scope: ObserveScope) -> Result<Observed, EngineError> {
        self.providers.observe(cx, &self.workspace.name, scope).await
    }

    /// Runs a command in a machine that the file declares, and keeps the last `keep` bytes of each of its streams.
    ///
    /// # Errors
    /// When it cannot be run, or the context ends first.
    pub async fn run(
        &self,
        cx: &Context,
        machine: &MachineRef,
        request: &ExecRequest,
        keep: usize,
    ) -> Result<Output, EngineError> {
        Ok(run_command(self.providers.of(&machine.id)?.as_ref(), cx, machine, request, keep).await?)
    }

    /// What is there, with the snapshots of its machines. A provider that has none has nothing to list.
    ///
    /// # Errors
    /// When the engine does not answer.
    pub async fn observe_snapshots(&self, cx: &Context, scope: ObserveScope) -> Result<Observed, EngineError> {
        let list = self.providers.snapshots(cx, &self.workspace.name);
        let (observed, list) = tokio::join!(self.observe(cx, scope), list);
        Ok(Observed { snapshots: list?, ..observed? })
    }

    /// Checks that the providers take snapshots of the selected machines.
    ///
    /// # Errors
    /// Each machine for which it does not.
    pub fn must_have_snapshots(&self, selection: &Selection) -> Result<(), EngineError> {
        self.validate(selection)?;
        let takes_none = |machine: &&MachineSpec| {
            selection.contains(&machine.id)
                && self.providers.of(&machine.id).is_ok_and(|provider| provider.snapshots().is_none())
        };
        let errors = self.workspace.machines().filter(takes_none).map(|machine| PlanError::Unsupported {
            machine: machine.id.clone(),
            field: "provider".to_owned(),
            message: format!("provider {} has no snapshots", machine.provider),
            hint: None,
            origin: machine.origin.clone(),
        });
        let errors: Vec<PlanError> = errors.collect();
        if errors.is_empty() { Ok(()) } else { Err(EngineError::Plan(errors)) }
    }

    /// What is there, and everything else that a plan for `up` depends on: ports of this host, health of what runs, old
    /// values of what was changed. `boxes` makes the table once the boxes are known that are there.
    ///
    /// # Errors
    /// When the engine does not answer, or the boxes cannot be hashed.
    pub async fn observe_for_up(
        &self,
        cx: &Context,
        selection: &Selection,
        boxes: impl FnOnce(&Observed, &Engines) -> Result<BoxTable, EngineError>,
    ) -> Result<(Observed, BoxTable, Engines), EngineError> {
        let (observed, engines) = tokio::join!(self.observe(cx, ObserveScope::ALL), self.providers.probe(cx));
        let (mut observed, engines) = (observed?, engines?);
        if engines.values().any(|engine| engine.ports_here) {
            self.add_host_ports(&mut observed);
        }
        let table = boxes(&observed, &engines)?;
        let machines = std::mem::take(&mut observed.machines);
        let looked = self.look(cx, machines, selection).await?;
        observed.machines = looked;
        Ok((observed, table, engines))
    }

    /// Adds the ports of this host that programs outside the engine have. Only for an engine on this host.
    pub fn add_host_ports(&self, observed: &mut Observed) {
        let uses = host_ports::in_use(&self.workspace, observed);
        observed.host_ports.extend(uses);
    }

    /// The plan that makes what is into what the file says.
    ///
    /// # Errors
    /// All reasons why there is none.
    pub fn plan_up(
        &self,
        seen: Seen<'_>,
        provisioning: &Provisioning,
        selection: &Selection,
        options: &UpOptions,
    ) -> Result<Plan, EngineError> {
        let desired = self.desired(seen, provisioning);
        reconcile::up(desired, seen.observed, selection, options).map_err(EngineError::Plan)
    }

    /// The plan that runs provisioning steps on machines that run.
    ///
    /// # Errors
    /// All reasons why there is none.
    pub fn plan_provision(
        &self,
        seen: Seen<'_>,
        provisioning: &Provisioning,
        selection: &Selection,
        options: ProvisionOptions,
    ) -> Result<Plan, EngineError> {
        let desired = self.desired(seen, provisioning);
        reconcile::provision(desired, seen.observed, selection, options).map_err(EngineError::Plan)
    }

    fn desired<'a>(&'a self, seen: Seen<'a>, provisioning: &'a Provisioning) -> reconcile::Desired<'a> {
        reconcile::Desired {
            workspace: &self.workspace,
            folder: &self.folder,
            boxes: seen.boxes,
            proxies: &self.proxies,
            provisioning,
            engines: seen.engines,
        }
    }

    /// Asks the probes of every running machine once, and looks closely at those whose old values or end a plan shows.
    async fn look(
        &self,
        cx: &Context,
        machines: Vec<ObservedMachine>,
        selection: &Selection,
    ) -> Result<Vec<ObservedMachine>, EngineError> {
        let ip = Self::addresses(&self.workspace, &machines);
        let mut looked: Vec<ObservedMachine> = stream::iter(machines)
            .map(|seen| {
                let ip = &ip;
                async move {
                    if !selection.contains(&seen.id) {
                        return Ok(seen);
                    }
                    match self.workspace.machine(&seen.id) {
                        Some(spec) if seen.state == MachineState::Running => {
                            let mut closer = self.closer_if_changed(cx, seen, spec).await?;
                            let wanted = if Self::settled(&closer, spec) { Questions::Cheap } else { Questions::All };
                            closer.ready = self.health(cx, spec, ip, wanted).await;
                            Ok(closer)
                        }
                        Some(spec) => self.closer_if_changed(cx, seen, spec).await,
                        None => Ok(seen),
                    }
                }
            })
            .buffer_unordered(LOOKS)
            .collect::<Vec<Result<_, EngineError>>>()
            .await
            .into_iter()
            .collect::<Result<_, _>>()?;
        looked.sort_by(|a, b| (&a.id.topology, &a.group, a.index).cmp(&(&b.id.topology, &b.group, b.index)));
        Ok(looked)
    }

    /// Old values of environment variables and exit codes are known to an inspection only; most machines need none.
    async fn closer_if_changed(
        &self,
        cx: &Context,
        seen: ObservedMachine,
        spec: &MachineSpec,
    ) -> Result<ObservedMachine, EngineError> {
        let environment = seen.fields.iter().any(|field| field.is_sealed());
        // Whether a value differs is seen without knowing it; what is set differently is worth a call.
        let literal = |name: &str| {
            let value = spec.env.get(name).and_then(|text| text.resolve(&|_| None));
            value.map(|value| rig_model::Field { path: format!("env.{name}"), value }.sealed())
        };
        let changed = environment
            && seen
                .fields
                .iter()
                .filter_map(|field| Some((field, field.path.strip_prefix("env.")?)))
                .any(|(field, name)| literal(name).is_none_or(|new| new != *field));
        // A program that is a probe is run for machines that started lately, and only a closer look knows when that was.
        let probes = spec.ready.probes.iter().any(|probe| matches!(probe.kind, ProbeKind::Exec { .. }));
        if !changed && !probes && seen.state != MachineState::Exited {
            return Ok(seen);
        }
        let machine = MachineRef { workspace: self.workspace.name.clone(), id: seen.id.clone() };
        let closer = self.providers.having(&seen)?.inspect(cx, &machine).await?;
        Ok(closer.unwrap_or(seen))
    }

    /// Asks one probe, whose addresses are filled in.
    ///
    /// # Errors
    /// Why it does not pass, in words.
    pub(crate) async fn ask(&self, cx: &Context, probe: &rig_model::Probe) -> Result<(), String> {
        self.prober.ask(cx, &self.workspace.name, probe).await
    }

    /// Whether a machine has run for longer than it has to become ready: it was ready once, or the run that started it said
    /// that it was not.
    fn settled(seen: &ObservedMachine, spec: &MachineSpec) -> bool {
        let lifetime = seen.started.map(|started| jiff::Timestamp::now().duration_since(started));
        lifetime.is_some_and(|lifetime| lifetime.unsigned_abs() > spec.ready.timeout)
    }

    /// Whether a machine's probes pass now; nothing for a machine without probes.
    pub async fn health(
        &self,
        cx: &Context,
        spec: &MachineSpec,
        ip: &(dyn Fn(&MachineId) -> Option<Ipv4Addr> + Sync),
        wanted: Questions,
    ) -> Option<bool> {
        if spec.ready.probes.is_empty() {
            return None;
        }
        let cx = cx.within(HEALTH);
        let Some(ready) = spec.ready.resolve(&|machine| ip(machine)) else { return Some(false) };
        let is_cheap = |probe: &&Probe| wanted == Questions::All || !matches!(probe.kind, ProbeKind::Exec { .. });
        for probe in ready.probes.iter().filter(is_cheap) {
            if self.ask(&cx, probe).await.is_err() {
                return Some(false);
            }
        }
        Some(true)
    }

    /// The addresses that machines have, on the first network that the file gives them.
    pub fn addresses(
        workspace: &Workspace,
        machines: &[ObservedMachine],
    ) -> impl Fn(&MachineId) -> Option<Ipv4Addr> + Sync + use<> {
        let table: std::collections::HashMap<MachineId, Ipv4Addr> = machines
            .iter()
            .filter_map(|seen| {
                let first = workspace.machine(&seen.id).and_then(|spec| spec.networks.first());
                let ip = seen
                    .addresses
                    .iter()
                    .find(|(network, _)| first.is_none_or(|first| first.network == *network))
                    .map(|(_, ip)| *ip)?;
                Some((seen.id.clone(), ip))
            })
            .collect();
        move |machine| table.get(machine).copied()
    }

    /// The names of the boxes that the selected machines need, by their provider, parents first.
    #[must_use]
    pub fn boxes_for(&self, selection: &Selection) -> BTreeMap<ProviderId, Vec<BoxName>> {
        self.boxes_of(|machine| selection.contains(&machine.id))
    }

    /// Which providers have which of these boxes: those whose machines need it; the first one that has boxes at all, when no
    /// machine does.
    #[must_use]
    pub fn homes_of(&self, boxes: &[BoxName]) -> BTreeMap<ProviderId, Vec<BoxName>> {
        let mut homes = self.boxes_of(|_| true);
        let is_used = |name: &&BoxName| homes.values().any(|names| names.contains(name));
        let (_, unused): (Vec<&BoxName>, Vec<&BoxName>) = boxes.iter().partition(is_used);
        for names in homes.values_mut() {
            names.retain(|name| boxes.contains(name));
        }
        if let Some(provider) = self.providers.iter().find(|provider| provider.images().is_some())
            && !unused.is_empty()
        {
            homes.entry(provider.id().clone()).or_default().extend(unused.into_iter().cloned());
        }
        homes.retain(|_, names| !names.is_empty());
        homes
    }

    fn boxes_of(&self, is_meant: impl Fn(&MachineSpec) -> bool) -> BTreeMap<ProviderId, Vec<BoxName>> {
        // A provider without boxes of its own is not asked for any.
        let of = |provider: &Arc<dyn Provider>| -> (ProviderId, Vec<BoxName>) {
            let machines = self.workspace.machines().filter(|machine| machine.provider == *provider.id());
            let needed = self.workspace.needed_boxes(machines.filter(|machine| is_meant(machine)));
            (provider.id().clone(), needed.into_iter().map(|spec| spec.name.clone()).collect())
        };
        self.providers.iter().map(of).filter(|(_, names)| !names.is_empty()).collect()
    }
}
