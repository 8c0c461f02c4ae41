//! Machines, networks, volumes and images in memory, and the rules that an engine keeps them by.

use crate::{snapshots::Snapshot, usage::Work};
use bytes::Bytes as Data;
use jiff::Timestamp;
use rig_model::{
    Bytes, Exit, HostPortUse, Ipv4Net, MachineId, MachineState, Mount, Name, Observed, ObservedBox, ObservedMachine,
    ObservedNetwork, ObservedVolume, ProviderId, ResolvedMachine, ResolvedNetwork, Stream,
};
use rig_provider_api::{LayerUsage, MachineRef, ObserveScope, ProviderError, Result};
use std::collections::BTreeMap;
use tokio::{sync::watch, time::Instant};
use tokio_util::sync::CancellationToken;

/// What tells machines apart: workspace and id.
pub(crate) type Key = (Name, MachineId);

/// The key of a machine.
pub(crate) fn key(machine: &MachineRef) -> Key {
    (machine.workspace.clone(), machine.id.clone())
}

/// A piece of a log.
#[derive(Clone)]
pub(crate) struct LogEntry {
    pub(crate) at: Timestamp,
    pub(crate) stream: Stream,
    pub(crate) bytes: Data,
}

/// What process 1 does on TERM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OnTerm {
    /// It ends with this code.
    Ends(i64),
    /// Nothing.
    Ignores,
}

/// What TERM leads to unless process 1 has said otherwise: 128 + 15.
const TERMINATED: i64 = 143;

/// A machine.
pub(crate) struct Machine {
    pub(crate) spec: ResolvedMachine,
    pub(crate) native: String,
    pub(crate) state: MachineState,
    /// Counts starts, so that what belongs to an earlier life changes nothing in a later one.
    pub(crate) run: u64,
    /// Ends process 1's task.
    pub(crate) life: CancellationToken,
    pub(crate) started: Option<Timestamp>,
    pub(crate) began: Option<Instant>,
    pub(crate) restarts: u32,
    pub(crate) exit: Option<Exit>,
    pub(crate) on_term: OnTerm,
    pub(crate) log: Vec<LogEntry>,
    /// Changes with the log and the state; closed when the machine is removed.
    pub(crate) changed: watch::Sender<()>,
    /// What this life has done.
    pub(crate) work: Work,
    pub(crate) files: BTreeMap<String, Vec<u8>>,
}

impl Machine {
    /// Puts the machine into its next life.
    pub(crate) fn begin(&mut self) {
        self.run += 1;
        self.state = MachineState::Running;
        self.life = CancellationToken::new();
        self.started = Some(Timestamp::now());
        self.began = Some(Instant::now());
        self.exit = None;
        self.on_term = OnTerm::Ends(TERMINATED);
        self.work = Work::default();
        self.work.begin();
        self.changed.send_replace(());
    }

    fn observed(&self, provider: &ProviderId, closer: bool) -> ObservedMachine {
        let spec = &self.spec;
        let addresses = spec.networks.iter().filter_map(|at| Some((at.network.clone(), at.ip?)));
        ObservedMachine {
            id: spec.id.clone(),
            group: spec.group.clone(),
            index: spec.index,
            provider: provider.clone(),
            native: self.native.clone(),
            state: self.state,
            digest: Some(spec.digest()),
            fields: if closer { spec.fields() } else { spec.sealed_fields() },
            image: spec.image.clone(),
            addresses: addresses.collect(),
            ports: spec.ports.clone(),
            started: self.started.filter(|_| closer),
            restarts: closer.then_some(self.restarts),
            exit: self.exit.clone().filter(|_| closer),
            ready: None,
            process: None,
        }
    }
}

/// A network and who owns it.
pub(crate) struct Network {
    workspace: Name,
    network: ResolvedNetwork,
}

/// A volume and what is in it.
pub(crate) struct Volume {
    pub(crate) workspace: Name,
    pub(crate) machine: MachineId,
    pub(crate) name: Name,
    pub(crate) files: BTreeMap<String, Vec<u8>>,
}

/// Everything that there is.
#[derive(Default)]
pub(crate) struct World {
    pub(crate) machines: BTreeMap<Key, Machine>,
    pub(crate) networks: BTreeMap<String, Network>,
    pub(crate) volumes: BTreeMap<String, Volume>,
    /// What machines were, by machine and the snapshot's name.
    pub(crate) snapshots: BTreeMap<(Key, Name), Snapshot>,
    /// Images by reference; boxes of rig with what is known of them.
    pub(crate) images: BTreeMap<String, Option<ObservedBox>>,
    /// The layers of images by reference, the lowest first.
    pub(crate) layers: BTreeMap<String, Vec<LayerUsage>>,
    pub(crate) foreign_subnets: Vec<Ipv4Net>,
    pub(crate) host_ports: Vec<HostPortUse>,
    /// How often a machine of this name was created, so that each has an identifier of its own.
    incarnations: BTreeMap<Key, u32>,
}

impl World {
    pub(crate) fn observe(&self, provider: &ProviderId, workspace: &Name, scope: ObserveScope) -> Observed {
        let mut observed = Observed::default();
        let ours = self.machines.iter().filter(|((owner, _), _)| owner == workspace);
        observed.machines = ours.map(|(_, machine)| machine.observed(provider, false)).collect();
        // As the seam's other implementations do: scale10 stands behind scale2.
        observed.machines.sort_by(|a, b| (&a.id.topology, &a.group, a.index).cmp(&(&b.id.topology, &b.group, b.index)));
        if scope.networks {
            observed.foreign_subnets.clone_from(&self.foreign_subnets);
            for (native, network) in &self.networks {
                if network.workspace == *workspace {
                    observed.networks.push(ObservedNetwork {
                        topology: network.network.topology.clone(),
                        name: network.network.name.clone(),
                        provider: provider.clone(),
                        native: native.clone(),
                        subnet: Some(network.network.subnet),
                        internal: network.network.internal,
                    });
                } else {
                    observed.foreign_subnets.push(network.network.subnet);
                }
            }
        }
        if scope.volumes {
            let ours = self.volumes.iter().filter(|(_, volume)| volume.workspace == *workspace);
            observed.volumes = ours
                .map(|(native, volume)| ObservedVolume {
                    machine: volume.machine.clone(),
                    name: volume.name.clone(),
                    provider: provider.clone(),
                    native: native.clone(),
                })
                .collect();
        }
        if scope.boxes {
            observed.boxes = self.boxes();
        }
        if scope.host_ports {
            observed.host_ports = self.host_ports.clone();
            for ((owner, id), machine) in &self.machines {
                if owner != workspace && machine.state.is_running() {
                    observed.host_ports.extend(machine.spec.ports.iter().map(|port| HostPortUse {
                        port: port.host,
                        protocol: port.protocol,
                        owner: format!("machine {owner}.{id}"),
                    }));
                }
            }
        }
        observed
    }

    pub(crate) fn boxes(&self) -> Vec<ObservedBox> {
        self.images.values().flatten().cloned().collect()
    }

    pub(crate) fn inspect(&self, provider: &ProviderId, key: &Key) -> Option<ObservedMachine> {
        Some(self.machines.get(key)?.observed(provider, true))
    }

    pub(crate) fn create(&mut self, spec: &ResolvedMachine) -> Result<()> {
        let doing = format!("creating machine {}", spec.id);
        let key = (spec.workspace.clone(), spec.id.clone());
        if let Some(there) = self.machines.get(&key) {
            return if there.spec.digest() == spec.digest() {
                Ok(())
            } else {
                Err(ProviderError::failed(doing, format!("a machine named {} is there already", spec.id))
                    .hinted("remove or rename it, or give the workspace another name"))
            };
        }
        if !self.images.contains_key(&spec.image) {
            return Err(ProviderError::failed(doing, format!("No such image: {}", spec.image)));
        }
        for attachment in &spec.networks {
            let network = network_name(&spec.workspace, &spec.id.topology, &attachment.network);
            if !self.networks.contains_key(&network) {
                return Err(ProviderError::failed(doing, format!("network {network} not found")));
            }
        }
        for mount in &spec.mounts {
            if let Mount::Volume { name, .. } = mount {
                self.volumes.entry(volume_name(&key, name)).or_insert_with(|| Volume {
                    workspace: spec.workspace.clone(),
                    machine: spec.id.clone(),
                    name: name.clone(),
                    files: BTreeMap::new(),
                });
            }
        }
        let incarnation = self.incarnations.entry(key.clone()).or_default();
        *incarnation += 1;
        let machine = Machine {
            native: format!("{}.{}#{incarnation}", spec.workspace, spec.id),
            spec: spec.clone(),
            state: MachineState::Created,
            run: 0,
            life: CancellationToken::new(),
            started: None,
            began: None,
            restarts: 0,
            exit: None,
            on_term: OnTerm::Ends(TERMINATED),
            log: Vec::new(),
            changed: watch::Sender::new(()),
            work: Work::default(),
            files: BTreeMap::new(),
        };
        self.machines.insert(key, machine);
        Ok(())
    }

    /// What stands in the way of a start: addresses and host ports belong to one running machine at a time.
    pub(crate) fn obstacle(&self, key: &Key) -> Option<ProviderError> {
        let spec = &self.machines.get(key)?.spec;
        let doing = format!("starting machine {}", spec.id);
        let others = || self.machines.iter().filter(|(other, machine)| *other != key && machine.state.is_running());
        for port in &spec.ports {
            let same = |protocol, number| protocol == port.protocol && number == port.host;
            let taken = self.host_ports.iter().any(|taken| same(taken.protocol, taken.port))
                || others().any(|(_, other)| other.spec.ports.iter().any(|taken| same(taken.protocol, taken.host)));
            if taken {
                return Some(
                    ProviderError::failed(
                        doing,
                        format!("Bind for {}:{} failed: port is already allocated", port.bind, port.host),
                    )
                    .hinted("another container has the port; `host=\"auto\"` takes the next free one"),
                );
            }
        }
        let topology = |key: &Key| (key.0.clone(), key.1.topology.clone());
        let address = spec.networks.iter().find(|attachment| {
            attachment.ip.is_some()
                && others().any(|(other, machine)| {
                    topology(other) == topology(key) && machine.spec.networks.contains(attachment)
                })
        });
        address.map(|_| {
            ProviderError::failed(doing, "Address already in use")
                .hinted("another machine of this network has the address")
        })
    }

    pub(crate) fn create_network(&mut self, workspace: &Name, network: &ResolvedNetwork) -> Result<()> {
        let name = network_name(workspace, &network.topology, &network.name);
        let doing = format!("creating network {}/{} {}", network.topology, network.name, network.subnet);
        if let Some(there) = self.networks.get(&name) {
            return if there.network == *network {
                Ok(())
            } else {
                Err(ProviderError::failed(doing, format!("a network named {name} is there already with another range"))
                    .hinted("`rig destroy` the topology first, then bring it up again"))
            };
        }
        let ranges = self.foreign_subnets.iter().chain(self.networks.values().map(|there| &there.network.subnet));
        if ranges.copied().any(|range| range.contains(&network.subnet) || network.subnet.contains(&range)) {
            return Err(ProviderError::failed(doing, "Pool overlaps with other one on this address space")
                .hinted("give the topology another range: `network \"default\" subnet=\"10.x.y.0/24\"`"));
        }
        self.networks.insert(name, Network { workspace: workspace.clone(), network: network.clone() });
        Ok(())
    }

    pub(crate) fn remove_network(&mut self, native: &str) -> Result<()> {
        let used = self.machines.iter().any(|((workspace, id), machine)| {
            let on = |network: &Name| network_name(workspace, &id.topology, network) == native;
            machine.state.is_running() && machine.spec.networks.iter().any(|attachment| on(&attachment.network))
        });
        if used {
            return Err(ProviderError::failed(format!("removing network {native}"), "it has active endpoints"));
        }
        self.networks.remove(native);
        Ok(())
    }

    pub(crate) fn remove_volume(&mut self, native: &str) -> Result<()> {
        let used = self.machines.iter().any(|(key, machine)| {
            let is = |mount: &Mount| matches!(mount, Mount::Volume { name, .. } if volume_name(key, name) == native);
            machine.spec.mounts.iter().any(is)
        });
        if used {
            return Err(ProviderError::failed(format!("removing volume {native}"), "volume is in use"));
        }
        self.volumes.remove(native);
        Ok(())
    }

    pub(crate) fn remove_image(&mut self, image: &str) -> Result<()> {
        if self.machines.values().any(|machine| machine.spec.image == image) {
            return Err(ProviderError::failed(format!("removing image {image}"), "a machine uses it"));
        }
        self.images.remove(image);
        self.layers.remove(image);
        Ok(())
    }

    /// Puts a box there, whose size is that of its own layer so far: those of the image that it was made from are below.
    pub(crate) fn keep(&mut self, mut there: ObservedBox, from: Option<&str>) {
        let mut layers = from.and_then(|from| self.layers.get(from).cloned()).unwrap_or_default();
        layers.push(LayerUsage { id: format!("layer-{}", there.digest.short()), bytes: there.size });
        there.size = Bytes(layers.iter().map(|layer| layer.bytes.0).sum());
        self.layers.insert(there.image.clone(), layers);
        self.images.insert(there.image.clone(), Some(there));
    }

    /// What a machine's present life has done; nobody counts for one that is gone.
    pub(crate) fn count(&mut self, key: &Key, count: impl FnOnce(&mut Work)) {
        if let Some(machine) = self.machines.get_mut(key) {
            count(&mut machine.work);
        }
    }

    /// Writes to a machine's log.
    pub(crate) fn print(&mut self, key: &Key, stream: Stream, bytes: Data) {
        if let Some(machine) = self.machines.get_mut(key) {
            machine.log.push(LogEntry { at: Timestamp::now(), stream, bytes });
            machine.changed.send_replace(());
        }
    }
}

fn network_name(workspace: &Name, topology: &Name, network: &Name) -> String {
    format!("{workspace}.{topology}.{network}")
}

pub(crate) fn volume_name((workspace, id): &Key, volume: &Name) -> String {
    format!("{workspace}.{}.{}.{volume}", id.topology, id.machine)
}
