//! Files that rig downloads for boxes.

use crate::{Digest, Name, Origin};
use serde::{Deserialize, Serialize};

/// A file from elsewhere, fixed by its checksum.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArtifactSpec {
    /// The name that boxes use.
    pub name: Name,
    /// Where it comes from.
    pub source: ArtifactSource,
    /// The version, as the source spells it.
    pub version: Option<String>,
    /// What the file must hash to.
    pub sha256: Digest,
    /// Where it was declared.
    pub origin: Origin,
}

/// Where an artifact comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ArtifactSource {
    /// The source package of a project on the Python package index: `pypi:pyspark`.
    Pypi(String),
    /// A file of a Maven repository: `maven:group:artifact[:classifier]`, jar packaging.
    Maven {
        /// The group (`org.apache.cassandra`).
        group: String,
        /// The artifact (`cassandra-all`).
        artifact: String,
        /// A variant of it (`linux-x86_64`).
        classifier: Option<String>,
    },
    /// A file beside the workspace file that lists files of a Maven repository with their checksums: together they are one
    /// uncompressed tar archive.
    List(String),
    /// An address, `https://…` or `http://…`.
    Url(String),
    /// A file beside the workspace file.
    File(String),
}
