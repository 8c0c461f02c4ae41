//! Boxes and artifacts of this host, for the executor.

use crate::app::{App, HostBoxes};
use async_trait::async_trait;
use indexmap::IndexMap;
use rig_boxes::{ArtifactStore, BoxHost, BoxPlans, FetchSettings, MakeBox, make_box};
use rig_engine::{EngineError, Makes, Session};
use rig_model::{ArtifactSpec, BoxName, BoxSource, Digest, HostTrust, Workspace};
use rig_provider_api::{Context, Provider};
use std::sync::Arc;

/// Makes boxes as their plans say.
pub(crate) struct HostMakes {
    workspace: Workspace,
    folder: camino::Utf8PathBuf,
    provider: Arc<dyn Provider>,
    plans: BoxPlans,
    trust: HostTrust,
    host: BoxHost,
    store: ArtifactStore,
}

impl HostMakes {
    pub(crate) fn new(app: &App, session: &Session, boxes: HostBoxes) -> Self {
        let mut settings = FetchSettings::default();
        if let Some(index) = &app.settings.pypi_index {
            settings.pypi_index.clone_from(index);
        }
        settings.certificates.clone_from(&app.settings.trust.certificates);
        let store = ArtifactStore::new(app.settings.dirs.cache_layout(), settings);
        Self {
            workspace: session.workspace.clone(),
            folder: session.folder.clone(),
            provider: session.provider.clone(),
            trust: app.trust(&session.workspace),
            host: boxes.host,
            plans: boxes.plans,
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
        name: &BoxName,
        _digest: &Digest,
        no_cache: bool,
    ) -> Result<(), EngineError> {
        let (Some(spec), Some(plan)) = (self.workspace.boxes.get(name), self.plans.get(name)) else {
            return Err(EngineError::NoBox(name.clone()));
        };
        let images = self.provider.images().ok_or_else(|| EngineError::Capability {
            provider: self.provider.id().to_string(),
            capability: "images",
            wanted_for: format!("box {name}"),
        })?;
        let mut artifacts = IndexMap::new();
        if let BoxSource::Build(build) = &plan.source {
            for artifact in &build.artifacts {
                let spec = self.workspace.artifacts.get(artifact).ok_or_else(|| EngineError::NoBox(name.clone()))?;
                // In the cache by now: an operation before this one put it there.
                artifacts.insert(artifact.clone(), self.store.fetch(spec, &self.folder, cx).await?);
            }
        }
        let parent =
            plan.parent.as_ref().and_then(|parent| Some(images.reference(parent, &self.plans.get(parent)?.digest)));
        let request = MakeBox {
            spec,
            plan,
            parent_image: parent.as_deref(),
            artifacts: &artifacts,
            folder: &self.folder,
            trust: &self.trust,
            host: &self.host,
            no_cache,
        };
        Ok(make_box(images, &request, cx).await?)
    }
}
