//! From a tar archive to a disk and what boots it.

use super::{
    disk::{Disk, path_of},
    initrd::{Parts, RootDisk},
    pipe::{Pipe, pipe},
};
use camino::Utf8Path;
use rig_model::{Bytes, Progress};
use rig_provider_api::{ByteStream, Context, ProviderError, Result};
use std::io::{self, Read};
use tar::Archive;

/// Bytes between two reports of progress.
const REPORT: u64 = 8 << 20;

/// What boots a machine whose root file system is on a disk that was made with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kernel {
    /// The kernel, as its package has it.
    pub kernel: Vec<u8>,
    /// What it unpacks and runs first: it looks for the root disk.
    pub initrd: Vec<u8>,
    /// The boot loader for UEFI that the box brings along, if any.
    pub loader: Option<Loader>,
}

/// A boot loader for UEFI.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loader {
    /// The name under which firmware looks for it (`BOOTX64.EFI`).
    pub name: &'static str,
    /// The program.
    pub content: Vec<u8>,
}

/// Makes a disk with a file system of this size, in bytes, from a root file system as a tar archive. The file is sparse: what the box
/// does not fill takes no room. The kernel is not on it.
///
/// Devices, pipes and sockets of the archive are left out: a kernel makes `/dev` itself.
///
/// # Errors
/// When the archive cannot be read, holds no kernel or no `busybox`, or does not fit. What was written stays: a disk of which
/// this did not return well is none.
pub async fn make(cx: &Context, disk: &Utf8Path, root_disk: RootDisk, root: ByteStream, size: Bytes) -> Result<Kernel> {
    let doing = format!("making the disk {disk}");
    let (feed, read) = pipe();
    let work = {
        let disk = disk.to_owned();
        tokio::task::spawn_blocking(move || write(&disk, root_disk, read, size))
    };
    let mut next = 0;
    let passed = |count: u64| {
        if count >= next {
            next = count + REPORT;
            cx.progress(Progress::bytes("writing the disk", count, None));
        }
    };
    let fed = async {
        feed.run(root, passed).await;
        Ok(())
    };
    let fed = cx.run(&doing, fed).await;
    // Waited for in any case: whoever removes the folder must not meet a writer in it. It ends soon when nothing comes.
    let made = work.await.map_err(|error| ProviderError::failed(doing.as_str(), error))?;
    fed?;
    made.map_err(|failure| match failure {
        Failure::Lacks { what, hint } => ProviderError::failed(doing, format!("the box holds no {what}")).hinted(hint),
        Failure::Io(error) => ProviderError::failed(doing, error),
    })
}

/// Why there is no disk.
enum Failure {
    Io(io::Error),
    /// The box is not one for virtual machines.
    Lacks {
        what: &'static str,
        hint: &'static str,
    },
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

fn write(disk: &Utf8Path, root_disk: RootDisk, root: Pipe, size: Bytes) -> std::result::Result<Kernel, Failure> {
    let mut disk = Disk::create(disk, size)?;
    let mut parts = Parts::new(root_disk);
    let mut archive = Archive::new(root);
    for entry in archive.entries()? {
        let mut entry = entry?;
        let path = path_of(&entry.path_bytes())?;
        if !entry.header().entry_type().is_file() {
            disk.add(&path, &mut entry, None)?;
        } else if Parts::is_kernel(&path) {
            // A machine gets it from beside this disk; on it nobody reads it.
            parts.add_kernel(&path, read(&mut entry)?);
        } else if parts.is_part(&path) {
            let content = read(&mut entry)?;
            disk.add(&path, &mut entry, Some(&content))?;
            parts.add(&path, content);
        } else {
            disk.add(&path, &mut entry, None)?;
        }
    }
    // Behind the archive's end there is padding, and the word whether all went well where it came from.
    io::copy(&mut archive.into_inner(), &mut io::sink())?;
    let (version, kernel) =
        parts.kernel().ok_or(Failure::Lacks { what: "kernel", hint: "its `bootstrap` needs a line `kernel`" })?;
    let initrd = parts.initrd(&version)?.ok_or(Failure::Lacks {
        what: "busybox",
        hint: "the package `busybox-static` brings it, or a line `kernel` in its `bootstrap`",
    })?;
    disk.close()?;
    Ok(Kernel { kernel: kernel.to_vec(), initrd, loader: parts.loader() })
}

fn read(entry: &mut tar::Entry<'_, Pipe>) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    entry.read_to_end(&mut content)?;
    Ok(content)
}
