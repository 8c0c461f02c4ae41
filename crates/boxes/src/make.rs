//! Makes one box from the source that its plan names.

use crate::{BoxError, BoxHost, BoxPlan, Result, bootstrap, context, host, tools::MMDEBSTRAP, trust};
use camino::{Utf8Path, Utf8PathBuf};
use indexmap::IndexMap;
use rig_model::{Bootstrap, BoxBuild, BoxName, BoxSource, BoxSpec, Digest, Hasher, HostTrust, Name, Progress};
use rig_provider_api::{BoxTag, BuildRequest, Context, Images, ProviderError, StoredFiles};
use tokio::time::Instant;

/// The build argument that names the parent.
const FROM: &str = "RIG_FROM";

/// What a box is made with.
#[derive(Clone, Copy, Debug)]
pub struct MakeBox<'a> {
    /// The box.
    pub spec: &'a BoxSpec,
    /// How it comes to be.
    pub plan: &'a BoxPlan,
    /// The parent's reference; needed when the plan names a parent.
    pub parent_image: Option<&'a str>,
    /// The files of the build's artifacts ([`crate::ArtifactStore::fetch`]).
    pub artifacts: &'a IndexMap<Name, Utf8PathBuf>,
    /// The disk of a cloud image, checked; needed when the source is one.
    pub cloud_image: Option<&'a StoredFiles>,
    /// The folder of the workspace file.
    pub folder: &'a Utf8Path,
    /// What the host gives to boxes that the plan trusts with it.
    pub trust: &'a HostTrust,
    /// Where the host's tools are.
    pub host: &'a BoxHost,
    /// Whether cached layers are left unused.
    pub no_cache: bool,
}

/// Makes a box, labelled with its name and hash.
///
/// # Errors
/// When the source cannot be fetched or built. Another source is never taken in its place: the plan shows which one is used.
pub async fn make_box(images: &dyn Images, request: &MakeBox<'_>, cx: &Context) -> Result<()> {
    let maker = Maker { images, request, cx };
    match &request.plan.source {
        BoxSource::Bootstrap(source) => maker.bootstrap(source).await,
        BoxSource::Build(source) => maker.build(source).await,
        BoxSource::Image(reference) => maker.pull(reference).await,
        BoxSource::CloudImage(_) => maker.adopt(request.cloud_image).await,
        BoxSource::Stored(_) => maker.adopt(request.plan.stored.as_ref()).await,
    }
}

struct Maker<'a> {
    images: &'a dyn Images,
    request: &'a MakeBox<'a>,
    cx: &'a Context,
}

impl Maker<'_> {
    async fn bootstrap(&self, source: &Bootstrap) -> Result<()> {
        let program = self.request.host.mmdebstrap.as_deref().ok_or_else(|| BoxError::NoSource {
            name: self.name().clone(),
            tried: vec![format!("bootstrap {:?} needs {MMDEBSTRAP}, which is not on the PATH", source.suite)],
            hint: format!("`rig doctor --fix` installs {MMDEBSTRAP}"),
        })?;
        let tag = self.tag(&self.request.plan.digest);
        let (root, outcome) = bootstrap::start(program, source, self.certificates(), self.proxies(), self.cx)?;
        let imported = self.images.import(self.cx, &tag, root).await;
        let finished = outcome.finish().await;
        if imported.is_ok() && !matches!(finished, Ok(true)) {
            // An engine that takes a broken stream for a whole one has made a box that must not be used.
            self.images.remove(self.cx, &tag.image).await?;
        }
        // The program's reason is the cause of the engine's; where it was stopped, what stopped it is.
        match (finished?, imported) {
            (true, imported) => Ok(imported?),
            (false, Err(error)) if !self.cx.cancel().is_cancelled() && Instant::now() < self.cx.deadline() => {
                Err(error.into())
            }
            (false, _) => Err(self.interrupted(format!("bootstrapping {}", source.suite))),
        }
    }

    async fn build(&self, source: &BoxBuild) -> Result<()> {
        let context = context::of_folder(&self.request.folder.join(&source.folder), self.request.artifacts).await?;
        let mut args = Vec::new();
        if source.from.is_some() {
            let parent = self.request.parent_image.ok_or_else(|| BoxError::Undeclared {
                name: self.name().clone(),
                what: "its parent's image".to_owned(),
            })?;
            args.push((FROM.to_owned(), parent.to_owned()));
        }
        args.extend(source.args.iter().map(|(name, value)| (name.clone(), value.clone())));
        args.extend(self.proxy_args());
        let digest = &self.request.plan.digest;
        if source.from.is_some() || self.certificates().is_empty() {
            let request = BuildRequest { tag: self.tag(digest), context, args, no_cache: self.request.no_cache };
            return Ok(self.images.build(self.cx, request).await?);
        }
        // Nothing below it has the host's certificates: they go on top, and the image without them loses its name.
        let mut hasher = Hasher::new("rig.box-untrusted/1");
        hasher.part(digest.as_str());
        let tag = self.tag(&hasher.finish());
        let below = tag.image.clone();
        self.images.build(self.cx, BuildRequest { tag, context, args, no_cache: self.request.no_cache }).await?;
        self.derive(&below).await?;
        Ok(self.images.remove(self.cx, &below).await?)
    }

    async fn pull(&self, reference: &str) -> Result<()> {
        self.cx.progress(Progress::step(format!("pulling {reference}")));
        match self.images.pull(self.cx, reference).await {
            Ok(()) => self.derive(reference).await,
            Err(reason @ (ProviderError::Cancelled { .. } | ProviderError::TimedOut { .. })) => Err(reason.into()),
            Err(reason) => Err(BoxError::Pull {
                name: self.name().clone(),
                reference: reference.to_owned(),
                others: self
                    .request
                    .spec
                    .sources
                    .iter()
                    .filter(|other| **other != self.request.plan.source)
                    .map(host::words)
                    .collect(),
                reason: Box::new(reason),
            }),
        }
    }

    async fn adopt(&self, files: Option<&StoredFiles>) -> Result<()> {
        let missing = || BoxError::Undeclared { name: self.name().clone(), what: "its disk".to_owned() };
        Ok(self.images.adopt(self.cx, &self.tag(&self.request.plan.digest), files.ok_or_else(missing)?).await?)
    }

    /// Puts rig's labels, and the host's certificates, onto an image that has none.
    async fn derive(&self, image: &str) -> Result<()> {
        let mut args = vec![(FROM.to_owned(), image.to_owned())];
        args.extend(self.proxy_args());
        let request = BuildRequest {
            tag: self.tag(&self.request.plan.digest),
            context: trust::context(self.certificates()),
            args,
            no_cache: self.request.no_cache,
        };
        Ok(self.images.build(self.cx, request).await?)
    }

    fn name(&self) -> &BoxName {
        &self.request.spec.name
    }

    fn tag(&self, digest: &Digest) -> BoxTag {
        BoxTag {
            name: self.name().clone(),
            digest: digest.clone(),
            parent: self.request.plan.parent.clone(),
            image: self.images.reference(self.name(), digest),
        }
    }

    fn certificates(&self) -> &[String] {
        if self.request.plan.trusted { &self.request.trust.certificates } else { &[] }
    }

    fn proxies(&self) -> &[(String, String)] {
        if self.request.plan.trusted { &self.request.trust.proxies } else { &[] }
    }

    /// Arguments that every builder knows: they are set in its commands, but not written into the image. Programs differ
    /// in the case that they read.
    fn proxy_args(&self) -> impl Iterator<Item = (String, String)> {
        self.proxies().iter().flat_map(|(name, value)| {
            [(name.to_ascii_lowercase(), value.clone()), (name.to_ascii_uppercase(), value.clone())]
        })
    }

    fn interrupted(&self, doing: String) -> BoxError {
        if self.cx.cancel().is_cancelled() { BoxError::Cancelled { doing } } else { BoxError::TimedOut { doing } }
    }
}
