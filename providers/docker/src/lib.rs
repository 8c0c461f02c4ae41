//! Machines as containers of a Docker engine, through its API alone: no docker program is run.
//!
//! Labels on containers, networks, volumes and images are the truth; see [`labels`]. Works with Engine 20.10 (API 1.41)
//! and later.

mod address;
mod build;
mod changes;
mod context;
mod create;
mod daemon;
mod dial;
mod error;
mod exec;
mod hosted;
mod images;
pub mod labels;
mod layers;
mod logs;
mod networks;
mod observe;
mod on_host;
mod provider;
mod snapshots;
mod suspension;
mod usage;
mod watch;

pub use address::{AddressError, EngineAddress, Hosted, Tls, Transport};
pub use context::{ContextError, docker_context};
pub use daemon::{PrivateEngine, other_dockerd};
pub use provider::DockerProvider;
