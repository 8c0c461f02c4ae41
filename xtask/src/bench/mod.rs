//! `cargo xtask bench`: rig beside the raw Engine API, compose and Vagrant, on the same engine in the same minutes.
//!
//! The measuring program needs an Engine API client, so it is behind the feature `bench`; without it, `run` builds it.

#[cfg(feature = "bench")]
mod cleanup;
#[cfg(feature = "bench")]
mod compose;
#[cfg(feature = "bench")]
mod contender;
#[cfg(feature = "bench")]
mod engine;
#[cfg(feature = "bench")]
mod goals;
#[cfg(feature = "bench")]
mod machine;
#[cfg(feature = "bench")]
mod options;
#[cfg(feature = "bench")]
mod own;
#[cfg(feature = "bench")]
mod program;
#[cfg(feature = "bench")]
mod raw;
#[cfg(not(feature = "bench"))]
mod rebuild;
#[cfg(feature = "bench")]
mod report;
#[cfg(feature = "bench")]
mod results;
#[cfg(feature = "bench")]
mod rig;
#[cfg(feature = "bench")]
mod rounds;
#[cfg(feature = "bench")]
mod run;
#[cfg(feature = "bench")]
mod script;
#[cfg(feature = "bench")]
mod spark;
#[cfg(feature = "bench")]
mod ssh;
#[cfg(feature = "bench")]
mod vagrant;

#[cfg(not(feature = "bench"))]
pub(crate) use rebuild::run;
#[cfg(feature = "bench")]
pub(crate) use run::run;
