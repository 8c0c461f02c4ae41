//! What can go wrong while boxes and artifacts are made.

use camino::Utf8PathBuf;
use rig_model::{BoxName, Digest, Name};
use rig_provider_api::ProviderError;
use rig_state::StateError;

/// The result of a call of this crate.
pub type Result<T> = std::result::Result<T, BoxError>;

/// Why a box or an artifact is not there.
#[derive(Debug, thiserror::Error)]
pub enum BoxError {
    /// None of a box's sources can be used on this host.
    #[error("box {name} cannot be made on this host: {}", tried.join("; "))]
    NoSource {
        /// The box.
        name: BoxName,
        /// Each source, and why it cannot be used.
        tried: Vec<String>,
        /// What to do.
        hint: String,
    },
    /// The workspace refers to something that it does not declare. The file's decoder refuses this.
    #[error("box {name} refers to {what}, which the workspace does not declare")]
    Undeclared {
        /// The box.
        name: BoxName,
        /// What is missing.
        what: String,
    },
    /// A box is built from itself. The file's decoder refuses this.
    #[error("box {name} is built from itself")]
    Cycle {
        /// The box.
        name: BoxName,
    },
    /// A file or folder of a box, or of the cache, could not be read or written.
    #[error("{doing}: {reason}")]
    File {
        /// What was being done, and to what.
        doing: String,
        /// The system's reason.
        reason: std::io::Error,
    },
    /// A box folder holds something that cannot be part of a build context.
    #[error("reading the box folder {folder}: {path} {why}")]
    Folder {
        /// The folder.
        folder: Utf8PathBuf,
        /// What in it.
        path: String,
        /// What is wrong with it.
        why: String,
    },
    /// A lock or a record of rig's own.
    #[error(transparent)]
    State(#[from] StateError),
    /// The engine.
    #[error(transparent)]
    Provider(#[from] ProviderError),
    /// The registry did not give an image.
    #[error("pulling {reference} for box {name}: {reason}")]
    Pull {
        /// The box.
        name: BoxName,
        /// The image.
        reference: String,
        /// The other sources that the box names.
        others: Vec<String>,
        /// The engine's reason.
        reason: Box<ProviderError>,
    },
    /// The bootstrap program failed.
    #[error("bootstrapping {suite} with mmdebstrap: {why}")]
    Bootstrap {
        /// The suite.
        suite: String,
        /// How it ended.
        why: String,
        /// The last lines that it wrote.
        tail: Vec<String>,
    },
    /// An artifact lacks what its source needs.
    #[error("artifact {name}: {why}")]
    Artifact {
        /// The artifact.
        name: Name,
        /// What is wrong.
        why: String,
        /// What to do.
        hint: String,
    },
    /// Nothing can be downloaded from an address.
    #[error("nothing can be downloaded from {url:?}: {why}")]
    Address {
        /// The address.
        url: String,
        /// What is wrong with it.
        why: String,
    },
    /// A server answered with an error.
    #[error("downloading {what} from {url}: the server answered {status}")]
    Status {
        /// What was wanted.
        what: String,
        /// From where.
        url: String,
        /// HTTP status code.
        status: u16,
    },
    /// A server could not be reached, or the transfer broke off for good.
    #[error("downloading {what} from {url}: {why}{}", kept(*have, *total))]
    Transfer {
        /// What was wanted.
        what: String,
        /// From where.
        url: String,
        /// What happened last.
        why: String,
        /// Bytes that are there already; the next attempt goes on behind them.
        have: u64,
        /// Bytes of the whole file, where the server said so.
        total: Option<u64>,
        /// Whether the server's certificate was the reason.
        certificate: bool,
    },
    /// A file is not the one that is declared.
    #[error("{what} from {origin} has the wrong checksum: expected sha256 {expected}, it has {actual}")]
    Checksum {
        /// What it should be (`artifact jdk`).
        what: String,
        /// Where it came from.
        origin: String,
        /// What the workspace file, or the caller, says.
        expected: Digest,
        /// What the file, or the index, says.
        actual: Digest,
    },
    /// The deadline passed.
    #[error("{doing}: not done in time")]
    TimedOut {
        /// What was being done.
        doing: String,
    },
    /// The caller ended the call.
    #[error("{doing}: interrupted")]
    Cancelled {
        /// What was being done.
        doing: String,
    },
}

impl BoxError {
    pub(crate) fn file(doing: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let doing = doing.into();
        move |reason| Self::File { doing, reason }
    }

    /// What to do about it, where that is known.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NoSource { hint, .. } | Self::Artifact { hint, .. } => Some(hint.clone()),
            Self::State(error) => error.hint(),
            Self::Provider(error) => error.hint().map(str::to_owned),
            Self::Pull { others, .. } if others.is_empty() => Some(
                "check the engine's way to the registry, or give the box another source (bootstrap, build)".to_owned(),
            ),
            Self::Pull { others, .. } => Some(format!(
                "check the engine's way to the registry, or put another source of the box first: {}",
                others.join(", ")
            )),
            Self::Bootstrap { .. } => {
                Some("check the suite, the packages' names and the way to the mirror; `rig doctor` checks mmdebstrap".to_owned())
            }
            Self::Address { .. } => Some("an address begins with https:// or http://".to_owned()),
            Self::Status { status: 404 | 410, .. } => Some("check the artifact's source and version".to_owned()),
            Self::Status { status: 401 | 403 | 407, .. } => Some("check the address and the proxy settings".to_owned()),
            Self::Transfer { certificate: true, .. } => Some(
                "the server's certificate is not trusted here; add the authority that signed it to the host's certificates"
                    .to_owned(),
            ),
            Self::Transfer { have: 1.., .. } => Some("run the command again: the download goes on where it ended".to_owned()),
            Self::Status { .. } | Self::Transfer { .. } => {
                Some("check the network and the proxy settings, then run the command again".to_owned())
            }
            Self::Checksum { .. } => {
                Some("if the new file is meant, put its checksum into the workspace file; else do not trust the source".to_owned())
            }
            Self::File { reason, .. } if reason.kind() == std::io::ErrorKind::StorageFull => {
                Some("free some space and run the command again".to_owned())
            }
            Self::File { .. }
            | Self::Folder { .. }
            | Self::Undeclared { .. }
            | Self::Cycle { .. }
            | Self::TimedOut { .. }
            | Self::Cancelled { .. } => None,
        }
    }

    /// The last lines of the log that belongs to it.
    #[must_use]
    pub fn tail(&self) -> &[String] {
        match self {
            Self::Bootstrap { tail, .. } => tail,
            Self::Provider(error) => error.tail(),
            Self::Pull { reason, .. } => reason.tail(),
            _ => &[],
        }
    }

    /// Whether the caller ended the call.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        match self {
            Self::Cancelled { .. } => true,
            Self::State(error) => error.is_cancelled(),
            Self::Provider(error) => matches!(error, ProviderError::Cancelled { .. }),
            _ => false,
        }
    }
}

fn kept(have: u64, total: Option<u64>) -> String {
    match (have, total) {
        (0, _) => String::new(),
        (have, Some(total)) => format!("; {have} of {total} bytes are there"),
        (have, None) => format!("; {have} bytes are there"),
    }
}
