//! QEMU with the suite's box.

use async_trait::async_trait;
use bytes::Bytes;
use camino::{Utf8Path, Utf8PathBuf};
use futures_util::{StreamExt, TryStreamExt, stream};
use indexmap::IndexMap;
use rig_boxes::{BoxHost, BoxPlans, MakeBox, PlanBoxes, make_box};
use rig_config::{Overrides, load};
use rig_engine::Session;
use rig_model::{BoxName, Digest, HostTrust, Ipv4Net, Name, ObservedBox, Workspace};
use rig_provider_api::{
    BoxTag, BuildRequest, ByteStream, Context, Images, Provider, ProviderError, Result,
    conformance::{self, Fixture},
};
use rig_provider_qemu::{Programs, QemuLayout, QemuProvider};
use rig_state::Layout;
use std::{ffi::OsString, fmt::Display, net::Ipv4Addr, sync::Arc, time::Duration};
use tempfile::TempDir;

/// How long a case may take: under emulation a boot takes 10 seconds and more.
const LIMIT: Duration = Duration::from_secs(240);

/// The virtual machines of this run, and what every case shares.
pub(crate) struct Stand {
    provider: QemuProvider,
    workspace: Workspace,
    folder: Utf8PathBuf,
    image: String,
    root: Bytes,
}

impl Stand {
    /// Finds QEMU and makes the box, unless an earlier run has.
    pub(crate) async fn new() -> std::result::Result<Self, String> {
        let path = path();
        let programs = Programs::find(&path).ok_or("the suite needs QEMU: qemu-system and qemu-img on the PATH")?;
        let folder = Utf8PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("qemu");
        fs_err::create_dir_all(&folder).map_err(text)?;
        let workspace = workspace(&folder)?;
        let provider = QemuProvider::new(QemuLayout::new(folder.join("state")), programs);
        let cx = Context::alone(Duration::from_secs(900));
        let facts = provider.probe(&cx).await.map_err(text)?;
        let host = BoxHost::new(&facts.platform, rig_boxes::find_mmdebstrap(&path));
        let trust = HostTrust::default();
        let existing = provider.list(&cx).await.map_err(text)?;
        let (name, spec) = workspace.boxes.first().ok_or("the workspace has no box")?;
        let request = PlanBoxes {
            workspace: &workspace,
            folder: &folder,
            trust: &trust,
            host: &host,
            existing: &existing,
            store: &rig_boxes::NoStore,
        };
        let plans = BoxPlans::compute(request, [name]).map_err(text)?;
        let plan = plans.get(name).ok_or("the box has no plan")?;
        let image = provider.reference(name, &plan.digest);
        let root = folder.join(format!("{image}.tar"));
        if plan.existing.is_none() || !root.exists() {
            let request = MakeBox {
                spec,
                plan,
                parent_image: None,
                artifacts: &IndexMap::new(),
                cloud_image: None,
                folder: &folder,
                trust: &trust,
                host: &host,
                no_cache: false,
            };
            make_box(&Keeping { inner: &provider, path: &root }, &request, &cx).await.map_err(text)?;
        }
        let root = fs_err::read(&root).map_err(text)?.into();
        Ok(Self { provider, workspace, folder, image, root })
    }

    /// What the case with this number is played with. The folder holds its keys.
    pub(crate) fn play(&self, number: u8) -> std::result::Result<(TempDir, Arc<dyn Provider>, Fixture), String> {
        let keys = tempfile::tempdir().map_err(text)?;
        let layout = Layout::new(Utf8Path::from_path(keys.path()).ok_or("the folder for temporary files is no UTF-8")?);
        let name = Name::new(format!("c{}-{number:03}", std::process::id())).map_err(text)?;
        let workspace = Workspace { name: name.clone(), ..self.workspace.clone() };
        let provider: Arc<dyn Provider> = Arc::new(self.provider.clone());
        let id = provider.id().clone();
        // As rig does it: what only SSH leads into is entered over SSH.
        let session = Session::new(workspace, self.folder.clone(), [provider], Vec::new(), layout);
        let provider = session.providers.get(&id).map_err(text)?.clone();
        let half = |last| Ipv4Net::new(Ipv4Addr::new(10, 77, number, last), 25).map_err(text);
        let box_name = self.workspace.boxes.keys().next().ok_or("the workspace has no box")?;
        let fixture = Fixture {
            real: true,
            service: false,
            builds: false,
            outlives: false,
            root: self.root.clone(),
            limit: LIMIT,
            ..Fixture::posix(name, box_name.clone(), self.image.clone(), [half(0)?, half(128)?])
        };
        Ok((keys, provider, fixture))
    }
}

/// Keeps the root file system of which a box is made, for the cases that make one themselves.
struct Keeping<'a> {
    inner: &'a QemuProvider,
    path: &'a Utf8Path,
}

#[async_trait]
impl Images for Keeping<'_> {
    fn reference(&self, name: &BoxName, digest: &Digest) -> String {
        self.inner.reference(name, digest)
    }
    async fn list(&self, cx: &Context) -> Result<Vec<ObservedBox>> {
        self.inner.list(cx).await
    }
    async fn import(&self, cx: &Context, tag: &BoxTag, root: ByteStream) -> Result<()> {
        let pieces: Vec<Bytes> = root.try_collect().await.map_err(|error| ProviderError::failed("reading", error))?;
        let written = fs_err::write(self.path, pieces.concat());
        written.map_err(|error| ProviderError::failed("keeping a root file system", error))?;
        self.inner.import(cx, tag, stream::iter(pieces.into_iter().map(Ok)).boxed()).await
    }
    async fn build(&self, cx: &Context, request: BuildRequest) -> Result<()> {
        self.inner.build(cx, request).await
    }
    async fn pull(&self, cx: &Context, reference: &str) -> Result<()> {
        self.inner.pull(cx, reference).await
    }
    async fn remove(&self, cx: &Context, image: &str) -> Result<()> {
        self.inner.remove(cx, image).await
    }
}

/// A file with the suite's machines.
fn workspace(folder: &Utf8Path) -> std::result::Result<Workspace, String> {
    let mut file =
        String::from("workspace \"suite\"\nbox \"debian-vm\" {\n    bootstrap \"bookworm\" {\n        kernel\n");
    file.push_str("        package \"ca-certificates\"\n    }\n}\n");
    file.push_str(
        "topology \"conformance\" idiom=\"mutable\" {\n    defaults { provider \"qemu\"; box \"debian-vm\"; }\n",
    );
    for name in conformance::machine_names() {
        file.push_str(&format!("    machine \"{name}\"\n"));
    }
    file.push_str("}\n");
    let path = folder.join("workspace.kdl");
    fs_err::write(&path, file).map_err(text)?;
    Ok(load(&path, &Overrides::default()).map_err(text)?.workspace)
}

#[expect(clippy::disallowed_methods, reason = "a test program has no settings but this")]
fn path() -> OsString {
    std::env::var_os("PATH").unwrap_or_default()
}

fn text(error: impl Display) -> String {
    error.to_string()
}
