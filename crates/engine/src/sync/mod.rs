//! Synced folders of machines that cannot mount this host's: copies, brought up to date when the machine comes up and whenever
//! somebody asks for it. They go one way; what a machine writes into its copy stays there until the same file changes here.

mod copy;
mod listing;
mod programs;
mod watch;

pub use listing::{Listing, list};
pub use watch::{Watching, watch};

use camino::{Utf8Path, Utf8PathBuf};
use rig_model::MachineSpec;

/// A folder of this host as one machine has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SyncedFolder {
    /// The folder; absolute.
    pub(crate) source: Utf8PathBuf,
    /// Where its copy is in the machine; absolute.
    pub(crate) target: String,
}

impl SyncedFolder {
    /// The folders of a machine, relative ones from `folder`, that of the workspace file.
    pub(crate) fn of(machine: &MachineSpec, folder: &Utf8Path) -> Vec<Self> {
        let folders = machine.syncs.iter();
        folders.map(|sync| Self { source: folder.join(&sync.source), target: sync.target.clone() }).collect()
    }
}
