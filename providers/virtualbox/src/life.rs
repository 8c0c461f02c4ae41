//! Machines come and go.

use crate::{
    bootstrap::{NO_FOLDERS, OTHER_WAYS},
    label::{self, BoxLabel, LabelCard, LabelFolder, MACHINE, MachineLabel},
    layout::Place,
    networks::Internal,
    observe::Found,
    options::Options,
    output::Kind,
    provider::{SSH, VirtualBoxProvider},
    runner::{failure, pause, words},
    running::SSH_FORWARD,
    settings::Settings,
};
use jiff::Timestamp;
use rig_hypervisor::{Lock, files, free_port};
use rig_model::{Mount, PublishedPort, ResolvedMachine};
use rig_provider_api::{Context, MachineRef, ProviderError, Result};
use std::{net::Ipv4Addr, time::Duration};
use tokio::time::Instant;

/// The snapshot of a master that machines are cloned from.
pub(crate) const BASE: &str = "rig";

/// How long VirtualBox may take to end a machine that it was told to end.
const END: Duration = Duration::from_secs(30);

/// The pause between two looks at something that is about to happen.
pub(crate) const PAUSE: Duration = Duration::from_millis(300);

impl VirtualBoxProvider {
    /// Makes a machine: a clone of its box's master whose disk holds only what differs from that.
    pub(crate) async fn make(&self, cx: &Context, machine: &ResolvedMachine) -> Result<()> {
        let doing = format!("creating machine {}", machine.id);
        self.prepare_folders(cx, &doing).await?;
        let reference = MachineRef { workspace: machine.workspace.clone(), id: machine.id.clone() };
        let place = self.layout.machine(&reference);
        let _of_machine = self.hold(cx, &doing, &place).await?;
        if let Some(there) = self.found(cx, &reference).await? {
            match &there.label {
                Some(label) if label.digest == machine.digest() => return Ok(()),
                Some(_) => {
                    return Err(ProviderError::failed(
                        doing,
                        format!("a machine named {} is there already", machine.id),
                    )
                    .hinted("destroy it, or give this one another name"));
                }
                // What a call left that was cut.
                None => {
                    self.purge(cx, &doing, &there.place, &there.identity).await?;
                    // A disk may have been made for it that it never got.
                    self.forget_media(cx, &doing, &there.place).await?;
                }
            }
        }
        let master = self.layout.master(&machine.image);
        // Nobody removes the box or makes it anew until the machine can be seen to need it.
        let _of_box = self.hold(cx, &doing, &master).await?;
        let settings = master.settings();
        let of_box = cx.run(&doing, files::blocking(&doing, move || Settings::load(&settings))).await?;
        let gone = || {
            let why = format!("there is no master of box {}", machine.box_name);
            ProviderError::failed(&doing, why).hinted("`rig box build` makes it anew")
        };
        // By their identities: another home may have machines of the same names.
        let of_box = of_box.ok_or_else(gone)?;
        // One that has no label was never finished.
        let seeded = BoxLabel::of(&of_box)?.ok_or_else(gone)?.seeded;
        let of_box = of_box.uuid;
        if seeded && machine.mounts.iter().any(|mount| matches!(mount, Mount::Bind { .. })) {
            return Err(ProviderError::failed(doing, NO_FOLDERS).hinted(OTHER_WAYS));
        }
        let label = self.planned(cx, &doing, machine, seeded).await?;
        let identity = self.begin(cx, &doing, &place).await?;
        cx.progress(rig_model::Progress::step("cloning its box"));
        let base = place.base.to_string();
        let clone = words([
            "clonevm",
            &of_box,
            "--snapshot",
            BASE,
            "--options",
            "link,keepallmacs",
            "--name",
            &place.name,
            "--basefolder",
            &base,
            "--uuid",
            &identity,
            "--register",
        ]);
        if let Some(refusal) = self.runner.ask(cx, &doing, &clone).await?.refusal {
            let error = failure(&doing, refusal.clone());
            return Err(match refusal.kind {
                Kind::NotFound => error.hinted("somebody removed the box's master; `rig box build` makes it anew"),
                _ => error,
            });
        }
        self.made(&identity);
        let modify = modifications((&place, &identity), machine, &label, free_port()?);
        self.runner.run_patiently(cx, &doing, &modify).await?;
        for folder in &label.folders {
            let host = machine.mounts.iter().find_map(|mount| match mount {
                Mount::Bind { source, target, .. } if *target == folder.target => Some(source.as_str()),
                _ => None,
            });
            let mut add = words(["sharedfolder", "add", &identity, "--name", &folder.name, "--hostpath"]);
            add.push(host.unwrap_or_default().to_owned());
            if !folder.writable {
                add.push("--readonly".to_owned());
            }
            self.runner.run_patiently(cx, &doing, &add).await?;
        }
        if seeded {
            self.attach_seed(cx, &doing, &place, &identity).await?;
        }
        // Last: what has no label was never finished.
        self.write_label(cx, &doing, &identity, &label).await
    }

    /// Takes the lock of a machine or a master, and waits until VirtualBox has done what it was last told: whoever had the lock may
    /// have been killed meanwhile.
    pub(crate) async fn hold(&self, cx: &Context, doing: &str, place: &Place) -> Result<Lock> {
        let lock = Lock::take(cx, doing, place.lock.clone()).await?;
        self.runner.quiet(cx, doing).await?;
        Ok(lock)
    }

    /// Writes the identity of something down that is about to be made.
    pub(crate) async fn begin(&self, cx: &Context, doing: &str, place: &Place) -> Result<String> {
        let identity = uuid::Uuid::new_v4().to_string();
        let (path, text) = (place.identity.clone(), identity.clone());
        cx.run(doing, files::blocking(doing, move || files::write(&path, text.as_bytes()))).await?;
        Ok(identity)
    }

    /// Writes what a machine is into its extra data.
    pub(crate) async fn write_label(
        &self,
        cx: &Context,
        doing: &str,
        identity: &str,
        label: &MachineLabel,
    ) -> Result<()> {
        let text = label::text(label);
        self.runner.run_patiently(cx, doing, &words(["setextradata", identity, MACHINE, &text])).await.map(drop)
    }

    /// What is written of a machine that is about to be made.
    async fn planned(
        &self,
        cx: &Context,
        doing: &str,
        machine: &ResolvedMachine,
        seeded: bool,
    ) -> Result<MachineLabel> {
        let mut cards = Vec::new();
        for attachment in &machine.networks {
            let networks = self.layout.networks();
            let (workspace, topology) = (machine.workspace.clone(), machine.id.topology.clone());
            let name = attachment.network.clone();
            let look = files::blocking(doing, move || networks.get::<Internal>(&workspace, &topology, &name));
            let missing = || ProviderError::failed(doing, format!("there is no network {}", attachment.network));
            let network = cx.run(doing, look).await?.ok_or_else(missing)?;
            let ip = attachment.ip.ok_or_else(|| ProviderError::failed(doing, "it has no address"))?;
            let [_, b, c, d] = ip.octets();
            cards.push(LabelCard {
                network: attachment.network.clone(),
                // VirtualBox's own prefix, and as unique in its network as the address is.
                mac: format!("08:00:27:{b:02x}:{c:02x}:{d:02x}"),
                ip,
                prefix: network.subnet.prefix_len(),
            });
        }
        let binds = machine.mounts.iter().filter_map(|mount| match mount {
            Mount::Bind { target, writable, .. } => Some((target.clone(), *writable)),
            Mount::Volume { .. } => None,
        });
        let folders = binds.enumerate().map(|(number, (target, writable))| LabelFolder {
            name: format!("rig-{number}"),
            target,
            writable,
        });
        Ok(MachineLabel {
            format: label::format(seeded),
            workspace: machine.workspace.clone(),
            id: machine.id.clone(),
            group: machine.group.clone(),
            index: machine.index,
            digest: machine.digest(),
            fields: machine.sealed_fields(),
            image: machine.image.clone(),
            hostname: machine.hostname.clone(),
            cards,
            ports: machine.ports.clone(),
            folders: folders.collect(),
            created: Timestamp::now(),
            options: Options::read(&machine.options),
            restored: 0,
            seeded,
        })
    }

    /// Removes a machine with its disk and its snapshots.
    pub(crate) async fn remove_machine(&self, cx: &Context, machine: &MachineRef) -> Result<()> {
        let doing = format!("destroying machine {machine}");
        self.prepare_folders(cx, &doing).await?;
        let place = self.layout.machine(machine);
        let _of_machine = self.hold(cx, &doing, &place).await?;
        match self.found(cx, machine).await? {
            Some(Found { place, identity, .. }) => self.purge(cx, &doing, &place, &identity).await,
            None => Ok(()),
        }
    }

    /// Removes everything of a machine or a master, whatever is there of it.
    pub(crate) async fn purge(&self, cx: &Context, doing: &str, place: &Place, identity: &str) -> Result<()> {
        self.renewed();
        let registry = self.registry(cx).await?;
        if registry.running.contains(identity) {
            self.cut_power(cx, doing, identity).await?;
        }
        if registry.known.contains(identity) {
            let delete = self.runner.run_patiently(cx, doing, &words(["unregistervm", identity, "--delete"])).await;
            match delete {
                Err(error @ (ProviderError::Cancelled { .. } | ProviderError::TimedOut { .. })) => return Err(error),
                // One whose file is gone can be forgotten all the same.
                Err(error) => {
                    let forgotten = self.runner.ask(cx, doing, &words(["unregistervm", identity])).await?;
                    let gone = forgotten.refusal.is_none_or(|refusal| refusal.kind == Kind::NotFound);
                    if !gone {
                        return Err(error);
                    }
                    self.forget_media(cx, doing, place).await?;
                }
                Ok(_) => {}
            }
        } else {
            self.forget_media(cx, doing, place).await?;
        }
        self.renewed();
        let place = place.clone();
        let work = files::blocking(doing, move || {
            files::remove_folder(&place.folder)?;
            files::remove_file(&place.identity)
        });
        cx.run(doing, work).await
    }

    /// Makes VirtualBox forget disks in a folder that goes: an import or a clone that was cut leaves them known without a machine.
    async fn forget_media(&self, cx: &Context, doing: &str, place: &Place) -> Result<()> {
        let list = self.runner.run(cx, doing, &words(["list", "hdds"])).await?;
        let below = format!("{}{}", place.folder, std::path::MAIN_SEPARATOR);
        let locations = list.lines().filter_map(|line| Some(line.strip_prefix("Location:")?.trim()));
        // Children come behind their parents, and go before them.
        let locations: Vec<&str> = locations.filter(|location| location.starts_with(&below)).collect();
        for location in locations.into_iter().rev() {
            // What is of use to somebody else stays.
            let _ = self.runner.ask(cx, doing, &words(["closemedium", "disk", location])).await?;
        }
        Ok(())
    }

    /// Ends a machine at once, and waits until it has ended.
    pub(crate) async fn cut_power(&self, cx: &Context, doing: &str, identity: &str) -> Result<()> {
        let mut end: Option<Instant> = None;
        self.changed();
        loop {
            // One that has just ended is as good as one that was ended; one that is locked may be about to.
            let refused = self.runner.ask(cx, doing, &words(["controlvm", identity, "poweroff"])).await?.refusal;
            let end = *end.get_or_insert_with(|| Instant::now() + END);
            if !self.registry(cx).await?.running.contains(identity) {
                return Ok(());
            }
            if Instant::now() > end {
                return Err(match refused {
                    Some(refusal) => failure(doing, refusal),
                    None => ProviderError::failed(doing, format!("it has not ended within {} s", END.as_secs())),
                });
            }
            pause(cx, doing, PAUSE).await?;
        }
    }
}

/// What is set in a clone.
fn modifications(
    (place, identity): (&Place, &str),
    machine: &ResolvedMachine,
    label: &MachineLabel,
    ssh: u16,
) -> Vec<String> {
    let mut modify = words(["modifyvm", identity]);
    let mut set = |option: &str, value: &str| modify.extend([option.to_owned(), value.to_owned()]);
    if let Some(memory) = machine.limits.memory {
        set("--memory", &(memory.0 >> 20).max(4).to_string());
    }
    if let Some(cpus) = machine.limits.cpus {
        // Parts of a processor are rounded up, and its use is capped: there are no half ones.
        let count = cpus.0.div_ceil(1000).max(1);
        set("--cpus", &count.to_string());
        set("--cpu-execution-cap", &(cpus.0 / (count * 10)).clamp(1, 100).to_string());
    }
    set("--nic1", "nat");
    set("--natpf1", &way_in(ssh));
    for port in &machine.ports {
        set("--natpf1", &forward(port));
    }
    for (number, card) in (2..).zip(&label.cards) {
        let network = format!("{}.{}.{}", machine.workspace, machine.id.topology, card.network);
        set(&format!("--nic{number}"), "intnet");
        set(&format!("--intnet{number}"), &network);
        set(&format!("--macaddress{number}"), &card.mac.replace(':', ""));
        set(&format!("--cableconnected{number}"), "on");
    }
    set("--uart1", "0x3F8");
    modify.push("4".to_owned());
    modify.extend(words(["--uart-mode1", "file", place.console().as_str()]));
    modify
}

/// The way to a machine's SSH server, as VirtualBox's network has it.
pub(crate) fn way_in(host: u16) -> String {
    format!("{SSH_FORWARD},tcp,{},{host},,{SSH}", Ipv4Addr::LOCALHOST)
}

/// A port of this host that leads in, as VirtualBox's network has it.
fn forward(port: &PublishedPort) -> String {
    let PublishedPort { guest, host, bind, protocol } = port;
    format!("rig-{protocol}-{host},{protocol},{bind},{host},,{guest}")
}
