//! What tests, benchmarks and builds need around them: packages of the host, and engines other than the host's own.

pub(crate) mod current_engine;
mod dockerd;
pub(crate) mod packages;

#[cfg_attr(not(feature = "bench"), expect(unused_imports, reason = "the benchmarks start the host's own engine through it"))]
pub(crate) use dockerd::{Dockerd, Network, running};
