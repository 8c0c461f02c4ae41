//! Which properties of a thing differ from what it was made with.

use rig_model::{Field, FieldChange};
use std::collections::BTreeMap;

/// Which properties differ. Values that were sealed are compared sealed.
pub(crate) fn changes(old: &[Field], new: &[Field]) -> Vec<FieldChange> {
    let old: BTreeMap<&str, &Field> = old.iter().map(|field| (field.path.as_str(), field)).collect();
    let new: BTreeMap<&str, &Field> = new.iter().map(|field| (field.path.as_str(), field)).collect();
    let mut paths: Vec<&str> = old.keys().chain(new.keys()).copied().collect();
    paths.sort_unstable();
    paths.dedup();
    let same = |old: &Field, new: &Field| if old.is_sealed() { *old == new.clone().sealed() } else { old == new };
    paths
        .into_iter()
        .filter_map(|path| {
            let (old, new) = (old.get(path), new.get(path));
            if let (Some(old), Some(new)) = (old, new)
                && same(old, new)
            {
                return None;
            }
            let value = |field: Option<&&Field>| field.map(|field| field.value.clone());
            Some(FieldChange { field: path.to_owned(), old: value(old), new: value(new) })
        })
        .collect()
}
