//! The way into machines over SSH: one key pair for the workspace, host keys that came through the provider, and one warm
//! connection to each machine for as long as a command runs.

use super::{briefing, dialer::ProviderDialer, enrol, well_known};
use crate::{EngineError, Providers, sync::SyncedFolder};
use camino::Utf8Path;
use rig_model::{MachineId, MachineState, Name, SshSpec, Workspace};
use rig_provider_api::{Context, DoorKeys, Doors, KnownBy, MachineRef, Provider, ProviderError};
use rig_ssh::{Credentials, HostKey, Identity, KeyPair, Patience, SshError, Trust};
use rig_state::{Access as FileAccess, Baseline, Layout, MachineRecord, StateError};
use std::{collections::HashMap, sync::Arc, time::Duration};
use tokio::sync::{Mutex, OnceCell};

/// The way into the machines of a workspace.
pub struct Access {
    providers: Providers,
    pub(super) layout: Layout,
    /// The host's proxies: sessions over SSH do not see the environment that the machine was made with.
    pub(super) proxies: Vec<(String, String)>,
    workspace: Name,
    machines: HashMap<MachineId, Door>,
    keys: OnceCell<KeyPair>,
}

/// How long a machine that was started may take until it lets somebody in, where the file does not give it more to be ready.
const STARTED: Duration = Duration::from_secs(180);

/// One machine's door.
struct Door {
    ssh: SshSpec,
    /// The folders that it has.
    folders: Vec<SyncedFolder>,
    /// How long it may take until it is ready, which is after it lets somebody in.
    ready_within: Duration,
    /// The connection, held while it is made so that two steps do not both make one.
    session: Mutex<Option<rig_ssh::Session>>,
}

impl Access {
    /// The way into a workspace's mutable machines, with the host's proxies; relative folders of theirs begin at `folder`. Connects to nothing yet.
    #[must_use]
    pub(crate) fn new(
        workspace: &Workspace,
        folder: &Utf8Path,
        providers: Providers,
        proxies: Vec<(String, String)>,
        layout: Layout,
    ) -> Self {
        let doors = workspace.machines().filter_map(|machine| {
            let ssh = machine.ssh.clone()?;
            let folders = SyncedFolder::of(machine, folder);
            let ready_within = machine.ready.timeout;
            Some((machine.id.clone(), Door { ssh, folders, ready_within, session: Mutex::default() }))
        });
        Self {
            providers,
            proxies,
            workspace: workspace.name.clone(),
            machines: doors.collect(),
            keys: OnceCell::new(),
            layout,
        }
    }

    /// A connection to a machine: the one that is there, or a new one, for which this waits until the machine lets it in.
    ///
    /// # Errors
    /// When the machine has no SSH server, is gone or ended, refuses the key, shows another host key than the one that
    /// came through the provider, or does not answer in time.
    pub async fn session(&self, cx: &Context, machine: &MachineId) -> Result<rig_ssh::Session, EngineError> {
        let door = self.door(machine)?;
        let mut open = door.session.lock().await;
        if let Some(session) = open.as_ref().filter(|session| session.is_alive()) {
            return Ok(session.clone());
        }
        let session = self.connect(cx, machine, &door.ssh).await?;
        self.introduce(cx, machine, &session).await?;
        *open = Some(session.clone());
        Ok(session)
    }

    /// The same for a machine that was just started: how long that may take, the file says.
    ///
    /// # Errors
    /// As above.
    pub(crate) async fn first_session(&self, cx: &Context, machine: &MachineId) -> Result<(), EngineError> {
        let limit = self.door(machine)?.ready_within.max(STARTED);
        self.session(&cx.within(limit), machine).await.map(drop)
    }

    /// The folders that a machine has, as the file says.
    pub(crate) fn folders(&self, machine: &MachineId) -> &[SyncedFolder] {
        self.machines.get(machine).map_or(&[], |door| &door.folders)
    }

    /// The same, with a machine that knows the names of its neighbours, whoever of them came last.
    pub(crate) async fn introduced(&self, cx: &Context, machine: &MachineId) -> Result<(), EngineError> {
        let session = self.session(cx, machine).await?;
        self.introduce(cx, machine, &session).await
    }

    /// Whether there is a connection to a machine, which may not just be in the making.
    pub(crate) fn is_open(&self, machine: &MachineId) -> bool {
        let session = self.machines.get(machine).and_then(|door| door.session.try_lock().ok());
        session.is_some_and(|session| session.as_ref().is_some_and(rig_ssh::Session::is_alive))
    }

    /// Tells a machine that only SSH leads into what it has to be told: the names of neighbours that were made since it was started,
    /// and what it could not be given before.
    async fn introduce(
        &self,
        cx: &Context,
        machine: &MachineId,
        session: &rig_ssh::Session,
    ) -> Result<(), EngineError> {
        let Some(doors) = self.provider(machine)?.doors() else { return Ok(()) };
        let reference = self.reference(machine);
        let Some(briefing) = doors.briefing(cx, &reference).await? else { return Ok(()) };
        let doing = format!("telling machine {machine} of its neighbours");
        let line = format!(
            "{}/bin/sh -c {}",
            super::sudo(session),
            rig_ssh::quote(&briefing::program(&briefing, jiff::Timestamp::now()))
        );
        let tell = async {
            let told = session.run(&line, Some(briefing.hosts.clone().into()), SAID).await;
            told.map_err(|error| ProviderError::failed(&doing, error))
        };
        let told = cx.run(&doing, tell).await?;
        if !told.success() {
            let why = String::from_utf8_lossy(&told.stderr).trim().to_owned();
            return Err(ProviderError::failed(doing, why).into());
        }
        Ok(doors.aware(cx, &reference, &briefing).await?)
    }

    /// Forgets the connection to a machine that is about to be restarted.
    pub(crate) async fn forget(&self, machine: &MachineId) {
        if let Some(door) = self.machines.get(machine) {
            door.session.lock().await.take();
        }
    }

    /// Forgets everything about a machine that is gone.
    pub(crate) async fn destroyed(&self, machine: &MachineId) -> Result<(), EngineError> {
        self.forget(machine).await;
        let (layout, machine) = (self.layout.clone(), machine.clone());
        blocking(move || {
            Baseline::remove(&layout, &machine)?;
            MachineRecord::remove(&layout, &machine)
        })
        .await
    }

    /// Makes sure that a machine knows the workspace's key and rig knows its host keys, without connecting.
    ///
    /// # Errors
    /// When the machine is not there or cannot be entered through its provider.
    pub async fn record(&self, cx: &Context, machine: &MachineId) -> Result<MachineRecord, EngineError> {
        let door = self.door(machine)?;
        let native = self.native(cx, machine).await?;
        let layout = self.layout.clone();
        let id = machine.clone();
        let known = blocking(move || MachineRecord::load(&layout, &id)).await?;
        match known {
            Some(record) if record.native == native && !record.host_keys.is_empty() => Ok(record),
            _ => self.enrol(cx, machine, &door.ssh, native).await,
        }
    }

    /// What a machine is given that only SSH leads into; nothing for one that has no SSH server. The host key is a new one: a
    /// machine keeps the first that it was given.
    pub(crate) async fn door_keys(&self, machine: &MachineId) -> Result<Option<DoorKeys>, EngineError> {
        let Some(door) = self.machines.get(machine) else { return Ok(None) };
        let failed = |error| EngineError::ssh(machine, error);
        let authorized_key = self.keys().await?.public_line().map_err(failed)?;
        let host_key = KeyPair::generate(&machine.to_string()).map_err(failed)?;
        Ok(Some(DoorKeys {
            user: door.ssh.user.clone(),
            authorized_key,
            host_key: host_key.to_openssh().map_err(failed)?,
            public_host_key: host_key.public_line().map_err(failed)?,
        }))
    }

    /// The workspace's key pair; made when there is none.
    ///
    /// # Errors
    /// When it cannot be read or written.
    pub async fn keys(&self) -> Result<&KeyPair, EngineError> {
        let make = || async {
            let (layout, comment) = (self.layout.clone(), format!("rig {}", self.workspace));
            tokio::task::spawn_blocking(move || key_pair(&layout, &comment)).await.map_err(|error| lost_task(&error))?
        };
        self.keys.get_or_try_init(make).await
    }

    /// Who has a machine that the file declares.
    ///
    /// # Errors
    /// When the file does not declare it, or its provider is not at hand.
    pub(crate) fn provider(&self, machine: &MachineId) -> Result<&Arc<dyn Provider>, EngineError> {
        self.providers.of(machine)
    }

    /// Who has the machines, without the way into them.
    pub(crate) fn providers(&self) -> &Providers {
        &self.providers
    }

    /// Where things are kept.
    pub(crate) fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Whether a machine is entered over SSH.
    pub(crate) fn has_door(&self, machine: &MachineId) -> bool {
        self.machines.contains_key(machine)
    }

    pub(crate) fn reference(&self, machine: &MachineId) -> MachineRef {
        MachineRef { workspace: self.workspace.clone(), id: machine.clone() }
    }

    /// Changes a machine's record on disk.
    pub(crate) async fn update(
        &self,
        machine: &MachineId,
        change: impl FnOnce(&mut MachineRecord) + Send + 'static,
    ) -> Result<(), EngineError> {
        let (layout, machine) = (self.layout.clone(), machine.clone());
        blocking(move || {
            let mut record = MachineRecord::load(&layout, &machine)?.unwrap_or_default();
            change(&mut record);
            record.save(&layout, &machine)
        })
        .await
    }

    /// Forgets what was in a machine that is about to become another one.
    pub(super) async fn forget_baseline(&self, machine: &MachineId) -> Result<(), EngineError> {
        let (layout, machine) = (self.layout.clone(), machine.clone());
        blocking(move || Baseline::remove(&layout, &machine)).await
    }

    /// Where a machine that runs is entered.
    async fn open_door(
        &self,
        cx: &Context,
        doors: &dyn Doors,
        machine: &MachineId,
    ) -> Result<rig_provider_api::Door, EngineError> {
        let door = doors.door(cx, &self.reference(machine)).await?;
        door.ok_or_else(|| EngineError::NotRunning { machine: machine.clone(), state: "not running".to_owned() })
    }

    fn door(&self, machine: &MachineId) -> Result<&Door, EngineError> {
        self.machines.get(machine).ok_or_else(|| EngineError::NoSsh { machine: machine.clone() })
    }

    /// The identity of a machine that runs.
    async fn native(&self, cx: &Context, machine: &MachineId) -> Result<String, EngineError> {
        match self.provider(machine)?.inspect(cx, &self.reference(machine)).await? {
            Some(seen) if seen.state == MachineState::Running => Ok(seen.native),
            Some(seen) => Err(EngineError::NotRunning { machine: machine.clone(), state: seen.state.to_string() }),
            None => Err(EngineError::NotRunning { machine: machine.clone(), state: "not there".to_owned() }),
        }
    }

    async fn enrol(
        &self,
        cx: &Context,
        machine: &MachineId,
        ssh: &SshSpec,
        native: String,
    ) -> Result<MachineRecord, EngineError> {
        let public = self.keys().await?.public_line().map_err(|error| EngineError::ssh(machine, error))?;
        let reference = self.reference(machine);
        let provider = self.provider(machine)?;
        let host_keys = match provider.doors() {
            Some(doors) => match self.open_door(cx, doors, machine).await?.known {
                // It was given its keys before it was started.
                KnownBy::Given(host_keys) => host_keys,
                KnownBy::FirstContact => vec![self.meet(cx, machine, ssh).await?],
            },
            None => enrol::enrol(provider.as_ref(), cx, &reference, &ssh.user, &public).await?,
        };
        let record = MachineRecord { native: native.clone(), host_keys: host_keys.clone(), ..MachineRecord::default() };
        self.update(machine, move |known| {
            // Steps are those of the machine that they were done on.
            if known.native != native {
                known.steps.clear();
                (known.published, known.has_folders) = (false, false);
            }
            known.native = native;
            known.host_keys = host_keys;
        })
        .await?;
        Ok(record)
    }

    async fn connect(&self, cx: &Context, machine: &MachineId, ssh: &SshSpec) -> Result<rig_ssh::Session, EngineError> {
        let record = self.record(cx, machine).await?;
        let session = match self.attempt(cx, machine, ssh, &record).await {
            // The key may be newer than the machine: the workspace's folder was removed, or came from elsewhere.
            Err(EngineError::Ssh { error: SshError::Refused { .. }, .. }) => {
                let record = self.enrol(cx, machine, ssh, record.native).await?;
                self.attempt(cx, machine, ssh, &record).await
            }
            result => result,
        }?;
        if record.published {
            self.lock_up(cx, machine, &session).await?;
            self.update(machine, |known| known.published = false).await?;
        }
        Ok(session)
    }

    async fn attempt(
        &self,
        cx: &Context,
        machine: &MachineId,
        ssh: &SshSpec,
        record: &MachineRecord,
    ) -> Result<rig_ssh::Session, EngineError> {
        let failed = |error| EngineError::ssh(machine, error);
        let host_keys = record.host_keys.iter().map(|line| HostKey::parse(line)).collect::<Result<_, _>>();
        let trust = Trust::Pinned(host_keys.map_err(failed)?);
        let own = self.keys().await?.clone();
        let mut keys = vec![own];
        if record.published {
            keys.push(well_known::published().map_err(failed)?);
        }
        let credentials = Credentials { user: ssh.user.clone(), identity: Identity::Keys(keys) };
        self.shake_hands(cx, machine, ssh, credentials, trust).await
    }

    /// The first contact with a machine whose box comes from somewhere else: the published key is replaced with the workspace's, and
    /// the host key that was shown is the one that counts from now on.
    async fn meet(&self, cx: &Context, machine: &MachineId, ssh: &SshSpec) -> Result<String, EngineError> {
        let failed = |error| EngineError::ssh(machine, error);
        let own = self.keys().await?;
        let published = well_known::published().map_err(failed)?;
        // The own key first: a meeting that was cut may have replaced the other one.
        let identity = Identity::Keys(vec![own.clone(), published]);
        let credentials = Credentials { user: ssh.user.clone(), identity };
        let session = self.shake_hands(cx, machine, ssh, credentials, Trust::FirstUse).await.map_err(|error| match error {
            EngineError::Ssh { error: SshError::Refused { .. }, .. } => EngineError::NotEnrolled {
                machine: machine.clone(),
                why: format!(
                    "its user {} lets in neither this workspace's key nor the one that is published for Vagrant's boxes: write its \
                     box's user into `ssh user=\"…\"`, or make it anew if another workspace's folder made it",
                    ssh.user
                ),
            },
            error => error,
        })?;
        self.lock_up(cx, machine, &session).await?;
        session.host_key().line().map_err(failed)
    }

    async fn shake_hands(
        &self,
        cx: &Context,
        machine: &MachineId,
        ssh: &SshSpec,
        credentials: Credentials,
        trust: Trust,
    ) -> Result<rig_ssh::Session, EngineError> {
        let dialer = ProviderDialer {
            provider: self.provider(machine)?.clone(),
            machine: self.reference(machine),
            port: ssh.port,
        };
        let patience = Patience { deadline: cx.deadline(), cancel: cx.cancel().clone() };
        let waiting = |why: &str| cx.progress(rig_model::Progress::step(why));
        let connected = rig_ssh::connect(Arc::new(dialer), credentials, trust, &patience, &waiting).await;
        connected.map_err(|error| EngineError::ssh(machine, error))
    }
}

/// How much is kept of what a command of rig's own says, in bytes.
pub(super) const SAID: usize = 4096;

/// Runs a short piece of work on files away from the runtime.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StateError> + Send + 'static,
) -> Result<T, EngineError> {
    Ok(tokio::task::spawn_blocking(work).await.map_err(|error| lost_task(&error))??)
}

/// A task that panicked: a defect, told as a failure of the machine it worked for.
fn lost_task(error: &tokio::task::JoinError) -> EngineError {
    EngineError::Host { doing: "working with files".to_owned(), why: error.to_string() }
}

/// Reads the workspace's key pair, or makes it.
fn key_pair(layout: &Layout, comment: &str) -> Result<KeyPair, EngineError> {
    let path = layout.private_key();
    let doing =
        |error: &dyn std::fmt::Display| EngineError::Host { doing: format!("reading {path}"), why: error.to_string() };
    match fs_err::read_to_string(&path) {
        Ok(text) => return KeyPair::from_openssh(&text).map_err(|error| doing(&error)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(doing(&error)),
    }
    let made = KeyPair::generate(comment).map_err(|error| doing(&error))?;
    let (private, public) =
        made.to_openssh().and_then(|private| Ok((private, made.public_line()?))).map_err(|error| doing(&error))?;
    layout.prepare()?;
    rig_state::create_folder(&layout.keys())?;
    rig_state::write_atomically(&layout.public_key(), format!("{public}\n").as_bytes(), FileAccess::Default)?;
    rig_state::write_atomically(&path, private.as_bytes(), FileAccess::OwnerOnly)?;
    Ok(made)
}
