//! What a provider sees.

use crate::{BoxName, Bytes, Digest, Field, MachineId, MilliCpus, Name, Protocol, ProviderId};
use ipnet::Ipv4Net;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, Ipv4Addr};

/// Everything of one workspace that its providers hold, and what else matters for a plan.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observed {
    /// Machines with this workspace's label.
    pub machines: Vec<ObservedMachine>,
    /// Networks with this workspace's label.
    pub networks: Vec<ObservedNetwork>,
    /// Address ranges of other networks of the engine, which a new network must avoid.
    pub foreign_subnets: Vec<Ipv4Net>,
    /// Volumes with this workspace's label.
    pub volumes: Vec<ObservedVolume>,
    /// Boxes that are there, of any workspace.
    pub boxes: Vec<ObservedBox>,
    /// Host ports in use by machines that are not this workspace's.
    pub host_ports: Vec<HostPortUse>,
    /// Snapshots of this workspace's machines, where they were asked for.
    #[serde(default)]
    pub snapshots: Vec<ObservedSnapshot>,
}

/// What an engine is and has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EngineFacts {
    /// Where it was reached (`unix:///var/run/docker.sock`).
    pub endpoint: String,
    /// Why this engine was taken (`the file names it`, `default socket`).
    pub chosen_by: String,
    /// Product and version (`Docker 28.5.2`).
    pub version: String,
    /// Memory of the machine that it runs on.
    pub memory: Bytes,
    /// Processors of the machine that it runs on.
    pub cpus: MilliCpus,
    /// Operating system and processor (`linux/amd64`).
    pub platform: String,
    /// The name of the operating system that it runs on (`Debian GNU/Linux 12 (bookworm)`), where it tells.
    pub system: Option<String>,
    /// How it stores the layers of boxes (`overlay2`), where it tells.
    pub storage: Option<String>,
    /// Whether the engine runs on this very host, so that host folders can be mounted and addresses be reached.
    pub local: bool,
    /// Whether the ports that it publishes are ports of this host: it is local, or in a virtual machine that this host has for it.
    pub ports_here: bool,
}

/// A machine as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObservedMachine {
    /// Topology and name, from its label.
    pub id: MachineId,
    /// The `machine` node it came from.
    pub group: Name,
    /// The number among the group's machines.
    pub index: Option<u32>,
    /// Who has it.
    pub provider: ProviderId,
    /// The provider's own identifier.
    pub native: String,
    /// What it is doing.
    pub state: MachineState,
    /// The hash of its fields when it was made.
    pub digest: Option<Digest>,
    /// The fields it was made with; values of environment variables are there only after a closer look.
    pub fields: Vec<Field>,
    /// The box's reference it was made from.
    pub image: String,
    /// Its addresses by network name.
    pub addresses: Vec<(Name, Ipv4Addr)>,
    /// Its published ports.
    pub ports: Vec<PublishedPort>,
    /// When it was last started; known after a closer look.
    pub started: Option<Timestamp>,
    /// How often the engine restarted its service; known after a closer look.
    pub restarts: Option<u32>,
    /// How its process 1 ended, when it has; known after a closer look.
    pub exit: Option<Exit>,
    /// Whether its probes pass; known when they were asked.
    pub ready: Option<bool>,
    /// Whether its process 1 is seen among this host's processes, which notice an end sooner than engines; known after a
    /// closer look at a machine that runs here.
    pub process: Option<bool>,
}

/// What a machine is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MachineState {
    /// Made, never started.
    Created,
    /// Its process 1 runs.
    Running,
    /// Its engine is about to start it again.
    Restarting,
    /// Frozen in memory.
    Paused,
    /// Stopped in the middle of what it does, with its memory on disk.
    Suspended,
    /// Ended, with this exit code where known.
    Exited,
    /// Half removed, or otherwise beyond use.
    Dead,
}

impl std::fmt::Display for MachineState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Created => "created",
            Self::Running => "running",
            Self::Restarting => "restarting",
            Self::Paused => "paused",
            Self::Suspended => "suspended",
            Self::Exited => "exited",
            Self::Dead => "dead",
        })
    }
}

impl MachineState {
    /// Whether process 1 exists.
    #[must_use]
    pub fn is_running(self) -> bool {
        matches!(self, Self::Running | Self::Paused)
    }

    /// Whether it goes on where it was when it is resumed.
    #[must_use]
    pub fn can_resume(self) -> bool {
        matches!(self, Self::Paused | Self::Suspended)
    }
}

/// How a machine's process 1 ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit {
    /// Its exit code; 128 + signal when a signal ended it.
    pub code: i64,
    /// Whether the kernel ended it for want of memory.
    pub out_of_memory: bool,
}

impl std::fmt::Display for Exit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.code, self.out_of_memory) {
            (code, true) => write!(f, "ended with exit code {code}: it ran out of its memory limit"),
            (137, false) => write!(f, "was killed (exit code 137)"),
            (code, false) => write!(f, "ended with exit code {code}"),
        }
    }
}

/// A port of the host that leads into a machine.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PublishedPort {
    /// The port inside the machine.
    pub guest: u16,
    /// The port on the host.
    pub host: u16,
    /// The host's address it is bound to.
    pub bind: IpAddr,
    /// Streams or datagrams.
    pub protocol: Protocol,
}

/// A host port that somebody else has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostPortUse {
    /// The port.
    pub port: u16,
    /// Streams or datagrams.
    pub protocol: Protocol,
    /// Who has it, in words (`container web`, `process nginx (812)`).
    pub owner: String,
}

/// A network as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObservedNetwork {
    /// The topology that owns it.
    pub topology: Name,
    /// Its name inside the topology.
    pub name: Name,
    /// Who has it.
    pub provider: ProviderId,
    /// The provider's own identifier.
    pub native: String,
    /// Its address range.
    pub subnet: Option<Ipv4Net>,
    /// Whether machines are kept from reaching the outside.
    pub internal: bool,
}

/// A volume as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObservedVolume {
    /// The machine that owns it.
    pub machine: MachineId,
    /// Its name inside the machine.
    pub name: Name,
    /// Who has it.
    pub provider: ProviderId,
    /// The provider's own identifier.
    pub native: String,
}

/// A box as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObservedBox {
    /// The box's name.
    pub name: BoxName,
    /// Who has it.
    pub provider: ProviderId,
    /// The content hash it was built from.
    pub digest: Digest,
    /// The reference that machines are created from.
    pub image: String,
    /// The provider's own identifier.
    pub native: String,
    /// The parent box's name.
    pub parent: Option<BoxName>,
    /// All layers together, uncompressed.
    pub size: Bytes,
    /// When it was built.
    pub created: Option<Timestamp>,
}

/// A snapshot of one machine as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObservedSnapshot {
    /// The machine.
    pub machine: MachineId,
    /// The snapshot's name.
    pub name: Name,
    /// Who has it.
    pub provider: ProviderId,
    /// What was taken; absent for what is left of a save that was cut, which can only be deleted.
    pub taken: Option<TakenSnapshot>,
}

/// What a snapshot holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TakenSnapshot {
    /// When.
    pub at: Timestamp,
    /// Whether the machine's process 1 ran then.
    pub running: bool,
    /// The hash of the machine's fields then.
    pub digest: Option<Digest>,
    /// The machine's addresses by network name.
    pub addresses: Vec<(Name, Ipv4Addr)>,
    /// What it takes beside the box: the machine's own layer and the contents of its volumes.
    pub size: Bytes,
    /// How many volumes it holds.
    pub volumes: usize,
}
