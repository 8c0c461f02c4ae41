//! The engine in a virtual machine of rig's own: the machine is brought up like any other, from a workspace file in the user's data
//! folder.

use crate::{
    app::{App, FILE, HostBoxes},
    cli::Execution,
    commands::up,
    engine_choice::Start,
    failure::Failure,
    providers,
};
use camino::Utf8PathBuf;
use rig_engine::{DestroyOptions, Selection, Session, UpOptions, reconcile};
use rig_engine_vm::{Size, VmHost};
use rig_model::{Action, MachineState, Name, Workspace};
use rig_provider_api::{MachineRef, ObserveScope, Provider, ProviderError};
use rig_provider_docker::{DockerProvider, EngineAddress, Hosted, Transport};
use rig_state::{Layout, Scale};
use std::{sync::Arc, time::Duration};

/// What names it where engines are named.
pub(crate) const NAME: &str = "vm";

/// How long the hypervisor may take to say what is there.
const OBSERVE: Duration = Duration::from_secs(60);

/// How long the machine and the engine in it have to answer. Emulated, a start takes 20 s.
const CONNECT: Duration = Duration::from_secs(300);

/// The pause between two tries.
const LOOK: Duration = Duration::from_millis(500);

const EXECUTION: Execution = Execution { no_parallel: false, jobs: 8, dry_run: false };

/// Connects to the engine in its machine; makes and starts the machine where that is wanted. A new one has room for the workspace.
pub(crate) async fn connect(
    app: &App,
    workspace: Option<&Workspace>,
    start: Start,
    chosen_by: &str,
) -> Result<DockerProvider, Failure> {
    let vm = Vm::new(app)?;
    let session = match start {
        Start::IfNeeded => vm.running(workspace).await?,
        Start::Never => {
            let session = vm.session()?;
            let state = match &session {
                Some(session) => vm.state(session).await?,
                None => None,
            };
            session.filter(|_| state == Some(MachineState::Running)).ok_or_else(|| stopped(state))?
        }
    };
    let cx = app.context(CONNECT);
    let host = VmHost::new(session)?;
    host.check_clock(&cx).await?;
    let address =
        EngineAddress { transport: Transport::Hosted(Hosted(Arc::new(host))), chosen_by: chosen_by.to_owned() };
    let provider = match DockerProvider::connect(&cx, address.clone()).await {
        Ok(provider) => provider,
        Err(error) if start == Start::Never => return Err(error.into()),
        Err(_) => {
            // It may just have been started by somebody else, or have been left half made by a command that was cut.
            vm.complete().await?;
            answering(app, &cx, address).await?
        }
    };
    if start == Start::IfNeeded {
        for failure in provider.settle_ports(&cx).await? {
            app.ui.warn(failure.to_string());
        }
    }
    Ok(provider)
}

/// Waits until the engine answers.
async fn answering(
    app: &App,
    cx: &rig_provider_api::Context,
    address: EngineAddress,
) -> Result<DockerProvider, Failure> {
    let mut said = false;
    loop {
        let error = match DockerProvider::connect(cx, address.clone()).await {
            Ok(provider) => return Ok(provider),
            Err(error) => error,
        };
        let is_over = tokio::time::Instant::now() >= cx.deadline();
        if is_over || matches!(error, ProviderError::Cancelled { .. }) {
            return Err(error.into());
        }
        if !said {
            app.ui.say("waiting for the engine in its virtual machine to answer");
            said = true;
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Stops the machine, with all containers in it; `false` when it does not run.
pub(crate) async fn stop(app: &App) -> Result<bool, Failure> {
    let Some((vm, session)) = Vm::there(app)? else { return Ok(false) };
    let _lock = vm.app.lock(&vm.layout, "rig engine stop").await?;
    let observed = session.observe(&vm.app.context(OBSERVE), ObserveScope::MACHINES).await?;
    let plan = reconcile::halt(&session.workspace, &observed, &Selection::All);
    let any = !plan.operations.is_empty();
    vm.carry_out(&session, &plan).await?;
    Ok(any)
}

/// Whether there is a machine, or a file of one.
pub(crate) fn is_there(app: &App) -> bool {
    app.settings.dirs.engine_vm().join(FILE).is_file()
}

/// Whether this host has what makes one.
pub(crate) fn can_be_made(app: &App) -> bool {
    providers::qemu(app).is_some() && rig_boxes::find_mmdebstrap(&app.settings.path).is_some()
}

/// Removes the machine with everything in it, its box and its file.
pub(crate) async fn destroy(app: &App) -> Result<(), Failure> {
    let Some((vm, session)) = Vm::there(app)? else { return Ok(()) };
    let lock = vm.app.lock(&vm.layout, "rig engine destroy").await?;
    let cx = vm.app.context(OBSERVE);
    let observed = session.observe(&cx, ObserveScope::ALL).await?;
    let plan = reconcile::destroy(&session.workspace, &observed, &Selection::All, DestroyOptions { volumes: true });
    vm.carry_out(&session, &plan).await?;
    if let Some(images) = vm.qemu.images() {
        let own = |name: &rig_model::BoxName| session.workspace.boxes.contains_key(name);
        for seen in images.list(&cx).await?.iter().filter(|seen| own(&seen.name)) {
            images.remove(&cx, &seen.image).await?;
        }
    }
    // Under the lock: whoever waits for it finds no file, and makes a new one.
    let removed = fs_err::remove_dir_all(&vm.folder);
    drop(lock);
    removed.map_err(|error| Failure::host(format!("removing the file of the machine: {error}")))
}

/// What is needed to work with the machine.
struct Vm {
    app: App,
    folder: Utf8PathBuf,
    layout: Layout,
    qemu: Arc<dyn Provider>,
}

impl Vm {
    fn new(app: &App) -> Result<Self, Failure> {
        let qemu =
            providers::qemu(app).ok_or_else(|| providers::no_qemu(app, "an engine in a virtual machine needs QEMU"))?;
        let folder = app.settings.dirs.engine_vm();
        // What the user says of the own workspace is not meant for this one.
        let mut own = app.clone();
        own.global.workspace = None;
        own.global.variables.clear();
        own.global.no_host_trust = false;
        own.no_cache = false;
        own.once_more = false;
        if own.ui.is_json() {
            own.ui = own.ui.inner();
        }
        Ok(Self { app: own, layout: Layout::new(&folder), folder, qemu })
    }

    /// The machine, if there is one.
    fn there(app: &App) -> Result<Option<(Self, Session)>, Failure> {
        if !is_there(app) {
            return Ok(None);
        }
        let vm = Self::new(app)?;
        Ok(vm.session()?.map(|session| (vm, session)))
    }

    fn file(&self) -> Utf8PathBuf {
        self.folder.join(FILE)
    }

    /// Writes the file of a new machine.
    async fn write_file(&self, workspace: Option<&Workspace>) -> Result<(), Failure> {
        if self.file().is_file() {
            return Ok(());
        }
        let facts = self.qemu.probe(&self.app.context(OBSERVE)).await?;
        let docker = Name::new(providers::DOCKER).map_err(|error| Failure::host(error.to_string()))?;
        let size = Size::of(workspace, &docker, facts.memory, (facts.cpus.0 / 1000) as usize);
        rig_state::create_folder(&self.folder)?;
        rig_state::write_atomically(&self.file(), rig_engine_vm::file(size).as_bytes(), rig_state::Access::Default)?;
        Ok(())
    }

    /// The machine's workspace; nothing before it has a file.
    fn session(&self) -> Result<Option<Session>, Failure> {
        if !self.file().is_file() {
            return Ok(None);
        }
        let loaded = self.app.load(&self.file(), &Scale::default())?;
        let proxies = self.app.trust(&loaded.workspace).proxies;
        Ok(Some(Session::new(loaded.workspace, loaded.folder, [self.qemu.clone()], proxies, self.layout.clone())))
    }

    async fn state(&self, session: &Session) -> Result<Option<MachineState>, Failure> {
        let observed = session.observe(&self.app.context(OBSERVE), ObserveScope::MACHINES).await?;
        Ok(observed.machines.iter().find(|seen| seen.id == rig_engine_vm::machine()).map(|seen| seen.state))
    }

    /// The machine's session, once the machine runs.
    async fn running(&self, workspace: Option<&Workspace>) -> Result<Session, Failure> {
        if let Some(session) = self.session()?
            && self.state(&session).await? == Some(MachineState::Running)
        {
            return Ok(session);
        }
        rig_state::create_folder(&self.folder)?;
        let _lock = self.app.lock(&self.layout, "rig engine start").await?;
        // Somebody may have removed it meanwhile.
        self.write_file(workspace).await?;
        let session = self.session()?.ok_or_else(|| stopped(None))?;
        self.app.ui.say("starting the virtual machine of the container engine");
        self.up(&session).await?;
        Ok(session)
    }

    /// Does what is left to do of a machine that runs.
    async fn complete(&self) -> Result<(), Failure> {
        let _lock = self.app.lock(&self.layout, "rig engine start").await?;
        let session = self.session()?.ok_or_else(|| stopped(None))?;
        self.up(&session).await
    }

    /// Makes and starts the machine. One that is there is never made anew, whatever has changed: all containers are in it.
    async fn up(&self, session: &Session) -> Result<(), Failure> {
        let prepared = up::prepare(&self.app, session, &self.layout, &[], &UpOptions::default()).await?;
        let replaces =
            prepared.plan.operations.iter().any(|operation| matches!(operation.action, Action::DestroyMachine { .. }));
        if replaces && self.state(session).await?.is_some_and(|state| state != MachineState::Dead) {
            self.app.ui.warn(
                "the virtual machine of the engine is started as it was made; what has changed since counts after \
                 `rig engine destroy`",
            );
            let id = rig_engine_vm::machine();
            let machine = MachineRef { workspace: session.workspace.name.clone(), id: id.clone() };
            let cx = self.app.context(CONNECT);
            session.providers.get(self.qemu.id())?.start(&cx, &machine).await?;
            session.access.session(&cx, &id).await?;
            return Ok(());
        }
        let report = self.app.execute(session, &self.layout, prepared.boxes, &prepared.plan, &EXECUTION).await?;
        self.app.conclude(&report)
    }

    async fn carry_out(&self, session: &Session, plan: &rig_model::Plan) -> Result<(), Failure> {
        let report = self.app.execute(session, &self.layout, HostBoxes::new(), plan, &EXECUTION).await?;
        self.app.conclude(&report)
    }
}

fn stopped(state: Option<MachineState>) -> Failure {
    let how = state.map_or_else(|| "is not there".to_owned(), |state| format!("is {state}"));
    Failure::Host {
        message: format!("the virtual machine of the container engine {how}"),
        hint: Some("`rig engine start --engine vm` starts it, and so does `rig up`".to_owned()),
    }
}
