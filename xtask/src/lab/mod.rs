//! What tests, benchmarks and builds need around them: packages of the host, and engines other than the host's own.

mod command;
pub(crate) mod current_engine;
mod dockerd;
pub(crate) mod packages;
pub(crate) mod virtualbox;

pub(crate) use command::run;
pub(crate) use dockerd::Network;
#[cfg(feature = "bench")]
pub(crate) use dockerd::{Dockerd, running};
