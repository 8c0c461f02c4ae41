//! Boxes as images.

use crate::{DockerProvider, build, error, labels, observe};
use async_trait::async_trait;
use bollard::{
    body_try_stream,
    query_parameters::{CreateImageOptions, ListImagesOptions, RemoveImageOptions},
};
use futures_util::TryStreamExt;
use rig_model::{BoxName, Digest, ObservedBox, Progress};
use rig_provider_api::{BoxTag, BuildRequest, ByteStream, Context, Images, Result};
use std::collections::HashMap;

/// The reference of a box. `localhost` keeps an engine that lacks it from asking a public registry for a stranger's
/// image of the same name.
pub(crate) fn reference(name: &BoxName, digest: &Digest) -> String {
    format!("localhost/rig/{name}:{}", digest.short())
}

impl DockerProvider {
    pub(crate) async fn list_boxes(&self) -> Result<Vec<ObservedBox>> {
        let filters = HashMap::from([
            ("label".to_owned(), vec![labels::BOX.to_owned()]),
            // Snapshots have the labels of their boxes too, and large ones of their own.
            ("reference".to_owned(), vec!["localhost/rig/*".to_owned()]),
        ]);
        let options = ListImagesOptions { filters: Some(filters), ..Default::default() };
        let images =
            self.docker.list_images(Some(options)).await.map_err(|error| error::failure("listing boxes", "", error))?;
        Ok(images.into_iter().filter_map(observe::image).collect())
    }
}

#[async_trait]
impl Images for DockerProvider {
    fn reference(&self, name: &BoxName, digest: &Digest) -> String {
        reference(name, digest)
    }

    async fn list(&self, cx: &Context) -> Result<Vec<ObservedBox>> {
        cx.run("listing boxes", self.list_boxes()).await
    }

    async fn import(&self, cx: &Context, tag: &BoxTag, root: ByteStream) -> Result<()> {
        let doing = format!("importing box {}", tag.name);
        let (repository, version) = tag.image.rsplit_once(':').unwrap_or((&tag.image, "latest"));
        let options = CreateImageOptions {
            from_src: Some("-".to_owned()),
            repo: Some(repository.to_owned()),
            tag: Some(version.to_owned()),
            changes: labels::of_box(tag).into_iter().map(|(name, value)| format!("LABEL {name}={value}")).collect(),
            ..CreateImageOptions::default()
        };
        let body = body_try_stream(root);
        cx.run(&doing, async {
            let id = async || self.docker.inspect_image(&tag.image).await.ok().and_then(|image| image.id);
            let before = id().await;
            self.docker
                .create_image(Some(options), Some(body), None)
                .try_for_each(|_| std::future::ready(Ok(())))
                .await
                .map_err(|error| error::failure(&doing, &tag.image, error))?;
            // The image of before has lost its name. While a machine or a box uses it the engine keeps it, and says so.
            if let Some(before) = before
                && id().await.as_ref() != Some(&before)
            {
                let _ = self.docker.remove_image(&before, None::<RemoveImageOptions>, None).await;
            }
            Ok(())
        })
        .await
    }

    async fn build(&self, cx: &Context, request: BuildRequest) -> Result<()> {
        build::build(self, cx, request).await
    }

    async fn pull(&self, cx: &Context, reference: &str) -> Result<()> {
        let doing = format!("pulling image {reference}");
        let options = CreateImageOptions { from_image: Some(reference.to_owned()), ..Default::default() };
        cx.run(&doing, async {
            let mut layers: HashMap<String, (u64, u64)> = HashMap::new();
            let mut news = self.docker.create_image(Some(options), None, None);
            while let Some(info) = news.try_next().await.map_err(|error| error::failure(&doing, reference, error))? {
                let detail = info.progress_detail.unwrap_or_default();
                if let (Some(id), Some(current), Some(total)) = (info.id, detail.current, detail.total) {
                    let count = |number: i64| u64::try_from(number).unwrap_or_default();
                    layers.insert(id, (count(current), count(total)));
                }
                let (done, total) = layers.values().fold((0, 0), |sum, layer| (sum.0 + layer.0, sum.1 + layer.1));
                cx.progress(Progress::bytes(info.status.unwrap_or_default(), done, (total > 0).then_some(total)));
            }
            Ok(())
        })
        .await
    }

    async fn remove(&self, cx: &Context, image: &str) -> Result<()> {
        let doing = format!("removing image {image}");
        cx.run(&doing, async {
            match self.docker.remove_image(image, None::<RemoveImageOptions>, None).await {
                Ok(_) => Ok(()),
                Err(error) if error::is_absent(&error) => Ok(()),
                Err(error) => Err(error::failure(&doing, image, error)),
            }
        })
        .await
    }
}
