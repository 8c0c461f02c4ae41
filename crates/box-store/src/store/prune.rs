//! Removing what nobody needs any more.

use super::{BoxStore, Filter, StoredBox, blocking, swap::tidy};
use crate::{BoxKey, Constraint, Result, StoreError};
use rig_provider_api::Context;
use rig_state::FileLock;
use std::collections::BTreeMap;

/// What is, or would be, removed.
#[derive(Clone, Debug, Default)]
pub struct Pruned {
    /// Old versions of boxes.
    pub boxes: Vec<StoredBox>,
    /// Folders of adds and removals that were cut.
    pub leftovers: usize,
}

impl BoxStore {
    /// What [`BoxStore::prune`] would remove: of each box, provider and architecture all but the newest `keep` versions,
    /// without those that are in use. Blocks while it reads folders.
    ///
    /// # Errors
    /// When a folder of the store cannot be read, or a name is meant that nothing has.
    pub fn prunable(&self, filter: &Filter, keep: usize, used: &[BoxKey]) -> Result<Pruned> {
        let mut groups: BTreeMap<_, Vec<StoredBox>> = BTreeMap::new();
        for stored in self.select(filter)? {
            let key = stored.key();
            let group = (key.name.clone(), key.provider.clone(), key.architecture.clone());
            groups.entry(group).or_default().push(stored);
        }
        let mut boxes = Vec::new();
        for mut group in groups.into_values() {
            // From the oldest to the newest, as whoever asks for the newest means it: a beta is older than a release.
            group.sort_by(|a, b| Constraint::default().order(&a.key().version, &b.key().version));
            let old = group.len().saturating_sub(keep);
            boxes.extend(group.into_iter().take(old).filter(|stored| !used.contains(stored.key())));
        }
        Ok(Pruned { boxes, leftovers: self.leftovers()?.len() })
    }

    /// Removes old versions of boxes, and what was left behind by commands that were killed. `removed` is told each box
    /// that is gone.
    ///
    /// # Errors
    /// Those of [`BoxStore::prunable`] and [`BoxStore::remove`].
    pub async fn prune(
        &self,
        filter: &Filter,
        keep: usize,
        used: &[BoxKey],
        cx: &Context,
        removed: impl FnMut(&StoredBox),
    ) -> Result<Pruned> {
        let (store, filter, used) = (self.clone(), filter.clone(), used.to_vec());
        let pruned = blocking(move || store.prunable(&filter, keep, &used)).await?;
        self.remove_all(&pruned.boxes, cx, removed).await?;
        let store = self.clone();
        let leftovers = blocking(move || {
            let mut count = 0;
            for name in store.leftovers()? {
                let Some(_lock) = FileLock::try_acquire(&store.layout.lock_of(&name))? else { continue };
                tidy(&store.layout, &store.layout.works().join(&name))?;
                count += 1;
            }
            Ok(count)
        })
        .await?;
        Ok(Pruned { leftovers, ..pruned })
    }

    /// The encoded names whose work was cut, or is under way.
    fn leftovers(&self) -> Result<Vec<String>> {
        let works = self.layout.works();
        let entries = match works.read_dir_utf8() {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(StoreError::file(format!("reading {works}")))?,
        };
        let names = entries.map(|entry| entry.map(|entry| entry.file_name().to_owned()));
        names.collect::<std::io::Result<_>>().map_err(StoreError::file(format!("reading {works}")))
    }
}
