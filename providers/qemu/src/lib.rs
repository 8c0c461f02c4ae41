//! Machines as virtual machines of QEMU: disks over a box's disk, QEMU's own user network, its monitor for everything that
//! happens while they run. A machine goes on when rig ends, and is found again by its record and by what answers at its monitor.
#![cfg(unix)]

mod accelerator;
mod arguments;
mod boot;
mod boxes;
mod console;
mod disk;
mod doors;
mod firmware;
mod forwards;
mod hosts;
mod layout;
mod life;
mod monitor;
mod network;
mod observe;
mod packaging;
mod programs;
mod provider;
mod record;
mod running;
mod snapshots;
mod suspension;

pub use layout::QemuLayout;
pub use programs::{IMAGE, Programs, SYSTEM};
pub use provider::QemuProvider;
