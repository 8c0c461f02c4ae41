//! Machines that only SSH leads into: what such a machine is given before its first start, where it is entered, and what it has to
//! be told once somebody is in.

use crate::{Context, MachineRef, Result};
use async_trait::async_trait;
use rig_model::MachineId;
use std::net::{Ipv4Addr, SocketAddr};
use zeroize::Zeroizing;

/// Who may enter a machine over SSH, and by which key it shows that it is the machine that was meant.
#[derive(Clone)]
pub struct DoorKeys {
    /// The user who is let in; there is one of that name in the box, or the machine makes one who may become root.
    pub user: String,
    /// The public key that lets the user in, as a line of OpenSSH.
    pub authorized_key: String,
    /// A private host key in OpenSSH's form, for a machine that has none yet.
    pub host_key: Zeroizing<String>,
    /// Its public half, as a line of OpenSSH.
    pub public_host_key: String,
}

/// Where a machine's SSH server is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Door {
    /// The address that this host reaches.
    pub address: SocketAddr,
    /// By which keys the machine is known.
    pub known: KnownBy,
}

/// By what a machine shows that it is the one that was meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KnownBy {
    /// The host keys that it was given, as lines of OpenSSH.
    Given(Vec<String>),
    /// Nothing before the first contact: its box comes from somewhere else, has a host key of its own, and lets everybody in who has
    /// the key that is published for such boxes.
    FirstContact,
}

/// What a running machine has to be told, because nobody could tell it before. Being told twice changes nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Briefing {
    /// Its host name, where it does not have it from its box or its disk.
    pub hostname: Option<String>,
    /// Addresses of cards that it does not know.
    pub cards: Vec<CardAddress>,
    /// Folders of this host that it has to mount.
    pub folders: Vec<FolderMount>,
    /// The text of its `/etc/hosts`.
    pub hosts: String,
    /// The neighbours in it.
    pub machines: Vec<MachineId>,
}

/// A network card and its address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CardAddress {
    /// Its hardware address, as Linux writes it (`08:00:27:d1:4c:66`).
    pub mac: String,
    /// Its address.
    pub ip: Ipv4Addr,
    /// The length of its network's prefix.
    pub prefix: u8,
}

/// A folder of this host as the machine mounts it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FolderMount {
    /// What the hypervisor calls it.
    pub source: String,
    /// Where it appears.
    pub target: String,
    /// The file system's type (`vboxsf`).
    pub kind: String,
    /// Its options (`ro`).
    pub options: String,
}

/// Machines that are entered over the network alone: nothing can be run in them before their SSH server lets somebody in, so
/// what it needs to know is given to them from outside.
#[async_trait]
pub trait Doors: Send + Sync {
    /// Gives a machine that does not run its keys, where that can be done. A host key that it has stays; everything else is as given
    /// when it is next started.
    async fn furnish(&self, cx: &Context, machine: &MachineRef, keys: &DoorKeys) -> Result<()>;

    /// Whether its machines have copies of this host's folders, which are brought through the door: they can mount none.
    fn copies_folders(&self) -> bool {
        false
    }

    /// Where a running machine is entered; `None` when it does not run. Whether its server listens yet is not looked at.
    async fn door(&self, cx: &Context, machine: &MachineRef) -> Result<Option<Door>>;

    /// The running neighbours of a machine that do not know the names of all of theirs: some were made since they were started.
    async fn unaware(&self, cx: &Context, machine: &MachineRef) -> Result<Vec<MachineId>>;

    /// What a machine has to be told now; `None` when it knows everything.
    async fn briefing(&self, cx: &Context, machine: &MachineRef) -> Result<Option<Briefing>>;

    /// Notes that a running machine has been told that.
    async fn aware(&self, cx: &Context, machine: &MachineRef, briefing: &Briefing) -> Result<()>;
}
