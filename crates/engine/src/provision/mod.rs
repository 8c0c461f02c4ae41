//! Provisioning: how rig gets into a machine over SSH, and how its steps run there.

mod access;
mod briefing;
mod dialer;
mod enrol;
mod machine_log;
mod publishing;
mod put;
mod script;
mod well_known;

pub(crate) use access::blocking;
pub(crate) use access::brings_folders;
pub use access::{Access, Provisioning};
pub(crate) use script::sudo;
