//! What is in a machine, and how that differs from what was there before.
//!
//! A [`Manifest`] says what is there: files by path, installed packages, processes, listeners. [`compare`] takes two of them
//! and gives a [`Drift`], with a class for each path from a [`Classifier`]. Everything here is pure: `rig-engine` asks the
//! machines, [`parse`] understands their answers.

mod classify;
mod compare;
mod manifest;
pub mod parse;

pub use classify::{Classifier, PatternError};
pub use compare::{Change, Drift, FileDrift, ItemDrift, compare};
pub use manifest::{File, Kind, Manifest};
