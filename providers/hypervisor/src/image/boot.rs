//! The disk by which UEFI boots a machine that is given no kernel from outside.
//!
//! Firmware looks on every disk for a program of a fixed name
//! (<https://uefi.org/specs/UEFI/2.10/03_Boot_Manager.html#removable-media-boot-behavior>); here it is systemd's boot loader, which
//! reads what to boot from two files (<https://uapi-group.org/specifications/specs/boot_loader_specification/>).

use super::Kernel;
use std::io::{self, Cursor, Write};

/// The label of the file system, padded as it wants it.
const LABEL: [u8; 11] = *b"RIG-BOOT   ";

/// What a file system of this kind needs beside its files, in bytes.
const ROOM: usize = 4 << 20;

/// The folder in which firmware looks.
const FOLDER: &str = "EFI/BOOT";

/// The bytes of such a disk. `options` are what the kernel is told. Nothing when the box brings no boot loader along.
///
/// # Errors
/// When it does not all fit.
pub fn boot_disk(kernel: &Kernel, options: &str) -> io::Result<Option<Vec<u8>>> {
    let Some(loader) = &kernel.loader else { return Ok(None) };
    let size = kernel.kernel.len() + kernel.initrd.len() + loader.content.len() + ROOM;
    let mut disk = Cursor::new(vec![0; size.next_multiple_of(1 << 20)]);
    fatfs::format_volume(&mut disk, fatfs::FormatVolumeOptions::new().volume_label(LABEL))?;
    {
        let volume = fatfs::FileSystem::new(&mut disk, fatfs::FsOptions::new())?;
        let root = volume.root_dir();
        for folder in ["EFI", FOLDER, "loader", "loader/entries"] {
            root.create_dir(folder)?;
        }
        let entry = format!("title rig\nlinux /vmlinuz\ninitrd /initrd\noptions {options}\n");
        let files = [
            (&*format!("{FOLDER}/{}", loader.name), loader.content.as_slice()),
            // Nobody sits there to choose.
            ("loader/loader.conf", b"timeout 0\n"),
            ("loader/entries/rig.conf", entry.as_bytes()),
            ("vmlinuz", kernel.kernel.as_slice()),
            ("initrd", kernel.initrd.as_slice()),
        ];
        for (name, content) in files {
            root.create_file(name)?.write_all(content)?;
        }
    }
    Ok(Some(disk.into_inner()))
}
