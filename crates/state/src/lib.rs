//! What rig keeps on disk: the layout of the `.rig` folder and of the user's folders, locks between processes, atomic
//! writes, and the format header of every JSON file.
//!
//! Nothing here decides anything, and nothing here is the truth about a machine: deleting the `.rig` folder loses no
//! machine. Functions that are not `async` make short, blocking file system calls.

mod atomic;
mod baseline;
mod error;
mod format;
mod known_workspace;
mod layout;
mod lock;
mod machine_record;
mod platform;
mod scale;
mod snapshot_record;
#[cfg(test)]
mod testing;
mod workspace_lock;

pub use atomic::{Access, write_atomically};
pub use baseline::Baseline;
pub use error::{Result, StateError};
pub use format::{Format, read_json, write_json};
pub use known_workspace::KnownWorkspace;
pub use layout::{CacheLayout, EngineLayout, Layout, UserDirs, create_folder};
pub use lock::{FileLock, Patience};
pub use machine_record::MachineRecord;
pub use scale::Scale;
pub use snapshot_record::SnapshotRecord;
pub use workspace_lock::{LockOwner, WorkspaceLock};
