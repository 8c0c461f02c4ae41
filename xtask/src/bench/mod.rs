//! `cargo xtask bench`: rig beside the raw Engine API, compose and Vagrant, on the same engine in the same minutes.
//!
//! The measuring program needs an Engine API client, so it is behind the feature `bench`; without it, `run` builds it.

#[cfg(feature = "bench")]
mod measure;
#[cfg(not(feature = "bench"))]
mod rebuild;

#[cfg(feature = "bench")]
pub(crate) use measure::run;
#[cfg(not(feature = "bench"))]
pub(crate) use rebuild::run;
