//! A container engine in a Linux virtual machine, for hosts on which none can run.
//!
//! The machine is one of rig's own like any other: [`file`] is its workspace file, and whoever brings workspaces up brings it up.
//! This crate is what comes afterwards: [`VmHost`] leads into it. The engine's API is reached over SSH, folders of this host are
//! copied there, and ports of this host are made to lead there by the hypervisor, so that nothing of rig has to go on running.

mod file;
mod folders;
mod host;

pub use file::{Size, WORKSPACE, file, machine};
pub use host::VmHost;
