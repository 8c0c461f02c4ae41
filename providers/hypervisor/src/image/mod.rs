//! What a virtual machine boots from, made of a box's root file system: a disk, a kernel with its initrd, and where the machine's
//! own firmware has to find them a disk with those. Nothing of it needs a program of the host or the rights of its administrator.

mod boot;
mod disk;
mod initrd;
mod journal;
mod make;
mod pipe;
#[cfg(test)]
mod tests;

use rig_model::Bytes;

pub use boot::boot_disk;
pub use initrd::RootDisk;
pub use make::{Kernel, Loader, make};

/// The size of a root disk. It takes what is in it; the rest is room for machines.
pub const SIZE: Bytes = Bytes(16 << 30);

/// The kernel's name of the board's serial port.
const CONSOLE: &str = if cfg!(target_arch = "aarch64") { "ttyAMA0" } else { "ttyS0" };

/// What the kernel is told. QEMU ends a machine that wants to start anew, so that one whose kernel panics is seen to have ended. By
/// its own firmware a machine would boot for ever: there it stays where it is, with its last words on the console.
#[must_use]
pub fn kernel_options(root_disk: RootDisk) -> String {
    let panic = match root_disk {
        RootDisk::VirtioBlk => " panic=-1",
        RootDisk::VirtioScsi => "",
    };
    format!("console={CONSOLE} root={} rw quiet{panic} init=/usr/local/sbin/vm-init", root_disk.name())
}
