//! Which stored boxes have newer versions, and getting them.

use super::{AddRequest, Added, BoxStore, Filter, StoredBox, blocking};
use crate::{Architecture, BoxKey, Catalogue, Constraint, Result, StoreError, Version, Wish};
use rig_provider_api::Context;
use std::collections::BTreeMap;

/// How old a stored box is.
#[derive(Clone, Debug)]
pub struct Age {
    /// The newest that is stored of a box, for a provider and an architecture.
    pub key: BoxKey,
    /// The catalogue that it came from.
    pub catalogue: Option<String>,
    /// The newest that the catalogue has, which may be the stored one.
    pub newest: Option<Version>,
    /// Why nobody knows what is newest.
    pub problem: Option<String>,
    /// What the catalogue says that it runs on.
    architecture: Architecture,
}

impl Age {
    /// Whether there is a newer version.
    #[must_use]
    pub fn is_outdated(&self) -> bool {
        self.newest.as_ref().is_some_and(|newest| *newest > self.key.version)
    }
}

impl BoxStore {
    /// Asks catalogues for newer versions of the boxes that are meant. `insecure` asks those that are not encrypted too.
    ///
    /// # Errors
    /// When the store cannot be read, a name is meant that nothing has, or the caller cancels. A catalogue that cannot be
    /// read is the problem of its boxes.
    pub async fn outdated(&self, filter: &Filter, insecure: bool, cx: &Context) -> Result<Vec<Age>> {
        let (store, filter) = (self.clone(), filter.clone());
        let mut boxes = blocking(move || store.select(&filter)).await?;
        boxes.sort_by(|a, b| Constraint::default().order(&a.key().version, &b.key().version));
        let mut newest: BTreeMap<_, StoredBox> = BTreeMap::new();
        for stored in boxes {
            let key = stored.key();
            // The newest one, which is the last, stays.
            newest.insert((key.name.clone(), key.provider.clone(), key.architecture.clone()), stored);
        }
        let mut read: BTreeMap<String, std::result::Result<Catalogue, String>> = BTreeMap::new();
        let mut ages = Vec::new();
        for stored in newest.into_values() {
            if let Some(place) = &stored.record.catalogue
                && !read.contains_key(place)
            {
                let what = stored.key().name.as_str();
                let catalogue = match self.catalogue(&Self::recorded(place), what, insecure, cx).await {
                    Ok((catalogue, _)) => Ok(catalogue),
                    Err(error) if error.is_cancelled() => return Err(error),
                    Err(error) => Err(error.to_string()),
                };
                read.insert(place.clone(), catalogue);
            }
            let catalogue = stored.record.catalogue.as_ref().and_then(|place| read.get(place));
            ages.push(age(&stored, catalogue));
        }
        Ok(ages)
    }

    /// Adds the newest version of an outdated box; the old one stays. `template` says how: its `insecure`, `mirrors` and
    /// `folder` count.
    ///
    /// # Errors
    /// Those of [`BoxStore::add`].
    pub async fn update(&self, age: &Age, template: &AddRequest, cx: &Context) -> Result<Added> {
        let (Some(catalogue), Some(newest)) = (&age.catalogue, &age.newest) else {
            let hint = "add its newer version with `rig box add`";
            return Err(template.wrong(format!("{} came without a catalogue", age.key), hint));
        };
        let request = AddRequest {
            source: catalogue.clone(),
            name: Some(age.key.name.clone()),
            version: Some(format!("= {newest}")),
            provider: Some(age.key.provider.clone()),
            architecture: Some(age.architecture.clone()),
            checksum: None,
            ..template.clone()
        };
        self.add(&request, cx).await
    }
}

fn age(stored: &StoredBox, catalogue: Option<&std::result::Result<Catalogue, String>>) -> Age {
    let key = stored.key().clone();
    let mut age = Age {
        architecture: key.architecture.clone(),
        key,
        catalogue: stored.record.catalogue.clone(),
        newest: None,
        problem: None,
    };
    match catalogue {
        None => age.problem = Some("it came without a catalogue".to_owned()),
        Some(Err(why)) => age.problem = Some(why.clone()),
        Some(Ok(catalogue)) => match newest(catalogue, &age.key) {
            Ok((version, architecture)) => {
                age.newest = Some(version);
                age.architecture = architecture;
            }
            Err(error) => age.problem = Some(error.to_string()),
        },
    }
    age
}

/// The newest version for the same provider, and the same architecture or one that nobody knows: a box may say itself
/// what it runs on, where its catalogue does not.
fn newest(catalogue: &Catalogue, key: &BoxKey) -> Result<(Version, Architecture)> {
    let choose = |architecture: Architecture| {
        let wish = Wish {
            constraint: Constraint::default(),
            provider: Some(key.provider.clone()),
            architecture: Some(architecture.clone()),
        };
        Ok((catalogue.choose(&wish, &architecture)?.version.clone(), architecture))
    };
    match choose(key.architecture.clone()) {
        Err(error @ StoreError::NothingFits { .. }) => choose(Architecture::unknown()).map_err(|_| error),
        other => other,
    }
}
