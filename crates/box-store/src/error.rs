//! What can go wrong in the store.

use crate::{BoxKey, ConstraintError, NameError, StoreName, VersionError, address};
use camino::Utf8PathBuf;
use rig_boxes::BoxError;
use rig_state::StateError;
use std::io;

/// The result of a call of this crate.
pub type Result<T> = std::result::Result<T, StoreError>;

/// Why the store did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A text is not the name of anything.
    #[error(transparent)]
    Name(#[from] NameError),
    /// A text is no version.
    #[error(transparent)]
    Version(#[from] VersionError),
    /// A text is no version constraint.
    #[error(transparent)]
    Constraint(#[from] ConstraintError),
    /// What should be added is not said well enough.
    #[error("adding {what}: {why}")]
    Request {
        /// What should be added.
        what: String,
        /// What is missing, or does not go together.
        why: String,
        /// What to do.
        hint: String,
    },
    /// A catalogue is not what it should be.
    #[error("reading the catalogue {origin}: {why}")]
    Catalogue {
        /// Where it came from.
        origin: String,
        /// What is wrong, with its place in the document.
        why: String,
    },
    /// No version of a box is what is wanted.
    #[error("there is no {what}")]
    NothingFits {
        /// What is wanted.
        what: String,
        /// What there is instead.
        available: Vec<String>,
    },
    /// Files of several providers would do.
    #[error("{name} is there for several providers")]
    SeveralProviders {
        /// The box and its version.
        name: String,
        /// The providers.
        providers: Vec<String>,
    },
    /// An address that anybody on the way could change the answers of.
    #[error("adding {what}: {url} is not encrypted")]
    Unencrypted {
        /// What is added.
        what: String,
        /// The address.
        url: String,
    },
    /// Nothing says what a download must be.
    #[error("adding {what}: {why}")]
    NoChecksum {
        /// What is added.
        what: String,
        /// What there is instead of a good checksum.
        why: String,
    },
    /// A file is not the one that was promised.
    #[error("{what} from {origin} has the wrong checksum: expected {expected}, it has {actual}")]
    Checksum {
        /// What it should be.
        what: String,
        /// Where it came from.
        origin: String,
        /// What it should have.
        expected: String,
        /// What it has.
        actual: String,
    },
    /// None of the places that a box may come from gave it.
    #[error("{what} cannot be had from any of its places: {}", tried.join("; "))]
    Mirrors {
        /// What is wanted.
        what: String,
        /// Each place, with its reason.
        tried: Vec<String>,
    },
    /// A box file is damaged, or would do harm.
    #[error("unpacking {archive}: {why}")]
    Archive {
        /// The file.
        archive: Utf8PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The volume has not enough room.
    #[error("unpacking {what}: it needs {needed} bytes, and the volume of {folder} has {free} left")]
    NoSpace {
        /// What is unpacked.
        what: String,
        /// Where to.
        folder: Utf8PathBuf,
        /// Bytes that it says it has.
        needed: u64,
        /// Bytes that are left.
        free: u64,
    },
    /// What a box says about itself is not what it should be.
    #[error("the box {what}: {why}")]
    Content {
        /// Which box.
        what: String,
        /// What is wrong, with its place.
        why: String,
    },
    /// Another box has the place.
    #[error("adding {key} from {origin}: another box has its place, added from {present}")]
    Occupied {
        /// Which box.
        key: Box<BoxKey>,
        /// Where the new one comes from.
        origin: String,
        /// Where the one that is there came from.
        present: String,
    },
    /// The box that is there is not the one that was promised.
    #[error("the store has another {key}: expected {expected}, it has {actual}")]
    OtherStored {
        /// Which box.
        key: Box<BoxKey>,
        /// The checksum that its box file should have had.
        expected: String,
        /// The one that it had.
        actual: String,
    },
    /// The record of a stored box was written by a newer rig.
    #[error("removing {key}: a newer rig than this one stored it")]
    NewerStored {
        /// Which box.
        key: Box<BoxKey>,
    },
    /// The store does not have a box.
    #[error("the store has no box {what}")]
    NotStored {
        /// What is wanted.
        what: String,
        /// What is there.
        present: Vec<String>,
    },
    /// A stored box is not any more what it was when it was added.
    #[error("the stored box {key} has changed: {}", changes.join(", "))]
    Changed {
        /// Which box.
        key: Box<BoxKey>,
        /// What is different.
        changes: Vec<String>,
    },
    /// A file cannot be written because there is one.
    #[error("writing {path}: there is a file already")]
    Exists {
        /// The file.
        path: Utf8PathBuf,
    },
    /// The file system refused.
    #[error("{doing}: {reason}")]
    File {
        /// What was being done, and to what.
        doing: String,
        /// The system's reason.
        reason: io::Error,
    },
    /// A lock or a record of rig's own.
    #[error(transparent)]
    State(#[from] StateError),
    /// A download.
    #[error(transparent)]
    Fetch(BoxError),
    /// Another process changes the same box for too long.
    #[error("waiting for another rig that changes the stored box {name}: not done in time")]
    Busy {
        /// The box.
        name: StoreName,
    },
    /// The caller ended the call.
    #[error("{doing}: interrupted")]
    Cancelled {
        /// What was being done.
        doing: String,
    },
}

impl From<BoxError> for StoreError {
    fn from(error: BoxError) -> Self {
        Self::Fetch(address::of_download(error))
    }
}

impl StoreError {
    pub(crate) fn file(doing: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let doing = doing.into();
        move |reason| Self::File { doing, reason }
    }

    /// What to do about it, where that is known.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let text = match self {
            Self::Request { hint, .. } => hint.clone(),
            Self::Constraint(_) => {
                "conditions are `= != > < >= <= ~>` with a version, commas between them: `~> 1.0`, `>= 1.0, < 3`"
                    .to_owned()
            }
            Self::Catalogue { .. } => "check the address; a catalogue is JSON with `name` and `versions`".to_owned(),
            Self::NothingFits { available, .. } if available.is_empty() => return None,
            Self::NothingFits { available, .. } => format!("there are: {}", available.join("; ")),
            Self::SeveralProviders { providers, .. } => {
                format!("choose one with `--provider`: {}", providers.join(", "))
            }
            Self::Unencrypted { .. } => "use https; `--insecure` takes it nevertheless".to_owned(),
            Self::NoChecksum { .. } => {
                "give `--checksum SHA256` from a source that you trust; `--insecure` takes any file".to_owned()
            }
            Self::Checksum { .. } => {
                "if the new file is meant, give its checksum; else do not trust the source".to_owned()
            }
            Self::Archive { .. } | Self::Content { .. } => {
                "nothing of it was kept; get the box again, or tell those who made it".to_owned()
            }
            Self::NoSpace { .. } => "free some space and run the command again".to_owned(),
            Self::Occupied { .. } => {
                "`--force` replaces it; `--version` gives the new one a version of its own".to_owned()
            }
            Self::NewerStored { .. } => "update rig; `--force` removes it nevertheless".to_owned(),
            Self::OtherStored { .. } => "`rig box add --force` gets the promised one and replaces it".to_owned(),
            Self::NotStored { present, .. } if present.is_empty() => "`rig box add` adds boxes".to_owned(),
            Self::NotStored { present, .. } => format!("there are: {}", present.join("; ")),
            Self::Changed { .. } => "`rig box add --force` gets it again".to_owned(),
            Self::Exists { .. } => "name another file with `--output`, or overwrite it with `--force`".to_owned(),
            Self::Busy { .. } => "wait until the other rig has ended, or interrupt it with Ctrl-C".to_owned(),
            Self::File { reason, .. } if reason.kind() == io::ErrorKind::StorageFull => {
                "free some space and run the command again".to_owned()
            }
            Self::Fetch(BoxError::Checksum { .. }) => {
                "if the new file is meant, give its checksum; else do not trust the source".to_owned()
            }
            Self::Fetch(BoxError::Status { status: 404 | 410, .. }) => {
                "check the box's name and the address".to_owned()
            }
            Self::Fetch(error) => return error.hint(),
            Self::State(error) => return error.hint(),
            Self::Name(_) | Self::Version(_) | Self::Mirrors { .. } | Self::File { .. } | Self::Cancelled { .. } => {
                return None;
            }
        };
        Some(text)
    }

    /// Whether the caller ended the call.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        match self {
            Self::Cancelled { .. } => true,
            Self::Fetch(error) => error.is_cancelled(),
            Self::State(error) => error.is_cancelled(),
            _ => false,
        }
    }

    /// Whether what was asked for is wrong, so that nothing was touched.
    #[must_use]
    pub fn is_usage(&self) -> bool {
        matches!(
            self,
            Self::Name(_)
                | Self::Version(_)
                | Self::Constraint(_)
                | Self::Request { .. }
                | Self::SeveralProviders { .. }
                | Self::Unencrypted { .. }
                | Self::NoChecksum { .. }
                | Self::NotStored { .. }
                | Self::NewerStored { .. }
                | Self::Exists { .. }
        )
    }
}
