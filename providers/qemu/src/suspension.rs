//! Machines stop in the middle and go on later: what they hold in memory is a snapshot in their disk's file, from which the next
//! run begins. It is of one use: what was written to the disk since would not be there.

use crate::{
    QemuProvider,
    arguments::DISK,
    layout::MachinePlace,
    monitor::Monitor,
    record::{Record, Run},
    snapshots::tag,
};
use async_trait::async_trait;
use rig_hypervisor::Lock;
use rig_model::{MachineState, Progress};
use rig_provider_api::{Context, MachineRef, ProviderError, Result, Suspension};
use serde_json::json;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};

/// The snapshot's name in the disk's file.
pub(crate) const MEMORY: &str = "rig-suspended";

/// The pause between two looks at a job of QEMU.
const PAUSE: Duration = Duration::from_millis(50);

#[async_trait]
impl Suspension for QemuProvider {
    async fn suspend(&self, cx: &Context, machine: &MachineRef) -> Result<()> {
        let doing = format!("suspending machine {machine}");
        self.record(cx, &doing, machine).await?;
        let lock = Lock::take(cx, &doing, self.layout.machine_lock(machine)).await?;
        let record = self.record(cx, &doing, machine).await?;
        match self.state(cx, &record).await? {
            MachineState::Running => {}
            state if state.can_resume() => return Ok(()),
            state => return Err(ProviderError::failed(doing, format!("it is {state}"))),
        }
        let ended = || ProviderError::failed(&doing, "it has ended");
        let mut monitor = self.monitor(cx, &record).await?.ok_or_else(ended)?;
        monitor.ask(cx, &doing, "stop", json!({})).await?;
        cx.progress(Progress::step("writing its memory to its disk"));
        if let Err(error) = save(&mut monitor, cx, &doing).await {
            // It runs on. One that is cut stays frozen, and goes on when it is resumed.
            if matches!(error, ProviderError::Failed { .. }) {
                monitor.ask(cx, &doing, "cont", json!({})).await?;
            }
            return Err(error);
        }
        drop(monitor);
        let set = |known: &mut Record, held: Lock| {
            if let Some(run) = &mut known.run {
                (run.suspended, run.snapshot) = (true, None);
            }
            drop(held);
        };
        self.update(cx, &doing, machine, set, lock.clone()).await?;
        self.end(cx, &doing, &record).await
    }

    async fn resume(&self, cx: &Context, machine: &MachineRef) -> Result<()> {
        let doing = format!("resuming machine {machine}");
        let record = self.record(cx, &doing, machine).await?;
        match self.state(cx, &record).await? {
            MachineState::Running => Ok(()),
            state if state.can_resume() => self.launch(cx, machine).await,
            state => Err(ProviderError::failed(doing, format!("it is {state}")).hinted("`rig up` starts it")),
        }
    }
}

impl QemuProvider {
    /// Forgets what a machine that does not run held in memory.
    pub(crate) async fn forget_memory(
        &self,
        cx: &Context,
        doing: &str,
        place: &MachinePlace,
        lock: Lock,
    ) -> Result<()> {
        self.of_disk(cx, doing, place, ("-d", MEMORY), lock).await
    }

    /// Removes the memory of a machine that goes on with it: it takes room, and is of no use any more. What is left here goes with
    /// the next suspension.
    pub(crate) async fn drop_memory(&self, cx: &Context, doing: &str, record: &Record) -> Result<()> {
        let Some(mut monitor) = self.monitor(cx, record).await? else { return Ok(()) };
        delete(&mut monitor, cx, doing, MEMORY).await
    }
}

impl Run {
    /// The same run, from which the next one goes on.
    pub(crate) fn going_on(&self, ssh: u16) -> Self {
        Self { ssh, told: None, suspended: false, snapshot: None, ..self.clone() }
    }

    /// The name in the disk's file of what the machine held in memory, if it goes on from there.
    pub(crate) fn memory(&self) -> Option<String> {
        self.suspended.then(|| self.snapshot.as_ref().map_or_else(|| MEMORY.to_owned(), tag))
    }

    /// Whether what it held in memory is of one use.
    pub(crate) fn is_used_up(&self) -> bool {
        self.suspended && self.snapshot.is_none()
    }
}

async fn save<S: AsyncRead + AsyncWrite>(monitor: &mut Monitor<S>, cx: &Context, doing: &str) -> Result<()> {
    // One that was left by a call that was cut has the name.
    delete(monitor, cx, doing, MEMORY).await?;
    let arguments = json!({ "job-id": "suspend", "tag": MEMORY, "vmstate": DISK, "devices": [DISK] });
    job(monitor, cx, doing, "snapshot-save", arguments).await
}

/// Removes a snapshot from the file of a disk in use. One that is not there is success.
pub(crate) async fn delete<S: AsyncRead + AsyncWrite>(
    monitor: &mut Monitor<S>,
    cx: &Context,
    doing: &str,
    tag: &str,
) -> Result<()> {
    let arguments = json!({ "job-id": "forget", "tag": tag, "devices": [DISK] });
    job(monitor, cx, doing, "snapshot-delete", arguments).await
}

/// Has QEMU do what takes longer, and waits for its end.
pub(crate) async fn job<S: AsyncRead + AsyncWrite>(
    monitor: &mut Monitor<S>,
    cx: &Context,
    doing: &str,
    command: &str,
    arguments: serde_json::Value,
) -> Result<()> {
    let id = arguments["job-id"].clone();
    // One of that name that nobody has seen to its end keeps the name.
    let _ = monitor.ask(cx, doing, "job-dismiss", json!({ "id": id })).await;
    monitor.ask(cx, doing, command, arguments).await?;
    loop {
        let jobs = monitor.ask(cx, doing, "query-jobs", json!({})).await?;
        let job = jobs.as_array().into_iter().flatten().find(|job| job["id"] == id);
        match job {
            None => return Ok(()),
            Some(job) if job["status"] == "concluded" => {
                let error = job["error"].as_str().map(str::to_owned);
                monitor.ask(cx, doing, "job-dismiss", json!({ "id": id })).await?;
                return error.map_or(Ok(()), |error| Err(ProviderError::failed(doing, error)));
            }
            Some(_) => {
                let sleep = async {
                    tokio::time::sleep(PAUSE).await;
                    Ok(())
                };
                cx.run(doing, sleep).await?;
            }
        }
    }
}
