//! What is seen of machines: their records, and what answers at their monitors.

use crate::{QemuProvider, monitor::Monitor, network::Multicast, record::Record};
use futures_util::{StreamExt, TryStreamExt, stream};
use rig_hypervisor::files;
use rig_model::{HostPortUse, MachineState, Name, Observed, ObservedMachine};
use rig_provider_api::{Context, MachineRef, ObserveScope, ProviderError, Result};
use rustix::{fs::FlockOperation, io::Errno};
use std::{
    io::ErrorKind,
    time::{Duration, Instant},
};
use tokio::net::UnixStream;

/// How many monitors are asked at once.
const AT_ONCE: usize = 16;

/// How long a monitor may be busy with somebody else: it serves one connection at a time.
const PATIENCE: Duration = Duration::from_secs(20);

/// The pause between two tries of a monitor.
const PAUSE: Duration = Duration::from_millis(20);

impl QemuProvider {
    /// A machine's record; nothing where there is no machine.
    pub(crate) async fn found(&self, cx: &Context, machine: &MachineRef) -> Result<Option<Record>> {
        let doing = format!("looking at machine {machine}");
        let place = self.layout.machine(machine);
        cx.run(&doing, files::blocking(&doing, move || Record::load(&place))).await
    }

    /// The record of a machine that must be there.
    pub(crate) async fn record(&self, cx: &Context, doing: &str, machine: &MachineRef) -> Result<Record> {
        let absent = || ProviderError::Absent { doing: doing.to_owned(), what: format!("machine {machine}") };
        self.found(cx, machine).await?.ok_or_else(absent)
    }

    /// A connection to the monitor of a machine; nothing when it does not run.
    pub(crate) async fn monitor(&self, cx: &Context, record: &Record) -> Result<Option<Monitor<UnixStream>>> {
        let path = self.layout.monitor(&record.identity);
        let doing = format!("asking QEMU about machine {}", record.id);
        let end = Instant::now() + PATIENCE;
        let cx = cx.within(PATIENCE);
        loop {
            let stream = match cx.run(&doing, async { Ok(UnixStream::connect(&path).await) }).await? {
                Ok(stream) => stream,
                // What a machine that ended left behind.
                Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) => {
                    return Ok(None);
                }
                Err(error) if Instant::now() > end => return Err(ProviderError::failed(doing, error)),
                // Too many are in line already, or it ended while they were.
                Err(_) => {
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
            };
            let ours = async {
                let mut monitor = Monitor::greet(&cx, stream).await?;
                let uuid = monitor.uuid(&cx).await?;
                Ok::<_, ProviderError>((monitor, uuid))
            };
            match ours.await {
                Ok((monitor, uuid)) if uuid == record.identity => return Ok(Some(monitor)),
                Ok((_, uuid)) => {
                    return Err(ProviderError::failed(doing, format!("machine {uuid} answers in its place")));
                }
                Err(error @ (ProviderError::Cancelled { .. } | ProviderError::TimedOut { .. })) => return Err(error),
                // It ended while it was asked, or is about to: the next connection is refused.
                Err(error) if Instant::now() > end => return Err(error),
                Err(_) => tokio::time::sleep(PAUSE).await,
            }
        }
    }

    /// Whether QEMU runs for a machine, whatever the machine is doing.
    pub(crate) async fn is_alive(&self, cx: &Context, record: &Record) -> Result<bool> {
        Ok(self.is_locked(cx, record).await? || self.monitor(cx, record).await?.is_some())
    }

    /// Whether QEMU holds a machine's file with the process number, which it does from before its monitor answers until it ends.
    async fn is_locked(&self, cx: &Context, record: &Record) -> Result<bool> {
        let (doing, path) = (format!("looking for QEMU of machine {}", record.id), self.layout.pid(&record.identity));
        let work = files::blocking(&doing, move || {
            let failed = |error: std::io::Error| ProviderError::failed(format!("looking at {path}"), error);
            let open = fs_err::OpenOptions::new().read(true).write(true).open(&path);
            let Some(file) = files::present(open).map_err(failed)? else { return Ok(false) };
            // It is open again when the file is closed.
            match rustix::fs::fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => Ok(false),
                Err(Errno::AGAIN | Errno::ACCESS) => Ok(true),
                Err(error) => Err(failed(error.into())),
            }
        });
        cx.run(&doing, work).await
    }

    /// What a machine is doing.
    pub(crate) async fn state(&self, cx: &Context, record: &Record) -> Result<MachineState> {
        // What is written may be wrong: of a start that was cut nothing is known but what answers.
        let Some(mut monitor) = self.monitor(cx, record).await? else {
            return Ok(match &record.run {
                _ if self.is_locked(cx, record).await? => MachineState::Running,
                None => MachineState::Created,
                Some(run) if run.suspended => MachineState::Suspended,
                Some(_) => MachineState::Exited,
            });
        };
        Ok(match monitor.status(cx).await {
            Ok(status) => match status.status.as_str() {
                "running" | "prelaunch" => MachineState::Running,
                "shutdown" | "guest-panicked" | "internal-error" => MachineState::Exited,
                // `paused`, `suspended`, `restore-vm`, …: it is there and does nothing.
                _ => MachineState::Paused,
            },
            Err(error @ (ProviderError::Cancelled { .. } | ProviderError::TimedOut { .. })) => return Err(error),
            // It ended while it was asked.
            Err(_) => MachineState::Exited,
        })
    }

    /// A machine as it is.
    pub(crate) async fn observed(&self, cx: &Context, record: Record) -> Result<ObservedMachine> {
        let state = self.state(cx, &record).await?;
        Ok(ObservedMachine {
            provider: self.id.clone(),
            native: record.identity,
            state,
            digest: Some(record.digest),
            fields: record.fields,
            image: record.image,
            addresses: record.cards.into_iter().filter_map(|card| Some((card.network?, card.card.ip))).collect(),
            ports: record.ports,
            id: record.id,
            group: record.group,
            index: record.index,
            started: None,
            restarts: None,
            exit: None,
            ready: None,
            process: None,
        })
    }

    /// Everything of a workspace.
    pub(crate) async fn observe_all(&self, cx: &Context, workspace: &Name, scope: ObserveScope) -> Result<Observed> {
        let doing = "looking at QEMU's machines";
        let (machines, networks, provider) = (self.layout.machines(), self.layout.networks(), self.id.clone());
        let of = workspace.clone();
        let work = files::blocking(doing, move || {
            let mut observed = Observed::default();
            if scope.networks {
                networks.observe::<Multicast>(&provider, &of, &mut observed)?;
            }
            let others = if scope.host_ports { Record::of_others(&machines, &of) } else { Vec::new() };
            Ok((Record::of(&machines, &of)?, others, observed))
        });
        let (own, others, mut observed) = cx.run(doing, work).await?;
        let looks = own.into_iter().map(|record| self.observed(cx, record));
        observed.machines = stream::iter(looks).buffered(AT_ONCE).try_collect().await?;
        observed.machines.sort_by(|a, b| (&a.id.topology, &a.group, a.index).cmp(&(&b.id.topology, &b.group, b.index)));
        for record in others {
            let owner = format!("machine {} of workspace {}", record.id, record.workspace);
            observed.host_ports.extend(record.ports.iter().map(|port| HostPortUse {
                port: port.host,
                protocol: port.protocol,
                owner: owner.clone(),
            }));
        }
        if scope.boxes {
            observed.boxes = self.list_boxes(cx).await?;
        }
        Ok(observed)
    }
}
