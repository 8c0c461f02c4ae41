//! Every file name that rig uses on disk, in one place.
//!
//! ```text
//! <workspace>/.rig/
//!     .gitignore           keeps the folder out of version control
//!     format               {"format": "rig.state/1"}: the layout of this folder
//!     lock                 the workspace's lock; its content means nothing, the lock on it is the truth
//!     lock-owner.json      who took the lock last, for messages; a crash leaves it behind
//!     scale.json           machine counts set by `rig scale`
//!     keys/ssh             the workspace's private key, for its machines alone; the owner may read it
//!     keys/ssh.pub         its public half
//!     known_hosts          the machines' host keys for OpenSSH, written by `rig ssh-config`
//!     machines/            one record for each mutable machine: host keys, steps that were done
//!     baselines/           what was in machines when they had been provisioned
//!     snapshots/           what is in the two folders above, and what was in the machine, at the time of each snapshot
//!     logs/                what provisioning steps printed, one file for each machine
//!     compare/             `rig compare`: a folder like this one for the machines that it makes, and
//!         comparison.json  what was measured so far; the document of the comparison once it is over
//!         cache/           downloads of comparisons without a cache; emptied before each run
//!
//! <cache>/                 may be deleted at any time while no rig runs
//!     artifacts/<sha256>/<file>    a downloaded file; it is only there when its checksum was right
//!     partial/<sha256>.part        a download that was cut; the next one goes on where it ended
//!     partial/<sha256>.json        where that part came from, and the server's name for that version of it
//!     locks/<sha256>.lock          held by the process that downloads the file
//!
//! <data>/
//!     engine/              the private dockerd (Linux as root)
//!         lock             held while the engine is started or stopped
//!         docker.sock      its socket
//!         docker.pid       its process id
//!         docker.log       its output
//!         root/            its images, containers and volumes
//!         exec/            what it keeps only while it runs
//! ```

use crate::{Access, Format, Result, StateError, atomic, format};
use camino::{Utf8Path, Utf8PathBuf};
use rig_model::{Digest, MachineId, Name, OWN_FOLDER};
use serde::{Deserialize, Serialize};

/// The layout of the `.rig` folder.
const STATE: Format = Format { name: "rig.state", major: 1 };

/// Nothing of the folder is worth a commit, this file included.
const GITIGNORE: &str = "*\n";

/// The `.rig` folder of a workspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    dir: Utf8PathBuf,
}

#[derive(Serialize, Deserialize)]
struct NoContent {}

impl Layout {
    /// The layout below a workspace's folder. Touches nothing.
    #[must_use]
    pub fn new(workspace_folder: &Utf8Path) -> Self {
        Self { dir: workspace_folder.join(OWN_FOLDER) }
    }

    /// The same for the machines that `rig compare` makes, apart from those that people work with.
    #[must_use]
    pub fn compare(&self) -> Self {
        Self { dir: self.dir.join("compare") }
    }

    /// What a comparison has measured so far.
    #[must_use]
    pub fn comparison(&self) -> Utf8PathBuf {
        self.dir.join("comparison.json")
    }

    /// Downloads of comparisons without a cache.
    #[must_use]
    pub fn own_cache(&self) -> Utf8PathBuf {
        self.dir.join("cache")
    }

    /// Creates the folder, or checks that this rig knows the layout of the one that is there.
    ///
    /// # Errors
    /// When the folder cannot be made, or a newer rig made it.
    pub fn prepare(&self) -> Result<()> {
        let marker = self.dir.join("format");
        if format::read_json::<NoContent>(&marker, STATE)?.is_some() {
            return Ok(());
        }
        create_folder(&self.dir)?;
        atomic::write_atomically(&self.dir.join(".gitignore"), GITIGNORE.as_bytes(), Access::Default)?;
        format::write_json(&marker, STATE, &NoContent {}, Access::Default)
    }

    /// The folder itself.
    #[must_use]
    pub fn dir(&self) -> &Utf8Path {
        &self.dir
    }

    /// There when a comparison is over whose report could not be written.
    #[must_use]
    pub fn unreported(&self) -> Utf8PathBuf {
        self.dir.join("unreported")
    }

    /// The file whose lock decides who may change the workspace's machines.
    #[must_use]
    pub fn lock(&self) -> Utf8PathBuf {
        self.dir.join("lock")
    }

    /// Who took the lock last. A file of its own, because a locked file cannot be read by others on Windows.
    #[must_use]
    pub fn lock_owner(&self) -> Utf8PathBuf {
        self.dir.join("lock-owner.json")
    }

    /// Machine counts set by `rig scale`.
    #[must_use]
    pub fn scale(&self) -> Utf8PathBuf {
        self.dir.join("scale.json")
    }

    /// The folder with the logs of runs.
    #[must_use]
    pub fn logs(&self) -> Utf8PathBuf {
        self.dir.join("logs")
    }

    /// What a machine's provisioning steps printed.
    #[must_use]
    pub fn log(&self, machine: &MachineId) -> Utf8PathBuf {
        self.logs().join(format!("{}.{}.log", machine.topology, machine.machine))
    }

    /// The folder with the workspace's key pair.
    #[must_use]
    pub fn keys(&self) -> Utf8PathBuf {
        self.dir.join("keys")
    }

    /// The private key that opens the workspace's machines.
    #[must_use]
    pub fn private_key(&self) -> Utf8PathBuf {
        self.keys().join("ssh")
    }

    /// The public half of [`Layout::private_key`].
    #[must_use]
    pub fn public_key(&self) -> Utf8PathBuf {
        self.keys().join("ssh.pub")
    }

    /// The machines' host keys in OpenSSH's form, for `rig ssh-config`.
    #[must_use]
    pub fn known_hosts(&self) -> Utf8PathBuf {
        self.dir.join("known_hosts")
    }

    /// The folder with what is known of machines.
    #[must_use]
    pub fn machines(&self) -> Utf8PathBuf {
        self.dir.join("machines")
    }

    /// The file whose lock decides who copies folders to a machine.
    #[must_use]
    pub fn machine_folders_lock(&self, machine: &MachineId) -> Utf8PathBuf {
        self.dir.join("folder-locks").join(format!("{}.{}", machine.topology, machine.machine))
    }

    /// The folder with what was in machines when they had been provisioned.
    #[must_use]
    pub fn baselines(&self) -> Utf8PathBuf {
        self.dir.join("baselines")
    }

    /// What was in one machine.
    #[must_use]
    pub fn baseline(&self, machine: &MachineId) -> Utf8PathBuf {
        self.baselines().join(format!("{}.{}.json", machine.topology, machine.machine))
    }

    /// The folder with what was known of machines when snapshots of them were taken.
    #[must_use]
    pub fn snapshots(&self) -> Utf8PathBuf {
        self.dir.join("snapshots")
    }

    /// What was known of one machine when one snapshot was taken. Names hold no dots.
    #[must_use]
    pub fn snapshot(&self, machine: &MachineId, name: &Name) -> Utf8PathBuf {
        self.snapshots().join(format!("{}.{}.{name}.json", machine.topology, machine.machine))
    }

    /// What is known of one machine. Names hold no dots.
    #[must_use]
    pub fn machine(&self, machine: &MachineId) -> Utf8PathBuf {
        self.machines().join(format!("{}.{}.json", machine.topology, machine.machine))
    }
}

/// The user's folders, shared by all workspaces. The binary finds out where they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserDirs {
    /// What can be fetched again (`~/.cache/rig`).
    pub cache: Utf8PathBuf,
    /// What is rig's own (`~/.local/share/rig`).
    pub data: Utf8PathBuf,
}

impl UserDirs {
    /// File names below [`UserDirs::cache`].
    #[must_use]
    pub fn cache_layout(&self) -> CacheLayout {
        CacheLayout::new(self.cache.clone())
    }

    /// The folder of the boxes for virtual machines, which all workspaces share. Its file names are the store's own.
    #[must_use]
    pub fn box_store(&self) -> Utf8PathBuf {
        self.data.join("boxes")
    }

    /// The folder of QEMU's virtual machines and their disks, of all workspaces. Its file names are the provider's own.
    #[must_use]
    pub fn virtual_machines(&self) -> Utf8PathBuf {
        self.data.join("qemu")
    }

    /// rig's folder for VirtualBox, likewise.
    #[must_use]
    pub fn virtualbox(&self) -> Utf8PathBuf {
        self.data.join("virtualbox")
    }

    /// The folder that says where workspaces lie.
    #[must_use]
    pub fn known_workspaces(&self) -> Utf8PathBuf {
        self.data.join("workspaces")
    }

    /// Where a workspace lies.
    #[must_use]
    pub fn known_workspace(&self, workspace: &Name) -> Utf8PathBuf {
        self.known_workspaces().join(format!("{workspace}.json"))
    }

    /// The folder with the workspace of the virtual machine that an engine runs in.
    #[must_use]
    pub fn engine_vm(&self) -> Utf8PathBuf {
        self.data.join("engine-vm")
    }

    /// File names of the private dockerd below [`UserDirs::data`].
    #[must_use]
    pub fn engine_layout(&self) -> EngineLayout {
        EngineLayout::new(self.data.join("engine"))
    }
}

/// The download cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheLayout {
    dir: Utf8PathBuf,
}

impl CacheLayout {
    /// The layout below a cache folder. Touches nothing.
    #[must_use]
    pub fn new(dir: Utf8PathBuf) -> Self {
        Self { dir }
    }

    /// Creates the folders.
    ///
    /// # Errors
    /// When a folder cannot be made.
    pub fn prepare(&self) -> Result<()> {
        [self.artifacts(), self.partials(), self.locks()].iter().try_for_each(|dir| create_folder(dir))
    }

    /// The folder that holds one folder for each downloaded file.
    #[must_use]
    pub fn artifacts(&self) -> Utf8PathBuf {
        self.dir.join("artifacts")
    }

    /// The folder of the file with this checksum; it holds that file and nothing else.
    #[must_use]
    pub fn artifact(&self, sha256: &Digest) -> Utf8PathBuf {
        self.artifacts().join(sha256.as_str())
    }

    /// The folder of downloads that have not ended.
    #[must_use]
    pub fn partials(&self) -> Utf8PathBuf {
        self.dir.join("partial")
    }

    /// What there is so far of the file with this checksum.
    #[must_use]
    pub fn partial(&self, sha256: &Digest) -> Utf8PathBuf {
        self.partials().join(format!("{sha256}.part"))
    }

    /// Where [`CacheLayout::partial`] came from.
    #[must_use]
    pub fn partial_origin(&self, sha256: &Digest) -> Utf8PathBuf {
        self.partials().join(format!("{sha256}.json"))
    }

    /// The folder of the download locks.
    #[must_use]
    pub fn locks(&self) -> Utf8PathBuf {
        self.dir.join("locks")
    }

    /// Held by the process that downloads the file with this checksum.
    #[must_use]
    pub fn lock(&self, sha256: &Digest) -> Utf8PathBuf {
        self.locks().join(format!("{sha256}.lock"))
    }
}

/// The folder of the private dockerd.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineLayout {
    dir: Utf8PathBuf,
}

impl EngineLayout {
    /// The layout below an engine folder. Touches nothing.
    #[must_use]
    pub fn new(dir: Utf8PathBuf) -> Self {
        Self { dir }
    }

    /// The folder itself.
    #[must_use]
    pub fn dir(&self) -> &Utf8Path {
        &self.dir
    }

    /// Held while the engine is started or stopped.
    #[must_use]
    pub fn lock(&self) -> Utf8PathBuf {
        self.dir.join("lock")
    }

    /// The socket. Its whole path must stay below the 108 bytes that a socket address has room for.
    #[must_use]
    pub fn socket(&self) -> Utf8PathBuf {
        self.dir.join("docker.sock")
    }

    /// The file with the process id.
    #[must_use]
    pub fn pid_file(&self) -> Utf8PathBuf {
        self.dir.join("docker.pid")
    }

    /// The engine's output.
    #[must_use]
    pub fn log(&self) -> Utf8PathBuf {
        self.dir.join("docker.log")
    }

    /// Images, containers and volumes.
    #[must_use]
    pub fn data_root(&self) -> Utf8PathBuf {
        self.dir.join("root")
    }

    /// What the engine keeps only while it runs.
    #[must_use]
    pub fn exec_root(&self) -> Utf8PathBuf {
        self.dir.join("exec")
    }
}

/// Creates a folder with those above it.
///
/// # Errors
/// When the file system refuses.
pub fn create_folder(path: &Utf8Path) -> Result<()> {
    fs_err::create_dir_all(path).map_err(|error| StateError::Io {
        doing: "creating the folder",
        path: path.to_owned(),
        reason: atomic::bare(error),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::temporary;

    #[test]
    fn a_folder_is_prepared_once_and_ignored_by_git() {
        let (_guard, folder) = temporary();
        let layout = Layout::new(&folder);
        layout.prepare().unwrap();
        layout.prepare().unwrap();
        assert_eq!(fs_err::read_to_string(layout.dir().join(".gitignore")).unwrap(), "*\n");
    }

    #[test]
    fn a_folder_of_a_newer_rig_is_left_alone() {
        let (_guard, folder) = temporary();
        let layout = Layout::new(&folder);
        fs_err::create_dir_all(layout.dir()).unwrap();
        fs_err::write(layout.dir().join("format"), r#"{"format": "rig.state/2"}"#).unwrap();
        assert!(matches!(layout.prepare(), Err(StateError::Newer { .. })));
        assert!(!layout.dir().join(".gitignore").exists());
    }
}
