//! Networks of a topology.

use crate::{Name, Origin};
use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};
use std::net::Ipv4Addr;

/// A network that a topology declares, or the one it has without saying so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkSpec {
    /// Its name inside the topology.
    pub name: Name,
    /// The address range; chosen by rig when there is none.
    pub subnet: Option<Ipv4Net>,
    /// Whether machines are kept from reaching the outside.
    pub internal: bool,
    /// Where it was declared.
    pub origin: Origin,
}

/// A network with its address range decided: what a provider creates.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResolvedNetwork {
    /// The topology that owns it.
    pub topology: Name,
    /// Its name inside the topology.
    pub name: Name,
    /// The address range; the first host address is the gateway's.
    pub subnet: Ipv4Net,
    /// Whether machines are kept from reaching the outside.
    pub internal: bool,
}

/// A machine's place on a network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attachment {
    /// The network's name inside the topology.
    pub network: Name,
    /// The address the file asks for; in a [`crate::ResolvedMachine`] always there.
    pub ip: Option<Ipv4Addr>,
}

/// Addresses of a range that machines may have: all but the network's, the gateway's and the broadcast address.
pub fn usable(subnet: &Ipv4Net) -> impl Iterator<Item = Ipv4Addr> + use<> {
    subnet.hosts().skip(1)
}
