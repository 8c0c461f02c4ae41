//! The initrd: `busybox`, the drivers for the root disk, and a script. Everything comes from the box.

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

/// Where drivers are.
const MODULES: [&str; 2] = ["/usr/lib/modules/", "/lib/modules/"];

/// The drivers in the order in which they are loaded: the root disk's, then those of a file system that is not built in. Each is
/// taken where the kernel has it as a file.
const DRIVERS: [&str; 12] = [
    "virtio_ring",
    "virtio",
    "virtio_pci_modern_dev",
    "virtio_pci_legacy_dev",
    "virtio_pci",
    "virtio_blk",
    "crc32c_generic",
    "libcrc32c",
    "crc16",
    "mbcache",
    "jbd2",
    "ext4",
];

/// Kinds of files, and the rights of programs and of others.
const FOLDER: u32 = 0o40_755;
const PROGRAM: u32 = 0o100_755;
const FILE: u32 = 0o100_644;
const DEVICE: u32 = 0o20_600;

/// What was found in a box.
#[derive(Default)]
pub(super) struct Parts {
    /// By version, where the name has one.
    kernels: BTreeMap<String, Vec<u8>>,
    busybox: Option<Vec<u8>>,
    /// By the kernel's version and their turn, with the ending of their names.
    drivers: BTreeMap<String, BTreeMap<usize, (String, Vec<u8>)>>,
}

impl Parts {
    /// Whether a file is a kernel.
    pub(super) fn is_kernel(path: &str) -> bool {
        version(path).is_some()
    }

    /// Whether a file belongs into the initrd.
    pub(super) fn is_part(path: &str) -> bool {
        BUSYBOX.contains(&path) || driver(path).is_some()
    }

    /// Takes a kernel.
    pub(super) fn add_kernel(&mut self, path: &str, content: Vec<u8>) {
        self.kernels.insert(version(path).unwrap_or_default().to_owned(), content);
    }

    /// Takes a file for the initrd.
    pub(super) fn add(&mut self, path: &str, content: Vec<u8>) {
        if let Some((version, turn, ending)) = driver(path) {
            let drivers = self.drivers.entry(version.to_owned()).or_default();
            drivers.insert(turn, (ending.to_owned(), content));
        } else {
            self.busybox = Some(content);
        }
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
        for (turn, (ending, content)) in drivers.into_iter().flatten() {
            archive.add(&format!("modules/{turn:02}-{}.{ending}", DRIVERS[*turn]), FILE, content)?;
        }
        Ok(Some(trailer(archive.bytes)?))
    }
}

/// The version of the kernel in a file of this path, which may be empty.
fn version(path: &str) -> Option<&str> {
    match path.strip_prefix(KERNEL)? {
        "" => Some(""),
        rest => rest.strip_prefix('-').filter(|version| !version.contains('/')),
    }
}

/// The kernel's version, the turn and the ending of the name of a driver: `ko`, or one of a packed file, which `busybox` unpacks.
fn driver(path: &str) -> Option<(&str, usize, &str)> {
    let below = MODULES.iter().find_map(|folder| path.strip_prefix(folder))?;
    let (version, path) = below.split_once("/kernel/")?;
    let (name, ending) = path.rsplit('/').next()?.split_once('.')?;
    let turn = DRIVERS.iter().position(|driver| *driver == name)?;
    ending.starts_with("ko").then_some((version, turn, ending))
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
