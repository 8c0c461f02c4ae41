//! Boxes as images that hold nothing.

use crate::{FakeProvider, Verb};
use async_trait::async_trait;
use futures_util::TryStreamExt;
use jiff::Timestamp;
use rig_model::{BoxName, Bytes, Digest, ObservedBox, Progress};
use rig_provider_api::{BoxTag, BuildRequest, ByteStream, Context, Images, ProviderError, Result};

#[async_trait]
impl Images for FakeProvider {
    fn reference(&self, name: &BoxName, digest: &Digest) -> String {
        format!("fake/{name}:{}", digest.short())
    }

    async fn list(&self, cx: &Context) -> Result<Vec<ObservedBox>> {
        self.engine.call(cx, Verb::ListBoxes, "", async { Ok(self.engine.lock().world.boxes()) }).await
    }

    async fn import(&self, cx: &Context, tag: &BoxTag, root: ByteStream) -> Result<()> {
        let work = async {
            let size = drain(&format!("importing box {}", tag.name), root).await?;
            self.keep(tag, size, None);
            Ok(())
        };
        self.engine.call(cx, Verb::Import, &tag.image, work).await
    }

    async fn build(&self, cx: &Context, request: BuildRequest) -> Result<()> {
        let BuildRequest { tag, context, args, .. } = request;
        let doing = format!("building box {}", tag.name);
        let work = async {
            cx.progress(Progress::step("[1/1] FROM ${RIG_FROM}"));
            let size = drain(&doing, context).await?;
            let from = args.iter().find(|(name, _)| name == "RIG_FROM").map(|(_, value)| value);
            if let Some(from) = from.filter(|from| !self.engine.lock().world.images.contains_key(*from)) {
                return Err(ProviderError::failed(&doing, format!("No such image: {from}")));
            }
            self.keep(&tag, size, from.map(String::as_str));
            Ok(())
        };
        self.engine.call(cx, Verb::Build, &tag.image, work).await
    }

    async fn pull(&self, cx: &Context, reference: &str) -> Result<()> {
        let work = async {
            self.engine.lock().world.images.entry(reference.to_owned()).or_default();
            Ok(())
        };
        self.engine.call(cx, Verb::Pull, reference, work).await
    }

    async fn remove(&self, cx: &Context, image: &str) -> Result<()> {
        let work = async { self.engine.lock().world.remove_image(image) };
        self.engine.call(cx, Verb::RemoveBox, image, work).await
    }
}

impl FakeProvider {
    /// Puts a box there whose own layer has this size.
    fn keep(&self, tag: &BoxTag, size: u64, from: Option<&str>) {
        let there = ObservedBox {
            name: tag.name.clone(),
            provider: self.id.clone(),
            digest: tag.digest.clone(),
            image: tag.image.clone(),
            native: format!("image-{}", tag.digest.short()),
            parent: tag.parent.clone(),
            size: Bytes(size),
            created: Some(Timestamp::now()),
        };
        self.engine.lock().world.keep(there, from);
    }
}

/// Reads an archive to its end, as an engine does before it answers; returns its length.
async fn drain(doing: &str, archive: ByteStream) -> Result<u64> {
    archive
        .try_fold(0, async |length, piece| Ok(length + piece.len() as u64))
        .await
        .map_err(|error| ProviderError::failed(doing, error))
}
