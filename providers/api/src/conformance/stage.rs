//! What cases do again and again.

use super::{
    Failure, Fixture, Outcome,
    case::{ensure, ensure_eq},
};
use crate::{Context, ExecEvent, ExecRequest, MachineRef, Networks, ObserveScope, Provider};
use futures_util::{StreamExt, TryStreamExt};
use rig_model::{
    Attachment, Idiom, Limits, MachineId, MachineState, Name, ObservedMachine, ObservedNetwork, ResolvedMachine,
    ResolvedNetwork, RestartPolicy, Security, Stream, usable,
};
use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};
use tokio::{io::AsyncWriteExt, time::Instant};

/// How long a change may take until it is seen.
const PATIENCE: Duration = Duration::from_secs(15);

/// The pause between two looks.
pub(super) const PAUSE: Duration = Duration::from_millis(50);

/// A provider and what a case makes of it.
pub(super) struct Stage<'a> {
    pub(super) provider: &'a dyn Provider,
    pub(super) fixture: &'a Fixture,
    pub(super) cx: Context,
    /// Addresses given out so far.
    given: AtomicUsize,
}

/// What a command did.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Ran {
    pub(super) stdout: Vec<u8>,
    pub(super) stderr: Vec<u8>,
    pub(super) exit: i64,
}

impl Ran {
    /// Standard output without the line end.
    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).trim_end().to_owned()
    }
}

/// A name that a case is written with.
#[expect(clippy::expect_used, reason = "the names are constants of the suite, and every run of it uses them")]
pub(super) fn name(text: &str) -> Name {
    Name::new(text).expect("a name of the suite")
}

/// The names of the two networks, in the order of the fixture's ranges.
const NETWORKS: [&str; 2] = ["front", "back"];

impl<'a> Stage<'a> {
    pub(super) fn new(provider: &'a dyn Provider, fixture: &'a Fixture) -> Self {
        Self { provider, fixture, cx: Context::alone(fixture.limit), given: AtomicUsize::new(0) }
    }

    /// The provider's networks; cases that come here have named the need.
    pub(super) fn networks(&self) -> Outcome<&'a dyn Networks> {
        self.provider.networks().ok_or_else(|| Failure::new("the provider has no networks"))
    }

    /// The first or second network, decided but not made.
    pub(super) fn network(&self, number: usize) -> ResolvedNetwork {
        ResolvedNetwork {
            topology: name("conformance"),
            name: name(NETWORKS[number]),
            subnet: self.fixture.subnets[number],
            internal: false,
        }
    }

    /// Makes a network.
    pub(super) async fn make(&self, network: &ResolvedNetwork) -> Outcome {
        Ok(self.networks()?.create_network(&self.cx, &self.fixture.workspace, network).await?)
    }

    /// A network as it is seen.
    pub(super) async fn seen_networks(&self) -> Outcome<Vec<ObservedNetwork>> {
        let scope = ObserveScope { networks: true, ..ObserveScope::MACHINES };
        Ok(self.provider.observe(&self.cx, &self.fixture.workspace, scope).await?.networks)
    }

    /// A machine on the first network that runs until it is stopped, decided but not made.
    pub(super) fn machine(&self, machine: &str) -> ResolvedMachine {
        ResolvedMachine {
            workspace: self.fixture.workspace.clone(),
            id: MachineId::new(name("conformance"), name(machine)),
            group: name(machine),
            index: None,
            role: None,
            idiom: Idiom::Immutable,
            provider: self.provider.id().clone(),
            box_name: self.fixture.box_name.clone(),
            image: self.fixture.image.clone(),
            flavor: None,
            hostname: machine.to_owned(),
            networks: self.provider.networks().map(|_| self.attachment(0)).into_iter().collect(),
            command: self.fixture.long_running.clone(),
            env: BTreeMap::new(),
            host_env: BTreeMap::new(),
            ports: Vec::new(),
            mounts: Vec::new(),
            tmpfs: Vec::new(),
            limits: Limits::default(),
            security: Security::default(),
            restart: RestartPolicy::No,
            stop_timeout: Duration::from_secs(10),
            options: Vec::new(),
        }
    }

    /// A place on a network with an address that no other machine of the case has.
    pub(super) fn attachment(&self, network: usize) -> Attachment {
        let given = self.given.fetch_add(1, Ordering::Relaxed);
        Attachment { network: name(NETWORKS[network]), ip: usable(&self.fixture.subnets[network]).nth(given) }
    }

    /// Makes a machine, its networks first.
    pub(super) async fn create(&self, machine: &ResolvedMachine) -> Outcome {
        for (number, network) in NETWORKS.iter().enumerate() {
            if machine.networks.iter().any(|attachment| attachment.network.as_str() == *network) {
                self.make(&self.network(number)).await?;
            }
        }
        Ok(self.provider.create(&self.cx, machine).await?)
    }

    /// Makes and starts a machine.
    pub(super) async fn up(&self, machine: &ResolvedMachine) -> Outcome {
        self.create(machine).await?;
        self.start(machine).await
    }

    /// Makes and starts a machine that runs until it is stopped.
    pub(super) async fn running(&self, name: &str) -> Outcome<ResolvedMachine> {
        let machine = self.machine(name);
        self.up(&machine).await?;
        Ok(machine)
    }

    pub(super) async fn start(&self, machine: &ResolvedMachine) -> Outcome {
        Ok(self.provider.start(&self.cx, &reference(machine)).await?)
    }

    pub(super) async fn destroy(&self, machine: &ResolvedMachine) -> Outcome {
        Ok(self.provider.destroy(&self.cx, &reference(machine)).await?)
    }

    /// A machine as an observation shows it.
    pub(super) async fn find(&self, machine: &ResolvedMachine) -> Outcome<Option<ObservedMachine>> {
        let observed = self.provider.observe(&self.cx, &machine.workspace, ObserveScope::MACHINES).await?;
        let mut same = observed.machines.into_iter().filter(|seen| seen.id == machine.id);
        let found = same.next();
        ensure!(same.next().is_none(), "machine {} is there twice", machine.id);
        Ok(found)
    }

    /// A machine that must be there.
    pub(super) async fn seen(&self, machine: &ResolvedMachine) -> Outcome<ObservedMachine> {
        self.find(machine).await?.ok_or_else(|| Failure::new(format!("machine {} is not observed", machine.id)))
    }

    /// A closer look at a machine that must be there.
    pub(super) async fn inspected(&self, machine: &ResolvedMachine) -> Outcome<ObservedMachine> {
        let seen = self.provider.inspect(&self.cx, &reference(machine)).await?;
        seen.ok_or_else(|| Failure::new(format!("machine {} cannot be looked at", machine.id)))
    }

    /// Waits until a machine is in a state.
    pub(super) async fn until(&self, machine: &ResolvedMachine, state: MachineState) -> Outcome {
        let end = Instant::now() + PATIENCE;
        loop {
            let seen = self.seen(machine).await?.state;
            if seen == state {
                return Ok(());
            }
            ensure!(Instant::now() < end, "machine {} is {seen}, not {state}", machine.id);
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Runs a shell's line in a machine.
    pub(super) async fn shell(&self, machine: &ResolvedMachine, line: &str) -> Outcome<Ran> {
        let request = ExecRequest { command: Fixture::shell(line), ..ExecRequest::default() };
        self.exec(machine, &request, &[]).await
    }

    /// Runs a shell's line that must end with 0, and returns what it printed.
    pub(super) async fn output(&self, machine: &ResolvedMachine, line: &str) -> Outcome<String> {
        let ran = self.shell(machine, line).await?;
        ensure_eq!(
            ran.exit,
            0,
            "{line:?} printed {:?} and {:?}; its exit code",
            ran.text(),
            String::from_utf8_lossy(&ran.stderr)
        );
        Ok(ran.text())
    }

    /// Repeats a shell's line until it ends with 0, for what needs a moment after a start.
    pub(super) async fn eventually(&self, machine: &ResolvedMachine, line: &str) -> Outcome<String> {
        let end = Instant::now() + PATIENCE;
        loop {
            let ran = self.shell(machine, line).await?;
            if ran.exit == 0 {
                return Ok(ran.text());
            }
            ensure!(
                Instant::now() < end,
                "{line:?} still ends with {}: {}",
                ran.exit,
                String::from_utf8_lossy(&ran.stderr)
            );
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Runs a command to its end, its input written and closed beside reading its output.
    pub(super) async fn exec(&self, machine: &ResolvedMachine, request: &ExecRequest, input: &[u8]) -> Outcome<Ran> {
        let exec = self.provider.exec().ok_or_else(|| Failure::new("the provider runs no commands"))?;
        let mut session = exec.exec(&self.cx, &reference(machine), request).await?;
        let stdin = session.stdin.take();
        ensure_eq!(stdin.is_some(), request.stdin, "whether the session has an input");
        let write = async {
            if let Some(mut stdin) = stdin {
                stdin.write_all(input).await?;
                stdin.flush().await?;
                // Dropped without a shutdown: the seam says that this closes the input.
            }
            std::io::Result::Ok(())
        };
        let read = async {
            let mut ran = Ran { stdout: Vec::new(), stderr: Vec::new(), exit: -1 };
            let mut over = false;
            while let Some(event) = session.events.try_next().await? {
                ensure!(!over, "something follows the exit code: {event:?}");
                match event {
                    ExecEvent::Output(Stream::Stdout, bytes) => ran.stdout.extend_from_slice(&bytes),
                    ExecEvent::Output(Stream::Stderr, bytes) => ran.stderr.extend_from_slice(&bytes),
                    ExecEvent::Exit(code) => {
                        ran.exit = code;
                        over = true;
                    }
                }
            }
            ensure!(over, "the session of {:?} ended without an exit code", request.command);
            Ok(ran)
        };
        let (written, ran) = tokio::join!(write, read);
        written.map_err(|error| Failure::new(format!("writing the input of {:?}: {error}", request.command)))?;
        ran
    }

    /// A machine's log so far, as text of both streams.
    pub(super) async fn log(
        &self,
        machine: &ResolvedMachine,
        request: &crate::LogRequest,
    ) -> Outcome<(String, String)> {
        let logs = self.provider.logs().ok_or_else(|| Failure::new("the provider has no logs"))?;
        let mut events = logs.logs(&self.cx, &reference(machine), request).await?;
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        while let Some(event) = events.next().await {
            let event = event?;
            match event.stream {
                Stream::Stdout => stdout.extend_from_slice(&event.bytes),
                Stream::Stderr => stderr.extend_from_slice(&event.bytes),
            }
        }
        Ok((String::from_utf8_lossy(&stdout).into_owned(), String::from_utf8_lossy(&stderr).into_owned()))
    }
}

/// How a provider is told which machine is meant.
pub(super) fn reference(machine: &ResolvedMachine) -> MachineRef {
    MachineRef { workspace: machine.workspace.clone(), id: machine.id.clone() }
}
