//! The program from end to end, on a real engine. Each scenario is a workspace of its own; the first one to need a box
//! makes it. `RIG_PROGRAM` names the program, `RIG_ENGINE` the engine; without an engine the scenarios fail.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on ends")]

mod compare;
mod crash;
mod drift;
#[cfg(unix)]
mod engine_vm;
mod failures;
#[cfg(unix)]
mod foreign;
mod lab;
mod machines;
mod naughty;
mod snapshots;
mod spark;
#[cfg(unix)]
mod virtual_machines;
#[cfg(unix)]
mod virtualbox;
