//! Where machines, boxes and networks lie on this host. All names are here.
//!
//! ```text
//! ROOT/
//!   boxes/rig-box-NAME-DIGEST/                masters: what VirtualBox keeps of them
//!   machines/WORKSPACE.TOPOLOGY.MACHINE/      what VirtualBox keeps of a machine, console.log, run.json; where it has a seed disk
//!                                             keys.json, seed.vmdk, seed-flat.vmdk
//!   networks/WORKSPACE.TOPOLOGY.NETWORK.json
//!   identities/NAME                           of machines and masters, written before they are made
//!   locks/                                    of machines and boxes; empty files
//!   speaking.lock                             held by every call of VBoxManage
//! ```
//!
//! VirtualBox calls machines and masters as their folders are called.

use camino::Utf8PathBuf;
use rig_hypervisor::{Networks, files};
use rig_model::{BoxName, Digest, Name};
use rig_provider_api::{MachineRef, Result};
use std::collections::BTreeSet;

/// What the names of masters begin with. Names of workspaces hold no dots, those of machines do.
const MASTER: &str = "rig-box-";

/// rig's folder for VirtualBox.
#[derive(Clone, Debug)]
pub struct VirtualBoxLayout {
    root: Utf8PathBuf,
}

impl VirtualBoxLayout {
    /// In this folder, which need not be there.
    #[must_use]
    pub fn new(root: Utf8PathBuf) -> Self {
        Self { root }
    }

    /// Whether there are machines of a workspace.
    #[must_use]
    pub fn has_machines(&self, workspace: &Name) -> bool {
        self.names(&self.identities()).iter().any(|name| owner(name) == Some(workspace.as_str()))
    }

    pub(crate) fn boxes(&self) -> Utf8PathBuf {
        self.root.join("boxes")
    }

    pub(crate) fn machines(&self) -> Utf8PathBuf {
        self.root.join("machines")
    }

    pub(crate) fn machine(&self, machine: &MachineRef) -> Place {
        self.machine_of(&format!("{}.{}.{}", machine.workspace, machine.id.topology, machine.id.machine))
    }

    pub(crate) fn machine_of(&self, name: &str) -> Place {
        self.place(self.machines(), name)
    }

    /// The names of the machines of a workspace.
    pub(crate) fn machines_of(&self, workspace: &Name) -> Vec<String> {
        let mut names = self.names(&self.identities());
        names.retain(|name| owner(name) == Some(workspace.as_str()));
        names
    }

    /// The names of all machines.
    pub(crate) fn every_machine(&self) -> Vec<String> {
        let mut names = self.names(&self.identities());
        names.retain(|name| owner(name).is_some());
        names
    }

    /// The workspaces that have machines.
    pub(crate) fn workspaces(&self) -> BTreeSet<Name> {
        self.every_machine().iter().filter_map(|name| Name::new(owner(name)?).ok()).collect()
    }

    /// The master of a box by the box's reference.
    pub(crate) fn master(&self, image: &str) -> Place {
        self.place(self.boxes(), &format!("{MASTER}{image}"))
    }

    /// The references of the boxes that were begun.
    pub(crate) fn images(&self) -> Vec<String> {
        let names = self.names(&self.identities()).into_iter();
        names.filter_map(|name| Some(name.strip_prefix(MASTER)?.to_owned())).collect()
    }

    pub(crate) fn networks(&self) -> Networks {
        Networks::new(self.root.join("networks"))
    }

    /// Makes the folders. Their owner alone enters them: disks hold whatever machines were told.
    pub(crate) fn prepare(&self) -> Result<()> {
        files::make_folder(&self.root)?;
        let folders =
            [self.boxes(), self.machines(), self.networks().folder().to_owned(), self.identities(), self.locks()];
        folders.iter().try_for_each(|folder| files::make_folder(folder))
    }

    fn place(&self, base: Utf8PathBuf, name: &str) -> Place {
        Place {
            folder: base.join(name),
            identity: self.identities().join(name),
            lock: self.locks().join(name),
            base,
            name: name.to_owned(),
        }
    }

    fn identities(&self) -> Utf8PathBuf {
        self.root.join("identities")
    }

    /// Held by every call of VirtualBox's program.
    pub(crate) fn speaking(&self) -> Utf8PathBuf {
        self.root.join("speaking.lock")
    }

    fn locks(&self) -> Utf8PathBuf {
        self.root.join("locks")
    }

    fn names(&self, folder: &camino::Utf8Path) -> Vec<String> {
        let mut names = files::names(folder).unwrap_or_default();
        names.retain(|name| !name.starts_with('.'));
        names.sort();
        names
    }
}

/// The place of one machine or master.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// What VirtualBox calls it.
    pub(crate) name: String,
    /// The folder of its folder.
    pub(crate) base: Utf8PathBuf,
    /// Its folder.
    pub(crate) folder: Utf8PathBuf,
    /// The file with its identity: what was begun is found by it, whatever became of its folder.
    pub(crate) identity: Utf8PathBuf,
    /// Held while it is made, started or removed.
    pub(crate) lock: Utf8PathBuf,
}

impl Place {
    /// VirtualBox's own file.
    pub(crate) fn settings(&self) -> Utf8PathBuf {
        self.folder.join(format!("{}.vbox", self.name))
    }

    /// What the machine writes to its serial port.
    pub(crate) fn console(&self) -> Utf8PathBuf {
        self.folder.join("console.log")
    }

    /// What VirtualBox writes about its present or last run.
    pub(crate) fn log(&self) -> Utf8PathBuf {
        self.folder.join("Logs").join("VBox.log")
    }

    /// The keys that it is given.
    pub(crate) fn keys(&self) -> Utf8PathBuf {
        self.folder.join("keys.json")
    }

    /// The disk that tells it who it is, as VirtualBox knows it, and the file with its bytes, which VirtualBox names so.
    pub(crate) fn seed(&self) -> (Utf8PathBuf, Utf8PathBuf) {
        (self.folder.join("seed.vmdk"), self.folder.join("seed-flat.vmdk"))
    }

    /// What its present or last run is known by.
    pub(crate) fn run(&self) -> Utf8PathBuf {
        self.folder.join("run.json")
    }
}

/// The reference of a box.
pub(crate) fn box_name(name: &BoxName, digest: &Digest) -> String {
    format!("{name}-{}", digest.short())
}

/// The workspace of a machine's name; nothing for masters.
fn owner(name: &str) -> Option<&str> {
    Some(name.split_once('.')?.0)
}
