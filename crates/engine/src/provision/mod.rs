//! Provisioning: how rig gets into a machine over SSH, and how its steps run there.

mod access;
mod briefing;
mod dialer;
mod enrol;
mod machine_log;
mod needs;
mod publishing;
mod put;
mod script;
mod well_known;

pub use access::Access;
pub(crate) use access::blocking;
pub use needs::Provisioning;
pub(crate) use needs::brings_folders;
pub(crate) use script::sudo;
