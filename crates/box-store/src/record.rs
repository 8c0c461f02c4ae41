//! What the store knows about a box that it has: written last, so that what has no record is left over from an add that
//! was cut.

use crate::{Algorithm, BoxKey, Checksum, Result};
use camino::{Utf8Path, Utf8PathBuf};
use jiff::Timestamp;
use rig_model::Digest;
use rig_state::{Access, Format};
use serde::{Deserialize, Serialize};

const FORMAT: Format = Format { name: "rig.stored-box", major: 1 };

/// Where a stored box came from and what it was then.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Which box.
    #[serde(flatten)]
    pub key: BoxKey,
    /// The SHA-256 of the box file.
    pub archive_sha256: Digest,
    /// The size of the box file, in bytes.
    pub archive_size: u64,
    /// Where the box file came from: an address, or a path of this host.
    pub source: String,
    /// The catalogue that named it: an address, or a path of this host.
    pub catalogue: Option<String>,
    /// Whether the box file had the checksum that somebody promised.
    pub checked: bool,
    /// The checksum that was promised, whose kind may be another than that of `archive_sha256`.
    #[serde(default)]
    pub checksum: Option<Checksum>,
    /// When it was added.
    pub added: Timestamp,
    /// Every file that was in it, sorted by path.
    pub files: Vec<StoredFile>,
    /// Every symbolic link that was in it, sorted by path.
    pub links: Vec<StoredLink>,
}

/// A file of a stored box.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredFile {
    /// Its path below the box's folder.
    pub path: Utf8PathBuf,
    /// Its size in bytes.
    pub size: u64,
    /// Its checksum when it was unpacked.
    pub sha256: Digest,
}

/// A symbolic link of a stored box.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredLink {
    /// Its path below the box's folder.
    pub path: Utf8PathBuf,
    /// Where it leads.
    pub target: Utf8PathBuf,
}

impl Record {
    /// The size of all files, in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.files.iter().map(|file| file.size).sum()
    }

    /// Whether the box file had this checksum; `None` where nobody knows.
    pub(crate) fn has(&self, checksum: &Checksum) -> Option<bool> {
        self.known(checksum.algorithm).map(|known| known == *checksum)
    }

    /// The checksum of this kind that the box file had; `None` where nobody knows.
    pub(crate) fn known(&self, algorithm: Algorithm) -> Option<Checksum> {
        match algorithm {
            Algorithm::Sha256 => Some(Checksum::from(&self.archive_sha256)),
            _ => self.checksum.clone().filter(|known| known.algorithm == algorithm),
        }
    }

    pub(crate) fn read(path: &Utf8Path) -> Result<Option<Self>> {
        Ok(rig_state::read_json(path, FORMAT)?)
    }

    pub(crate) fn write(&self, path: &Utf8Path) -> Result<()> {
        Ok(rig_state::write_json(path, FORMAT, self, Access::Default)?)
    }
}
