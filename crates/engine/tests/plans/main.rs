//! Golden plans: what a file and an observation lead to, as people read it.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends")]

mod machines;
mod provisioning;
mod support;
