//! The crate against a real OpenSSH server, which each test starts for itself. Needs `sshd`.

#![cfg(unix)]
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_macros,
    reason = "these are tests, their helpers included"
)]

mod connecting;
mod lab;
mod running;
mod streams;
mod transfers;
