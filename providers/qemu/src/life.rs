//! Machines come, run, stop and go.

use crate::{
    QemuProvider,
    arguments::{MEMORY, Start},
    doors::Keys,
    files, layout,
    network::Network,
    programs,
    record::{NetworkCard, Record, Run},
    seed::{Card, Seed},
};
use jiff::Timestamp;
use rig_model::{Exit, MachineState, MilliCpus, PublishedPort, ResolvedMachine};
use rig_provider_api::{Context, MachineRef, ProviderError, Result, StopMode};
use std::{
    net::{Ipv4Addr, TcpListener},
    time::Duration,
};
use tokio::{process::Command, time::Instant};

/// What QEMU's user network gives to a machine: its own address, the way out, and who answers for names
/// (<https://www.qemu.org/docs/master/system/devices/net.html>).
const NAT: (Ipv4Addr, u8, Ipv4Addr) = (Ipv4Addr::new(10, 0, 2, 15), 24, Ipv4Addr::new(10, 0, 2, 2));
const NAMESERVER: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 3);

/// The hardware address of the card that leads out. Nobody else sees it.
const NAT_MAC: &str = "52:54:00:00:00:01";

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
const TAKEN: &str = "Could not set up host forwarding rule";

impl QemuProvider {
    /// Makes a machine's folder with its disk.
    pub(crate) async fn make(&self, cx: &Context, machine: &ResolvedMachine) -> Result<()> {
        let doing = format!("creating machine {}", machine.id);
        let reference = MachineRef { workspace: machine.workspace.clone(), id: machine.id.clone() };
        if let Some(there) = self.found(cx, &reference).await? {
            if there.digest == machine.digest() {
                return Ok(());
            }
            return Err(ProviderError::failed(doing, format!("a machine named {} is there already", machine.id))
                .hinted("destroy it, or give this one another name"));
        }
        let place = self.layout.machine(&reference);
        let making = place.making();
        let record = self.planned(cx, &doing, machine).await?;
        let of_box = self.box_place(&machine.image).disk();
        let (fresh, disk, remains) = (making.0.clone(), of_box.clone(), place.0.clone());
        let prepare = files::blocking(&doing, move || {
            for left in layout::remains(&remains) {
                files::remove_folder(&left)?;
            }
            files::make_folder(&fresh)?;
            // Its absolute path is written into the machine's disk.
            disk.canonicalize_utf8().map_err(|error| {
                ProviderError::failed(format!("looking at the box's disk {disk}"), error)
                    .hinted("`rig box build` makes the box")
            })
        });
        let of_box = cx.run(&doing, prepare).await?;
        let mut command = Command::new(&self.programs.image);
        command
            .args(["create", "-q", "-f", "qcow2", "-F", "raw", "-b"])
            .arg(of_box)
            .arg(making.disk())
            .kill_on_drop(true);
        programs::run(cx, &doing, &mut command).await?;
        let finish = files::blocking(&doing, move || {
            record.save(&making)?;
            let moved = fs_err::rename(&making.0, &place.0);
            moved.map_err(|error| ProviderError::failed("putting a machine into place", error))
        });
        cx.run(&doing, finish).await
    }

    /// The record of a machine that is about to be made.
    async fn planned(&self, cx: &Context, doing: &str, machine: &ResolvedMachine) -> Result<Record> {
        let (own, prefix, gateway) = NAT;
        let mut cards = vec![NetworkCard {
            network: None,
            card: Card { mac: NAT_MAC.to_owned(), ip: own, prefix, gateway: Some(gateway) },
            group: None,
        }];
        let mut restricted = !machine.networks.is_empty();
        for attachment in &machine.networks {
            let path = self.layout.network(&machine.workspace, &machine.id.topology, &attachment.network);
            let network = cx.run(doing, files::blocking(doing, move || Network::load(&path))).await?;
            let missing = || ProviderError::failed(doing, format!("there is no network {}", attachment.network));
            let network = network.ok_or_else(missing)?;
            let ip = attachment.ip.ok_or_else(|| ProviderError::failed(doing, "it has no address"))?;
            restricted &= network.internal;
            let [a, b, c, d] = ip.octets();
            cards.push(NetworkCard {
                network: Some(attachment.network.clone()),
                // Local by its second bit, and as unique in its network as the address is.
                card: Card {
                    mac: format!("52:54:{a:02x}:{b:02x}:{c:02x}:{d:02x}"),
                    ip,
                    prefix: network.subnet.prefix_len(),
                    gateway: None,
                },
                group: Some(network.group),
            });
        }
        Ok(Record {
            format: Record::FORMAT,
            identity: uuid::Uuid::new_v4().to_string(),
            workspace: machine.workspace.clone(),
            id: machine.id.clone(),
            group: machine.group.clone(),
            index: machine.index,
            digest: machine.digest(),
            fields: machine.sealed_fields(),
            image: machine.image.clone(),
            hostname: machine.hostname.clone(),
            memory: machine.limits.memory.unwrap_or(MEMORY),
            cpus: machine.limits.cpus.unwrap_or(MilliCpus(1000)),
            cards,
            restricted,
            ports: machine.ports.clone(),
            created: Timestamp::now(),
            run: None,
        })
    }

    /// Starts a machine that does not run.
    pub(crate) async fn launch(&self, cx: &Context, machine: &MachineRef) -> Result<()> {
        let doing = format!("starting machine {machine}");
        let mut record = self.record(cx, &doing, machine).await?;
        match self.state(cx, &record).await? {
            MachineState::Running => return Ok(()),
            MachineState::Paused => return self.resume(cx, &doing, &record).await,
            _ => {}
        }
        let accelerator = self.accelerator(cx).await?;
        let place = self.layout.machine(machine);
        let of_box = self.box_place(&record.image);
        let (monitor, pid) = (self.layout.monitor(&record.identity), self.layout.pid(&record.identity));
        for attempt in 1.. {
            let before = record.run.clone();
            let run = self.prepare(cx, &doing, machine, &mut record).await?;
            let start = Start {
                record: &record,
                run: &run,
                accelerator,
                place: &place,
                of_box: &of_box,
                monitor: &monitor,
                pid: &pid,
            };
            let mut command = Command::new(&self.programs.system);
            command.args(start.arguments());
            let Err(error) = programs::run(cx, &doing, &mut command).await else { return Ok(()) };
            // What was written for this start is not true.
            record.run = before;
            self.write(cx, &doing, machine, &record).await?;
            let text = error.to_string();
            if text.contains(LOCKED) {
                // A call that was cut has started it.
                return self.appear(cx, &doing, &record).await;
            }
            if text.contains(TAKEN) && text.contains(&format!(":{}-:22'", run.ssh)) && attempt < TRIES {
                continue;
            }
            return Err(explained(error, &record.ports));
        }
        Ok(())
    }

    /// Writes down what the next run is known by, and the disk that tells the machine who it is.
    async fn prepare(&self, cx: &Context, doing: &str, machine: &MachineRef, record: &mut Record) -> Result<Run> {
        let (place, machines, run_folder) = (self.layout.machine(machine), self.layout.machines(), self.layout.run());
        let mut planned = record.clone();
        let work = files::blocking(doing, move || {
            let failed = |error| ProviderError::failed("preparing the start of a machine", error);
            files::make_folder(&run_folder)?;
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(failed)?;
            let ssh = listener.local_addr().map_err(failed)?.port();
            let console = files::present(fs_err::metadata(place.console())).map_err(failed)?;
            let run =
                Run { started: Timestamp::now(), ssh, console: console.map_or(0, |file| file.len()), ended: None };
            let keys = Keys::load(&place)?;
            files::write(&place.seed(), &seed(&planned, keys.as_ref(), &Record::all(&machines)?)?)?;
            planned.run = Some(run.clone());
            planned.save(&place)?;
            Ok(run)
        });
        let run = cx.run(doing, work).await?;
        record.run = Some(run.clone());
        Ok(run)
    }

    /// Waits for a machine that somebody else has started.
    async fn appear(&self, cx: &Context, doing: &str, record: &Record) -> Result<()> {
        cx.run(doing, async {
            while !self.state(cx, record).await?.is_running() {
                tokio::time::sleep(PAUSE).await;
            }
            Ok(())
        })
        .await
    }

    /// Lets a frozen machine go on.
    async fn resume(&self, cx: &Context, doing: &str, record: &Record) -> Result<()> {
        let Some(mut monitor) = self.monitor(cx, record).await? else { return Ok(()) };
        monitor.ask(cx, doing, "cont", serde_json::json!({})).await.map(drop)
    }

    /// Stops a machine: by its power button, or by ending QEMU.
    pub(crate) async fn halt(&self, cx: &Context, machine: &MachineRef, mode: StopMode) -> Result<()> {
        let doing = format!("stopping machine {machine}");
        let Some(mut record) = self.found(cx, machine).await? else { return Ok(()) };
        if !self.state(cx, &record).await?.is_running() {
            return Ok(());
        }
        let ended = match mode {
            StopMode::Graceful(grace) if self.power_off(cx, &doing, &record, grace).await? => ORDERLY,
            StopMode::Graceful(_) | StopMode::Kill => {
                self.quit(cx, &doing, &record).await?;
                KILLED
            }
        };
        if let Some(run) = &mut record.run {
            run.ended = Some(ended);
        }
        self.write(cx, &doing, machine, &record).await
    }

    /// Presses the power button until the machine has ended; `false` when it has not in time.
    async fn power_off(&self, cx: &Context, doing: &str, record: &Record, grace: Duration) -> Result<bool> {
        let end = Instant::now() + grace;
        while Instant::now() < end {
            let Some(mut monitor) = self.monitor(cx, record).await? else { return Ok(true) };
            // A frozen machine notices nothing. One that ends at this moment takes no commands.
            let _ = monitor.ask(cx, doing, "cont", serde_json::json!({})).await;
            let _ = monitor.ask(cx, doing, "system_powerdown", serde_json::json!({})).await;
            let patience = PRESS.min(end.saturating_duration_since(Instant::now()));
            match monitor.until(&cx.within(patience), doing, "SHUTDOWN").await {
                Ok(_) => return self.gone(cx, doing, record, END).await,
                Err(ProviderError::TimedOut { .. }) if Instant::now() < cx.deadline() => {}
                Err(error) => return Err(error),
            }
        }
        Ok(false)
    }

    /// Ends QEMU at once.
    async fn quit(&self, cx: &Context, doing: &str, record: &Record) -> Result<()> {
        let Some(mut monitor) = self.monitor(cx, record).await? else { return Ok(()) };
        // The connection ends with QEMU, perhaps before the answer.
        match monitor.ask(cx, doing, "quit", serde_json::json!({})).await {
            Err(error @ (ProviderError::Cancelled { .. } | ProviderError::TimedOut { .. })) => return Err(error),
            _ => drop(monitor),
        }
        match self.gone(cx, doing, record, END).await? {
            true => Ok(()),
            false => Err(ProviderError::failed(doing, format!("QEMU has not ended within {} s", END.as_secs()))),
        }
    }

    /// Waits until nothing answers at a machine's monitor any more.
    async fn gone(&self, cx: &Context, doing: &str, record: &Record, limit: Duration) -> Result<bool> {
        let end = Instant::now() + limit;
        loop {
            let path = self.layout.monitor(&record.identity);
            let connect = async { Ok(tokio::net::UnixStream::connect(&path).await.is_err()) };
            if cx.run(doing, connect).await? {
                return Ok(true);
            }
            if Instant::now() > end {
                return Ok(false);
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Removes a machine with its disk.
    pub(crate) async fn remove(&self, cx: &Context, machine: &MachineRef) -> Result<()> {
        let doing = format!("destroying machine {machine}");
        let place = self.layout.machine(machine);
        let record = self.found(cx, machine).await?;
        if let Some(record) = &record
            && self.state(cx, record).await?.is_running()
        {
            self.quit(cx, &doing, record).await?;
        }
        let run = record.map(|record| (self.layout.monitor(&record.identity), self.layout.pid(&record.identity)));
        let work = files::blocking(&doing, move || {
            // Under this name nobody finds it, whatever becomes of the rest.
            let going = place.making();
            let moved = files::present(fs_err::rename(&place.0, &going.0));
            moved.map_err(|error| ProviderError::failed(format!("removing {}", place.0), error))?;
            for left in layout::remains(&place.0) {
                files::remove_folder(&left)?;
            }
            for path in run.iter().flat_map(|(monitor, pid)| [monitor, pid]) {
                files::remove_file(path)?;
            }
            Ok(())
        });
        cx.run(&doing, work).await
    }

    async fn write(&self, cx: &Context, doing: &str, machine: &MachineRef, record: &Record) -> Result<()> {
        let (place, record) = (self.layout.machine(machine), record.clone());
        cx.run(doing, files::blocking(doing, move || record.save(&place))).await
    }
}

/// The disk that tells a machine who it is, and who the others on its networks are.
fn seed(record: &Record, keys: Option<&Keys>, all: &[Record]) -> Result<Vec<u8>> {
    let cards: Vec<Card> = record.cards.iter().map(|card| card.card.clone()).collect();
    let seed = Seed {
        instance: &record.identity,
        hostname: &record.hostname,
        user: keys.map_or("rig", |keys| &keys.user),
        authorized_key: keys.map_or("", |keys| &keys.authorized_key),
        host_key: keys.map_or(("", ""), |keys| (&keys.host_key, &keys.public_host_key)),
        cards: &cards,
        nameserver: NAMESERVER,
        hosts: &hosts(record, all),
    };
    seed.image().map_err(|error| ProviderError::failed(format!("writing the seed of machine {}", record.id), error))
}

/// The names that a machine knows with their addresses: its own on each of its networks, and its neighbours'.
pub(crate) fn hosts(record: &Record, all: &[Record]) -> Vec<(String, Ipv4Addr)> {
    let own = record.cards.iter().filter(|card| card.network.is_some());
    let mut hosts: Vec<_> = own.flat_map(|card| names(record).map(|name| (name, card.card.ip))).collect();
    for other in all.iter().filter(|other| is_neighbour(record, other)) {
        // On one of the networks that both are on: a name has one address.
        let shared = other.cards.iter().find(|card| record.cards.iter().any(|own| shares(own, card)));
        hosts.extend(shared.into_iter().flat_map(|card| names(other).map(|name| (name, card.card.ip))));
    }
    hosts
}

/// Whether two machines are on a network together.
pub(crate) fn is_neighbour(one: &Record, other: &Record) -> bool {
    one.workspace == other.workspace
        && one.id != other.id
        && one.id.topology == other.id.topology
        && one.cards.iter().any(|own| other.cards.iter().any(|card| shares(own, card)))
}

fn shares(one: &NetworkCard, other: &NetworkCard) -> bool {
    one.network.is_some() && one.network == other.network
}

/// The names of a machine, its host name first.
fn names(record: &Record) -> impl Iterator<Item = String> {
    let hostname = record.hostname.clone();
    let machine = Some(record.id.machine.to_string()).filter(|name| *name != hostname);
    std::iter::once(hostname).chain(machine)
}

/// What QEMU said, with what to do about it.
fn explained(error: ProviderError, ports: &[PublishedPort]) -> ProviderError {
    let text = error.to_string();
    if text.contains(TAKEN) {
        let taken = ports.iter().find(|port| text.contains(&format!(":{}-:{}'", port.host, port.guest)));
        let which = taken.map_or_else(|| "a port".to_owned(), |port| format!("port {}", port.host));
        return error.hinted(format!(
            "{which} of this host is taken: stop what has it, or write another number, or `host=\"auto\"`"
        ));
    }
    if text.contains("Cannot allocate memory") {
        return error.hinted("this host has not so much memory: write less into `memory`, or halt other machines");
    }
    error
}
