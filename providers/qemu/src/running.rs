//! Machines are started and stopped.

use crate::{
    QemuProvider,
    arguments::Start,
    boot::Boot,
    firmware::{self, Firmware},
    hosts::{guest, guests, seed},
    programs,
    provider::SSH,
    record::{Record, Run},
};
use jiff::Timestamp;
use rig_hypervisor::{Keys, Lock, files, free_port, neighbours};
use rig_model::{Exit, MachineState, PublishedPort};
use rig_provider_api::{Context, MachineRef, ProviderError, Result, StopMode};
use std::time::Duration;
use tokio::{process::Command, time::Instant};

/// How often a port for SSH is looked for, when somebody else takes it before QEMU does.
const TRIES: u32 = 5;

/// How often the power button is pressed: a machine that has just been started does not notice the first time.
const PRESS: Duration = Duration::from_secs(2);

/// How long QEMU may take to end after it was told to.
const END: Duration = Duration::from_secs(10);

/// The pause between two looks at something that is about to happen.
const PAUSE: Duration = Duration::from_millis(20);

/// The exit codes of a machine that ended in order, and of one that was killed.
const ORDERLY: Exit = Exit { code: 0, out_of_memory: false };
const KILLED: Exit = Exit { code: 137, out_of_memory: false };

/// What QEMU says when another one has the machine's lock.
const LOCKED: &str = "Cannot lock pid file";

/// What QEMU says when a port of this host is taken.
pub(crate) const TAKEN: &str = "Could not set up host forwarding rule";

impl QemuProvider {
    /// Starts a machine that does not run.
    pub(crate) async fn launch(&self, cx: &Context, machine: &MachineRef) -> Result<()> {
        let doing = format!("starting machine {machine}");
        let absent = || ProviderError::Absent { doing: doing.clone(), what: format!("machine {machine}") };
        self.found(cx, machine).await?.ok_or_else(absent)?;
        let lock = Lock::take(cx, &doing, self.layout.machine_lock(machine)).await?;
        let mut record = self.record(cx, &doing, machine).await?;
        let accelerator = self.accelerator(cx).await?;
        let place = self.layout.machine(machine);
        let of_box = self.box_place(&record.image);
        let (monitor, pid) = (self.layout.monitor(&record.identity), self.layout.pid(&record.identity));
        let mut tries = 0;
        loop {
            match self.settled(cx, &doing, &record).await? {
                MachineState::Running => return Ok(()),
                MachineState::Paused => {
                    // A suspension that was cut at its end may have written down that the memory is on the disk. From here on it is
                    // old, and the disk that belongs to it too.
                    let old = |known: &mut Record, held: Lock| {
                        if let Some(run) = &mut known.run {
                            (run.suspended, run.snapshot, run.told) = (false, None, None);
                        }
                        drop(held);
                    };
                    self.update(cx, &doing, machine, old, lock.clone()).await?;
                    return self.resume(cx, &doing, &record).await;
                }
                // A machine whose processor has failed may still hold its memory.
                _ => self.end(cx, &doing, &record).await?,
            }
            self.bring_back(cx, &doing, machine, &mut record, &lock).await?;
            let before = record.run.clone();
            let memory = before.as_ref().and_then(Run::memory);
            let used_up = before.as_ref().is_some_and(Run::is_used_up);
            let run = self.prepare(cx, &doing, &lock, machine, &mut record).await?;
            let firmware = record.firmware.unwrap_or(Firmware::NATIVE).file();
            let start = Start {
                record: &record,
                firmware: firmware.as_deref(),
                run: &run,
                accelerator,
                place: &place,
                of_box: &of_box,
                monitor: &monitor,
                pid: &pid,
                memory: memory.as_deref(),
            };
            // QEMU is not killed when this call is: it may be half way into the background.
            let mut command = Command::new(&self.programs.system);
            command.args(start.arguments());
            let error = match programs::run(cx, &doing, &mut command).await {
                Ok(_) if used_up => return self.drop_memory(cx, &doing, &record).await,
                Ok(_) => return Ok(()),
                Err(error @ ProviderError::Failed { .. }) => error,
                // It may come up all the same, and then with what was written for it.
                Err(error) => return Err(error),
            };
            // What was written for this start is not true.
            record.run = before;
            let held = lock.clone();
            let back = move |known: &mut Record, run| {
                known.run = run;
                drop(held);
            };
            self.update(cx, &doing, machine, back, record.run.clone()).await?;
            let said = said(&error);
            let taken = said.contains(TAKEN) && said.contains(&format!(":{}-:{SSH}'", run.ssh));
            tries += u32::from(taken);
            // A call that was cut is starting it; or the port went to somebody else before QEMU took it.
            let again = said.contains(LOCKED) || (taken && tries < TRIES);
            if !again {
                let error = explained(error, &said, &record.ports);
                let forget = "`rig halt` makes it forget what it held in memory, and `rig up` boots it";
                return Err(if memory.is_some() && error.hint().is_none() { error.hinted(forget) } else { error });
            }
        }
    }

    /// What a machine is doing when QEMU answers or is not there: one that is coming up may still fail.
    pub(crate) async fn settled(&self, cx: &Context, doing: &str, record: &Record) -> Result<MachineState> {
        while self.monitor(cx, record).await?.is_none() && self.is_alive(cx, record).await? {
            pause(cx, doing).await?;
        }
        self.state(cx, record).await
    }

    /// Writes down what the next run is known by, and the disk that tells the machine who it is. What it held in memory is not
    /// there for a second time from here on: a run that is lost with its rig ends as if it had lost its power.
    async fn prepare(
        &self,
        cx: &Context,
        doing: &str,
        lock: &Lock,
        machine: &MachineRef,
        record: &mut Record,
    ) -> Result<Run> {
        let (place, machines) = (self.layout.machine(machine), self.layout.machines());
        let (mut planned, held) = (record.clone(), lock.clone());
        let work = files::blocking(doing, move || {
            let _held = held;
            let ssh = free_port()?;
            let run = match &planned.run {
                // It has read who it is.
                Some(run) if run.suspended => run.going_on(ssh),
                _ => {
                    let all = Record::of(&machines, &planned.workspace)?;
                    let (own, guests) = (guest(&planned), guests(&all));
                    let told = neighbours(&own, &guests).map(|other| other.id.clone()).collect();
                    let keys = Keys::load(&place.keys())?;
                    files::write(&place.seed(), &seed(&planned, keys.as_ref(), &all)?)?;
                    Run {
                        started: Timestamp::now(),
                        ssh,
                        // Others read their seed once, or never.
                        told: (planned.boot == Boot::Kernel).then_some(told),
                        ended: None,
                        suspended: false,
                        snapshot: None,
                    }
                }
            };
            planned.run = Some(run.clone());
            planned.save(&place)?;
            Ok(run)
        });
        let run = cx.run(doing, work).await?;
        record.run = Some(run.clone());
        Ok(run)
    }

    /// Lets a frozen machine go on.
    async fn resume(&self, cx: &Context, doing: &str, record: &Record) -> Result<()> {
        let Some(mut monitor) = self.monitor(cx, record).await? else { return Ok(()) };
        monitor.ask(cx, doing, "cont", serde_json::json!({})).await.map(drop)
    }

    /// Stops a machine: by its power button, or by ending QEMU.
    pub(crate) async fn halt(&self, cx: &Context, machine: &MachineRef, mode: StopMode) -> Result<()> {
        let doing = format!("stopping machine {machine}");
        let Some(record) = self.found(cx, machine).await? else { return Ok(()) };
        if !self.is_alive(cx, &record).await? {
            if self.state(cx, &record).await? == MachineState::Suspended {
                let lock = Lock::take(cx, &doing, self.layout.machine_lock(machine)).await?;
                // In this order: a snapshot that nobody speaks of goes with the next suspension.
                let used_up = record.run.as_ref().is_some_and(Run::is_used_up);
                self.update(cx, &doing, machine, Record::set_ended, KILLED).await?;
                if used_up {
                    self.forget_memory(cx, &doing, &self.layout.machine(machine), lock).await?;
                }
            }
            return Ok(());
        }
        let runs = self.state(cx, &record).await?.is_running();
        let ended = match mode {
            StopMode::Graceful(grace) if runs && self.power_off(cx, &doing, &record, grace).await? => ORDERLY,
            StopMode::Graceful(_) | StopMode::Kill => {
                self.end(cx, &doing, &record).await?;
                KILLED
            }
        };
        self.update(cx, &doing, machine, Record::set_ended, ended).await
    }

    /// Presses the power button until the machine has ended; `false` when it has not in time.
    async fn power_off(&self, cx: &Context, doing: &str, record: &Record, grace: Duration) -> Result<bool> {
        let end = Instant::now() + grace;
        while Instant::now() < end {
            let Some(mut monitor) = self.monitor(cx, record).await? else { return self.gone(cx, doing, record).await };
            // A frozen machine notices nothing. One that ends at this moment takes no commands.
            let _ = monitor.ask(cx, doing, "cont", serde_json::json!({})).await;
            let _ = monitor.ask(cx, doing, "system_powerdown", serde_json::json!({})).await;
            let patience = PRESS.min(end.saturating_duration_since(Instant::now()));
            match monitor.until(&cx.within(patience), doing, "SHUTDOWN").await {
                Ok(_) => {
                    drop(monitor);
                    return self.gone(cx, doing, record).await;
                }
                Err(ProviderError::TimedOut { .. }) if Instant::now() < cx.deadline() => {}
                Err(error) => return Err(error),
            }
        }
        Ok(false)
    }

    /// Ends QEMU at once, whatever its machine is doing. Nothing to end is success.
    pub(crate) async fn end(&self, cx: &Context, doing: &str, record: &Record) -> Result<()> {
        let end = Instant::now() + END;
        while self.is_alive(cx, record).await? {
            if let Some(mut monitor) = self.monitor(cx, record).await? {
                // The connection ends with QEMU, perhaps before the answer.
                match monitor.ask(cx, doing, "quit", serde_json::json!({})).await {
                    Err(error @ (ProviderError::Cancelled { .. } | ProviderError::TimedOut { .. })) => {
                        return Err(error);
                    }
                    _ => drop(monitor),
                }
            }
            if Instant::now() > end {
                let why = format!("QEMU has not ended within {} s", END.as_secs());
                return Err(ProviderError::failed(doing, why));
            }
            pause(cx, doing).await?;
        }
        Ok(())
    }

    /// Waits until QEMU has ended; `false` when it has not in time.
    async fn gone(&self, cx: &Context, doing: &str, record: &Record) -> Result<bool> {
        let end = Instant::now() + END;
        while self.is_alive(cx, record).await? {
            if Instant::now() > end {
                return Ok(false);
            }
            pause(cx, doing).await?;
        }
        Ok(true)
    }

    /// Changes what is written of a machine, if it is still there.
    pub(crate) async fn update<T: Send + 'static>(
        &self,
        cx: &Context,
        doing: &str,
        machine: &MachineRef,
        change: impl FnOnce(&mut Record, T) + Send + 'static,
        value: T,
    ) -> Result<()> {
        let place = self.layout.machine(machine);
        let work = files::blocking(doing, move || {
            let Some(mut known) = Record::load(&place)? else { return Ok(()) };
            change(&mut known, value);
            known.save(&place)
        });
        cx.run(doing, work).await
    }
}

/// Waits for a moment.
async fn pause(cx: &Context, doing: &str) -> Result<()> {
    let sleep = async {
        tokio::time::sleep(PAUSE).await;
        Ok(())
    };
    cx.run(doing, sleep).await
}

/// Everything that QEMU said.
fn said(error: &ProviderError) -> String {
    std::iter::once(error.to_string()).chain(error.tail().iter().cloned()).collect::<Vec<_>>().join("\n")
}

/// What QEMU said, with what to do about it.
fn explained(error: ProviderError, said: &str, ports: &[PublishedPort]) -> ProviderError {
    if said.contains(TAKEN) {
        let taken = ports.iter().find(|port| said.contains(&format!(":{}-:{}'", port.host, port.guest)));
        let which = taken.map_or_else(|| "a port".to_owned(), |port| format!("port {}", port.host));
        return error.hinted(format!(
            "{which} of this host is taken: stop what has it, or write another number, or `host=\"auto\"`"
        ));
    }
    if firmware::MISSING.iter().any(|words| said.contains(words)) {
        return error.hinted(firmware::HINT);
    }
    if said.contains("Cannot allocate memory") {
        return error.hinted("this host has not so much memory: write less into `memory`, or halt other machines");
    }
    error
}
