//! Where virtual machines, boxes and networks lie on this host. All names are here.
//!
//! ```text
//! ROOT/
//!   boxes/NAME-DIGEST/        box.json; disk.img, kernel and initrd, or disk.qcow2 of a box that comes from somewhere else
//!   machines/WORKSPACE.TOPOLOGY.MACHINE/
//!                             machine.json, keys.json, disk.qcow2, seed.img, console.log, snapshots/NAME.json
//!   networks/WORKSPACE.TOPOLOGY.NETWORK.json
//!   run/IDENTITY.sock, .pid   while a machine runs
//!   locks/                    of machines and boxes; empty files
//! ```
//!
//! A machine and a box come to be by one rename: what has no name of these forms is what a call left that was cut.

use camino::{Utf8Path, Utf8PathBuf};
use rig_hypervisor::{Networks, files};
use rig_model::{BoxName, Digest, MachineId, Name};
use rig_provider_api::{MachineRef, Result};
use std::collections::BTreeSet;

/// What the name of a folder begins with that is being made or removed. Names of workspaces and boxes begin with a letter.
const MAKING: &str = ".making-";

/// rig's folder for QEMU.
#[derive(Clone, Debug)]
pub struct QemuLayout {
    root: Utf8PathBuf,
}

impl QemuLayout {
    /// In this folder, which need not be there.
    #[must_use]
    pub fn new(root: Utf8PathBuf) -> Self {
        Self { root }
    }

    /// Whether there are machines of a workspace.
    #[must_use]
    pub fn has_machines(&self, workspace: &Name) -> bool {
        self.workspaces().contains(workspace)
    }

    /// The workspaces that have machines.
    pub(crate) fn workspaces(&self) -> BTreeSet<Name> {
        let names = files::names(&self.machines()).unwrap_or_default();
        // What is being made begins with a dot.
        names.iter().filter_map(|name| Name::new(name.split('.').next()?).ok()).collect()
    }

    pub(crate) fn boxes(&self) -> Utf8PathBuf {
        self.root.join("boxes")
    }

    pub(crate) fn machines(&self) -> Utf8PathBuf {
        self.root.join("machines")
    }

    pub(crate) fn machine(&self, machine: &MachineRef) -> MachinePlace {
        MachinePlace(self.machines().join(file_name(&machine.workspace, &machine.id)))
    }

    /// Makes the folders. Their owner alone enters them: disks hold whatever machines were told.
    pub(crate) fn prepare(&self) -> Result<()> {
        files::make_folder(&self.root)?;
        [self.boxes(), self.machines(), self.networks().folder().to_owned(), self.run(), self.root.join("locks")]
            .iter()
            .try_for_each(|folder| files::make_folder(folder))
    }

    /// Held while a machine is made, started or removed.
    pub(crate) fn machine_lock(&self, machine: &MachineRef) -> Utf8PathBuf {
        self.root.join("locks").join(format!("machine-{}", file_name(&machine.workspace, &machine.id)))
    }

    /// Held while a box is made or removed, and while a machine is made from it.
    pub(crate) fn box_lock(&self, image: &str) -> Utf8PathBuf {
        self.root.join("locks").join(format!("box-{image}"))
    }

    pub(crate) fn networks(&self) -> Networks {
        Networks::new(self.root.join("networks"))
    }

    /// The monitor of a running machine. Beside the others and short, because a socket's path has room for 107 bytes, on macOS for
    /// 103.
    pub(crate) fn monitor(&self, identity: &str) -> Utf8PathBuf {
        self.root.join("run").join(format!("{identity}.sock"))
    }

    /// The file that QEMU locks while a machine runs.
    pub(crate) fn pid(&self, identity: &str) -> Utf8PathBuf {
        self.root.join("run").join(format!("{identity}.pid"))
    }

    /// The folder of [`Self::monitor`] and [`Self::pid`].
    pub(crate) fn run(&self) -> Utf8PathBuf {
        self.root.join("run")
    }
}

/// The folder of a machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MachinePlace(pub(crate) Utf8PathBuf);

impl MachinePlace {
    pub(crate) fn record(&self) -> Utf8PathBuf {
        self.0.join("machine.json")
    }

    pub(crate) fn disk(&self) -> Utf8PathBuf {
        self.0.join("disk.qcow2")
    }

    pub(crate) fn keys(&self) -> Utf8PathBuf {
        self.0.join("keys.json")
    }

    pub(crate) fn seed(&self) -> Utf8PathBuf {
        self.0.join("seed.img")
    }

    /// What is written of a snapshot.
    pub(crate) fn snapshot(&self, name: &Name) -> Utf8PathBuf {
        self.0.join("snapshots").join(format!("{name}.json"))
    }

    /// The snapshots of which something is written.
    pub(crate) fn snapshots(&self) -> Result<Vec<Name>> {
        let names = files::names(&self.0.join("snapshots"))?;
        Ok(names.iter().filter_map(|name| Name::new(name.strip_suffix(".json")?).ok()).collect())
    }

    pub(crate) fn console(&self) -> Utf8PathBuf {
        self.0.join("console.log")
    }

    /// Where the machine is made before it gets its name: each time elsewhere, because a program of a call that was cut may
    /// still write in the place of the last time.
    pub(crate) fn making(&self) -> Self {
        Self(making(&self.0))
    }
}

/// The folder of a box.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BoxPlace(pub(crate) Utf8PathBuf);

impl BoxPlace {
    pub(crate) fn record(&self) -> Utf8PathBuf {
        self.0.join("box.json")
    }

    pub(crate) fn disk(&self) -> Utf8PathBuf {
        self.0.join("disk.img")
    }

    /// The disk of a box that boots by what is on it.
    pub(crate) fn whole_disk(&self) -> Utf8PathBuf {
        self.0.join("disk.qcow2")
    }

    pub(crate) fn kernel(&self) -> Utf8PathBuf {
        self.0.join("kernel")
    }

    pub(crate) fn initrd(&self) -> Utf8PathBuf {
        self.0.join("initrd")
    }

    /// Where the box is made before it gets its name, each time elsewhere.
    pub(crate) fn making(&self) -> Self {
        Self(making(&self.0))
    }
}

/// Whether a folder is one that is being made, or was when a call was cut.
pub(crate) fn is_being_made(path: &Utf8Path) -> bool {
    path.file_name().is_some_and(|name| name.starts_with(MAKING))
}

/// The folder of a box, which is its reference.
pub(crate) fn box_name(name: &BoxName, digest: &Digest) -> String {
    format!("{name}-{}", digest.short())
}

/// What earlier calls that were cut have left of something in its folder.
pub(crate) fn remains(path: &Utf8Path) -> Vec<Utf8PathBuf> {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else { return Vec::new() };
    let begin = format!("{MAKING}{name}.");
    let names = files::names(folder).unwrap_or_default().into_iter();
    names.filter(|name| name.starts_with(&begin)).map(|name| folder.join(name)).collect()
}

fn making(path: &Utf8Path) -> Utf8PathBuf {
    path.with_file_name(format!("{MAKING}{}.{:08x}", path.file_name().unwrap_or_default(), rand::random::<u32>()))
}

/// Names hold no dots.
fn file_name(workspace: &Name, id: &MachineId) -> String {
    format!("{workspace}.{}.{}", id.topology, id.machine)
}
