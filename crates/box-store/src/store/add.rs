//! Adding a box.

use super::{
    AddRequest, BoxStore, StoredBox, blocking, fetch::Fetched, location::Location, locked, place::Install,
    source::Target,
};
use crate::{Result, StoreError};
use rig_provider_api::Context;

/// A box that is in the store now.
#[derive(Clone, Debug)]
pub struct Added {
    /// The box.
    pub stored: StoredBox,
    /// Whether it was there before, so that nothing was done.
    pub already: bool,
}

impl BoxStore {
    /// Adds a box, unless it is there. A download that was cut before goes on; what an earlier add left behind when it was
    /// killed is cleared away. When another process adds a box of the same name, this waits for it.
    ///
    /// # Errors
    /// When it is not clear what is meant, it cannot be had, is not what it should be, does not fit or would do harm, the
    /// box that is there contradicts its checksum, or the caller cancels. The store is as it was then; what was downloaded
    /// stays for the next call unless it was wrong.
    pub async fn add(&self, request: &AddRequest, cx: &Context) -> Result<Added> {
        let target = self.resolve(request, cx).await?;
        promised(&target, request)?;
        let lock = self.lock(&target.name, cx).await?;
        let existing = self.existing(&target).await?;
        if !request.force
            && let Some(stored) = find_stored(&target, &existing)?
        {
            return Ok(Added { stored, already: true });
        }
        let Fetched { file, path, origin, sha256, download } = self.fetch(&target, request, cx).await?;
        let install = Install {
            layout: self.layout.clone(),
            limits: self.settings.limits,
            file,
            archive: path,
            sha256,
            origin,
            force: request.force,
            existing,
            target,
        };
        let (cx, downloads) = (cx.clone(), self.downloads.clone());
        locked(lock, move || {
            let added = install.run(&cx);
            if let Some(download) = download {
                download.end(&downloads, &added)?;
            }
            added
        })
        .await
    }

    async fn existing(&self, target: &Target) -> Result<Vec<StoredBox>> {
        let (store, name) = (self.clone(), target.name.clone());
        blocking(move || store.of_name(&name)).await
    }
}

/// The box that is meant, if it is there. Where a checksum is promised, only that tells: what the box is called, anybody
/// may have called it.
fn find_stored(target: &Target, existing: &[StoredBox]) -> Result<Option<StoredBox>> {
    let of_version = || existing.iter().filter(|stored| stored.key().version == target.version);
    let named =
        |stored: &&StoredBox| target.catalogue.is_some() && target.provider.as_ref() == Some(&stored.key().provider);
    let Some(checksum) = &target.checksum else {
        let wanted = target.architecture.as_ref().filter(|wanted| !wanted.is_unknown());
        let runs_on = |stored: &&StoredBox| wanted.is_none_or(|wanted| *wanted == stored.key().architecture);
        return Ok(of_version().filter(named).find(runs_on).cloned());
    };
    if let Some(stored) = of_version().find(|stored| stored.record.has(checksum) == Some(true)) {
        return Ok(Some(stored.clone()));
    }
    // A box of another file in the place that the promised one would get.
    let in_place = |stored: &&StoredBox| target.architecture.as_ref() == Some(&stored.key().architecture);
    for other in of_version().filter(named).filter(in_place) {
        if let Some(actual) = other.record.known(checksum.algorithm) {
            let (key, expected) = (Box::new(other.key().clone()), checksum.to_string());
            return Err(StoreError::OtherStored { key, expected, actual: actual.to_string() });
        }
    }
    Ok(None)
}

/// Refuses a download that nothing promises to be the right one.
fn promised(target: &Target, request: &AddRequest) -> Result<()> {
    if matches!(target.place, Location::File(_)) || request.insecure {
        return Ok(());
    }
    let why = match &target.checksum {
        Some(checksum) if checksum.algorithm.is_strong() => return Ok(()),
        Some(checksum) => format!("there is only a checksum of the kind {}, which can be forged", checksum.algorithm),
        None if target.catalogue.is_some() => "the catalogue has no checksum of it".to_owned(),
        None => "a box file from a server needs a checksum".to_owned(),
    };
    Err(StoreError::NoChecksum { what: target.title(), why })
}
