//! From what should be and what is to what has to be done. Everything here is pure: no I/O, no clock, no randomness.

mod addresses;
mod boxes;
mod budget;
mod changes;
mod down;
mod graph;
mod ports;
mod resolve;
mod snapshots;
mod steps;
mod suspend;
mod up;

pub use addresses::Addresses;
pub use boxes::build_boxes;
pub use budget::check_budget;
pub use down::{DestroyOptions, destroy, halt};
pub use ports::HostPorts;
pub use snapshots::{delete_snapshots, newest_snapshot, restore_snapshots, save_snapshots};
pub use suspend::{resume, suspend};
pub use up::{Desired, ProvisionOptions, UpOptions, provision, up};

pub(crate) use graph::Graph;
