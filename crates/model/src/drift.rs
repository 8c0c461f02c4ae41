//! Drift: what is different in a machine from what the file describes.

use crate::Origin;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What a path in a machine is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DriftClass {
    /// Programs, libraries, and what a package manager knows of them.
    Program,
    /// What tells programs how to behave.
    Configuration,
    /// What services are there to keep.
    State,
    /// What services say.
    Log,
    /// What can be made again.
    Cache,
    /// What is gone after a restart, or may be.
    Temporary,
}

impl DriftClass {
    /// All of them, with the word that files, output and documents have for each.
    pub const ALL: [(&'static str, Self); 6] = [
        ("program", Self::Program),
        ("configuration", Self::Configuration),
        ("state", Self::State),
        ("log", Self::Log),
        ("cache", Self::Cache),
        ("temporary", Self::Temporary),
    ];
}

impl fmt::Display for DriftClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = Self::ALL.iter().find(|(_, class)| class == self).map_or("", |(word, _)| word);
        f.pad(word)
    }
}

/// What the file says about paths that may differ.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DriftRule {
    /// Which paths: `*` for any part of a name, `**` for any folders.
    pub pattern: String,
    /// What they are for; absent means that they are ignored.
    pub class: Option<DriftClass>,
    /// Where it was declared.
    pub origin: Origin,
}
