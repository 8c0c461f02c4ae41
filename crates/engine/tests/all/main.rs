//! The engine on the fake provider: golden plans, which are what a file and an observation lead to as people read it, and what
//! becomes of them.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends")]

mod compare;
mod drift;
mod machines;
mod providers;
mod provisioning;
mod snapshots;
mod support;
mod suspension;
