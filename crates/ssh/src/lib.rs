//! SSH without the `ssh` program: connections that verify pinned host keys, commands, transfers, tunnels and forwards.

mod auth;
mod channel;
mod connect;
mod dial;
mod error;
mod exec;
mod forward;
mod greeting;
mod keys;
mod quote;
mod session;
pub mod transfer;
mod tunnel;
mod wire;

pub use auth::{Credentials, Identity};
pub use connect::{Patience, Trust, connect};
pub use dial::{Connection, DialError, Dialer, Jump, Tcp};
pub use error::{Result, SshError};
pub use exec::{Control, Event, Events, ExecCommand, Outcome, Output, Running, Stdin, Terminal};
pub use forward::{Forward, forward_local};
pub use keys::{HostKey, KeyPair};
pub use quote::quote;
pub use session::Session;
pub use tunnel::Tunnel;
