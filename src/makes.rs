//! Boxes and artifacts of this host, for the executor.

use crate::app::{App, HostBoxes, ProviderBoxes, images_of};
use async_trait::async_trait;
use indexmap::IndexMap;
use rig_box_store::cloud_image;
use rig_boxes::{ArtifactStore, BoxError, FetchSettings, MakeBox, make_box};
use rig_engine::{EngineError, Makes, Session};
use rig_model::{ArtifactSpec, BoxName, BoxSource, Digest, HostTrust, Workspace};
use rig_provider_api::{Context, Provider};

/// Makes boxes as their plans say.
pub(crate) struct HostMakes {
    workspace: Workspace,
    folder: camino::Utf8PathBuf,
    boxes: HostBoxes,
    trust: HostTrust,
    store: ArtifactStore,
}

impl HostMakes {
    pub(crate) fn new(app: &App, session: &Session, boxes: HostBoxes) -> Self {
        let store = app.downloads(FetchSettings::default());
        Self {
            workspace: session.workspace.clone(),
            folder: session.folder.clone(),
            boxes,
            trust: app.trust(&session.workspace),
            store,
        }
    }
}

#[async_trait]
impl Makes for HostMakes {
    async fn fetch(&self, cx: &Context, artifact: &ArtifactSpec) -> Result<camino::Utf8PathBuf, EngineError> {
        Ok(self.store.fetch(artifact, &self.folder, cx).await?)
    }

    async fn make_box(
        &self,
        cx: &Context,
        provider: &dyn Provider,
        name: &BoxName,
        _digest: &Digest,
        no_cache: bool,
    ) -> Result<(), EngineError> {
        let absent = || EngineError::NoBox(name.clone());
        let spec = self.workspace.boxes.get(name).ok_or_else(absent)?;
        let ProviderBoxes { plans, host } = self.boxes.get(provider.id()).ok_or_else(absent)?;
        let plan = plans.get(name).ok_or_else(absent)?;
        let images = images_of(provider)?;
        let mut artifacts = IndexMap::new();
        for artifact in plan.source.artifacts() {
            let spec = self.workspace.artifacts.get(artifact).ok_or_else(absent)?;
            // In the cache by now: an operation before this one put it there.
            artifacts.insert(artifact.clone(), self.store.fetch(spec, &self.folder, cx).await?);
        }
        let cloud_image = match &plan.source {
            BoxSource::CloudImage(artifact) => {
                let file = artifacts.get(artifact).cloned().ok_or_else(absent)?;
                let checked = tokio::task::spawn_blocking(move || cloud_image(&file)).await;
                let checked = checked.unwrap_or_else(|error| Err(error.to_string()));
                Some(checked.map_err(|why| BoxError::Artifact {
                    name: artifact.clone(),
                    why,
                    hint: "a cloud image is the disk of a virtual machine, as qcow2 or raw; an archive has to be unpacked first"
                        .to_owned(),
                })?)
            }
            _ => None,
        };
        let parent = plan.parent.as_ref().and_then(|parent| Some(images.reference(parent, &plans.get(parent)?.digest)));
        let request = MakeBox {
            spec,
            plan,
            parent_image: parent.as_deref(),
            artifacts: &artifacts,
            cloud_image: cloud_image.as_ref(),
            folder: &self.folder,
            trust: &self.trust,
            host,
            no_cache,
        };
        Ok(make_box(images, &request, cx).await?)
    }
}
