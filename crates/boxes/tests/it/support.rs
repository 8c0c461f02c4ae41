//! What the tests share.

use async_trait::async_trait;
use camino::{Utf8Path, Utf8PathBuf};
use futures_util::TryStreamExt;
use indexmap::IndexMap;
use rig_boxes::{BoxHost, FetchSettings, Retry};
use rig_model::{
    ArtifactSource, ArtifactSpec, Bootstrap, BootstrapKind, BoxBuild, BoxName, BoxSource, BoxSpec, Digest, Name,
    ObservedBox, Origin, Progress, Workspace,
};
use rig_provider_api::{BoxTag, BuildRequest, ByteStream, Context, Images, ProgressSink, ProviderError, Result};
use std::{
    collections::BTreeMap,
    io::Read,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio_util::sync::CancellationToken;

pub(crate) fn temporary() -> (tempfile::TempDir, Utf8PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = Utf8PathBuf::from_path_buf(folder.path().to_owned()).unwrap();
    (folder, path)
}

pub(crate) fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

pub(crate) fn artifact(source: ArtifactSource, content: &[u8]) -> ArtifactSpec {
    ArtifactSpec {
        name: name("thing"),
        source,
        version: Some("1.0".to_owned()),
        sha256: Digest::of(content),
        origin: Origin::default(),
    }
}

/// Settings that fail fast.
pub(crate) fn settings() -> FetchSettings {
    let retry = Retry { attempts: 3, pause: Duration::from_millis(5), stall: Duration::from_millis(400) };
    FetchSettings { retry, ..FetchSettings::default() }
}

/// Collects progress.
#[derive(Clone, Default)]
pub(crate) struct Told(Arc<Mutex<Vec<Progress>>>);

impl Told {
    pub(crate) fn steps(&self) -> Vec<String> {
        self.0.lock().unwrap().iter().map(|progress| progress.step.clone()).collect()
    }

    pub(crate) fn most(&self) -> Option<u64> {
        self.0.lock().unwrap().iter().filter_map(|progress| progress.done).max()
    }
}

impl ProgressSink for Told {
    fn progress(&self, progress: Progress) {
        self.0.lock().unwrap().push(progress);
    }
}

pub(crate) fn context() -> (Context, Told) {
    let told = Told::default();
    (Context::new(CancellationToken::new(), Duration::from_secs(60), Arc::new(told.clone())), told)
}

/// A Linux host with an engine of its own and `mmdebstrap`.
pub(crate) fn host(mmdebstrap: Option<&Utf8Path>) -> BoxHost {
    BoxHost {
        platform: "linux/amd64".to_owned(),
        engine: "linux/amd64".to_owned(),
        mmdebstrap: mmdebstrap.map(Utf8Path::to_owned),
    }
}

pub(crate) fn bootstrap(suite: &str, packages: &[&str]) -> BoxSource {
    let packages = packages.iter().map(|package| (*package).to_owned()).collect();
    BoxSource::Bootstrap(Bootstrap {
        suite: suite.to_owned(),
        packages,
        mirror: Some("http://mirror.example".to_owned()),
        kind: BootstrapKind::Container,
    })
}

pub(crate) fn build(folder: &str, from: Option<&str>) -> BoxBuild {
    BoxBuild { folder: folder.to_owned(), from: from.map(name), args: IndexMap::new(), artifacts: Vec::new() }
}

pub(crate) fn box_spec(box_name: &str, sources: Vec<BoxSource>) -> BoxSpec {
    BoxSpec { name: name(box_name), sources, host_trust: true, origin: Origin::default() }
}

pub(crate) fn workspace(boxes: Vec<BoxSpec>, artifacts: Vec<ArtifactSpec>) -> Workspace {
    Workspace {
        name: name("test"),
        engine: None,
        host_trust: true,
        boxes: boxes.into_iter().map(|spec| (spec.name.clone(), spec)).collect(),
        artifacts: artifacts.into_iter().map(|spec| (spec.name.clone(), spec)).collect(),
        topologies: IndexMap::new(),
        checks: Vec::new(),
        compare: None,
    }
}

/// What an archive holds: path → (mode, content or link target).
pub(crate) type Archive = BTreeMap<String, (u32, String)>;

pub(crate) fn unpack(bytes: &[u8]) -> Archive {
    let mut archive = tar::Archive::new(bytes);
    let mut found = Archive::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let path = entry.path().unwrap().to_str().unwrap().to_owned();
        let mut content = String::new();
        match entry.link_name().unwrap() {
            Some(target) => content = format!("-> {}", target.display()),
            None => drop(entry.read_to_string(&mut content).unwrap()),
        }
        found.insert(path, (entry.header().mode().unwrap(), content));
    }
    found
}

/// What an engine was asked for.
#[derive(Clone, Debug)]
pub(crate) enum Call {
    Import(BoxTag, Vec<u8>),
    Build(BoxTag, Vec<u8>, Vec<(String, String)>, bool),
    Pull(String),
    Remove(String),
}

/// An engine that remembers what it was asked for.
#[derive(Default)]
pub(crate) struct Engine {
    pub(crate) log: Mutex<Vec<Call>>,
    /// Whether there is no way to a registry.
    pub(crate) offline: bool,
    /// Whether a broken stream is taken for a whole one.
    pub(crate) careless: bool,
}

impl Engine {
    pub(crate) fn calls(&self) -> Vec<Call> {
        self.log.lock().unwrap().clone()
    }

    async fn read(&self, mut stream: ByteStream) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        loop {
            match stream.try_next().await {
                Ok(Some(chunk)) => bytes.extend_from_slice(&chunk),
                Ok(None) => return Ok(bytes),
                Err(_) if self.careless => return Ok(bytes),
                Err(error) => return Err(ProviderError::failed("reading the stream", error)),
            }
        }
    }
}

#[async_trait]
impl Images for Engine {
    fn reference(&self, name: &BoxName, digest: &Digest) -> String {
        format!("rig/{name}:{}", digest.short())
    }

    async fn list(&self, _: &Context) -> Result<Vec<ObservedBox>> {
        Ok(Vec::new())
    }

    async fn import(&self, _: &Context, tag: &BoxTag, root: ByteStream) -> Result<()> {
        let root = self.read(root).await?;
        self.log.lock().unwrap().push(Call::Import(tag.clone(), root));
        Ok(())
    }

    async fn build(&self, _: &Context, request: BuildRequest) -> Result<()> {
        let context = self.read(request.context).await?;
        self.log.lock().unwrap().push(Call::Build(request.tag, context, request.args, request.no_cache));
        Ok(())
    }

    async fn pull(&self, _: &Context, reference: &str) -> Result<()> {
        self.log.lock().unwrap().push(Call::Pull(reference.to_owned()));
        if self.offline { Err(ProviderError::failed("pulling", "no route to the registry")) } else { Ok(()) }
    }

    async fn remove(&self, _: &Context, image: &str) -> Result<()> {
        self.log.lock().unwrap().push(Call::Remove(image.to_owned()));
        Ok(())
    }
}
