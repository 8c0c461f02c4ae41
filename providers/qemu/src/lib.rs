//! Machines as virtual machines of QEMU: disks over a box's disk, QEMU's own user network, its monitor for everything that
//! happens while they run. A machine goes on when rig ends, and is found again by its record and by what answers at its monitor.

mod accelerator;
mod layout;
mod monitor;
mod seed;

pub use layout::QemuLayout;
