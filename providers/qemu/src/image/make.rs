//! From a tar archive to a folder that QEMU is started with.

use super::{
    disk::{Disk, path_of},
    initrd::Parts,
    pipe::{Pipe, pipe},
};
use crate::layout::BoxPlace;
use rig_model::{Bytes, Progress};
use rig_provider_api::{ByteStream, Context, ProviderError, Result};
use std::io::{self, Read};
use tar::Archive;

/// Bytes between two reports of progress.
const REPORT: u64 = 8 << 20;

/// Makes `disk.img` with a file system of this size, `kernel` and `initrd` in a folder that is there, from a root file system
/// as a tar archive. The disk is sparse: what the box does not fill takes no room.
///
/// Devices, pipes and sockets of the archive are left out: a kernel makes `/dev` itself.
///
/// # Errors
/// When the archive cannot be read, holds no kernel or no `busybox`, or does not fit. What was written stays: a folder of which
/// this did not return well is no box.
pub(crate) async fn make(cx: &Context, place: &BoxPlace, root: ByteStream, size: Bytes) -> Result<()> {
    let doing = format!("making a disk in {}", place.0);
    let (feed, read) = pipe();
    let work = {
        let place = place.clone();
        tokio::task::spawn_blocking(move || write(&place, read, size))
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

fn write(place: &BoxPlace, root: Pipe, size: Bytes) -> std::result::Result<(), Failure> {
    let mut disk = Disk::create(&place.disk(), size)?;
    let mut parts = Parts::default();
    let mut archive = Archive::new(root);
    for entry in archive.entries()? {
        let mut entry = entry?;
        let path = path_of(&entry.path_bytes())?;
        if !entry.header().entry_type().is_file() {
            disk.add(&path, &mut entry, None)?;
        } else if Parts::is_kernel(&path) {
            // QEMU reads it from its own file; on the disk nobody does.
            parts.add_kernel(&path, read(&mut entry)?);
        } else if Parts::is_part(&path) {
            let content = read(&mut entry)?;
            disk.add(&path, &mut entry, Some(&content))?;
            parts.add(&path, content);
        } else {
            disk.add(&path, &mut entry, None)?;
        }
    }
    // Behind the archive's end there is padding, and the word whether all went well where it came from.
    io::copy(&mut archive.into_inner(), &mut io::sink())?;
    let kernel =
        parts.kernel().ok_or(Failure::Lacks { what: "kernel", hint: "its `bootstrap` needs a line `kernel`" })?;
    let initrd = parts.initrd(&kernel.0)?.ok_or(Failure::Lacks {
        what: "busybox",
        hint: "the package `busybox-static` brings it, or a line `kernel` in its `bootstrap`",
    })?;
    disk.close()?;
    fs_err::write(place.kernel(), kernel.1)?;
    fs_err::write(place.initrd(), initrd)?;
    Ok(())
}

fn read(entry: &mut tar::Entry<'_, Pipe>) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    entry.read_to_end(&mut content)?;
    Ok(content)
}
