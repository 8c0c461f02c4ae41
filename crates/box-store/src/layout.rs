//! All file names of the store:
//!
//! ```text
//! ROOT/NAME/VERSION/ARCHITECTURE/PROVIDER/record.json   where the box came from, what it was
//! ROOT/NAME/VERSION/ARCHITECTURE/PROVIDER/box/…         the unpacked files
//! ROOT/.work/NAME/…                                     what is being unpacked or removed, by whoever holds the lock
//! ROOT/.locks/NAME.lock                                 held by the process that changes boxes of this name
//! ```
//!
//! NAME is encoded ([`crate::names::file_name`]) and never begins with a point.

use crate::{
    BoxKey, StoreName,
    names::{file_name, of_file_name},
};
use camino::{Utf8Path, Utf8PathBuf};

/// File names below the store's folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    root: Utf8PathBuf,
}

impl Layout {
    pub(crate) fn new(root: Utf8PathBuf) -> Self {
        Self { root }
    }

    /// The store's folder.
    pub(crate) fn root(&self) -> &Utf8Path {
        &self.root
    }

    /// All boxes of a name.
    pub(crate) fn name(&self, name: &StoreName) -> Utf8PathBuf {
        self.root.join(file_name(name.as_str()))
    }

    /// The place of one box.
    pub(crate) fn slot(&self, key: &BoxKey) -> Utf8PathBuf {
        let below = [key.version.as_str(), key.architecture.as_str(), key.provider.as_str()];
        below.into_iter().fold(self.name(&key.name), |path, part| path.join(file_name(part)))
    }

    /// The box that has this place, whatever its record says.
    pub(crate) fn key_of(&self, slot: &Utf8Path) -> Option<BoxKey> {
        let mut parts = slot.strip_prefix(&self.root).ok()?.iter().map(of_file_name);
        let mut next = || parts.next().flatten();
        let (name, version, architecture, provider) = (next()?, next()?, next()?, next()?);
        let key = BoxKey {
            name: name.parse().ok()?,
            version: version.parse().ok()?,
            architecture: architecture.parse().ok()?,
            provider: provider.parse().ok()?,
        };
        (self.slot(&key) == slot).then_some(key)
    }

    /// What is known about the box in a place.
    pub(crate) fn record(slot: &Utf8Path) -> Utf8PathBuf {
        slot.join("record.json")
    }

    /// The files of the box in a place.
    pub(crate) fn files(slot: &Utf8Path) -> Utf8PathBuf {
        slot.join("box")
    }

    /// The folder of all work that is under way, or was cut.
    pub(crate) fn works(&self) -> Utf8PathBuf {
        self.root.join(".work")
    }

    /// The work that is under way for a name.
    pub(crate) fn work(&self, name: &StoreName) -> Utf8PathBuf {
        self.works().join(file_name(name.as_str()))
    }

    /// The lock of a name.
    pub(crate) fn lock(&self, name: &StoreName) -> Utf8PathBuf {
        self.lock_of(&file_name(name.as_str()))
    }

    /// The lock of a name that is already encoded.
    pub(crate) fn lock_of(&self, encoded: &str) -> Utf8PathBuf {
        self.root.join(".locks").join(format!("{encoded}.lock"))
    }
}
