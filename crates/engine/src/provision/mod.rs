//! Provisioning: how rig gets into a machine over SSH, and how its steps run there.

mod access;
mod enrol;
mod machine_log;
mod put;
mod script;

pub use access::{Access, Provisioning};
