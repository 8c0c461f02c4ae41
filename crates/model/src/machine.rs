//! Machines as a file declares them.

use crate::{
    Attachment, BoxName, Bytes, DriftRule, MachineId, MilliCpus, Name, Origin, ProviderId, ReadySpec, SshSpec,
    StepSpec, Text,
};
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt, net::IpAddr, time::Duration};

/// How a machine becomes what it is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Idiom {
    /// Software is installed after the start; the machine changes.
    Mutable,
    /// The box holds one service; role and addresses are injected, nothing is installed afterwards.
    Immutable,
}

impl fmt::Display for Idiom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Mutable => "mutable",
            Self::Immutable => "immutable",
        })
    }
}

/// A machine as the file declares it, one per index, everything but addresses interpolated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MachineSpec {
    /// Topology and name.
    pub id: MachineId,
    /// The `machine` node it comes from; the id's machine name without the index.
    pub group: Name,
    /// The number among the group's machines, from 1; absent for a machine without `count`.
    pub index: Option<u32>,
    /// What it is in its cluster, in the user's words.
    pub role: Option<String>,
    /// The topology's idiom.
    pub idiom: Idiom,
    /// Who brings it up.
    pub provider: ProviderId,
    /// What it is made from.
    pub box_name: BoxName,
    /// The flavor its limits come from.
    pub flavor: Option<Name>,
    /// Its own host name; other machines resolve it.
    pub hostname: String,
    /// Networks, the first one first; never empty.
    pub networks: Vec<Attachment>,
    /// Arguments for the box's entry point; empty means the box's own.
    pub command: Vec<Text>,
    /// Environment of the service.
    pub env: IndexMap<String, Text>,
    /// Published ports.
    pub ports: Vec<PortSpec>,
    /// Data that outlives the machine.
    pub volumes: Vec<VolumeSpec>,
    /// Folders of the host.
    pub syncs: Vec<SyncSpec>,
    /// Folders in memory.
    pub tmpfs: Vec<TmpfsSpec>,
    /// What it may use.
    pub limits: Limits,
    /// What it may do.
    pub security: Security,
    /// What happens when its service ends.
    pub restart: RestartPolicy,
    /// What must hold before it is started.
    pub after: Vec<Dependency>,
    /// When it counts as ready.
    pub ready: ReadySpec,
    /// How long the service has to end after TERM.
    pub stop_timeout: Duration,
    /// What only its provider understands.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<ProviderOption>,
    /// How it is reached over SSH; absent for an immutable machine.
    pub ssh: Option<SshSpec>,
    /// What is installed and configured after the start, in order.
    pub steps: Vec<StepSpec>,
    /// What it does before its group becomes smaller.
    pub leave: Option<LeaveSpec>,
    /// What paths in it are for that may differ from what the file describes; the last one that fits counts.
    pub drift: Vec<DriftRule>,
    /// Where it was declared.
    pub origin: Origin,
}

impl MachineSpec {
    /// Everything that it waits for, before its start and before its steps.
    pub fn dependencies(&self) -> impl Iterator<Item = &Dependency> {
        self.after.iter().chain(self.steps.iter().flat_map(|step| &step.after))
    }
}

/// What a machine does before it is removed because its group becomes smaller: a database node hands its data over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaveSpec {
    /// The command; a single word runs as a shell line.
    pub command: Vec<String>,
    /// How long it may take.
    pub timeout: Duration,
    /// Whether the machine's volumes go with it: what it handed over must not come back.
    pub remove_volumes: bool,
}

/// What a machine may use. An absent limit means the engine's whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Processor time.
    pub cpus: Option<MilliCpus>,
    /// Memory, swap not included: there is none.
    pub memory: Option<Bytes>,
    /// Processes and threads.
    pub pids: Option<u32>,
}

/// What a machine may do. The default is the minimum.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Security {
    /// Capabilities beyond the minimal list, or beyond none when `drop_all`; without the `CAP_` prefix.
    pub cap_add: Vec<String>,
    /// Capabilities taken from the minimal list.
    pub cap_drop: Vec<String>,
    /// Whether the root file system is read-only.
    pub read_only: bool,
    /// Whether processes may gain privileges through setuid files.
    pub new_privileges: bool,
    /// All capabilities and devices: a line that the user wrote.
    pub privileged: bool,
    /// The user the service runs as, instead of the box's.
    pub user: Option<String>,
}

/// What happens when a machine's service ends by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RestartPolicy {
    /// It stays ended.
    #[default]
    No,
    /// It is started again after a failure.
    OnFailure,
    /// It is always started again.
    Always,
}

impl fmt::Display for RestartPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::No => "no",
            Self::OnFailure => "on-failure",
            Self::Always => "always",
        })
    }
}

/// Another machine that must have come to a state first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dependency {
    /// The other machine.
    pub machine: MachineId,
    /// The state.
    pub condition: Condition,
}

/// A state that `after` waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Condition {
    /// Its process 1 runs.
    Started,
    /// Its probes have passed.
    Ready,
    /// It ended with 0: a one-shot.
    Done,
}

/// The transport of a port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// Streams.
    #[default]
    Tcp,
    /// Datagrams.
    Udp,
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        })
    }
}

/// A published port as declared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortSpec {
    /// The port inside the machine.
    pub guest: u16,
    /// The port on the host.
    pub host: RequestedPort,
    /// The host's address that it is bound to.
    pub bind: IpAddr,
    /// Streams or datagrams.
    pub protocol: Protocol,
    /// Where it was declared.
    pub origin: Origin,
}

/// A host port: a certain one, or whichever is free.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RequestedPort {
    /// This one or none.
    Fixed(u16),
    /// The first free one from the guest's number upwards.
    Auto,
}

/// A named volume of one machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumeSpec {
    /// Its name, unique in the machine.
    pub name: Name,
    /// Where it is mounted.
    pub target: String,
}

/// A folder of the host inside a machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncSpec {
    /// The folder, relative to the workspace file.
    pub source: String,
    /// Where it appears.
    pub target: String,
    /// Whether the machine may write to it: a line that the user wrote.
    pub writable: bool,
    /// Where it was declared.
    pub origin: Origin,
}

/// A folder in memory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TmpfsSpec {
    /// Where it appears.
    pub target: String,
    /// At most this much.
    pub size: Option<Bytes>,
    /// Mode bits (`1777`), octal as text.
    pub mode: Option<String>,
    /// Owner as a number.
    pub uid: Option<u32>,
    /// Whether programs may be run from it.
    pub exec: bool,
}

impl TmpfsSpec {
    /// The mount options, in the form that Linux and Docker take.
    #[must_use]
    pub fn options(&self) -> String {
        let mut options = vec!["rw".to_owned(), "nosuid".to_owned(), "nodev".to_owned()];
        options.push(if self.exec { "exec" } else { "noexec" }.to_owned());
        if let Some(size) = self.size {
            options.push(format!("size={}", size.0));
        }
        if let Some(mode) = &self.mode {
            options.push(format!("mode={mode}"));
        }
        if let Some(uid) = self.uid {
            options.push(format!("uid={uid}"));
        }
        options.join(",")
    }
}

/// A line of the file that only a machine's provider understands (`front-end "gui"`). What may be written is the provider's to say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProviderOption {
    /// Its name.
    pub name: String,
    /// What follows.
    pub words: Vec<String>,
    /// Its properties.
    pub properties: BTreeMap<String, String>,
}

impl fmt::Display for ProviderOption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words.join(" "))?;
        self.properties.iter().try_for_each(|(name, value)| write!(f, " {name}={value}"))
    }
}
