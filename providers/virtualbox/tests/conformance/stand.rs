//! VirtualBox with the lab's box.

use camino::{Utf8Path, Utf8PathBuf};
use rig_box_store::{AddRequest, BoxStore, StoreSettings, StoredFor};
use rig_boxes::{ArtifactStore, FetchSettings, FindStored};
use rig_config::{Overrides, load};
use rig_engine::Session;
use rig_model::{BoxName, Digest, Ipv4Net, Name, StoredSource, Workspace};
use rig_provider_api::{
    BoxTag, Context, Images, Provider,
    conformance::{self, Fixture},
};
use rig_provider_virtualbox::{Programs, VirtualBoxLayout, VirtualBoxProvider};
use rig_state::{Layout, UserDirs};
use std::{fmt::Display, net::Ipv4Addr, path::Path, sync::Arc, time::Duration};
use tempfile::TempDir;

/// How long a case may take: interpreted, a boot with a login takes 40 seconds and more.
const LIMIT: Duration = Duration::from_secs(400);

/// The machines of this run, and what every case shares.
pub(crate) struct Stand {
    provider: VirtualBoxProvider,
    workspace: Workspace,
    image: String,
    /// Everything of this run.
    folder: TempDir,
}

impl Stand {
    /// Finds the lab, and makes the box.
    pub(crate) async fn new() -> Result<Self, String> {
        let lab =
            lab().ok_or("the suite needs VirtualBox: RIG_VIRTUALBOX names the folder of `cargo xtask vbox-lab`")?;
        let lab = Utf8PathBuf::from_path_buf(lab.into()).map_err(|path| format!("{} is no UTF-8", path.display()))?;
        let programs = Programs::find(lab.join("bin").as_os_str(), &[]).ok_or("there is no VBoxManage in the lab")?;
        let folder = tempfile::tempdir().map_err(text)?;
        let root = Utf8Path::from_path(folder.path()).ok_or("the folder for temporary files is no UTF-8")?.to_owned();
        let provider = VirtualBoxProvider::new(VirtualBoxLayout::new(root.join("virtualbox")), programs);
        let cx = Context::alone(Duration::from_secs(300));
        let dirs = UserDirs { cache: root.join("cache"), data: root.join("data") };
        let downloads = ArtifactStore::new(dirs.cache_layout(), FetchSettings::default());
        let store = BoxStore::new(StoreSettings::new(dirs.box_store()), downloads);
        let request = AddRequest {
            name: Some("lab/tiny".parse().map_err(text)?),
            ..AddRequest::new(lab.join("tiny.box"), root.clone())
        };
        store.add(&request, &cx).await.map_err(text)?;
        let wanted = StoredSource { name: "lab/tiny".to_owned(), version: None };
        let found =
            StoredFor { store, provider: provider.id().clone() }.find(&wanted).map_err(|missing| missing.why)?;
        let workspace = workspace(&root)?;
        let name: BoxName = workspace.boxes.keys().next().ok_or("the workspace has no box")?.clone();
        let digest = Digest::of(found.sha256.as_str().as_bytes());
        let image = provider.reference(&name, &digest);
        let tag = BoxTag { name, digest, parent: None, image: image.clone() };
        provider.adopt(&cx, &tag, &found.files).await.map_err(text)?;
        Ok(Self { provider, workspace, image, folder })
    }

    /// Removes the box.
    pub(crate) async fn clear(&self) -> Result<(), String> {
        self.provider.remove(&Context::alone(Duration::from_secs(120)), &self.image).await.map_err(text)
    }

    /// What the case with this number is played with. The folder holds its keys.
    pub(crate) fn play(&self, number: u8) -> Result<(TempDir, Arc<dyn Provider>, Fixture), String> {
        let keys = tempfile::tempdir().map_err(text)?;
        let layout = Layout::new(Utf8Path::from_path(keys.path()).ok_or("the folder for temporary files is no UTF-8")?);
        let name = Name::new(format!("c{}-{number:03}", std::process::id())).map_err(text)?;
        let workspace = Workspace { name: name.clone(), ..self.workspace.clone() };
        let box_name = workspace.boxes.keys().next().ok_or("the workspace has no box")?.clone();
        let provider: Arc<dyn Provider> = Arc::new(self.provider.clone());
        let id = provider.id().clone();
        let folder = Utf8Path::from_path(self.folder.path()).ok_or("the folder of this run is no UTF-8")?.to_owned();
        // As rig does it: what only SSH leads into is entered over SSH.
        let session = Session::new(workspace, folder, [provider], Vec::new(), layout);
        let provider = session.providers.get(&id).map_err(text)?.clone();
        let half = |last| Ipv4Net::new(Ipv4Addr::new(10, 78, number, last), 25).map_err(text);
        let fixture = Fixture {
            real: true,
            service: false,
            builds: false,
            outlives: false,
            apart: false,
            imports: false,
            internal: false,
            limit: LIMIT,
            ..Fixture::posix(name, box_name, self.image.clone(), [half(0)?, half(128)?])
        };
        Ok((keys, provider, fixture))
    }
}

/// A file with the suite's machines.
fn workspace(folder: &Utf8Path) -> Result<Workspace, String> {
    let mut file = String::from("workspace \"suite\"\nbox \"tiny\" { stored \"lab/tiny\"; }\n");
    file.push_str(
        "topology \"conformance\" idiom=\"mutable\" {\n    defaults { provider \"virtualbox\"; box \"tiny\"; }\n",
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
fn lab() -> Option<std::ffi::OsString> {
    std::env::var_os("RIG_VIRTUALBOX").filter(|lab| Path::new(lab).is_dir())
}

fn text(error: impl Display) -> String {
    error.to_string()
}
