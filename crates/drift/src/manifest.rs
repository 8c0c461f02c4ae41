//! What is in a machine.

use rig_model::Digest;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// What is in a machine at one moment. What could not be found out is absent, and [`Manifest::gaps`] says why.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Files, folders and links by absolute path. Where the provider knows what differs from the box, only that; else
    /// everything on the machine's root file system.
    pub files: BTreeMap<String, File>,
    /// Paths that the box has and the machine has not.
    pub removed: BTreeSet<String>,
    /// Versions of installed packages by name.
    pub packages: Option<BTreeMap<String, String>>,
    /// What runs: `uid name`, without repetition.
    pub processes: Option<BTreeSet<String>>,
    /// Where somebody listens: `tcp address:port`.
    pub listeners: Option<BTreeSet<String>>,
    /// What could not be found out, and why.
    pub gaps: BTreeSet<String>,
}

/// Something in the machine's file system.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct File {
    /// What it is.
    pub kind: Kind,
    /// Mode bits, without the type.
    pub mode: u32,
    /// `uid:gid`, as numbers.
    pub owner: String,
    /// Bytes.
    pub size: u64,
    /// When the content changed, in seconds since 1970.
    pub modified: i64,
    /// When anything about it changed, in seconds since 1970; nobody but the kernel sets this one.
    pub changed: i64,
    /// The hash of the content, where it was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<Digest>,
    /// What a link names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// Whether the box has something in this place too.
    #[serde(default)]
    pub in_box: bool,
}

impl File {
    /// Something of which nothing is known but that it is there.
    #[must_use]
    pub fn unknown() -> Self {
        Self {
            kind: Kind::Unknown,
            mode: 0,
            owner: String::new(),
            size: 0,
            modified: 0,
            changed: 0,
            sha256: None,
            target: None,
            in_box: false,
        }
    }
}

/// What something in a file system is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A file.
    File,
    /// A folder.
    Folder,
    /// A symbolic link.
    Link,
    /// A pipe, socket or device.
    Other,
    /// Nobody knows: the machine has no way to say.
    Unknown,
}

impl Kind {
    /// The word for people.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Folder => "folder",
            Self::Link => "link",
            Self::Other => "special file",
            Self::Unknown => "unknown",
        }
    }
}
