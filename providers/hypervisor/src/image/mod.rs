//! What a virtual machine boots from, made of a box's root file system: a disk, a kernel with its initrd, and where the machine's
//! own firmware has to find them a disk with those. Nothing of it needs a
//! program of the host or the rights of its administrator.

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

/// What the kernel is told. One that panics ends the machine at once instead of waiting for somebody.
#[must_use]
pub fn kernel_options(root_disk: RootDisk) -> String {
    format!("console={CONSOLE} root={} rw quiet panic=-1 init=/usr/local/sbin/vm-init", root_disk.name())
}
