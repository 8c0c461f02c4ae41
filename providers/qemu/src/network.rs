//! Networks of a topology: every card on one speaks to a multicast group of this host's loopback, which carries the frames to
//! all the others. Nobody else needs to run, and no right is needed. Everybody with an account on this host could take part, which
//! is why machines are entered over SSH alone.

use crate::{QemuProvider, files};
use async_trait::async_trait;
use camino::Utf8Path;
use ipnet::Ipv4Net;
use rig_model::{Name, ObservedNetwork, ResolvedNetwork};
use rig_provider_api::{Context, Networks, ProviderError, Result};
use serde::{Deserialize, Serialize};
use std::net::{Ipv4Addr, SocketAddrV4};

/// The first byte of groups that nobody assigns (RFC 5771, GLOP and organisation-local ranges lie elsewhere).
const GROUPS: u8 = 230;

/// Ports below are for others; those above are given to clients by the kernel.
const PORTS: std::ops::Range<u16> = 20_000..32_000;

/// A network as it lies on disk.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Network {
    pub(crate) workspace: Name,
    pub(crate) topology: Name,
    pub(crate) name: Name,
    pub(crate) subnet: Ipv4Net,
    pub(crate) internal: bool,
    /// Where its cards speak.
    pub(crate) group: SocketAddrV4,
}

impl Network {
    fn new(workspace: &Name, network: &ResolvedNetwork) -> Self {
        // Two networks of the same group would be one; of 2^24 groups with as many ports none is met twice.
        let [a, b, c, d, e, ..] = rand::random::<u64>().to_le_bytes();
        let port = PORTS.start + u16::from_le_bytes([d, e]) % (PORTS.end - PORTS.start);
        Self {
            workspace: workspace.clone(),
            topology: network.topology.clone(),
            name: network.name.clone(),
            subnet: network.subnet,
            internal: network.internal,
            group: SocketAddrV4::new(Ipv4Addr::new(GROUPS, a, b, c), port),
        }
    }

    pub(crate) fn load(path: &Utf8Path) -> Result<Option<Self>> {
        let Some(text) = files::read(path)? else { return Ok(None) };
        let network = serde_json::from_str(&text);
        network.map(Some).map_err(|error| ProviderError::failed(format!("reading {path}"), error))
    }

    /// All of them. What cannot be read of another workspace, because a newer rig wrote it, is left out.
    pub(crate) fn all(folder: &Utf8Path, workspace: &Name) -> Result<Vec<Self>> {
        let mut networks = Vec::new();
        for name in files::names(folder)?.iter().filter(|name| name.ends_with(".json") && !name.starts_with('.')) {
            match Self::load(&folder.join(name)) {
                // One that is removed meanwhile is not there.
                Ok(network) => networks.extend(network),
                Err(error) if name.split('.').next() == Some(workspace.as_str()) => return Err(error),
                Err(_) => {}
            }
        }
        Ok(networks)
    }

    /// What the provider calls it.
    pub(crate) fn native(&self) -> String {
        format!("{}.{}.{}", self.workspace, self.topology, self.name)
    }
}

impl QemuProvider {
    pub(crate) fn observed_network(&self, network: Network) -> ObservedNetwork {
        ObservedNetwork {
            native: network.native(),
            topology: network.topology,
            name: network.name,
            provider: self.id.clone(),
            subnet: Some(network.subnet),
            internal: network.internal,
        }
    }
}

#[async_trait]
impl Networks for QemuProvider {
    async fn create_network(&self, cx: &Context, workspace: &Name, network: &ResolvedNetwork) -> Result<()> {
        let doing = format!("creating network {}", network.name);
        let path = self.layout.network(workspace, &network.topology, &network.name);
        let wanted = Network::new(workspace, network);
        self.prepare_folders(cx, &doing).await?;
        let work = files::blocking(&doing, move || match Network::load(&path)? {
            Some(there) if there.subnet == wanted.subnet && there.internal == wanted.internal => Ok(()),
            Some(there) => {
                let how = |internal| if internal { ", internal" } else { "" };
                let why = format!(
                    "it is there with other settings: {}{} instead of {}{}",
                    there.subnet,
                    how(there.internal),
                    wanted.subnet,
                    how(wanted.internal)
                );
                Err(ProviderError::failed(format!("creating network {}", wanted.name), why)
                    .hinted("`rig destroy` of the topology removes it"))
            }
            None => files::write(&path, serde_json::to_string_pretty(&wanted).unwrap_or_default().as_bytes()),
        });
        cx.run(&doing, work).await
    }

    async fn remove_network(&self, cx: &Context, native: &str) -> Result<()> {
        let doing = format!("removing network {native}");
        let path = self.layout.networks().join(format!("{native}.json"));
        cx.run(&doing, files::blocking(&doing, move || files::remove_file(&path))).await
    }
}
