//! Catalogues, read piece by piece: what cannot be read is skipped, the rest is of use.

use crate::{Catalogue, CatalogueVersion, StoreName, Version, json};
use serde::Deserialize;
use serde_json::Value;

/// A catalogue whose versions have not been looked at.
#[derive(Deserialize)]
struct Outline {
    name: StoreName,
    versions: Vec<Value>,
}

/// A version whose files have not been looked at.
#[derive(Deserialize)]
struct VersionOutline {
    version: Version,
    status: Option<String>,
    #[serde(default)]
    providers: Vec<Value>,
}

/// Reads a catalogue.
///
/// # Errors
/// What is wrong with all of it, or with the first of its pieces where none has a file.
pub(crate) fn read(bytes: &[u8]) -> Result<Catalogue, String> {
    let outline: Outline = json::parse(bytes)?;
    let mut skipped = Vec::new();
    let mut versions = Vec::new();
    for (index, value) in outline.versions.into_iter().enumerate() {
        let place = format!("versions[{index}]");
        match json::part::<VersionOutline>(value, &place) {
            Ok(version) => versions.push(version.whole(&place, &mut skipped)),
            Err(why) => skipped.push(why),
        }
    }
    let has_files = versions.iter().any(|version| !version.providers.is_empty());
    match skipped.first() {
        Some(why) if !has_files => Err(why.clone()),
        _ => Ok(Catalogue { name: outline.name, versions, skipped }),
    }
}

impl VersionOutline {
    /// The version with those of its files that can be read.
    fn whole(self, place: &str, skipped: &mut Vec<String>) -> CatalogueVersion {
        let mut providers = Vec::new();
        for (index, value) in self.providers.into_iter().enumerate() {
            match json::part(value, &format!("{place}.providers[{index}]")) {
                Ok(file) => providers.push(file),
                Err(why) => skipped.push(why),
            }
        }
        CatalogueVersion { version: self.version, status: self.status, providers }
    }
}
