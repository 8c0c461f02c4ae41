//! Who makes boxes and fetches artifacts, as the executor sees it.

use crate::EngineError;
use async_trait::async_trait;
use camino::Utf8PathBuf;
use rig_model::{ArtifactSpec, BoxName, Digest};
use rig_provider_api::{Context, Provider};

/// Makes what machines are created from.
#[async_trait]
pub trait Makes: Send + Sync {
    /// Brings an artifact into the cache; gives the file's place there.
    async fn fetch(&self, cx: &Context, artifact: &ArtifactSpec) -> Result<Utf8PathBuf, EngineError>;

    /// Makes a box of a provider whose parent is there, under the reference that its hash gives it.
    async fn make_box(
        &self,
        cx: &Context,
        provider: &dyn Provider,
        name: &BoxName,
        digest: &Digest,
        no_cache: bool,
    ) -> Result<(), EngineError>;
}
