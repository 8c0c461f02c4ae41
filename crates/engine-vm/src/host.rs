//! The ways into the machine.

use crate::{
    file::{SOCKET, machine},
    folders,
};
use async_trait::async_trait;
use camino::Utf8PathBuf;
use jiff::Timestamp;
use rig_engine::{EngineError, FolderListing, Session, list_folder};
use rig_model::{Name, Progress, PublishedPort};
use rig_provider_api::{Context, DialStream, EngineHost, MachineRef, Provider, ProviderError, Result};
use rig_ssh::{
    Patience, SshError,
    transfer::{UploadOptions, UploadSource, upload},
};
use std::{
    collections::HashSet,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};
use tokio::sync::Mutex;

/// What the engine is called, in the file and for people.
const NAME: &str = "vm";

/// The machine's address in the network that QEMU makes itself, see `rig-provider-qemu`.
const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 15);

/// How long a new connection to the machine may take.
const CONNECT: Duration = Duration::from_secs(60);

/// How far the machine's clock may be off, in seconds. More, and downloads fail for certificates that are not valid yet.
const LATE: i64 = 2;

/// Where it is noted on the machine what was copied, and where copies arrive.
const STAMPS: &str = "/var/lib/rig/folder-stamps";
const STAGING: &str = "/var/lib/rig/folders-arriving";

/// How much is kept of what a command of rig's own says, in bytes.
const SAID: usize = 4096;

/// The machine that the engine runs in.
pub struct VmHost {
    session: Session,
    machine: MachineRef,
    provider: Arc<dyn Provider>,
    /// The folders that were brought since this program began, and who is at it.
    brought: Mutex<HashSet<String>>,
}

impl VmHost {
    /// The machine of a session with the workspace of [`crate::file()`]. It must run already.
    ///
    /// # Errors
    /// When the session has no such machine.
    pub fn new(session: Session) -> std::result::Result<Self, EngineError> {
        let (id, workspace): (_, Name) = (machine(), session.workspace.name.clone());
        let provider = session.providers.of(&id)?.clone();
        Ok(Self { session, machine: MachineRef { workspace, id }, provider, brought: Mutex::default() })
    }

    /// Sets the machine's clock when it is off: it stood still while this host slept.
    ///
    /// # Errors
    /// When the machine lets nobody in.
    pub async fn check_clock(&self, cx: &Context) -> Result<()> {
        let doing = "comparing the clock of the engine's machine with this host's";
        let session = self.enter(cx, doing).await?;
        let said = run(cx, &session, doing, "date +%s").await?;
        let theirs: i64 = said.trim().parse().map_err(|error| ProviderError::failed(doing, error))?;
        let ours = Timestamp::now().as_second();
        if (ours - theirs).abs() > LATE {
            run(cx, &session, doing, &format!("sudo -n date -s @{} >/dev/null", Timestamp::now().as_second())).await?;
        }
        Ok(())
    }

    async fn enter(&self, cx: &Context, doing: &str) -> Result<rig_ssh::Session> {
        self.session.access.session(cx, &self.machine.id).await.map_err(|error| match error {
            error if error.is_cancelled() => ProviderError::Cancelled { doing: doing.to_owned() },
            EngineError::Provider(error) => error,
            EngineError::Ssh { error: SshError::Lost { why }, .. } => unreachable(doing, &why),
            error @ EngineError::NotRunning { .. } => unreachable(doing, &error),
            error => {
                let hint = error.hint();
                let failed = ProviderError::failed(doing, error);
                match hint {
                    Some(hint) => failed.hinted(hint),
                    None => failed,
                }
            }
        })
    }

    /// A connection of its own, for what must not hold others up.
    async fn enter_alone(&self, cx: &Context, doing: &str) -> Result<rig_ssh::Session> {
        let patience = Patience { deadline: cx.deadline(), cancel: cx.cancel().clone() };
        let first = self.enter(cx, doing).await?;
        first.another(&patience, &|_| ()).await.map_err(|error| lost(doing, error))
    }

    fn forwards(&self) -> Result<&dyn rig_provider_api::Forwards> {
        self.provider.forwards().ok_or_else(|| {
            let why = format!("provider {} forwards none while a machine runs", self.provider.id());
            ProviderError::failed("publishing ports of the engine's machine", why)
        })
    }

    /// Copies a folder as it is now.
    async fn look_and_copy(&self, cx: &Context, doing: &str, folder: &str) -> Result<()> {
        let path = Utf8PathBuf::from(folder);
        let list = async {
            let listed = tokio::task::spawn_blocking(move || list_folder(&path)).await;
            let listed = listed.map_err(|error| ProviderError::failed(doing, error))?;
            listed.map_err(|error| ProviderError::failed(doing, error))
        };
        let listing = cx.run(doing, list).await?;
        self.copy(cx, doing, folder, &listing).await
    }

    /// Copies what was listed, and removes there what is gone here. The copy stays the same folder: machines have it mounted.
    async fn copy(&self, cx: &Context, doing: &str, folder: &str, listing: &FolderListing) -> Result<()> {
        let name = folders::name(folder);
        if name.len() > folders::LONGEST {
            let why = format!("its path is longer than {} characters, with three for each `/`", folders::LONGEST);
            return Err(ProviderError::failed(doing, why).hinted("`sync` a folder nearer to the root"));
        }
        let (place, stamp) = (folders::place(folder), format!("{STAMPS}/{name}"));
        // Another rig may be at the same folder.
        let staging = format!("{STAGING}/{:016x}", rand::random::<u64>());
        let session = self.enter_alone(cx, doing).await?;
        let [place, stamp, stage] = [&place, &stamp, &staging].map(|path| rig_ssh::quote(path));
        let known = run(cx, &session, doing, &format!("sudo -n cat {stamp} 2>/dev/null || :")).await?;
        let digest = listing.digest();
        if known.trim() == digest.as_str() {
            session.close().await;
            return Ok(());
        }
        let source = UploadSource::Listed(Utf8PathBuf::from(folder), listing.paths().map(ToOwned::to_owned).collect());
        let options = UploadOptions { sudo: true, ..UploadOptions::default() };
        let progress = |sent, all| cx.progress(Progress::bytes(format!("copying {folder}"), sent, Some(all)));
        let send = async {
            let tidy = format!(
                "mkdir -p {STAMPS} && find {STAGING} -mindepth 1 -maxdepth 1 -mmin +1440 -exec rm -rf {{}} + 2>/dev/null; rm -f {stamp}"
            );
            run_in(&session, doing, &as_root(&tidy)).await?;
            upload(&session, source, &staging, &options, &progress).await.map_err(|error| lost(doing, error))?;
            // By content: a file can change within the second that an archive knows, and be as long as before.
            let program = format!(
                "set -e; mkdir -p {place}; flock {STAMPS} rsync -a --checksum --delete {stage}/ {place}/; rm -rf {stage}; echo {digest} >{stamp}"
            );
            run_in(&session, doing, &as_root(&program)).await
        };
        cx.run(doing, send).await?;
        session.close().await;
        Ok(())
    }
}

#[async_trait]
impl EngineHost for VmHost {
    fn name(&self) -> String {
        NAME.to_owned()
    }

    /// A connection of its own each: what is not read from one of them would hold up all others that share it.
    async fn engine(&self) -> Result<DialStream> {
        let (cx, doing) = (Context::alone(CONNECT), "connecting to the engine in its virtual machine");
        let session = self.enter_alone(&cx, doing).await?;
        let tunnel = async { session.tunnel_socket(SOCKET).await.map_err(|error| lost(doing, error)) };
        Ok(Box::new(cx.run(doing, tunnel).await?))
    }

    async fn dial(&self, cx: &Context, address: SocketAddr) -> Result<DialStream> {
        let doing = format!("connecting to {address} in the engine's virtual machine");
        let session = self.enter(cx, &doing).await?;
        let tunnel = async {
            let host = address.ip().to_string();
            session.tunnel(&host, address.port()).await.map_err(|error| ProviderError::failed(&doing, error))
        };
        Ok(Box::new(cx.run(&doing, tunnel).await?))
    }

    fn address(&self) -> Ipv4Addr {
        ADDRESS
    }

    async fn published(&self, cx: &Context) -> Result<Vec<PublishedPort>> {
        self.forwards()?.forwards(cx, &self.machine).await
    }

    async fn publish(&self, cx: &Context, ports: &[PublishedPort]) -> Result<()> {
        for port in ports {
            self.forwards()?.forward(cx, &self.machine, &same(port)).await?;
        }
        Ok(())
    }

    async fn withdraw(&self, cx: &Context, ports: &[PublishedPort]) -> Result<()> {
        for port in ports {
            self.forwards()?.withdraw(cx, &self.machine, &same(port)).await?;
        }
        Ok(())
    }

    fn place(&self, folder: &str) -> String {
        folders::place(folder)
    }

    fn folder_at(&self, place: &str) -> Option<String> {
        folders::folder_at(place)
    }

    async fn bring(&self, cx: &Context, folder: &str) -> Result<()> {
        let doing = format!("copying {folder} into the engine's virtual machine");
        // One after the other: machines that share a folder are made at the same time.
        let wait = async { Ok(self.brought.lock().await) };
        let mut brought = cx.run(&doing, wait).await?;
        if !brought.contains(folder) {
            self.look_and_copy(cx, &doing, folder).await?;
            brought.insert(folder.to_owned());
        }
        Ok(())
    }

    async fn bring_again(&self, cx: &Context, folder: &str) -> Result<()> {
        let doing = format!("copying {folder} into the engine's virtual machine");
        let wait = async { Ok(self.brought.lock().await) };
        let _others_wait = cx.run(&doing, wait).await?;
        self.look_and_copy(cx, &doing, folder).await
    }
}

/// A port of this host that leads to the same one of the machine: there the engine has it.
fn same(port: &PublishedPort) -> PublishedPort {
    PublishedPort { guest: port.host, ..port.clone() }
}

/// Runs a line to its end and gives what it says.
async fn run(cx: &Context, session: &rig_ssh::Session, doing: &str, line: &str) -> Result<String> {
    cx.run(doing, run_in(session, doing, line)).await
}

/// A line for a shell as root.
fn as_root(program: &str) -> String {
    format!("sudo -n sh -c {}", rig_ssh::quote(program))
}

async fn run_in(session: &rig_ssh::Session, doing: &str, line: &str) -> Result<String> {
    let outcome = session.run(line, None, SAID).await.map_err(|error| lost(doing, error))?;
    if outcome.success() {
        return Ok(String::from_utf8_lossy(&outcome.stdout).into_owned());
    }
    Err(ProviderError::failed(doing, String::from_utf8_lossy(&outcome.stderr).trim()))
}

/// A failure of the connection, after which the same call may work.
fn lost(doing: &str, error: SshError) -> ProviderError {
    match error {
        SshError::Cancelled { .. } => ProviderError::Cancelled { doing: doing.to_owned() },
        SshError::Lost { why } => unreachable(doing, &why),
        error => ProviderError::failed(doing, error),
    }
}

fn unreachable(doing: &str, why: &dyn std::fmt::Display) -> ProviderError {
    ProviderError::Unreachable {
        endpoint: format!("{doing}: the machine"),
        why: why.to_string(),
        hint: "`rig engine status` says how it is; `rig engine stop` and the same command start it anew".to_owned(),
    }
}
