//! What can go wrong between this host and a machine.

use crate::Trust;

/// The result of a call of this crate.
pub type Result<T> = std::result::Result<T, SshError>;

/// Why a connection, a command or a transfer did not work.
#[derive(Debug, thiserror::Error)]
pub enum SshError {
    /// The server accepts none of the keys.
    #[error("the machine refused user {user}: it accepted none of the keys offered ({})", listed(offered))]
    Refused {
        /// The user.
        user: String,
        /// Fingerprints of the keys.
        offered: Vec<String>,
    },
    /// The machine's host key is not one of those that were pinned.
    #[error("the machine's host key changed: expected {}, got {got}", listed(expected))]
    HostKeyChanged {
        /// Fingerprints of the pinned keys.
        expected: Vec<String>,
        /// Fingerprint of the key that the server showed.
        got: String,
    },
    /// There is nothing to connect to, and there will not be: the machine is gone or has exited.
    #[error("cannot reach the machine: {why}")]
    Unreachable {
        /// The dialer's reason.
        why: String,
    },
    /// The deadline passed.
    #[error("timed out {waited_for}; the last attempt: {last}")]
    TimedOut {
        /// What it waited for.
        waited_for: String,
        /// How the last attempt went.
        last: String,
    },
    /// The caller ended the call.
    #[error("{doing}: interrupted")]
    Cancelled {
        /// What was being done.
        doing: String,
    },
    /// The two sides cannot talk: no common algorithm.
    #[error("the machine's SSH server cannot be talked to: {why}")]
    Protocol {
        /// What is wrong.
        why: String,
    },
    /// A key could not be read or made.
    #[error("{doing}: {why}")]
    Key {
        /// What was being done.
        doing: String,
        /// What is wrong.
        why: String,
    },
    /// The agent did not give a key or a signature.
    #[error("the SSH agent at {path}: {why}")]
    Agent {
        /// Its socket or pipe.
        path: String,
        /// What is wrong.
        why: String,
    },
    /// The connection ended while it was needed.
    #[error("the connection to the machine was lost: {why}")]
    Lost {
        /// How it ended.
        why: String,
    },
    /// The server did not give a channel, a terminal or a shell.
    #[error("the machine's SSH server refused {what}: {why}")]
    Denied {
        /// What was asked for.
        what: String,
        /// Its reason.
        why: String,
    },
    /// A file or folder of this host could not be read or written.
    #[error("{doing}: {reason}")]
    File {
        /// What was being done, and to what.
        doing: String,
        /// The system's reason.
        reason: std::io::Error,
    },
    /// What was to be downloaded is not there.
    #[error("there is no {path} on the machine")]
    Missing {
        /// The path on the machine.
        path: String,
    },
    /// A transfer failed on the machine's side, or what came from there cannot be used.
    #[error("{doing}: {why}")]
    Transfer {
        /// What was being done, and to what.
        doing: String,
        /// What is wrong: the remote command's own words where there are some.
        why: String,
    },
    /// More came than the caller allows.
    #[error("downloading {path}: it holds more than {limit} bytes")]
    TooLarge {
        /// The path on the machine.
        path: String,
        /// The limit, in bytes.
        limit: u64,
    },
}

impl SshError {
    pub(crate) fn file(doing: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let doing = doing.into();
        move |reason| Self::File { doing, reason }
    }

    pub(crate) fn changed(trust: &Trust, got: String) -> Self {
        let expected = trust.pinned().iter().map(crate::HostKey::fingerprint).collect();
        Self::HostKeyChanged { expected, got }
    }

    /// Whether the same call would fail in the same way again, however long one waits.
    #[must_use]
    pub fn is_permanent(&self) -> bool {
        match self {
            Self::Refused { .. }
            | Self::HostKeyChanged { .. }
            | Self::Unreachable { .. }
            | Self::Protocol { .. }
            | Self::Key { .. }
            | Self::Agent { .. }
            | Self::Missing { .. }
            | Self::TooLarge { .. } => true,
            Self::TimedOut { .. }
            | Self::Cancelled { .. }
            | Self::Lost { .. }
            | Self::Denied { .. }
            | Self::File { .. }
            | Self::Transfer { .. } => false,
        }
    }

    /// Whether the caller ended the call.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        matches!(self, Self::Cancelled { .. })
    }

    /// What to do about it, where that is known.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Refused { .. } => Some("check the user's name and that its authorized_keys holds the key"),
            Self::HostKeyChanged { .. } => {
                Some("somebody else may answer there; if the machine was made anew, forget its old host key")
            }
            Self::Agent { .. } => Some("check that the agent runs and holds a key (`ssh-add -l`)"),
            Self::Denied { .. } => {
                Some("the server may be out of sessions (MaxSessions) or forbid this by its configuration")
            }
            Self::File { reason, .. } if reason.kind() == std::io::ErrorKind::StorageFull => Some("free some space"),
            _ => None,
        }
    }
}

fn listed(names: &[String]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}
