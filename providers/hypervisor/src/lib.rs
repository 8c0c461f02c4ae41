//! What the providers of virtual machines on this host have in common. An engine of containers keeps records, networks and names
//! itself; a hypervisor does not, so that they lie on this host's disk.

mod console;
pub mod files;
pub mod image;
mod issues;
mod keys;
mod lock;
mod neighbours;
mod network;
mod ports;
mod seed;

pub use console::Console;
pub use issues::{host_memory, issue, issues};
pub use keys::Keys;
pub use lock::Lock;
pub use neighbours::{Guest, hosts, hosts_file, knows_all, neighbours};
pub use network::{Network, Networks};
pub use ports::{free_port, is_free};
pub use seed::{Card, NAT, Seed};
