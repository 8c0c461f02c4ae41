//! Where virtual machines, boxes and networks lie on this host. All names are here.
//!
//! ```text
//! ROOT/
//!   boxes/NAME-DIGEST/        box.json, disk.img, kernel, initrd
//!   machines/WORKSPACE.TOPOLOGY.MACHINE/
//!                             machine.json, disk.qcow2, seed.img, console.log
//!   networks/WORKSPACE.TOPOLOGY.NETWORK.json
//!   run/IDENTITY.sock, .pid   while a machine runs
//! ```
//!
//! A machine and a box come to be by one rename: what has no name of these forms is what a call left that was cut.

use camino::{Utf8Path, Utf8PathBuf};
use rig_model::{BoxName, Digest, MachineId, Name};
use rig_provider_api::MachineRef;

/// What the name of a folder begins with that is being made. Names of workspaces and boxes begin with a letter.
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

    pub(crate) fn boxes(&self) -> Utf8PathBuf {
        self.root.join("boxes")
    }

    pub(crate) fn a_box(&self, name: &BoxName, digest: &Digest) -> BoxPlace {
        BoxPlace(self.boxes().join(format!("{name}-{}", digest.short())))
    }

    pub(crate) fn machines(&self) -> Utf8PathBuf {
        self.root.join("machines")
    }

    pub(crate) fn machine(&self, machine: &MachineRef) -> MachinePlace {
        MachinePlace(self.machines().join(file_name(&machine.workspace, &machine.id)))
    }

    pub(crate) fn networks(&self) -> Utf8PathBuf {
        self.root.join("networks")
    }

    pub(crate) fn network(&self, workspace: &Name, topology: &Name, network: &Name) -> Utf8PathBuf {
        self.networks().join(format!("{workspace}.{topology}.{network}.json"))
    }

    /// The monitor of a running machine. Beside the others and short, because a socket's path has room for 107 bytes.
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

    pub(crate) fn seed(&self) -> Utf8PathBuf {
        self.0.join("seed.img")
    }

    pub(crate) fn console(&self) -> Utf8PathBuf {
        self.0.join("console.log")
    }

    /// Where the machine is made before it gets its name.
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

    pub(crate) fn kernel(&self) -> Utf8PathBuf {
        self.0.join("kernel")
    }

    pub(crate) fn initrd(&self) -> Utf8PathBuf {
        self.0.join("initrd")
    }

    /// Where the box is made before it gets its name.
    pub(crate) fn making(&self) -> Self {
        Self(making(&self.0))
    }
}

/// Whether a folder is one that is being made, or was when a call was cut.
pub(crate) fn is_being_made(path: &Utf8Path) -> bool {
    path.file_name().is_some_and(|name| name.starts_with(MAKING))
}

fn making(path: &Utf8Path) -> Utf8PathBuf {
    path.with_file_name(format!("{MAKING}{}", path.file_name().unwrap_or_default()))
}

/// Names hold no dots.
fn file_name(workspace: &Name, id: &MachineId) -> String {
    format!("{workspace}.{}.{}", id.topology, id.machine)
}
