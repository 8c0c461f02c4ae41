//! Networks of a topology: every card on one speaks to a multicast group of this host's loopback, which carries the frames to
//! all the others. Nobody else needs to run, and no right is needed. Everybody with an account on this host could take part, which
//! is why machines are entered over SSH alone.

use crate::QemuProvider;
use async_trait::async_trait;
use rig_hypervisor::{Network, files};
use rig_model::{Name, ResolvedNetwork};
use rig_provider_api::{Context, Networks, Result};
use serde::{Deserialize, Serialize};
use std::net::{Ipv4Addr, SocketAddrV4};

/// The first byte of groups that nobody assigns (RFC 5771, GLOP and organisation-local ranges lie elsewhere).
const GROUPS: u8 = 230;

/// Ports below are for others; those above are given to clients by the kernel.
const PORTS: std::ops::Range<u16> = 20_000..32_000;

/// What joins the cards of a network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Multicast {
    /// Where they speak.
    pub(crate) group: SocketAddrV4,
}

impl Multicast {
    fn new() -> Self {
        // Two networks of the same group would be one; of 2^24 groups with as many ports none is met twice.
        let [a, b, c, d, e, ..] = rand::random::<u64>().to_le_bytes();
        let port = PORTS.start + u16::from_le_bytes([d, e]) % (PORTS.end - PORTS.start);
        Self { group: SocketAddrV4::new(Ipv4Addr::new(GROUPS, a, b, c), port) }
    }
}

#[async_trait]
impl Networks for QemuProvider {
    async fn create_network(&self, cx: &Context, workspace: &Name, network: &ResolvedNetwork) -> Result<()> {
        let doing = format!("creating network {}", network.name);
        self.prepare_folders(cx, &doing).await?;
        let (networks, wanted) = (self.layout.networks(), Network::new(workspace, network, Multicast::new()));
        cx.run(&doing, files::blocking(&doing, move || networks.create(&wanted))).await
    }

    async fn remove_network(&self, cx: &Context, native: &str) -> Result<()> {
        let doing = format!("removing network {native}");
        let (networks, native) = (self.layout.networks(), native.to_owned());
        cx.run(&doing, files::blocking(&doing, move || networks.remove(&native))).await
    }
}
