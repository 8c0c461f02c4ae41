//! What machines were, kept in their disks' files: the disk, and what a running one held in memory. A snapshot lives as long as its
//! machine.
//!
//! Beside the disk lies one file for each, with everything that the machine was made with: it is written before QEMU begins and again
//! when QEMU is done, so that a save that was cut is known as one.

use crate::{
    QemuProvider,
    arguments::DISK,
    layout::MachinePlace,
    programs,
    record::{Record, Run},
    suspension::{delete, job},
};
use async_trait::async_trait;
use jiff::Timestamp;
use rig_hypervisor::{Lock, files};
use rig_model::{Bytes, MachineState, Name, ObservedSnapshot, Progress, TakenSnapshot};
use rig_provider_api::{Context, MachineRef, ProviderError, Result, Snapshots};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::process::Command;

/// What is written of a snapshot.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Kept {
    at: Timestamp,
    /// Whether QEMU was done.
    whole: bool,
    /// Whether the machine ran: then its memory is in the disk's file too.
    running: bool,
    /// The machine as it was.
    record: Record,
}

/// The snapshot's name in the disk's file. Names hold no dots: it is none that rig gives otherwise.
pub(crate) fn tag(name: &Name) -> String {
    format!("rig.{name}")
}

impl Kept {
    fn load(place: &MachinePlace, name: &Name) -> Result<Option<Self>> {
        let path = place.snapshot(name);
        let Some(text) = files::read(&path)? else { return Ok(None) };
        serde_json::from_str(&text).map(Some).map_err(|error| ProviderError::failed(format!("reading {path}"), error))
    }

    fn save(&self, place: &MachinePlace, name: &Name) -> Result<()> {
        let path = place.snapshot(name);
        files::make_folder(path.parent().unwrap_or(&place.0))?;
        // Nothing in it can fail to be written.
        files::write(&path, serde_json::to_string_pretty(self).unwrap_or_default().as_bytes())
    }

    /// What it holds; nothing for one that was cut.
    fn taken(&self) -> Option<TakenSnapshot> {
        let addresses = self.record.cards.iter();
        self.whole.then(|| TakenSnapshot {
            at: self.at,
            running: self.running,
            digest: Some(self.record.digest.clone()),
            addresses: addresses.filter_map(|card| Some((card.network.clone()?, card.card.ip))).collect(),
            // What it shares with the disk and with others has no size of its own.
            size: Bytes(0),
            volumes: 0,
        })
    }
}

#[async_trait]
impl Snapshots for QemuProvider {
    async fn save(&self, cx: &Context, machine: &MachineRef, name: &Name) -> Result<TakenSnapshot> {
        let doing = format!("saving snapshot {name} of machine {machine}");
        self.record(cx, &doing, machine).await?;
        let lock = Lock::take(cx, &doing, self.layout.machine_lock(machine)).await?;
        let mut record = self.record(cx, &doing, machine).await?;
        let place = self.layout.machine(machine);
        let state = self.settled(cx, &doing, &record).await?;
        match (self.kept(cx, &doing, &place, name).await?, state) {
            (Some(kept), _) if kept.whole => {
                return Err(ProviderError::failed(doing, "there is one of that name already"));
            }
            // What it holds in memory is a snapshot already, which nobody can copy.
            (_, MachineState::Suspended | MachineState::Paused) => {
                return Err(
                    ProviderError::failed(doing, format!("the machine is {state}")).hinted("`rig resume` first")
                );
            }
            // What a call has left that was cut.
            (Some(_), _) => self.drop_tag(cx, &doing, &record, &place, name, lock.clone()).await?,
            (None, _) => {}
        }
        let monitor = self.monitor(cx, &record).await?;
        // One that has ended since has nothing in memory.
        let running = state.is_running() && monitor.is_some();
        if monitor.is_none() {
            self.bring_back(cx, &doing, machine, &mut record, &lock).await?;
        }
        let mut kept = Kept { at: Timestamp::now(), whole: false, running, record };
        self.note(cx, &doing, &place, name, kept.clone(), lock.clone()).await?;
        cx.progress(Progress::step(if running { "keeping its disk and its memory" } else { "keeping its disk" }));
        match monitor {
            Some(mut monitor) => {
                let arguments = json!({ "job-id": "save", "tag": tag(name), "vmstate": DISK, "devices": [DISK] });
                job(&mut monitor, cx, &doing, "snapshot-save", arguments).await?;
            }
            None => self.of_disk(cx, &doing, &place, ("-c", &tag(name)), lock.clone()).await?,
        }
        kept.whole = true;
        let taken = kept.taken();
        self.note(cx, &doing, &place, name, kept, lock).await?;
        taken.ok_or_else(|| ProviderError::failed(doing, "it is not whole"))
    }

    async fn restore(&self, cx: &Context, machine: &MachineRef, name: &Name) -> Result<()> {
        let doing = format!("restoring snapshot {name} of machine {machine}");
        self.record(cx, &doing, machine).await?;
        let lock = Lock::take(cx, &doing, self.layout.machine_lock(machine)).await?;
        let record = self.record(cx, &doing, machine).await?;
        let place = self.layout.machine(machine);
        let Some(kept) = self.kept(cx, &doing, &place, name).await?.filter(|kept| kept.whole) else {
            return Err(ProviderError::Absent { doing, what: format!("snapshot {name} of machine {machine}") });
        };
        self.end(cx, &doing, &record).await?;
        // The record goes first: once the machine is another one, nothing that was known of the old one is taken for the new one's. A
        // call that is cut behind it leaves a disk that is brought back before anything else is done with it.
        let identity = uuid::Uuid::new_v4().to_string();
        let restored = Record { identity, restoring: Some(name.clone()), ..kept.record };
        let mut restored = if kept.running { restored.going_back_to(name) } else { restored };
        let old = (self.layout.monitor(&record.identity), self.layout.pid(&record.identity));
        let (record, held) = (restored.clone(), lock.clone());
        let work = files::blocking(&doing, move || {
            let _held = held;
            record.save(&place)?;
            [old.0, old.1].iter().try_for_each(|path| files::remove_file(path))
        });
        cx.run(&doing, work).await?;
        self.bring_back(cx, &doing, machine, &mut restored, &lock).await
    }

    async fn list_snapshots(&self, cx: &Context, workspace: &Name) -> Result<Vec<ObservedSnapshot>> {
        let doing = "listing snapshots";
        let (machines, of, provider) = (self.layout.machines(), workspace.clone(), self.id.clone());
        let layout = self.layout.clone();
        let work = files::blocking(doing, move || {
            let mut all = Vec::new();
            for record in Record::of(&machines, &of)? {
                let place = layout.machine(&MachineRef { workspace: of.clone(), id: record.id.clone() });
                for name in place.snapshots()? {
                    let Some(kept) = Kept::load(&place, &name)? else { continue };
                    let (machine, provider) = (record.id.clone(), provider.clone());
                    all.push(ObservedSnapshot { machine, name, provider, taken: kept.taken() });
                }
            }
            Ok(all)
        });
        cx.run(doing, work).await
    }

    async fn delete(&self, cx: &Context, machine: &MachineRef, name: &Name) -> Result<()> {
        let doing = format!("removing snapshot {name} of machine {machine}");
        if self.found(cx, machine).await?.is_none() {
            return Ok(());
        }
        let lock = Lock::take(cx, &doing, self.layout.machine_lock(machine)).await?;
        let Some(record) = self.found(cx, machine).await? else { return Ok(()) };
        let place = self.layout.machine(machine);
        let Some(mut kept) = self.kept(cx, &doing, &place, name).await? else { return Ok(()) };
        let memory = record.run.as_ref().filter(|run| run.suspended).and_then(|run| run.snapshot.as_ref());
        if [memory, record.restoring.as_ref()].contains(&Some(name)) {
            let why = "the machine was brought back to it and has not gone on since";
            return Err(ProviderError::failed(doing, why).hinted("`rig up` first"));
        }
        // Half of it is not restored any more.
        kept.whole = false;
        self.note(cx, &doing, &place, name, kept, lock.clone()).await?;
        self.drop_tag(cx, &doing, &record, &place, name, lock.clone()).await?;
        let path = place.snapshot(name);
        let work = files::blocking(&doing, move || {
            let _held = lock;
            files::remove_file(&path)
        });
        cx.run(&doing, work).await
    }
}

impl QemuProvider {
    async fn kept(&self, cx: &Context, doing: &str, place: &MachinePlace, name: &Name) -> Result<Option<Kept>> {
        let (place, name) = (place.clone(), name.clone());
        cx.run(doing, files::blocking(doing, move || Kept::load(&place, &name))).await
    }

    /// Writes a snapshot's file.
    async fn note(
        &self,
        cx: &Context,
        doing: &str,
        place: &MachinePlace,
        name: &Name,
        kept: Kept,
        lock: Lock,
    ) -> Result<()> {
        let (place, name) = (place.clone(), name.clone());
        let work = files::blocking(doing, move || {
            let _held = lock;
            kept.save(&place, &name)
        });
        cx.run(doing, work).await
    }

    /// Removes a snapshot from a disk's file, where it may not be.
    async fn drop_tag(
        &self,
        cx: &Context,
        doing: &str,
        record: &Record,
        place: &MachinePlace,
        name: &Name,
        lock: Lock,
    ) -> Result<()> {
        if let Some(mut monitor) = self.monitor(cx, record).await? {
            return delete(&mut monitor, cx, doing, &tag(name)).await;
        }
        if self.tags(cx, doing, place).await?.contains(&tag(name)) {
            self.of_disk(cx, doing, place, ("-d", &tag(name)), lock).await?;
        }
        Ok(())
    }

    /// The snapshots in the file of a disk that is not in use.
    async fn tags(&self, cx: &Context, doing: &str, place: &MachinePlace) -> Result<Vec<String>> {
        #[derive(Deserialize)]
        struct Info {
            #[serde(default)]
            snapshots: Vec<Tag>,
        }
        #[derive(Deserialize)]
        struct Tag {
            name: String,
        }
        let mut command = Command::new(&self.programs.image);
        command.args(["info", "--output=json"]).arg(place.disk());
        let output = programs::run(cx, doing, command.kill_on_drop(true)).await?;
        let info: Info = serde_json::from_slice(&output.stdout).map_err(|error| ProviderError::failed(doing, error))?;
        Ok(info.snapshots.into_iter().map(|snapshot| snapshot.name).collect())
    }

    /// Brings a disk back, if a restoration has left that to be done.
    pub(crate) async fn bring_back(
        &self,
        cx: &Context,
        doing: &str,
        machine: &MachineRef,
        record: &mut Record,
        lock: &Lock,
    ) -> Result<()> {
        let Some(name) = &record.restoring else { return Ok(()) };
        self.of_disk(cx, doing, &self.layout.machine(machine), ("-a", &tag(name)), lock.clone()).await?;
        record.restoring = None;
        let done = |known: &mut Record, held: Lock| {
            known.restoring = None;
            drop(held);
        };
        self.update(cx, doing, machine, done, lock.clone()).await
    }

    /// Does something with a snapshot in the file of a disk that is not in use. It goes on without the call, and so does the lock:
    /// half done, the file would be broken.
    pub(crate) async fn of_disk(
        &self,
        cx: &Context,
        doing: &str,
        place: &MachinePlace,
        (what, tag): (&str, &str),
        lock: Lock,
    ) -> Result<()> {
        let mut command = std::process::Command::new(&self.programs.image);
        command.args(["snapshot", what, tag]).arg(place.disk());
        programs::run_held(cx, doing, command, lock).await.map(drop)
    }
}

impl Record {
    /// The same machine, which goes on from a snapshot that was taken while it ran.
    fn going_back_to(self, name: &Name) -> Self {
        let run =
            self.run.map(|run| Run { told: None, ended: None, suspended: true, snapshot: Some(name.clone()), ..run });
        Self { run, ..self }
    }
}
