//! Boxes as masters: machines that were imported from stored boxes or made of root file systems, never run, with the snapshot that the
//! disks of machines lie over.

use crate::{
    label::{BOX, BoxLabel, MachineLabel, format, text},
    layout::{self, Place},
    life::BASE,
    observe::Found,
    provider::VirtualBoxProvider,
    registry::Registry,
    runner::words,
    settings::Settings,
};
use async_trait::async_trait;
use camino::Utf8Path;
use jiff::Timestamp;
use rig_hypervisor::{Lock, files};
use rig_model::{BoxName, Bytes, Digest, ObservedBox, Progress};
use rig_provider_api::{
    BoxTag, BuildRequest, ByteStream, Context, Images, Introduction, ProviderError, Result, StoredFiles,
};

/// How many cards every machine has.
pub(crate) const CARDS: u32 = 8;

/// What its boxes are made of.
const OTHERS: &str =
    "give the box a `bootstrap` with a line `kernel`, or name a stored one: `stored \"debian/bookworm64\"`";

/// The machine's description in boxes for VirtualBox.
const OVF: &str = "box.ovf";

impl VirtualBoxProvider {
    /// The masters that are whole.
    pub(crate) async fn masters(&self, cx: &Context, registry: &Registry) -> Result<Vec<ObservedBox>> {
        let doing = "listing boxes";
        let (layout, provider, registry) = (self.layout.clone(), self.id.clone(), registry.clone());
        let work = files::blocking(doing, move || {
            let mut boxes = Vec::new();
            for image in layout.images() {
                let Some(settings) = Settings::load(&layout.master(&image).settings())? else { continue };
                let known = registry.known.contains(&settings.uuid);
                // What a newer rig wrote is that one's.
                let Ok(Some(label)) = BoxLabel::of(&settings) else { continue };
                if !known {
                    continue;
                }
                boxes.push(ObservedBox {
                    name: label.name,
                    provider: provider.clone(),
                    digest: label.digest,
                    image,
                    native: settings.uuid,
                    parent: label.parent,
                    size: label.size,
                    created: Some(label.created),
                });
            }
            Ok(boxes)
        });
        cx.run(doing, work).await
    }

    /// Makes sure that no machine is made from a box: their disks lie over its disk.
    async fn unused(&self, cx: &Context, doing: &str, image: &str) -> Result<()> {
        let layout = self.layout.clone();
        let all = files::blocking(doing, move || {
            let places = layout.every_machine().into_iter().map(|name| layout.machine_of(&name));
            places.filter_map(|place| Found::load(&place).transpose()).collect::<Result<Vec<_>>>()
        });
        let labels = cx.run(doing, all).await?.into_iter().filter_map(|found| found.label);
        match labels.into_iter().find(|label: &MachineLabel| label.image == image) {
            None => Ok(()),
            Some(user) => {
                let why = format!("machine {} of workspace {} is made from it", user.id, user.workspace);
                Err(ProviderError::failed(doing, why).hinted("destroy the machine first"))
            }
        }
    }

    /// Makes sure that no disk outside a master's folder lies over one in it: VirtualBox would lose the master, and leave the others
    /// without.
    async fn childless(&self, cx: &Context, doing: &str, place: &Place) -> Result<()> {
        let list = self.runner.question(cx, doing, &words(["list", "hdds"])).await?;
        match child(&list, place.folder.as_str()) {
            None => Ok(()),
            Some(child) => {
                let why = format!("the disk {child} lies over its disk");
                Err(ProviderError::failed(doing, why).hinted("remove the machine of that disk first"))
            }
        }
    }

    /// Makes room for a master: another one that is to be replaced goes, and what a call left that was cut. Nobody else makes or uses
    /// one of its name while the lock is held.
    async fn fresh(&self, cx: &Context, doing: &str, tag: &BoxTag, place: &Place) -> Result<Lock> {
        self.prepare_folders(cx, doing).await?;
        let of_box = self.hold(cx, doing, place).await?;
        self.unused(cx, doing, &tag.image).await?;
        if let Some(there) = self.master(cx, doing, place).await? {
            self.childless(cx, doing, place).await?;
            let identity = there.settings.map_or(there.identity, |settings| settings.uuid);
            self.purge(cx, doing, place, &identity).await?;
        }
        Ok(of_box)
    }

    /// Writes down what a master is of. Last: what has no label was never finished.
    async fn finish_master(
        &self,
        cx: &Context,
        doing: &str,
        (place, identity): (&Place, &str),
        tag: &BoxTag,
        seeded: bool,
    ) -> Result<()> {
        let folder = place.folder.clone();
        let size = cx.run(doing, files::blocking(doing, move || taken(&folder))).await?;
        let BoxTag { name, digest, parent, .. } = tag.clone();
        let label = BoxLabel { format: format(seeded), name, digest, parent, size, created: Timestamp::now(), seeded };
        let label = words(["setextradata", identity, BOX, &text(&label)]);
        self.runner.run_patiently(cx, doing, &label).await.map(drop)
    }

    /// What was begun of a master.
    async fn master(&self, cx: &Context, doing: &str, place: &Place) -> Result<Option<Found>> {
        let place = place.clone();
        cx.run(doing, files::blocking(doing, move || Found::load(&place))).await
    }
}

/// A disk of a list that is outside a folder and lies over one that is in it.
fn child<'a>(list: &'a str, folder: &str) -> Option<&'a str> {
    let field = |block: &'a str, name: &str| block.lines().find_map(|line| Some(line.strip_prefix(name)?.trim()));
    let disks: Vec<(&str, &str, &str)> = list
        .split("\n\n")
        .filter_map(|block| Some((field(block, "UUID:")?, field(block, "Parent UUID:")?, field(block, "Location:")?)))
        .collect();
    let is_in = |location: &str| location.strip_prefix(folder).is_some_and(|rest| rest.starts_with(['/', '\\']));
    let inside: Vec<&str> = disks.iter().filter(|(.., location)| is_in(location)).map(|(uuid, ..)| *uuid).collect();
    let outside = disks.iter().filter(|(.., location)| !is_in(location));
    outside.filter(|(_, parent, _)| inside.contains(parent)).map(|(.., location)| *location).next()
}

/// What all files in a folder take, in bytes.
fn taken(folder: &Utf8Path) -> Result<Bytes> {
    let mut sum = 0;
    for name in files::names(folder)? {
        let path = folder.join(name);
        let data =
            fs_err::metadata(&path).map_err(|error| ProviderError::failed(format!("looking at {path}"), error))?;
        sum += if data.is_dir() { taken(&path)?.0 } else { data.len() };
    }
    Ok(Bytes(sum))
}

#[async_trait]
impl Images for VirtualBoxProvider {
    fn reference(&self, name: &BoxName, digest: &Digest) -> String {
        layout::box_name(name, digest)
    }

    async fn list(&self, cx: &Context) -> Result<Vec<ObservedBox>> {
        if self.layout.images().is_empty() {
            return Ok(Vec::new());
        }
        let registry = self.registry(cx).await?;
        self.masters(cx, &registry).await
    }

    async fn import(&self, cx: &Context, tag: &BoxTag, root: ByteStream) -> Result<()> {
        let doing = format!("making box {}", tag.name);
        let place = self.layout.master(&tag.image);
        let of_box = self.fresh(cx, &doing, tag, &place).await?;
        let identity = self.begin(cx, &doing, &place).await?;
        let made = async {
            self.make_master(cx, &doing, (&place, &identity), &of_box, root).await?;
            self.finish_master(cx, &doing, (&place, &identity), tag, true).await
        };
        let made = made.await;
        if let Err(ProviderError::Failed { .. }) = &made {
            // Another try makes another box, and nobody would find this one. What cannot be removed now is removed by a next try of it.
            let _ = self.purge(cx, &doing, &place, &identity).await;
        }
        made
    }

    async fn build(&self, _: &Context, request: BuildRequest) -> Result<()> {
        let doing = format!("building box {}", request.tag.name);
        Err(ProviderError::failed(doing, "VirtualBox builds no boxes from a Dockerfile").hinted(OTHERS))
    }

    async fn pull(&self, _: &Context, reference: &str) -> Result<()> {
        Err(ProviderError::failed(format!("pulling {reference}"), "VirtualBox runs no images of a registry")
            .hinted(OTHERS))
    }

    async fn adopt(&self, cx: &Context, tag: &BoxTag, stored: &StoredFiles) -> Result<()> {
        let doing = format!("making box {} of {}", tag.name, stored.what);
        if stored.introduction == Introduction::Seed {
            return Err(ProviderError::failed(doing, "VirtualBox makes no machines of cloud images yet")
                .hinted("give the box's machines `provider \"qemu\"`, or make the box of something else"));
        }
        let place = self.layout.master(&tag.image);
        let _of_box = self.fresh(cx, &doing, tag, &place).await?;
        // The import gives it an identity of its own; this one says that something was begun.
        self.begin(cx, &doing, &place).await?;
        cx.progress(Progress::step("importing its disks"));
        let (ovf, base) = (stored.folder.join(OVF), place.base.to_string());
        let import = words([
            "import",
            ovf.as_str(),
            "--vsys",
            "0",
            "--vmname",
            &place.name,
            "--basefolder",
            &base,
            "--options",
            "keepallmacs",
        ]);
        self.renewed();
        self.runner.run(cx, &doing, &import).await?;
        let settings = place.settings();
        let imported = cx.run(&doing, files::blocking(&doing, move || Settings::load(&settings))).await?;
        let imported = imported.ok_or_else(|| ProviderError::failed(&doing, "VirtualBox has put it elsewhere"))?;
        let (identity, uuid) = (place.identity.clone(), imported.uuid.clone());
        cx.run(&doing, files::blocking(&doing, move || files::write(&identity, uuid.as_bytes()))).await?;
        let mut modify = words(["modifyvm", &imported.uuid, "--cableconnected1", "on"]);
        // Other cards than the first are a machine's own: a bridged one would be in the network of whoever runs it.
        for number in 2..=CARDS {
            modify.extend([format!("--nic{number}"), "none".to_owned()]);
        }
        // Ways in that its maker left open would be open in every machine.
        for name in imported.forwards.keys() {
            modify.extend(words(["--natpf1", "delete", name]));
        }
        if let Some(mac) = &stored.mac {
            modify.extend(words(["--macaddress1", mac]));
        }
        // Nobody looks at a machine's screen unless the file says so.
        modify.extend(words(["--vrde", "off"]));
        self.runner.run_patiently(cx, &doing, &modify).await?;
        self.runner.run_patiently(cx, &doing, &words(["snapshot", &imported.uuid, "take", BASE])).await?;
        self.finish_master(cx, &doing, (&place, &imported.uuid), tag, false).await
    }

    async fn remove(&self, cx: &Context, image: &str) -> Result<()> {
        let doing = format!("removing box {image}");
        self.prepare_folders(cx, &doing).await?;
        let place = self.layout.master(image);
        let _of_box = self.hold(cx, &doing, &place).await?;
        self.unused(cx, &doing, image).await?;
        let Some(there) = self.master(cx, &doing, &place).await? else { return Ok(()) };
        self.childless(cx, &doing, &place).await?;
        let identity = there.settings.map_or(there.identity, |settings| settings.uuid);
        self.purge(cx, &doing, &place, &identity).await
    }
}

#[cfg(test)]
mod tests {
    use super::child;

    #[test]
    fn disks_over_those_of_a_master_are_found() {
        let list = "UUID:           a\nParent UUID:    base\nLocation:       /d/master/x.vmdk\n\n\
                    UUID:           b\nParent UUID:    a\nLocation:       /d/master/Snapshots/{b}.vdi\n\n\
                    UUID:           c\nParent UUID:    a\nLocation:       /d/machines/w.t.m/Snapshots/{c}.vdi\n\n\
                    UUID:           d\nParent UUID:    base\nLocation:       /d/master2/x.vmdk\n";
        assert_eq!(child(list, "/d/master"), Some("/d/machines/w.t.m/Snapshots/{c}.vdi"));
        assert_eq!(child(list, "/d/master2"), None);
        assert_eq!(child("", "/d/master"), None);
    }
}
