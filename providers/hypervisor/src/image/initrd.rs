//! What boots a machine: a kernel, and the initrd with `busybox`, the drivers for the root disk, and a script. Everything comes from
//! the box.

use super::{Loader, disk::LABEL};
use cpio::newc::{Builder, trailer};
use std::{
    collections::BTreeMap,
    io::{self, Write},
};

/// What runs in it.
const INIT: &str = include_str!("init.sh");

/// Where the kernel is in a box; behind a hyphen there may be its version.
const KERNEL: &str = "/boot/vmlinuz";

/// Where `busybox` is. It must be the one that needs no libraries.
const BUSYBOX: [&str; 2] = ["/usr/bin/busybox", "/bin/busybox"];

/// Where systemd's boot loader is, and the name under which firmware looks for it, by processor.
const LOADERS: [(&str, &str); 2] = [
    ("/usr/lib/systemd/boot/efi/systemd-bootx64.efi", "BOOTX64.EFI"),
    ("/usr/lib/systemd/boot/efi/systemd-bootaa64.efi", "BOOTAA64.EFI"),
];

/// Where drivers are.
const MODULES: [&str; 2] = ["/usr/lib/modules/", "/lib/modules/"];

/// What a machine's root disk is to its kernel, which decides the drivers in the initrd and the name of the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RootDisk {
    /// A disk of its own on the bus.
    VirtioBlk,
    /// A disk of a controller.
    VirtioScsi,
}

/// The drivers in the order in which they are loaded: the bus, the root disk, and a file system that is not built in. Each is taken
/// where the kernel has it as a file.
const BUS: [&str; 5] = ["virtio_ring", "virtio", "virtio_pci_modern_dev", "virtio_pci_legacy_dev", "virtio_pci"];
const BLK: [&str; 1] = ["virtio_blk"];
const SCSI: [&str; 9] = [
    "scsi_common",
    "scsi_mod",
    "virtio_scsi",
    "crct10dif_common",
    "crc-t10dif",
    "crc64",
    "crc64-rocksoft",
    "t10-pi",
    "sd_mod",
];
const FILE_SYSTEM: [&str; 6] = ["crc32c_generic", "libcrc32c", "crc16", "mbcache", "jbd2", "ext4"];

impl RootDisk {
    /// How the kernel's command line names it. The names of disks of a controller are given in the order in which they are found.
    pub(super) fn name(self) -> String {
        match self {
            Self::VirtioBlk => "/dev/vda".to_owned(),
            Self::VirtioScsi => format!("LABEL={LABEL}"),
        }
    }

    fn drivers(self) -> impl Iterator<Item = &'static str> {
        let disk: &[&str] = match self {
            Self::VirtioBlk => &BLK,
            Self::VirtioScsi => &SCSI,
        };
        BUS.iter().chain(disk).chain(&FILE_SYSTEM).copied()
    }
}

/// Kinds of files, and the rights of programs and of others.
const FOLDER: u32 = 0o40_755;
const PROGRAM: u32 = 0o100_755;
const FILE: u32 = 0o100_644;
const DEVICE: u32 = 0o20_600;

/// What was found in a box.
pub(super) struct Parts {
    root_disk: RootDisk,
    /// By version, where the name has one.
    kernels: BTreeMap<String, Vec<u8>>,
    busybox: Option<Vec<u8>>,
    loader: Option<Loader>,
    /// By the kernel's version and their turn, with their file's name.
    drivers: BTreeMap<String, BTreeMap<usize, (String, Vec<u8>)>>,
}

impl Parts {
    /// Nothing yet, for machines with such a root disk.
    pub(super) fn new(root_disk: RootDisk) -> Self {
        Self { root_disk, kernels: BTreeMap::new(), busybox: None, loader: None, drivers: BTreeMap::new() }
    }

    /// Whether a file is a kernel.
    pub(super) fn is_kernel(path: &str) -> bool {
        version(path).is_some()
    }

    /// Whether a file is needed before there is a root file system.
    pub(super) fn is_part(&self, path: &str) -> bool {
        BUSYBOX.contains(&path) || loader(path).is_some() || self.driver(path).is_some()
    }

    /// Takes a kernel.
    pub(super) fn add_kernel(&mut self, path: &str, content: Vec<u8>) {
        self.kernels.insert(version(path).unwrap_or_default().to_owned(), content);
    }

    /// Takes such a file.
    pub(super) fn add(&mut self, path: &str, content: Vec<u8>) {
        if let Some((version, turn, name)) = self.driver(path) {
            let (version, name) = (version.to_owned(), name.to_owned());
            self.drivers.entry(version).or_default().insert(turn, (name, content));
        } else if let Some(name) = loader(path) {
            self.loader = Some(Loader { name, content });
        } else {
            self.busybox = Some(content);
        }
    }

    /// The boot loader, if there is one.
    pub(super) fn loader(&self) -> Option<Loader> {
        self.loader.clone()
    }

    /// The kernel and its version; the last one where there are several.
    pub(super) fn kernel(&self) -> Option<(String, &[u8])> {
        self.kernels.last_key_value().map(|(version, content)| (version.clone(), content.as_slice()))
    }

    /// The initrd for a kernel; nothing when there is no `busybox`.
    pub(super) fn initrd(&self, version: &str) -> io::Result<Option<Vec<u8>>> {
        let Some(busybox) = &self.busybox else { return Ok(None) };
        // A kernel without a version in its name has the box's drivers.
        let drivers = self.drivers.get(version).or_else(|| self.drivers.values().next_back());
        let mut archive = Archive::default();
        for folder in ["bin", "dev", "modules", "proc", "system"] {
            archive.add(folder, FOLDER, b"")?;
        }
        // The kernel opens it for process 1 before anything is mounted.
        archive.add("dev/console", DEVICE, b"")?;
        archive.add("init", PROGRAM, INIT.as_bytes())?;
        archive.add("bin/busybox", PROGRAM, busybox)?;
        for (turn, (name, content)) in drivers.into_iter().flatten() {
            archive.add(&format!("modules/{turn:02}-{name}"), FILE, content)?;
        }
        Ok(Some(trailer(archive.bytes)?))
    }

    /// The kernel's version, the turn and the file's name of a driver. It ends in `ko`, or as a packed file, which `busybox` unpacks.
    fn driver<'a>(&self, path: &'a str) -> Option<(&'a str, usize, &'a str)> {
        let below = MODULES.iter().find_map(|folder| path.strip_prefix(folder))?;
        let (version, path) = below.split_once("/kernel/")?;
        let file = path.rsplit('/').next()?;
        let (name, ending) = file.split_once('.')?;
        let turn = self.root_disk.drivers().position(|driver| driver == name)?;
        ending.starts_with("ko").then_some((version, turn, file))
    }
}

/// The version of the kernel in a file of this path, which may be empty.
fn version(path: &str) -> Option<&str> {
    match path.strip_prefix(KERNEL)? {
        "" => Some(""),
        rest => rest.strip_prefix('-').filter(|version| !version.contains('/')),
    }
}

/// The name that a boot loader of this path has for firmware.
fn loader(path: &str) -> Option<&'static str> {
    LOADERS.iter().find(|(known, _)| *known == path).map(|(_, name)| *name)
}

/// An archive of the kind that kernels unpack.
#[derive(Default)]
struct Archive {
    bytes: Vec<u8>,
    count: u32,
}

impl Archive {
    fn add(&mut self, name: &str, mode: u32, content: &[u8]) -> io::Result<()> {
        self.count += 1;
        let size = u32::try_from(content.len()).map_err(io::Error::other)?;
        let mut entry = Builder::new(name).ino(self.count).mode(mode);
        if mode == DEVICE {
            // Its number is the console's.
            entry = entry.rdev_major(5).rdev_minor(1);
        }
        let mut writer = entry.write(&mut self.bytes, size);
        writer.write_all(content)?;
        writer.finish()?;
        Ok(())
    }
}
