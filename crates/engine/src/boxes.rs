//! The boxes of a workspace with their hashes, next to what their providers have.

use indexmap::IndexMap;
use rig_model::{BoxName, Digest, Name, ProviderId};

/// What is known of each box of each provider that has machines of it, parents before children.
pub type BoxTable = IndexMap<(ProviderId, BoxName), BoxChoice>;

/// One box.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BoxChoice {
    /// Its content hash.
    pub digest: Digest,
    /// The reference that machines are created from.
    pub image: String,
    /// The box it is built from.
    pub parent: Option<BoxName>,
    /// Artifacts it is built with.
    pub artifacts: Vec<Name>,
    /// Whether the provider has it.
    pub present: bool,
    /// Whether it is built without cached layers.
    pub no_cache: bool,
}
