//! The deeds of `rig compare`: topologies are brought up, put to work, broken and removed in turns, and measured. What the
//! numbers say is `rig-compare`'s to tell.

mod clock;
mod exposure;
mod facts;
mod guard;
mod lab;
mod life;
mod rounds;
mod runner;
mod setup;
mod trouble;
mod twice;
mod work;

pub use lab::{Deed, Lab, LabError, Variation};
pub use runner::{End, Runner};
pub use setup::{Setup, SetupError, Wishes};
