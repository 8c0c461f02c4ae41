//! Masters of root file systems: a machine with a disk of the box's files and one by which its firmware boots. It never runs.

use crate::{layout::Place, life::BASE, provider::VirtualBoxProvider, runner::words, seed::FIRST_CARD};
use camino::Utf8Path;
use rig_hypervisor::{
    Lock, files,
    image::{self, Kernel, RootDisk},
    issue,
};
use rig_model::{BoxSource, BoxSpec, MachineSpec, Progress};
use rig_provider_api::{ByteStream, Context, FieldIssue, ProviderError, Result};

/// The controller of the disks, of the kind that is made for virtual machines: kernels for clouds have no driver for the usual one.
pub(crate) const CONTROLLER: &str = "rig";

/// Memory in MiB where the file gives none: enough for an installation with apt, and for little else.
const MEMORY: &str = "512";

/// The kind of system, which decides little here: all that matters is said.
const SYSTEM: &str = if cfg!(target_arch = "aarch64") { "Debian_arm64" } else { "Debian_64" };

/// Why machines of such boxes have no folders of this host, and what has.
pub(crate) const NO_FOLDERS: &str = "the kernel of boxes that rig makes cannot mount VirtualBox's shared folders";
pub(crate) const OTHER_WAYS: &str =
    "give it a `stored` box with guest additions, or `provider \"qemu\"`, whose machines have copies";

impl VirtualBoxProvider {
    /// Makes a master of this identity from a root file system in a tar archive, with the snapshot that machines are cloned from.
    pub(crate) async fn make_master(
        &self,
        cx: &Context,
        doing: &str,
        (place, identity): (&Place, &str),
        of_box: &Lock,
        root: ByteStream,
    ) -> Result<()> {
        let folder = place.folder.clone();
        cx.run(doing, files::blocking(doing, move || files::make_folder(&folder))).await?;
        let (raw_root, raw_boot) = (place.folder.join("root.img"), place.folder.join("boot.img"));
        let (root_disk, boot_disk) = (place.folder.join("root.vdi"), place.folder.join("boot.vdi"));
        let kernel = image::make(cx, &raw_root, RootDisk::VirtioScsi, root, image::SIZE).await?;
        self.write_boot_disk(cx, doing, kernel, (&raw_boot, of_box.clone())).await?;
        cx.progress(Progress::step("making disks for VirtualBox"));
        for (from, to) in [(&raw_root, &root_disk), (&raw_boot, &boot_disk)] {
            let convert = words(["convertfromraw", from.as_str(), to.as_str(), "--format", "VDI"]);
            self.runner.run(cx, doing, &convert).await?;
            let from = from.clone();
            cx.run(doing, files::blocking(doing, move || files::remove_file(&from))).await?;
        }
        self.renewed();
        let base = place.base.to_string();
        let create = ["createvm", "--name", &place.name, "--basefolder", &base, "--uuid", identity, "--ostype", SYSTEM];
        let mut create = words(create);
        create.push("--register".to_owned());
        self.runner.run(cx, doing, &create).await?;
        self.runner.run_patiently(cx, doing, &modifications(identity)).await?;
        let controller = ["storagectl", identity, "--name", CONTROLLER, "--add", "virtio-scsi", "--bootable", "on"];
        self.runner.run_patiently(cx, doing, &words(controller)).await?;
        for (port, disk) in [("0", &root_disk), ("1", &boot_disk)] {
            let place = ["storageattach", identity, "--storagectl", CONTROLLER, "--port", port, "--device", "0"];
            let mut attach = words(place);
            attach.extend(words(["--type", "hdd", "--medium", disk.as_str()]));
            self.runner.run_patiently(cx, doing, &attach).await?;
        }
        self.runner.run_patiently(cx, doing, &words(["snapshot", identity, "take", BASE])).await.map(drop)
    }

    async fn write_boot_disk(
        &self,
        cx: &Context,
        doing: &str,
        kernel: Kernel,
        (to, of_box): (&Utf8Path, Lock),
    ) -> Result<()> {
        let (to, working) = (to.to_owned(), doing.to_owned());
        let write = files::blocking(doing, move || {
            let _held = of_box;
            let failed = |error: std::io::Error| ProviderError::failed(&*working, error);
            let options = image::kernel_options(RootDisk::VirtioScsi);
            let disk = image::boot_disk(&kernel, &options).map_err(failed)?.ok_or_else(|| {
                ProviderError::failed(&*working, "the box holds no boot loader")
                    .hinted("the package `systemd-boot-efi` brings it, which suites before Debian 12 do not have")
            })?;
            fs_err::write(&to, disk).map_err(failed)
        });
        cx.run(doing, write).await
    }
}

/// Whether a box is one that rig makes of packages, as far as its lines say: of several sources another may be taken.
pub(crate) fn is_made_here(of_box: &BoxSpec) -> bool {
    of_box.sources.iter().any(|source| matches!(source, BoxSource::Bootstrap(_)))
        && !of_box.sources.iter().any(|source| matches!(source, BoxSource::Stored(_)))
}

/// What machines of such a box cannot do.
pub(crate) fn issues(machine: &MachineSpec) -> Vec<FieldIssue> {
    let mut issues: Vec<FieldIssue> =
        machine.syncs.iter().map(|sync| issue(format!("sync.{}", sync.target), NO_FOLDERS, OTHER_WAYS)).collect();
    if machine.ssh.as_ref().is_some_and(|ssh| ssh.user == "root") {
        let hint = "leave `user` out; the user may become root";
        issues.push(issue("ssh", "the box lets nobody in as root", hint));
    }
    issues
}

/// The hardware for which such boxes have drivers.
fn modifications(identity: &str) -> Vec<String> {
    let mut modify = words(["modifyvm", identity]);
    let set = [
        ["--firmware", "efi"],
        ["--memory", MEMORY],
        ["--rtc-use-utc", "on"],
        ["--graphicscontroller", "vmsvga"],
        ["--vram", "16"],
        ["--mouse", "ps2"],
        ["--audio-enabled", "off"],
        ["--boot1", "disk"],
        ["--nic1", "nat"],
    ];
    modify.extend(set.into_iter().flatten().map(str::to_owned));
    modify.extend(["--macaddress1".to_owned(), FIRST_CARD.replace(':', "")]);
    for number in 1..=crate::boxes::CARDS {
        modify.extend([format!("--nictype{number}"), "virtio".to_owned()]);
    }
    modify
}
