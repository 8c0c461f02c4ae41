//! The store: adding boxes, looking at them, removing them.

mod add;
mod fetch;
mod find;
mod location;
mod outdated;
mod package;
mod place;
mod prune;
mod read;
mod remove;
mod repackage;
mod request;
mod source;
mod swap;
mod verify;

pub use add::Added;
pub use find::StoredFor;
pub use outdated::Age;
pub use package::Package;
pub use prune::Pruned;
pub use read::{BoxContent, Filter, Listing, StoredBox, Unreadable};
pub use repackage::Repackaged;
pub use request::AddRequest;
pub use verify::{Change, Verdict};

use crate::{Architecture, Limits, Result, StoreError, StoreName, layout::Layout};
use camino::Utf8PathBuf;
use rig_boxes::ArtifactStore;
use rig_model::Progress;
use rig_provider_api::Context;
use rig_state::{FileLock, Patience, StateError};
use std::io;

/// The catalogue server that Vagrant asks.
pub const VAGRANT_CLOUD: &str = "https://vagrantcloud.com";

/// Where a store is and what it goes by.
#[derive(Clone, Debug)]
pub struct StoreSettings {
    /// The store's folder. Need not exist.
    pub root: Utf8PathBuf,
    /// The server that knows boxes by their short names.
    pub server: String,
    /// What this host runs.
    pub architecture: Architecture,
    /// What a box may be at most.
    pub limits: Limits,
}

impl StoreSettings {
    /// The usual settings for a store in this folder.
    #[must_use]
    pub fn new(root: Utf8PathBuf) -> Self {
        Self {
            root,
            server: VAGRANT_CLOUD.to_owned(),
            architecture: Architecture::of_host(),
            limits: Limits::default(),
        }
    }
}

/// The boxes of the user, shared by all workspaces. Cheap to clone.
#[derive(Clone, Debug)]
pub struct BoxStore {
    layout: Layout,
    settings: StoreSettings,
    downloads: ArtifactStore,
}

impl BoxStore {
    /// A store. Touches nothing. `downloads` gets what servers send; it should not let itself be led from encrypted
    /// addresses to others ([`rig_boxes::FetchSettings::leave_https`]).
    #[must_use]
    pub fn new(settings: StoreSettings, downloads: ArtifactStore) -> Self {
        Self { layout: Layout::new(settings.root.clone()), settings, downloads }
    }

    /// Takes the lock of a name; says so when it has to wait for another process.
    async fn lock(&self, name: &StoreName, cx: &Context) -> Result<FileLock> {
        let patience = Patience { cancel: cx.cancel().clone(), deadline: cx.deadline() };
        let mut told = false;
        let held = || {
            if !std::mem::replace(&mut told, true) {
                cx.progress(Progress::step(format!("waiting for another rig that changes the stored box {name}")));
            }
        };
        let lock = FileLock::acquire(&self.layout.lock(name), &patience, held).await;
        lock.map_err(|error| match error {
            StateError::Held { .. } => StoreError::Busy { name: name.clone() },
            other => other.into(),
        })
    }
}

/// Runs what blocks where it may.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let result = tokio::task::spawn_blocking(work).await;
    result.map_err(|error| StoreError::file("working in the store")(io::Error::other(error)))?
}

/// The same under a lock, which is held until the work has ended: also when nobody waits for it any more.
async fn locked<T: Send + 'static>(lock: FileLock, work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    blocking(move || {
        let result = work();
        drop(lock);
        result
    })
    .await
}
