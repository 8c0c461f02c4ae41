//! Ports of this host.

use rig_model::{Protocol, PublishedPort};
use rig_provider_api::{ProviderError, Result};
use std::net::{Ipv4Addr, TcpListener, UdpSocket};

/// A port of this host's loopback that nobody listens on at this moment.
///
/// # Errors
/// When there is none.
pub fn free_port() -> Result<u16> {
    let failed = |error| ProviderError::failed("looking for a free port", error);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(failed)?;
    Ok(listener.local_addr().map_err(failed)?.port())
}

/// Whether nobody has a port of this host at this moment.
#[must_use]
pub fn is_free(port: &PublishedPort) -> bool {
    match port.protocol {
        Protocol::Tcp => TcpListener::bind((port.bind, port.host)).is_ok(),
        Protocol::Udp => UdpSocket::bind((port.bind, port.host)).is_ok(),
    }
}
