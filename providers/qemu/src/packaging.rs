//! Machines as boxes: one disk, flattened, in the form of boxes for libvirt.

use crate::{QemuProvider, boot::Boot, boxes::DISK_FORMAT, disk::virtual_size, programs};
use async_trait::async_trait;
use camino::Utf8Path;
use rig_hypervisor::{Lock, files};
use rig_model::{MachineState, Progress};
use rig_provider_api::{Context, MachineRef, PackagedDisk, PackagedFiles, Packaging, ProviderError, Result};
use tokio::process::Command;

/// What such boxes say that they are made for, and the name of their disk
/// (<https://vagrant-libvirt.github.io/vagrant-libvirt/boxes.html>).
const KIND: &str = "libvirt";
const DISK: &str = "box.img";

#[async_trait]
impl Packaging for QemuProvider {
    async fn check(&self, cx: &Context, machine: &MachineRef) -> Result<()> {
        let doing = format!("packing the disk of machine {machine}");
        let record = self.record(cx, &doing, machine).await?;
        if record.boot != Boot::Kernel {
            return Ok(());
        }
        let why = "its box has a kernel beside its disk, and other boxes boot by what is on it";
        Err(ProviderError::failed(doing, why).hinted(
            "make the machine of a `cloud-image` or a `stored` box; the box of this one is made of its lines in the file",
        ))
    }

    async fn package(&self, cx: &Context, machine: &MachineRef, folder: &Utf8Path) -> Result<PackagedFiles> {
        let doing = format!("packing the disk of machine {machine}");
        self.record(cx, &doing, machine).await?;
        let lock = Lock::take(cx, &doing, self.layout.machine_lock(machine)).await?;
        self.check(cx, machine).await?;
        let mut record = self.record(cx, &doing, machine).await?;
        match self.settled(cx, &doing, &record).await? {
            MachineState::Created | MachineState::Exited => {}
            state => return Err(ProviderError::failed(doing, format!("it is {state}")).hinted("halt it first")),
        }
        self.bring_back(cx, &doing, machine, &mut record, &lock).await?;
        cx.progress(Progress::step("flattening its disk"));
        let (from, to) = (self.layout.machine(machine).disk(), folder.join(DISK));
        let mut convert = Command::new(&self.programs.image);
        convert.args(["convert", "-f", DISK_FORMAT, "-O", DISK_FORMAT]).arg(from).arg(&to).kill_on_drop(true);
        programs::run(cx, &doing, &mut convert).await?;
        let size = cx.run(&doing, files::blocking(&doing, move || virtual_size(&to))).await?;
        let disk = PackagedDisk { format: DISK_FORMAT, size };
        Ok(PackagedFiles { kind: KIND, mac: None, disk: Some(disk) })
    }
}
