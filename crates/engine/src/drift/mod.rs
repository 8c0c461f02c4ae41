//! Drift: what is in a machine, kept after it was provisioned, and compared with what is in it now.
//!
//! Providers that know what a machine has otherwise than its box say which paths to look at; in other machines everything is
//! looked at. What these paths hold, and what runs, the machine says itself, through its provider or over SSH: a few short
//! programs of the shell, which need nothing that a minimal box lacks.

mod baseline;
mod collect;
mod inside;
mod report;
mod text;

pub(crate) use baseline::look_into;
pub use baseline::record_baselines;
pub(crate) use collect::{Look, PACKAGES};
pub(crate) use inside::Inside;
pub use report::{MachineDrift, Since, machine_drift};
pub use text::{TextDrift, text_drift};
