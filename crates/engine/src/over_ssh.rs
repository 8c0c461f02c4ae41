//! A provider whose machines are entered over SSH alone, as one in whose machines commands can be run and ports be reached: what
//! is asked of machines is then the same for all.

use crate::{Access, EngineError};
use async_trait::async_trait;
use futures_util::StreamExt;
use rig_model::{
    BoxSpec, EngineFacts, MachineId, MachineSpec, Name, Observed, ObservedMachine, Progress, ProviderId,
    ResolvedMachine, Stream as Output,
};
use rig_provider_api::{
    Changes, Context, Dial, DialStream, Doors, Endpoint, Exec, ExecEvent, ExecRequest, ExecSession, FieldIssue,
    Folders, Forwards, Images, Logs, MachineRef, Networks, ObserveScope, Packaging, Provider, ProviderError, Result,
    Snapshots, StopMode, Suspension, Terminal, Usage, Volumes, Watch,
};
use rig_ssh::{Event, ExecCommand, quote};
use std::{
    collections::{BTreeSet, HashSet},
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::sync::mpsc;

/// The kind of terminal that commands get: programs everywhere know it.
const TERM: &str = "xterm-256color";

/// How long a neighbour may take to be told a name, in which it may have to boot.
const TELLING: Duration = Duration::from_secs(60);

/// The code of a program that a signal ended, as shells have it.
const SIGNALLED: i64 = 128;

/// A provider together with the way into its machines.
pub(crate) struct OverSsh {
    inner: Arc<dyn Provider>,
    access: Arc<Access>,
    /// The machines that it has started.
    started: Mutex<HashSet<MachineId>>,
}

impl OverSsh {
    /// The provider itself, where commands can be run in its machines already; else the provider together with the way in.
    pub(crate) fn where_needed(inner: Arc<dyn Provider>, access: &Arc<Access>) -> Arc<dyn Provider> {
        if inner.doors().is_none() || inner.exec().is_some() {
            return inner;
        }
        Arc::new(Self { inner, access: access.clone(), started: Mutex::default() })
    }

    /// Tells a machine's name to its neighbours. Those that this command has started are told when they are entered for the first
    /// time. One that cannot be told now is told when it is entered next: it is no reason for this one to fail.
    async fn introduce(&self, cx: &Context, machine: &MachineRef) -> Result<()> {
        let Some(doors) = self.inner.doors() else { return Ok(()) };
        for id in doors.unaware(cx, machine).await? {
            let is_new = self.started.lock().is_ok_and(|started| started.contains(&id));
            if !self.access.has_door(&id) || (is_new && !self.access.is_open(&id)) {
                continue;
            }
            match self.access.introduced(&cx.within(TELLING), &id).await {
                Err(error) if error.is_cancelled() => {
                    return Err(failed(&format!("telling machine {id} of machine {machine}"), error));
                }
                Err(error) => cx.progress(Progress::step(error.to_string())),
                Ok(_) => {}
            }
        }
        Ok(())
    }

    /// Forgets the connection to a machine. Somebody may just be making one.
    async fn forget(&self, cx: &Context, machine: &MachineRef) -> Result<()> {
        let doing = format!("closing the connection to machine {machine}");
        let forget = async {
            self.access.forget(&machine.id).await;
            Ok(())
        };
        cx.run(&doing, forget).await
    }

    /// A connection to a machine that is there.
    async fn enter(&self, cx: &Context, doing: &str, machine: &MachineRef) -> Result<rig_ssh::Session> {
        match self.access.session(cx, &machine.id).await {
            Ok(session) => Ok(session),
            Err(error) => Err(match self.inner.inspect(cx, machine).await {
                Ok(None) => ProviderError::Absent { doing: doing.to_owned(), what: format!("machine {machine}") },
                _ => failed(doing, error),
            }),
        }
    }
}

fn failed(doing: &str, error: EngineError) -> ProviderError {
    if error.is_cancelled() {
        return ProviderError::Cancelled { doing: doing.to_owned() };
    }
    let hint = error.hint();
    let failed = ProviderError::failed(doing, error);
    match hint {
        Some(hint) => failed.hinted(hint),
        None => failed,
    }
}

/// The command as a line for the login shell, as root unless another user is asked for. Variables are on it for everybody in the
/// machine to see.
fn line(sudo: &str, request: &ExecRequest) -> String {
    let mut line = sudo.to_owned();
    match request.user.as_deref() {
        None | Some("root" | "0" | "0:0") => {}
        Some(user) => {
            let (user, group) = user.split_once(':').map_or((user, None), |(user, group)| (user, Some(group)));
            let number = |name: &str| {
                if name.bytes().all(|byte| byte.is_ascii_digit()) { format!("#{name}") } else { name.to_owned() }
            };
            line = format!("sudo -n -u {} ", quote(&number(user)));
            if let Some(group) = group {
                line += &format!("-g {} ", quote(&number(group)));
            }
        }
    }
    let mut words: Vec<String> = request.command.clone();
    if !request.env.is_empty() {
        let set = request.env.iter().map(|(name, value)| format!("{name}={value}"));
        words = ["env".to_owned()].into_iter().chain(set).chain(words).collect();
    }
    let words = words.iter().map(|word| quote(word)).collect::<Vec<_>>().join(" ");
    // By a shell, which says what is missing with the code that everybody knows: sudo has one code for all.
    let program = match &request.workdir {
        // The folder may be open to the user alone that the command is run as.
        Some(folder) => format!("cd {} && exec {words}", quote(folder)),
        None => format!("exec {words}"),
    };
    line + &format!("/bin/sh -c {}", quote(&program))
}

#[async_trait]
impl Exec for OverSsh {
    async fn exec(&self, cx: &Context, machine: &MachineRef, request: &ExecRequest) -> Result<ExecSession> {
        let doing = format!("running {} in machine {machine}", request.command.first().map_or("", String::as_str));
        let session = self.enter(cx, &doing, machine).await?;
        let terminal = request.terminal.map(|size| rig_ssh::Terminal {
            term: TERM.to_owned(),
            columns: u32::from(size.columns),
            rows: u32::from(size.rows),
        });
        let command = ExecCommand {
            line: line(crate::provision::sudo(&session), request),
            env: Vec::new(),
            stdin: request.stdin,
            terminal,
        };
        let over_ssh = |error| failed(&doing, EngineError::ssh(&machine.id, error));
        let running = cx.run(&doing, async { session.exec(&command).await.map_err(over_ssh) }).await?;
        let id = machine.id.clone();
        let events = running.events.map(move |event| match event {
            Ok(Event::Output(rig_ssh::Output::Stdout, bytes)) => Ok(ExecEvent::Output(Output::Stdout, bytes)),
            Ok(Event::Output(rig_ssh::Output::Stderr, bytes)) => Ok(ExecEvent::Output(Output::Stderr, bytes)),
            Ok(Event::Exited(code)) => Ok(ExecEvent::Exit(i64::from(code))),
            Ok(Event::Signalled { .. }) => Ok(ExecEvent::Exit(SIGNALLED)),
            Err(error) => Err(failed(&doing, EngineError::ssh(&id, error))),
        });
        let (sizes, mut wanted) = mpsc::channel::<Terminal>(4);
        let control = running.control;
        // Ends with the session, which owns the only sender.
        tokio::spawn(async move {
            while let Some(size) = wanted.recv().await {
                // A size that arrives after the command's end changes nothing.
                let _ = control.resize(u32::from(size.columns), u32::from(size.rows)).await;
            }
        });
        Ok(ExecSession {
            events: events.boxed(),
            stdin: running
                .stdin
                .map(|stdin| -> std::pin::Pin<Box<dyn tokio::io::AsyncWrite + Send>> { Box::pin(stdin) }),
            resize: request.terminal.is_some().then_some(sizes),
        })
    }
}

#[async_trait]
impl Dial for OverSsh {
    async fn dial(&self, cx: &Context, machine: &MachineRef, port: u16) -> Result<DialStream> {
        let doing = format!("connecting to port {port} of machine {machine}");
        let session = self.enter(cx, &doing, machine).await?;
        // Not through a forwarded port: the network that QEMU makes itself takes connections for which nobody listens.
        let tunnel =
            async { session.tunnel("127.0.0.1", port).await.map_err(|error| ProviderError::failed(&doing, error)) };
        Ok(Box::new(cx.run(&doing, tunnel).await?))
    }
}

#[async_trait]
impl Folders for OverSsh {
    async fn bring(&self, cx: &Context, machine: &MachineRef) -> Result<()> {
        let doing = format!("copying folders to machine {machine}");
        self.access.sync(cx, &machine.id).await.map_err(|error| failed(&doing, error))
    }
}

#[async_trait]
impl Suspension for OverSsh {
    async fn suspend(&self, cx: &Context, machine: &MachineRef) -> Result<()> {
        let Some(suspension) = self.inner.suspension() else { return Ok(()) };
        self.forget(cx, machine).await?;
        suspension.suspend(cx, machine).await
    }

    /// Tells the machine afterwards what it missed, the time first. One that cannot be entered goes on as it is.
    async fn resume(&self, cx: &Context, machine: &MachineRef) -> Result<()> {
        let Some(suspension) = self.inner.suspension() else { return Ok(()) };
        self.forget(cx, machine).await?;
        suspension.resume(cx, machine).await?;
        if !self.access.has_door(&machine.id) {
            return Ok(());
        }
        match self.access.introduced(&cx.within(TELLING), &machine.id).await {
            Err(error) if error.is_cancelled() => Err(failed(&format!("resuming machine {machine}"), error)),
            Err(error) => {
                cx.progress(Progress::step(format!("its clock is late: {error}")));
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }
}

#[async_trait]
impl Provider for OverSsh {
    fn id(&self) -> &ProviderId {
        self.inner.id()
    }
    async fn probe(&self, cx: &Context) -> Result<EngineFacts> {
        self.inner.probe(cx).await
    }
    fn validate(&self, machine: &MachineSpec, of_box: Option<&BoxSpec>) -> Vec<FieldIssue> {
        self.inner.validate(machine, of_box)
    }
    async fn workspaces(&self, cx: &Context) -> Result<BTreeSet<Name>> {
        self.inner.workspaces(cx).await
    }
    async fn observe(&self, cx: &Context, workspace: &Name, scope: ObserveScope) -> Result<Observed> {
        self.inner.observe(cx, workspace, scope).await
    }
    async fn inspect(&self, cx: &Context, machine: &MachineRef) -> Result<Option<ObservedMachine>> {
        self.inner.inspect(cx, machine).await
    }
    async fn create(&self, cx: &Context, machine: &ResolvedMachine) -> Result<()> {
        self.inner.create(cx, machine).await
    }
    /// Gives the machine its keys first: they may be newer than the machine.
    async fn start(&self, cx: &Context, machine: &MachineRef) -> Result<()> {
        if let Some(doors) = self.inner.doors() {
            let doing = format!("giving machine {machine} its keys");
            let keys = self.access.door_keys(&machine.id).await.map_err(|error| failed(&doing, error))?;
            if let Some(keys) = keys {
                doors.furnish(cx, machine, &keys).await?;
            }
        }
        self.forget(cx, machine).await?;
        self.inner.start(cx, machine).await?;
        if let Ok(mut started) = self.started.lock() {
            started.insert(machine.id.clone());
        }
        self.introduce(cx, machine).await
    }
    async fn stop(&self, cx: &Context, machine: &MachineRef, mode: StopMode) -> Result<()> {
        self.forget(cx, machine).await?;
        self.inner.stop(cx, machine, mode).await
    }
    async fn destroy(&self, cx: &Context, machine: &MachineRef) -> Result<()> {
        self.forget(cx, machine).await?;
        self.inner.destroy(cx, machine).await
    }
    async fn endpoint(&self, cx: &Context, machine: &MachineRef) -> Result<Option<Endpoint>> {
        let seen = self.inner.inspect(cx, machine).await?;
        Ok(seen.filter(|seen| seen.state.is_running()).map(|_| Endpoint::Exec))
    }
    fn images(&self) -> Option<&dyn Images> {
        self.inner.images()
    }
    fn exec(&self) -> Option<&dyn Exec> {
        Some(self)
    }
    fn dial(&self) -> Option<&dyn Dial> {
        Some(self)
    }
    fn doors(&self) -> Option<&dyn Doors> {
        self.inner.doors()
    }
    fn logs(&self) -> Option<&dyn Logs> {
        self.inner.logs()
    }
    fn networks(&self) -> Option<&dyn Networks> {
        self.inner.networks()
    }
    fn volumes(&self) -> Option<&dyn Volumes> {
        self.inner.volumes()
    }
    fn changes(&self) -> Option<&dyn Changes> {
        self.inner.changes()
    }
    fn usage(&self) -> Option<&dyn Usage> {
        self.inner.usage()
    }
    fn suspension(&self) -> Option<&dyn Suspension> {
        self.inner.suspension().map(|_| -> &dyn Suspension { self })
    }
    fn snapshots(&self) -> Option<&dyn Snapshots> {
        self.inner.snapshots()
    }
    fn forwards(&self) -> Option<&dyn Forwards> {
        self.inner.forwards()
    }
    fn folders(&self) -> Option<&dyn Folders> {
        let copies = self.inner.doors().is_some_and(Doors::copies_folders);
        if copies { Some(self) } else { self.inner.folders() }
    }
    fn packaging(&self) -> Option<&dyn Packaging> {
        self.inner.packaging()
    }
    fn watch(&self) -> Option<&dyn Watch> {
        self.inner.watch()
    }
}
