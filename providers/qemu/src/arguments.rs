//! The command line of a virtual machine.

use crate::{
    accelerator::Accelerator,
    boot::Boot,
    layout::{BoxPlace, MachinePlace},
    provider::SSH,
    record::{Record, Run},
};
use camino::Utf8Path;
use rig_hypervisor::image::{self, RootDisk};
use rig_model::{Bytes, Protocol};
use std::net::Ipv4Addr;

/// Memory in bytes where the file gives none: enough for an installation with apt, and for little else.
pub(crate) const MEMORY: Bytes = Bytes(512 << 20);

/// The board. Measured on QEMU 7.2 under emulation: `pc` reaches a login in 6.1 s, `q35` in 9.6 s.
const BOARD: &str = if cfg!(target_arch = "aarch64") { "virt" } else { "pc" };

/// The name of the disk for snapshots.
pub(crate) const DISK: &str = "root0";

/// The card that leads out.
pub(crate) const NAT: &str = "nat";

/// Everything that a command line is made from.
pub(crate) struct Start<'a> {
    pub(crate) record: &'a Record,
    pub(crate) run: &'a Run,
    pub(crate) accelerator: Accelerator,
    /// What boots a machine without a kernel beside its disk, where that is not the board's own.
    pub(crate) firmware: Option<&'a Utf8Path>,
    pub(crate) place: &'a MachinePlace,
    pub(crate) of_box: &'a BoxPlace,
    pub(crate) monitor: &'a Utf8Path,
    pub(crate) pid: &'a Utf8Path,
    /// The snapshot in the disk's file with which the machine goes on, instead of booting.
    pub(crate) memory: Option<&'a str>,
}

impl Start<'_> {
    /// The arguments, the program not among them.
    pub(crate) fn arguments(&self) -> Vec<String> {
        let record = self.record;
        let mut words = Words::default();
        words.pair("-name", format!("guest={}.{}", record.id.topology, record.id.machine));
        words.pair("-uuid", &record.identity);
        for flag in ["-nodefaults", "-no-user-config", "-no-reboot", "-daemonize"] {
            words.0.push(flag.to_owned());
        }
        words.pair("-display", "none");
        words.pair("-machine", BOARD);
        // Parts of a processor are rounded up: there are no half ones.
        let processors = record.cpus.0.div_ceil(1000).max(1);
        words.0.extend(self.accelerator.arguments(processors, record.boot != Boot::Kernel).map(str::to_owned));
        words.pair("-smp", processors.to_string());
        words.pair("-m", format!("{}M", record.memory.0 >> 20));
        if cfg!(target_os = "linux") {
            // No old system calls, and no more of the host's processors and memory than it has. Other systems have no such filter.
            words.pair("-sandbox", "on,obsolete=deny,resourcecontrol=deny");
        }
        match record.boot {
            Boot::Kernel => {
                words.pair("-kernel", self.of_box.kernel());
                words.pair("-initrd", self.of_box.initrd());
                words.pair(
                    "-append",
                    format!("{}{}", image::kernel_options(RootDisk::VirtioBlk), self.accelerator.kernel()),
                );
            }
            Boot::CloudImage | Boot::Stored => {
                if let Some(firmware) = self.firmware {
                    words.pair("-bios", firmware);
                }
                // Boot loaders of others may want a screen, though nobody sees it, and their kernels random numbers.
                words.pair("-vga", "std");
                words.pair("-device", "virtio-rng-pci");
            }
        }
        // The first disk is the one that is booted.
        words.pair(
            "-drive",
            format!(
                "file={},if=none,id=disk0,node-name={DISK},format=qcow2,discard=unmap,cache=writeback",
                escaped(&self.place.disk())
            ),
        );
        words.pair("-device", "virtio-blk-pci,drive=disk0");
        // A box that is told otherwise who it is may have programs that would believe a seed.
        if record.boot != Boot::Stored {
            let seed = escaped(&self.place.seed());
            words.pair("-drive", format!("file={seed},if=none,id=seed,format=raw,readonly=on"));
            words.pair("-device", "virtio-blk-pci,drive=seed");
        }
        self.cards(&mut words);
        words.pair("-chardev", format!("file,id=con,path={},append=on", escaped(&self.place.console())));
        words.pair("-serial", "chardev:con");
        words.pair("-qmp", format!("unix:{},server=on,wait=off", escaped(self.monitor)));
        words.pair("-pidfile", self.pid);
        if let Some(memory) = self.memory {
            words.pair("-loadvm", memory);
        }
        words.0
    }

    fn cards(&self, words: &mut Words) {
        for (number, card) in self.record.cards.iter().enumerate() {
            let id = match card.group {
                // The way out comes with the ways in: ports of this host.
                None => {
                    let restricted = if self.record.restricted { ",restrict=on" } else { "" };
                    let mut user = format!("user,id={NAT}{restricted}");
                    user.push_str(&forward(Protocol::Tcp, &Ipv4Addr::LOCALHOST, self.run.ssh, SSH));
                    for port in &self.record.ports {
                        user.push_str(&forward(port.protocol, &port.bind, port.host, port.guest));
                    }
                    words.pair("-netdev", user);
                    NAT.to_owned()
                }
                Some(group) => {
                    let id = format!("net{number}");
                    words.pair("-netdev", format!("socket,id={id},mcast={group},localaddr=127.0.0.1"));
                    id
                }
            };
            // Without a program of its own the card is not asked for something to boot.
            words.pair("-device", format!("virtio-net-pci,netdev={id},mac={},romfile=", card.card.mac));
        }
    }
}

/// A port of this host that leads in, as an option of the user network.
fn forward(protocol: Protocol, bind: &impl std::fmt::Display, host: u16, guest: u16) -> String {
    format!(",hostfwd={protocol}:{bind}:{host}-:{guest}")
}

/// A path in a list of options, where a comma ends a value unless there are two.
fn escaped(path: &Utf8Path) -> String {
    path.as_str().replace(',', ",,")
}

#[derive(Default)]
struct Words(Vec<String>);

impl Words {
    fn pair(&mut self, option: &str, value: impl std::fmt::Display) {
        self.0.push(option.to_owned());
        self.0.push(value.to_string());
    }
}
