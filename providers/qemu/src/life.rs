//! Machines come and go.

use crate::{
    QemuProvider,
    arguments::MEMORY,
    boot::Boot,
    boxes::BoxRecord,
    disk::virtual_size,
    firmware::Firmware,
    layout,
    network::Multicast,
    programs,
    record::{NetworkCard, Record},
};
use jiff::Timestamp;
use rig_hypervisor::{Card, Lock, NAT, files, image::SIZE};
use rig_model::{MilliCpus, ResolvedMachine};
use rig_provider_api::{Context, MachineRef, ProviderError, Result};
use tokio::process::Command;

/// The hardware address of the card that leads out. Nobody else sees it.
const NAT_MAC: &str = "52:54:00:00:00:01";

impl QemuProvider {
    /// Makes a machine's folder with its disk.
    pub(crate) async fn make(&self, cx: &Context, machine: &ResolvedMachine) -> Result<()> {
        let doing = format!("creating machine {}", machine.id);
        self.prepare_folders(cx, &doing).await?;
        let reference = MachineRef { workspace: machine.workspace.clone(), id: machine.id.clone() };
        let of_machine = Lock::take(cx, &doing, self.layout.machine_lock(&reference)).await?;
        if let Some(there) = self.found(cx, &reference).await? {
            if there.digest == machine.digest() {
                return Ok(());
            }
            return Err(ProviderError::failed(doing, format!("a machine named {} is there already", machine.id))
                .hinted("destroy it, or give this one another name"));
        }
        // Nobody removes the box or makes it anew until the machine can be seen to need it.
        let of_image = Lock::take(cx, &doing, self.layout.box_lock(&machine.image)).await?;
        let place = self.layout.machine(&reference);
        let making = place.making();
        let record = self.planned(cx, &doing, machine).await?;
        let (disk, format) = record.boot.disk(&self.box_place(&machine.image));
        let (fresh, remains) = (making.0.clone(), place.0.clone());
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
        command.args(["create", "-q", "-f", "qcow2", "-F", format, "-b"]).arg(&of_box).arg(making.disk());
        if record.boot == Boot::CloudImage {
            // Such a system grows into its disk, which is as small as can be.
            let own = cx.run(&doing, files::blocking(&doing, move || virtual_size(&of_box))).await?;
            command.arg(own.max(SIZE).0.to_string());
        }
        // Of a call that is cut nobody needs the disk.
        programs::run(cx, &doing, command.kill_on_drop(true)).await?;
        let finish = files::blocking(&doing, move || {
            let _held = (of_machine, of_image);
            record.save(&making)?;
            let moved = fs_err::rename(&making.0, &place.0);
            moved.map_err(|error| ProviderError::failed("putting a machine into place", error))
        });
        cx.run(&doing, finish).await
    }

    /// The record of a machine that is about to be made.
    async fn planned(&self, cx: &Context, doing: &str, machine: &ResolvedMachine) -> Result<Record> {
        let place = self.box_place(&machine.image);
        let look = files::blocking(doing, move || BoxRecord::load(&place));
        let of_box = cx.run(doing, look).await?.ok_or_else(|| {
            ProviderError::failed(doing, format!("there is no box {}", machine.image))
                .hinted("`rig box build` makes it")
        })?;
        let boot = of_box.boot;
        let firmware = Firmware::read(&machine.options);
        if boot == Boot::Kernel && firmware.is_some() {
            return Err(ProviderError::failed(doing, "its box has a kernel that is booted without firmware")
                .hinted("remove the line `firmware`"));
        }
        let (own, prefix, gateway) = NAT;
        let mut cards = vec![NetworkCard {
            network: None,
            card: Card { mac: NAT_MAC.to_owned(), ip: own, prefix, gateway: Some(gateway) },
            group: None,
        }];
        let mut restricted = !machine.networks.is_empty();
        for attachment in &machine.networks {
            let networks = self.layout.networks();
            let (workspace, topology) = (machine.workspace.clone(), machine.id.topology.clone());
            let name = attachment.network.clone();
            let look = files::blocking(doing, move || networks.get::<Multicast>(&workspace, &topology, &name));
            let network = cx.run(doing, look).await?;
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
                group: Some(network.wire.group),
            });
        }
        Ok(Record {
            format: Record::form(boot),
            identity: uuid::Uuid::new_v4().to_string(),
            workspace: machine.workspace.clone(),
            id: machine.id.clone(),
            group: machine.group.clone(),
            index: machine.index,
            digest: machine.digest(),
            fields: machine.sealed_fields(),
            image: machine.image.clone(),
            boot,
            firmware,
            hostname: machine.hostname.clone(),
            memory: machine.limits.memory.unwrap_or(MEMORY),
            cpus: machine.limits.cpus.unwrap_or(MilliCpus(1000)),
            cards,
            restricted,
            ports: machine.ports.clone(),
            created: Timestamp::now(),
            run: None,
            restoring: None,
        })
    }

    /// Removes a machine with its disk.
    pub(crate) async fn remove(&self, cx: &Context, machine: &MachineRef) -> Result<()> {
        let doing = format!("destroying machine {machine}");
        self.prepare_folders(cx, &doing).await?;
        let of_machine = Lock::take(cx, &doing, self.layout.machine_lock(machine)).await?;
        let place = self.layout.machine(machine);
        let record = self.found(cx, machine).await?;
        if let Some(record) = &record {
            self.end(cx, &doing, record).await?;
        }
        let run = record.map(|record| (self.layout.monitor(&record.identity), self.layout.pid(&record.identity)));
        let work = files::blocking(&doing, move || {
            let _held = of_machine;
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

    /// Makes the folders of the layout.
    pub(crate) async fn prepare_folders(&self, cx: &Context, doing: &str) -> Result<()> {
        let layout = self.layout.clone();
        cx.run(doing, files::blocking(doing, move || layout.prepare())).await
    }
}
