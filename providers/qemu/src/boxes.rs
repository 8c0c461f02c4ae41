//! Boxes as disks: made of a root file system, never written to afterwards. The disks of machines lie over them.

use crate::{
    QemuProvider, image,
    layout::{self, BoxPlace},
    record::Record,
};
use async_trait::async_trait;
use camino::Utf8Path;
use jiff::Timestamp;
use rig_hypervisor::{Lock, files};
use rig_model::{BoxName, Bytes, Digest, ObservedBox};
use rig_provider_api::{BoxTag, BuildRequest, ByteStream, Context, Images, ProviderError, Result};
use serde::{Deserialize, Serialize};
use std::os::unix::fs::MetadataExt;

/// The size of a box's disk, in bytes. It takes what is in it; the rest is room for machines.
const SIZE: Bytes = Bytes(16 << 30);

/// A box as it lies on disk.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct BoxRecord {
    name: BoxName,
    digest: Digest,
    parent: Option<BoxName>,
    /// What its root file system takes, in bytes.
    size: Bytes,
    created: Timestamp,
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
                let path = place.record();
                // One that is removed meanwhile is not there.
                let Some(text) = files::read(&path)? else { continue };
                // What a newer rig wrote is that one's.
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
}

/// What a box's disk takes, in bytes: the file has holes.
fn taken(place: &BoxPlace) -> Result<Bytes> {
    /// The unit in which the system counts what a file takes (`stat(2)`).
    const BLOCK: u64 = 512;
    let file = fs_err::metadata(place.disk());
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
        self.prepare_folders(cx, &doing).await?;
        let lock = Lock::take(cx, &doing, self.layout.box_lock(&tag.image)).await?;
        let place = self.box_place(&tag.image);
        let making = place.making();
        let (folder, box_folder, machines) = (making.0.clone(), place.0.clone(), self.layout.machines());
        let (image, working) = (tag.image.clone(), doing.clone());
        let fresh = files::blocking(&doing, move || {
            unused(&machines, &image, &working)?;
            for left in layout::remains(&box_folder) {
                files::remove_folder(&left)?;
            }
            files::make_folder(&folder)
        });
        cx.run(&doing, fresh).await?;
        let made = image::make(cx, &making, root, SIZE).await;
        let tag = tag.clone();
        let finish = files::blocking(&doing, move || {
            let _held = lock;
            if let Err(error) = made {
                // Nobody finds it under this name; what cannot be removed now is removed by the next try.
                let _ = files::remove_folder(&making.0);
                return Err(error);
            }
            let size = taken(&making)?;
            let BoxTag { name, digest, parent, .. } = tag;
            let record = BoxRecord { name, digest, parent, size, created: Timestamp::now() };
            files::write(&making.record(), serde_json::to_string_pretty(&record).unwrap_or_default().as_bytes())?;
            files::remove_folder(&place.0)?;
            fs_err::rename(&making.0, &place.0)
                .map_err(|error| ProviderError::failed("putting a box into place", error))
        });
        // Not cut: it is short, and what was made would be lost.
        finish.await
    }

    async fn build(&self, _: &Context, request: BuildRequest) -> Result<()> {
        let doing = format!("building box {}", request.tag.name);
        Err(ProviderError::failed(doing, "QEMU builds no boxes from a Dockerfile")
            .hinted("give the box a `bootstrap` with a line `kernel`"))
    }

    async fn pull(&self, _: &Context, reference: &str) -> Result<()> {
        Err(ProviderError::failed(format!("pulling {reference}"), "QEMU runs no images of a registry")
            .hinted("give the box a `bootstrap` with a line `kernel`"))
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
