//! Machines, networks, volumes and images in memory, and the rules that an engine keeps them by.

use crate::usage::Work;
use bytes::Bytes as Data;
use jiff::Timestamp;
use rig_model::{
    Bytes, Exit, HostPortUse, Ipv4Net, MachineId, MachineState, Mount, Name, Observed, ObservedBox, ObservedMachine,
    ObservedNetwork, ObservedVolume, ResolvedMachine, ResolvedNetwork, Stream, TakenSnapshot,
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
    files: BTreeMap<String, Vec<u8>>,
}

impl Machine {
    /// What was written into it, volumes and folders in memory left out.
    pub(crate) fn files(&self) -> impl Iterator<Item = (&String, &Vec<u8>)> {
        self.files.iter().filter(|(path, _)| !in_memory(&self.spec, path))
    }

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

    fn observed(&self, closer: bool) -> ObservedMachine {
        let spec = &self.spec;
        let addresses = spec.networks.iter().filter_map(|at| Some((at.network.clone(), at.ip?)));
        ObservedMachine {
            id: spec.id.clone(),
            group: spec.group.clone(),
            index: spec.index,
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
    workspace: Name,
    machine: MachineId,
    name: Name,
    files: BTreeMap<String, Vec<u8>>,
}

/// What a machine was.
#[derive(Clone)]
pub(crate) struct Snapshot {
    pub(crate) taken: Timestamp,
    spec: ResolvedMachine,
    state: MachineState,
    exit: Option<Exit>,
    files: BTreeMap<String, Vec<u8>>,
    volumes: BTreeMap<Name, BTreeMap<String, Vec<u8>>>,
}

impl Snapshot {
    /// What is said of it.
    pub(crate) fn observed(&self) -> TakenSnapshot {
        let contents = self.volumes.values().chain([&self.files]).flat_map(BTreeMap::values);
        let addresses = self.spec.networks.iter().filter_map(|at| Some((at.network.clone(), at.ip?)));
        TakenSnapshot {
            at: self.taken,
            running: self.state.is_running() || self.state == MachineState::Restarting,
            digest: Some(self.spec.digest()),
            addresses: addresses.collect(),
            size: Bytes(contents.map(|content| content.len() as u64).sum()),
            volumes: self.volumes.len(),
        }
    }
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
    pub(crate) fn observe(&self, workspace: &Name, scope: ObserveScope) -> Observed {
        let mut observed = Observed::default();
        let ours = self.machines.iter().filter(|((owner, _), _)| owner == workspace);
        observed.machines = ours.map(|(_, machine)| machine.observed(false)).collect();
        // As the seam's other implementations do: scale10 stands behind scale2.
        observed.machines.sort_by(|a, b| (&a.id.topology, &a.group, a.index).cmp(&(&b.id.topology, &b.group, b.index)));
        if scope.networks {
            observed.foreign_subnets.clone_from(&self.foreign_subnets);
            for (native, network) in &self.networks {
                if network.workspace == *workspace {
                    observed.networks.push(ObservedNetwork {
                        topology: network.network.topology.clone(),
                        name: network.network.name.clone(),
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

    pub(crate) fn inspect(&self, key: &Key) -> Option<ObservedMachine> {
        Some(self.machines.get(key)?.observed(true))
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

    /// How many bytes are in a machine's volumes.
    pub(crate) fn in_volumes(&self, (workspace, id): &Key) -> u64 {
        let own = self.volumes.values().filter(|volume| volume.workspace == *workspace && volume.machine == *id);
        own.flat_map(|volume| volume.files.values()).map(|content| content.len() as u64).sum()
    }

    /// What a machine's present life has done; nobody counts for one that is gone.
    pub(crate) fn count(&mut self, key: &Key, count: impl FnOnce(&mut Work)) {
        if let Some(machine) = self.machines.get_mut(key) {
            count(&mut machine.work);
        }
    }

    /// What a machine is now; `None` when it is not there.
    pub(crate) fn snapshot(&self, key: &Key) -> Option<Snapshot> {
        let machine = self.machines.get(key)?;
        let volumes = self.volumes.values().filter(|volume| volume.workspace == key.0 && volume.machine == key.1);
        Some(Snapshot {
            taken: Timestamp::now(),
            spec: machine.spec.clone(),
            state: machine.state,
            exit: machine.exit.clone(),
            files: machine.files.clone(),
            volumes: volumes.map(|volume| (volume.name.clone(), volume.files.clone())).collect(),
        })
    }

    /// Makes a machine that is not there what it was.
    pub(crate) fn revive(&mut self, key: &Key, snapshot: Snapshot) -> Result<()> {
        self.create(&snapshot.spec)?;
        for (name, files) in snapshot.volumes {
            if let Some(volume) = self.volumes.get_mut(&volume_name(key, &name)) {
                volume.files = files;
            }
        }
        if let Some(machine) = self.machines.get_mut(key) {
            machine.files = snapshot.files;
            if snapshot.state == MachineState::Exited {
                machine.state = MachineState::Exited;
                machine.exit = snapshot.exit;
            }
        }
        Ok(())
    }

    /// Writes to a machine's log.
    pub(crate) fn print(&mut self, key: &Key, stream: Stream, bytes: Data) {
        if let Some(machine) = self.machines.get_mut(key) {
            machine.log.push(LogEntry { at: Timestamp::now(), stream, bytes });
            machine.changed.send_replace(());
        }
    }

    /// A file of a machine.
    pub(crate) fn read(&self, key: &Key, path: &str) -> Option<Vec<u8>> {
        let machine = self.machines.get(key)?;
        match path {
            "/etc/hostname" => return Some(format!("{}\n", machine.spec.hostname).into_bytes()),
            "/etc/hosts" => {
                let own = machine.spec.networks.iter().filter_map(|at| at.ip);
                let lines = own.map(|ip| format!("{ip}\t{}\n", machine.spec.hostname));
                return Some(
                    std::iter::once("127.0.0.1\tlocalhost\n".to_owned()).chain(lines).collect::<String>().into(),
                );
            }
            _ => {}
        }
        match volume_at(&machine.spec, path) {
            Some((name, rest)) => self.volumes.get(&volume_name(key, name))?.files.get(rest).cloned(),
            None => machine.files.get(path).cloned(),
        }
    }

    /// Writes a file of a machine whole.
    pub(crate) fn write(&mut self, key: &Key, path: &str, content: Vec<u8>) -> std::result::Result<(), &'static str> {
        let machine = self.machines.get_mut(key).ok_or("No such machine")?;
        if let Some((name, rest)) = volume_at(&machine.spec, path) {
            let volume = self.volumes.get_mut(&volume_name(key, name)).ok_or("No such volume")?;
            volume.files.insert(rest.to_owned(), content);
            return Ok(());
        }
        if machine.spec.security.read_only && !in_memory(&machine.spec, path) {
            return Err("Read-only file system");
        }
        machine.files.insert(path.to_owned(), content);
        Ok(())
    }

    /// Removes a file of a machine; says whether it was there.
    pub(crate) fn remove(&mut self, key: &Key, path: &str) -> bool {
        let Some(machine) = self.machines.get_mut(key) else { return false };
        match volume_at(&machine.spec, path) {
            Some((name, rest)) => {
                let volume = self.volumes.get_mut(&volume_name(key, name));
                volume.is_some_and(|volume| volume.files.remove(rest).is_some())
            }
            None => machine.files.remove(path).is_some(),
        }
    }
}

/// Whether a path is in a folder in memory.
fn in_memory(spec: &ResolvedMachine, path: &str) -> bool {
    spec.tmpfs.iter().any(|folder| below(path, &folder.target).is_some())
}

/// The volume that holds a path, and the path inside it.
fn volume_at<'a>(spec: &'a ResolvedMachine, path: &'a str) -> Option<(&'a Name, &'a str)> {
    spec.mounts.iter().find_map(|mount| match mount {
        Mount::Volume { name, target } => Some((name, below(path, target)?)),
        Mount::Bind { .. } => None,
    })
}

fn below<'a>(path: &'a str, folder: &str) -> Option<&'a str> {
    path.strip_prefix(folder)?.strip_prefix('/')
}

fn network_name(workspace: &Name, topology: &Name, network: &Name) -> String {
    format!("{workspace}.{topology}.{network}")
}

fn volume_name((workspace, id): &Key, volume: &Name) -> String {
    format!("{workspace}.{}.{}.{volume}", id.topology, id.machine)
}
