//! The stored boxes that a workspace file means.

use super::{BoxStore, StoredBox};
use crate::{BoxProvider, Constraint, Result, StoreError, StoreName, Wish};
use rig_boxes::{FindStored, FoundStored, NotStored};
use rig_model::{ProviderId, StoredSource};
use rig_provider_api::{Introduction, StoredDisk, StoredFiles};

/// The providers that make machines of stored boxes.
const TAKERS: [&str; 2] = ["virtualbox", "qemu"];

/// The provider that makes machines of cloud images.
const CLOUD_IMAGES: &str = "qemu";

/// The boxes of a store that are made for one provider.
#[derive(Clone, Debug)]
pub struct StoredFor {
    /// The store.
    pub store: BoxStore,
    /// The provider, whose name boxes use as well.
    pub provider: ProviderId,
}

impl FindStored for StoredFor {
    fn find(&self, source: &StoredSource) -> std::result::Result<FoundStored, NotStored> {
        if !TAKERS.contains(&self.provider.as_str()) {
            let why = format!("provider {} makes no machines of stored boxes", self.provider);
            let hint = "give its machines `provider \"virtualbox\"` or `provider \"qemu\"`";
            return Err(NotStored { why, hint: Some(hint.to_owned()) });
        }
        self.newest(source).and_then(|stored| found(&stored)).map_err(|error| {
            let hint = match &error {
                StoreError::NotStored { .. } => {
                    let version = source.version.as_ref().map(|version| format!(" --version {version:?}"));
                    let (name, provider) = (&source.name, &self.provider);
                    Some(format!("`rig box add {name}{} --provider {provider}` stores it", version.unwrap_or_default()))
                }
                _ => error.hint(),
            };
            NotStored { why: error.to_string(), hint }
        })
    }

    fn cloud_images(&self) -> std::result::Result<(), NotStored> {
        if self.provider.as_str() == CLOUD_IMAGES {
            return Ok(());
        }
        let why = format!("provider {} makes no machines of cloud images", self.provider);
        Err(NotStored { why, hint: Some(format!("give its machines `provider \"{CLOUD_IMAGES}\"`")) })
    }
}

impl StoredFor {
    /// The newest box that a source allows.
    ///
    /// # Errors
    /// When there is none, its name or version is none, or the store cannot be read.
    pub fn newest(&self, source: &StoredSource) -> Result<StoredBox> {
        let name: StoreName = source.name.parse()?;
        let constraint: Constraint = source.version.as_deref().map(str::parse).transpose()?.unwrap_or_default();
        let provider: BoxProvider = self.provider.as_str().parse()?;
        let wish = Wish { constraint, provider: Some(provider), architecture: None };
        self.store.get(&name, &wish)
    }
}

/// What a stored box holds.
fn found(stored: &StoredBox) -> Result<FoundStored> {
    let content = stored.open()?;
    let disks = content.disks.into_iter();
    Ok(FoundStored {
        files: StoredFiles {
            what: stored.key().to_string(),
            folder: stored.folder.clone(),
            disks: disks.map(|disk| StoredDisk { path: disk.path, format: disk.format.to_string() }).collect(),
            mac: content.facts.base_mac,
            introduction: Introduction::FirstContact,
        },
        sha256: stored.record.archive_sha256.clone(),
    })
}
