//! What can go wrong with files that rig keeps.

use crate::LockOwner;
use camino::Utf8PathBuf;

/// The result of a call of this crate.
pub type Result<T> = std::result::Result<T, StateError>;

/// Why a file of rig could not be read, written or locked.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The file system refused.
    #[error("{doing} {path}: {reason}")]
    Io {
        /// What was being done (`writing`).
        doing: &'static str,
        /// To what.
        path: Utf8PathBuf,
        /// The system's reason.
        reason: std::io::Error,
    },
    /// The file was written by a newer rig.
    #[error("{path} has the format {found}, this rig knows formats up to {known}; it was left as it is")]
    Newer {
        /// The file.
        path: Utf8PathBuf,
        /// The format that its header names.
        found: String,
        /// The newest format that this rig reads.
        known: String,
    },
    /// The file does not hold what it should.
    #[error("reading {path}: {why}")]
    Corrupt {
        /// The file.
        path: Utf8PathBuf,
        /// What is wrong with its content.
        why: String,
    },
    /// Somebody else has the lock, and it was not released in time.
    #[error("waiting for the lock {path}: still held{} after {seconds:.0} s", held_by(owner.as_ref()))]
    Held {
        /// The lock file.
        path: Utf8PathBuf,
        /// Who says that it is theirs, where that is known.
        owner: Option<LockOwner>,
        /// How long was waited, in seconds.
        seconds: f64,
    },
    /// The caller stopped waiting for a lock.
    #[error("waiting for the lock {path}: interrupted")]
    Cancelled {
        /// The lock file.
        path: Utf8PathBuf,
    },
}

impl StateError {
    /// What to do about it, where that is known.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Newer { .. } => Some("update rig, or use the newer rig that wrote the file".to_owned()),
            Self::Corrupt { path, .. } => {
                Some(format!("remove {path}; no machine is lost by it, rig writes the file anew when it needs it"))
            }
            Self::Held { .. } => Some("wait until the other rig has ended, or interrupt it with Ctrl-C".to_owned()),
            Self::Io { reason, .. } if reason.kind() == std::io::ErrorKind::PermissionDenied => {
                Some("check who owns the file and its folder; a rig that ran as root may have made them".to_owned())
            }
            Self::Io { reason, .. } if reason.kind() == std::io::ErrorKind::StorageFull => {
                Some("free some space and run the command again".to_owned())
            }
            Self::Io { .. } | Self::Cancelled { .. } => None,
        }
    }

    /// Whether the caller ended the call.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        matches!(self, Self::Cancelled { .. })
    }
}

fn held_by(owner: Option<&LockOwner>) -> String {
    owner.map(|owner| format!(" by {owner}")).unwrap_or_default()
}
