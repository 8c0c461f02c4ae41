//! What somebody wants to be added.

use crate::{Architecture, BoxProvider, Checksum, Constraint, Result, StoreError, StoreName, Version, without_secrets};
use camino::Utf8PathBuf;

/// A box to be added.
#[derive(Clone, Debug)]
pub struct AddRequest {
    /// A short name (`user/box`), an address or a path, of a catalogue or of a box file.
    pub source: String,
    /// The folder that paths are relative to.
    pub folder: Utf8PathBuf,
    /// The name in the store; needed for a box file, which has none.
    pub name: Option<StoreName>,
    /// A constraint for a catalogue's versions; the version itself for a box file, which has none.
    pub version: Option<String>,
    /// What it must be made for.
    pub provider: Option<BoxProvider>,
    /// What it must run on; the host where nothing is said.
    pub architecture: Option<Architecture>,
    /// What the box file must have; counts more than what a catalogue says.
    pub checksum: Option<Checksum>,
    /// Takes what is not encrypted, has no checksum or a weak one.
    pub insecure: bool,
    /// Replaces a box that is there.
    pub force: bool,
    /// Addresses of servers with the same paths as the one that the box file is on, tried in this order before it.
    pub mirrors: Vec<String>,
}

impl AddRequest {
    /// A request for this source, with nothing else said. `folder` is what paths are relative to.
    #[must_use]
    pub fn new(source: impl Into<String>, folder: Utf8PathBuf) -> Self {
        Self {
            source: source.into(),
            folder,
            name: None,
            version: None,
            provider: None,
            architecture: None,
            checksum: None,
            insecure: false,
            force: false,
            mirrors: Vec::new(),
        }
    }

    /// Which of a catalogue's versions will do.
    pub(super) fn constraint(&self) -> Result<Constraint> {
        Ok(self.version.as_deref().map(str::parse).transpose()?.unwrap_or_default())
    }

    /// The version that a box file gets.
    pub(super) fn exact_version(&self) -> Result<Version> {
        Ok(self.version.as_deref().unwrap_or("0").parse()?)
    }

    /// An error about what was said.
    pub(super) fn wrong(&self, why: impl Into<String>, hint: impl Into<String>) -> StoreError {
        StoreError::Request { what: self.title(), why: without_secrets(&why.into()).into_owned(), hint: hint.into() }
    }

    /// The source, as messages call it.
    pub(super) fn title(&self) -> String {
        without_secrets(&self.source).into_owned()
    }
}
