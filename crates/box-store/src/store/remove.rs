//! Removing boxes.

use super::{
    BoxStore, StoredBox, locked,
    swap::{clear, take_out, tidy},
};
use crate::{BoxKey, Record, Result, StoreError, layout::Layout};
use camino::Utf8Path;
use rig_provider_api::Context;
use rig_state::StateError;

impl BoxStore {
    /// Removes a box, by its place: its record need not be readable, but one of a newer rig wants `force`. Absence is
    /// success. Readers see it whole or not at all; a removal that is killed is ended by the
    /// next command that changes a box of that name.
    ///
    /// # Errors
    /// When the file system refuses, a newer rig stored the box, another process changes boxes of that name for too long,
    /// or the caller cancels.
    pub async fn remove(&self, key: &BoxKey, force: bool, cx: &Context) -> Result<()> {
        let lock = self.lock(&key.name, cx).await?;
        let (layout, key) = (self.layout.clone(), key.clone());
        locked(lock, move || remove(&layout, &key, force)).await
    }

    /// Removes several boxes, one after the other; those that are gone are told by `removed`.
    ///
    /// # Errors
    /// Those of [`BoxStore::remove`]; what was removed before stays removed.
    pub async fn remove_all(
        &self,
        boxes: &[StoredBox],
        cx: &Context,
        mut removed: impl FnMut(&StoredBox),
    ) -> Result<()> {
        for stored in boxes {
            if cx.cancel().is_cancelled() {
                return Err(StoreError::Cancelled { doing: "removing boxes".to_owned() });
            }
            self.remove(stored.key(), false, cx).await?;
            removed(stored);
        }
        Ok(())
    }
}

fn remove(layout: &Layout, key: &BoxKey, force: bool) -> Result<()> {
    let (slot, work) = (layout.slot(key), layout.work(&key.name));
    tidy(layout, &work)?;
    let is_newer = matches!(Record::read(&Layout::record(&slot)), Err(StoreError::State(StateError::Newer { .. })));
    if is_newer && !force {
        return Err(StoreError::NewerStored { key: Box::new(key.clone()) });
    }
    rig_state::create_folder(&work)?;
    take_out(&slot, &work).map_err(StoreError::file(format!("removing {key}")))?;
    clear(&work)?;
    remove_empty(layout, &slot);
    Ok(())
}

/// Removes the folders above a place that hold nothing any more.
fn remove_empty(layout: &Layout, slot: &Utf8Path) {
    let above = slot.ancestors().skip(1).take_while(|folder| *folder != layout.root());
    for folder in above {
        // One that is not empty is meant to stay.
        if fs_err::remove_dir(folder).is_err() {
            return;
        }
    }
}
