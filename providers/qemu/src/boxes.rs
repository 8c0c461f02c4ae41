//! Boxes as disks: made of a root file system or of somebody's disk, never written to afterwards. The disks of machines lie over them.

use crate::{
    QemuProvider,
    boot::Boot,
    layout::{self, BoxPlace},
    programs,
    record::Record,
};
use async_trait::async_trait;
use camino::Utf8Path;
use jiff::Timestamp;
use rig_hypervisor::{
    Lock, files,
    image::{self, Kernel, RootDisk},
};
use rig_model::{BoxName, Bytes, Digest, ObservedBox, Progress};
use rig_provider_api::{BoxTag, BuildRequest, ByteStream, Context, Images, ProviderError, Result, StoredFiles};
use serde::{Deserialize, Serialize};
use std::os::unix::fs::MetadataExt;
use tokio::process::Command;

/// The formats of disks that others made, and the one that boxes are kept in.
const FORMATS: [&str; 2] = [DISK_FORMAT, "raw"];
pub(crate) const DISK_FORMAT: &str = "qcow2";

/// What boxes of virtual machines are made of.
const OTHERS: &str = "give the box a `bootstrap` with a line `kernel`, a `cloud-image`, or a `stored` box";

/// A box as it lies on disk.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct BoxRecord {
    name: BoxName,
    digest: Digest,
    parent: Option<BoxName>,
    /// What its disk takes, in bytes.
    size: Bytes,
    created: Timestamp,
    #[serde(default)]
    pub(crate) boot: Boot,
}

impl BoxRecord {
    /// What is written of a box; nothing where there is none.
    pub(crate) fn load(place: &BoxPlace) -> Result<Option<Self>> {
        let path = place.record();
        let Some(text) = files::read(&path)? else { return Ok(None) };
        serde_json::from_str(&text).map(Some).map_err(|error| ProviderError::failed(format!("reading {path}"), error))
    }
}

impl QemuProvider {
    /// The place of a box by its reference.
    pub(crate) fn box_place(&self, image: &str) -> BoxPlace {
        BoxPlace(self.layout.boxes().join(image))
    }

    /// All boxes.
    pub(crate) async fn list_boxes(&self, cx: &Context) -> Result<Vec<ObservedBox>> {
        let doing = "listing boxes";
        let (folder, provider) = (self.layout.boxes(), self.id.clone());
        let work = files::blocking(doing, move || {
            let mut boxes = Vec::new();
            for image in files::names(&folder)? {
                let place = BoxPlace(folder.join(&image));
                if layout::is_being_made(&place.0) {
                    continue;
                }
                // One that is removed meanwhile is not there. What a newer rig wrote is that one's.
                let Some(text) = files::read(&place.record())? else { continue };
                let Ok(record) = serde_json::from_str::<BoxRecord>(&text) else { continue };
                boxes.push(ObservedBox {
                    name: record.name,
                    provider: provider.clone(),
                    digest: record.digest,
                    native: image.clone(),
                    image,
                    parent: record.parent,
                    size: record.size,
                    created: Some(record.created),
                });
            }
            Ok(boxes)
        });
        cx.run(doing, work).await
    }

    /// Copies a disk that stands alone. Its format is the one that was found and checked: one that QEMU guesses can be another.
    async fn copy_disk(
        &self,
        cx: &Context,
        doing: &str,
        (from, format): (&Utf8Path, &str),
        to: &Utf8Path,
    ) -> Result<()> {
        #[derive(Deserialize)]
        struct Measure {
            required: u64,
        }
        // A few bytes can be a disk of terabytes.
        let mut measure = Command::new(&self.programs.image);
        measure.args(["measure", "--output=json", "-f", format, "-O", DISK_FORMAT]).arg(from).kill_on_drop(true);
        let measured = programs::run(cx, doing, &mut measure).await?;
        let measured: Measure =
            serde_json::from_slice(&measured.stdout).map_err(|error| ProviderError::failed(doing, error))?;
        let (folder, why) = (to.to_owned(), doing.to_owned());
        let free = cx.run(doing, files::blocking(doing, move || free_space(&folder, &why))).await?;
        if measured.required > free.0 {
            let why = format!("its disk takes {}, and {free} are free here", Bytes(measured.required));
            return Err(ProviderError::failed(doing, why).hinted("make room, or take a box with a smaller disk"));
        }
        let mut convert = Command::new(&self.programs.image);
        // Of a call that is cut nobody needs the disk.
        convert.args(["convert", "-f", format, "-O", DISK_FORMAT]).arg(from).arg(to).kill_on_drop(true);
        programs::run(cx, doing, &mut convert).await.map(drop)
    }

    /// A folder for a box that is made now, and what keeps others from it.
    async fn fresh(&self, cx: &Context, doing: &str, tag: &BoxTag) -> Result<Fresh> {
        self.prepare_folders(cx, doing).await?;
        let lock = Lock::take(cx, doing, self.layout.box_lock(&tag.image)).await?;
        let place = self.box_place(&tag.image);
        let making = place.making();
        let fresh = Fresh { tag: tag.clone(), place: place.clone(), making: making.clone(), lock };
        let (machines, image, working) = (self.layout.machines(), tag.image.clone(), doing.to_owned());
        let prepare = files::blocking(doing, move || {
            unused(&machines, &image, &working)?;
            for left in layout::remains(&place.0) {
                files::remove_folder(&left)?;
            }
            files::make_folder(&making.0)
        });
        cx.run(doing, prepare).await?;
        Ok(fresh)
    }
}

/// A box that is being made.
struct Fresh {
    tag: BoxTag,
    place: BoxPlace,
    making: BoxPlace,
    lock: Lock,
}

impl Fresh {
    /// Gives the box its place when it was made; removes it when it was not.
    async fn finish(self, doing: &str, boot: Boot, made: Result<()>) -> Result<()> {
        let finish = files::blocking(doing, move || {
            let Self { tag, place, making, lock: _held } = self;
            if let Err(error) = made {
                // Nobody finds it under this name; what cannot be removed now is removed by the next try.
                let _ = files::remove_folder(&making.0);
                return Err(error);
            }
            let (disk, _) = boot.disk(&making);
            let size = taken(&disk)?;
            let BoxTag { name, digest, parent, .. } = tag;
            let record = BoxRecord { name, digest, parent, size, created: Timestamp::now(), boot };
            files::write(&making.record(), serde_json::to_string_pretty(&record).unwrap_or_default().as_bytes())?;
            files::remove_folder(&place.0)?;
            fs_err::rename(&making.0, &place.0)
                .map_err(|error| ProviderError::failed("putting a box into place", error))
        });
        // Not cut: it is short, and what was made would be lost.
        finish.await
    }
}

/// Writes what boots a box beside its disk, where QEMU reads it.
async fn keep(cx: &Context, doing: &str, place: &BoxPlace, kernel: Kernel) -> Result<()> {
    let (path, working) = (place.clone(), doing.to_owned());
    let write = files::blocking(doing, move || {
        let failed = |error: std::io::Error| ProviderError::failed(&*working, error);
        fs_err::write(path.kernel(), &kernel.kernel).map_err(failed)?;
        fs_err::write(path.initrd(), &kernel.initrd).map_err(failed)
    });
    cx.run(doing, write).await
}

/// How much can still be written where a file is to be.
fn free_space(file: &Utf8Path, doing: &str) -> Result<Bytes> {
    let folder = file.parent().unwrap_or(file);
    let volume = rustix::fs::statvfs(folder.as_std_path()).map_err(|error| ProviderError::failed(doing, error))?;
    Ok(Bytes(volume.f_bavail.saturating_mul(volume.f_frsize)))
}

/// What a box's disk takes, in bytes: the file has holes.
fn taken(disk: &Utf8Path) -> Result<Bytes> {
    /// The unit in which the system counts what a file takes (`stat(2)`).
    const BLOCK: u64 = 512;
    let file = fs_err::metadata(disk);
    let file = file.map_err(|error| ProviderError::failed("looking at a box's disk", error))?;
    Ok(Bytes(file.blocks() * BLOCK))
}

#[async_trait]
impl Images for QemuProvider {
    fn reference(&self, name: &BoxName, digest: &Digest) -> String {
        layout::box_name(name, digest)
    }

    async fn list(&self, cx: &Context) -> Result<Vec<ObservedBox>> {
        self.list_boxes(cx).await
    }

    async fn import(&self, cx: &Context, tag: &BoxTag, root: ByteStream) -> Result<()> {
        let doing = format!("making box {}", tag.name);
        let fresh = self.fresh(cx, &doing, tag).await?;
        let made = image::make(cx, &fresh.making.disk(), RootDisk::VirtioBlk, root, image::SIZE).await;
        let made = match made {
            Ok(kernel) => keep(cx, &doing, &fresh.making, kernel).await,
            Err(error) => Err(error),
        };
        fresh.finish(&doing, Boot::Kernel, made).await
    }

    async fn adopt(&self, cx: &Context, tag: &BoxTag, stored: &StoredFiles) -> Result<()> {
        let doing = format!("making box {} of {}", tag.name, stored.what);
        let [disk] = stored.disks.as_slice() else {
            let why = format!("it has {} disks, and machines of QEMU have one", stored.disks.len());
            return Err(ProviderError::failed(doing, why));
        };
        // Others can name files of this host in more ways than are worth checking.
        if !FORMATS.contains(&disk.format.as_str()) {
            let why =
                format!("its disk {} is a {}; QEMU's boxes have {}", disk.path, disk.format, FORMATS.join(" or "));
            return Err(ProviderError::failed(doing, why));
        }
        let (from, format) = (stored.folder.join(&disk.path), disk.format.as_str());
        let fresh = self.fresh(cx, &doing, tag).await?;
        cx.progress(Progress::step("copying its disk"));
        let made = self.copy_disk(cx, &doing, (&from, format), &fresh.making.whole_disk()).await;
        fresh.finish(&doing, Boot::of(stored.introduction), made).await
    }

    async fn build(&self, _: &Context, request: BuildRequest) -> Result<()> {
        let doing = format!("building box {}", request.tag.name);
        Err(ProviderError::failed(doing, "QEMU builds no boxes from a Dockerfile").hinted(OTHERS))
    }

    async fn pull(&self, _: &Context, reference: &str) -> Result<()> {
        Err(ProviderError::failed(format!("pulling {reference}"), "QEMU runs no images of a registry").hinted(OTHERS))
    }

    async fn remove(&self, cx: &Context, image: &str) -> Result<()> {
        let doing = format!("removing box {image}");
        self.prepare_folders(cx, &doing).await?;
        let lock = Lock::take(cx, &doing, self.layout.box_lock(image)).await?;
        let (machines, place) = (self.layout.machines(), self.box_place(image));
        let (image, working) = (image.to_owned(), doing.clone());
        let work = files::blocking(&doing, move || {
            let _held = lock;
            unused(&machines, &image, &working)?;
            files::remove_folder(&place.0)
        });
        cx.run(&doing, work).await
    }
}

/// Makes sure that no machine is made from a box: their disks lie over its disk, and over no other one.
fn unused(machines: &Utf8Path, image: &str, doing: &str) -> Result<()> {
    match Record::every(machines)?.into_iter().find(|record| record.image == image) {
        None => Ok(()),
        Some(user) => {
            let why = format!("machine {} of workspace {} is made from it", user.id, user.workspace);
            Err(ProviderError::failed(doing, why).hinted("destroy the machine first"))
        }
    }
}
