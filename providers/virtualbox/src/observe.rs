//! What is seen of machines: their settings files, and the two lists of VirtualBox.

use crate::{
    label::MachineLabel, layout::Place, provider::VirtualBoxProvider, registry::Registry, run::Run, settings::Settings,
};
use rig_hypervisor::{Guest, files};
use rig_model::{Exit, HostPortUse, MachineId, MachineState, Name, Observed, ObservedMachine};
use rig_provider_api::{Context, MachineRef, ObserveScope, ProviderError, Result};

/// How a machine ends that VirtualBox did not end: its process was killed, or the host lost its power.
const ABORTED: Exit = Exit { code: 137, out_of_memory: false };

/// A machine that was begun, as far as it is there.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Found {
    pub(crate) place: Place,
    /// What VirtualBox knows it by.
    pub(crate) identity: String,
    /// Its own file; nothing when the file is gone.
    pub(crate) settings: Option<Settings>,
    /// What it was made from; nothing when it was never finished.
    pub(crate) label: Option<MachineLabel>,
    pub(crate) run: Option<Run>,
}

impl Found {
    /// What is there in a place; nothing where nothing was begun. Blocks.
    pub(crate) fn load(place: &Place) -> Result<Option<Self>> {
        let Some(identity) = files::read(&place.identity)? else { return Ok(None) };
        let settings = Settings::load(&place.settings())?;
        let label = settings.as_ref().map(MachineLabel::of).transpose()?.flatten();
        let run = Run::load(place)?;
        Ok(Some(Self { place: place.clone(), identity: identity.trim().to_owned(), settings, label, run }))
    }

    /// What it is doing; nothing when only its identity is left of it.
    pub(crate) fn state(&self, registry: &Registry) -> Option<MachineState> {
        let known = registry.known.contains(&self.identity);
        let Some(settings) = &self.settings else { return known.then_some(MachineState::Dead) };
        Some(match (&self.label, &self.run) {
            // Never finished; or somebody has taken it out of VirtualBox's list, which then does not know its disk any more.
            (None, _) => MachineState::Dead,
            _ if !known => MachineState::Dead,
            _ if registry.running.contains(&self.identity) => MachineState::Running,
            (_, None) => MachineState::Created,
            (_, Some(_)) if settings.saved => MachineState::Suspended,
            (_, Some(_)) => MachineState::Exited,
        })
    }

    /// How its last run ended.
    fn exit(&self) -> Option<Exit> {
        let aborted = self.settings.as_ref().is_some_and(|settings| settings.aborted);
        let ended = self.run.as_ref()?.ended.clone();
        Some(if aborted { ABORTED } else { ended.unwrap_or(Exit { code: 0, out_of_memory: false }) })
    }

    /// The machine as its neighbours see it.
    pub(crate) fn guest(&self) -> Option<Guest> {
        let label = self.label.as_ref()?;
        let addresses = label.cards.iter().map(|card| (card.network.clone(), card.ip)).collect();
        Some(Guest { id: label.id.clone(), hostname: label.hostname.clone(), addresses })
    }
}

impl VirtualBoxProvider {
    /// A machine that was begun; nothing where there is none.
    pub(crate) async fn found(&self, cx: &Context, machine: &MachineRef) -> Result<Option<Found>> {
        let doing = format!("looking at machine {machine}");
        let place = self.layout.machine(machine);
        cx.run(&doing, files::blocking(&doing, move || Found::load(&place))).await
    }

    /// A machine that must be there.
    pub(crate) async fn there(&self, cx: &Context, doing: &str, machine: &MachineRef) -> Result<Found> {
        let absent = || ProviderError::Absent { doing: doing.to_owned(), what: format!("machine {machine}") };
        self.found(cx, machine).await?.filter(|found| found.settings.is_some()).ok_or_else(absent)
    }

    /// All machines of a workspace that were begun.
    pub(crate) async fn all_of(&self, cx: &Context, doing: &str, workspace: &Name) -> Result<Vec<Found>> {
        let (layout, workspace) = (self.layout.clone(), workspace.clone());
        let work = files::blocking(doing, move || {
            let places = layout.machines_of(&workspace).into_iter().map(|name| layout.machine_of(&name));
            places.filter_map(|place| Found::load(&place).transpose()).collect()
        });
        cx.run(doing, work).await
    }

    /// A closer look at one machine.
    pub(crate) async fn look_closer(&self, cx: &Context, machine: &MachineRef) -> Result<Option<ObservedMachine>> {
        if self.found(cx, machine).await?.is_none() {
            return Ok(None);
        }
        // What was begun is done when the answer comes: the files are read after that.
        let registry = self.recent(cx).await?;
        let Some(found) = self.found(cx, machine).await? else { return Ok(None) };
        let Some(mut seen) = self.observed(&found, &machine.id, &registry) else { return Ok(None) };
        seen.restarts = Some(0);
        seen.started = found.run.as_ref().map(|run| run.started);
        seen.exit = found.exit().filter(|_| seen.state == MachineState::Exited);
        Ok(Some(seen))
    }

    fn observed(&self, found: &Found, id: &MachineId, registry: &Registry) -> Option<ObservedMachine> {
        let state = found.state(registry)?;
        let label = found.label.as_ref();
        let native = match label.map(|label| label.restored) {
            None | Some(0) => found.identity.clone(),
            Some(restored) => format!("{}/{restored}", found.identity),
        };
        Some(ObservedMachine {
            id: id.clone(),
            group: label.map_or_else(|| id.machine.clone(), |label| label.group.clone()),
            index: label.and_then(|label| label.index),
            provider: self.id.clone(),
            native,
            state,
            digest: label.map(|label| label.digest.clone()),
            fields: label.map(|label| label.fields.clone()).unwrap_or_default(),
            image: label.map(|label| label.image.clone()).unwrap_or_default(),
            addresses: label.map_or_else(Vec::new, |label| {
                label.cards.iter().map(|card| (card.network.clone(), card.ip)).collect()
            }),
            ports: label.map(|label| label.ports.clone()).unwrap_or_default(),
            started: None,
            restarts: None,
            exit: None,
            ready: None,
            process: None,
        })
    }

    /// Refuses to speak of machines that this VirtualBox has never heard of: another home of VirtualBox has them, and they may run
    /// there.
    async fn same_virtualbox(&self, cx: &Context, doing: &str, registry: &Registry) -> Result<()> {
        let layout = self.layout.clone();
        let work = files::blocking(doing, move || {
            let machines = layout.every_machine().into_iter().map(|name| layout.machine_of(&name));
            let places = machines.chain(layout.images().into_iter().map(|image| layout.master(&image)));
            Ok(places.filter_map(|place| Settings::load(&place.settings()).ok().flatten()).collect::<Vec<_>>())
        });
        let there = cx.run(doing, work).await?;
        if there.is_empty() || there.iter().any(|settings| registry.known.contains(&settings.uuid)) {
            return Ok(());
        }
        let why = format!("it knows none of rig's machines in {}", self.layout.machines());
        Err(ProviderError::failed(doing, why).hinted("is VBOX_USER_HOME another one than before?"))
    }

    /// Everything of a workspace.
    pub(crate) async fn observe_all(&self, cx: &Context, workspace: &Name, scope: ObserveScope) -> Result<Observed> {
        let doing = "looking at VirtualBox's machines";
        let (layout, provider, of) = (self.layout.clone(), self.id.clone(), workspace.clone());
        let work = files::blocking(doing, move || {
            let mut observed = Observed::default();
            if scope.networks {
                layout.networks().observe::<crate::networks::Internal>(&provider, &of, &mut observed)?;
            }
            if scope.host_ports {
                let own = layout.machines_of(&of);
                for name in layout.every_machine().iter().filter(|name| !own.contains(name)) {
                    // What cannot be read of another workspace, because a newer rig wrote it, is left out.
                    let Ok(Some(Found { label: Some(label), .. })) = Found::load(&layout.machine_of(name)) else {
                        continue;
                    };
                    let owner = format!("machine {} of workspace {}", label.id, label.workspace);
                    observed.host_ports.extend(label.ports.iter().map(|port| HostPortUse {
                        port: port.host,
                        protocol: port.protocol,
                        owner: owner.clone(),
                    }));
                }
            }
            Ok(observed)
        });
        let mut observed = cx.run(doing, work).await?;
        let own = self.all_of(cx, doing, workspace).await?;
        // Where nothing was begun, nothing has to be asked.
        if !own.is_empty() || (scope.boxes && !self.layout.images().is_empty()) {
            let registry = self.registry(cx).await?;
            self.same_virtualbox(cx, doing, &registry).await?;
            // What was begun is done when the answer comes: the files are read after that.
            for found in &self.all_of(cx, doing, workspace).await? {
                let Some(id) = machine_id(&found.place.name) else { continue };
                observed.machines.extend(self.observed(found, &id, &registry));
            }
            if scope.boxes {
                observed.boxes = self.masters(cx, &registry).await?;
            }
        }
        observed.machines.sort_by(|a, b| (&a.id.topology, &a.group, a.index).cmp(&(&b.id.topology, &b.group, b.index)));
        Ok(observed)
    }
}

/// The machine of a name.
fn machine_id(name: &str) -> Option<MachineId> {
    let mut parts = name.split('.').skip(1).map(|part| Name::new(part).ok());
    Some(MachineId::new(parts.next()??, parts.next()??))
}
