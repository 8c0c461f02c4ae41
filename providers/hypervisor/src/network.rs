//! Networks of a topology, for hypervisors that know cards and wires but no networks with an address range.

use crate::files;
use camino::{Utf8Path, Utf8PathBuf};
use ipnet::Ipv4Net;
use rig_model::{Name, Observed, ObservedNetwork, ProviderId, ResolvedNetwork};
use rig_provider_api::{ProviderError, Result};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// A network as it lies on disk, with what joins its cards.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Network<W> {
    /// The workspace that owns it.
    pub workspace: Name,
    /// The topology.
    pub topology: Name,
    /// Its name inside the topology.
    pub name: Name,
    /// Its address range.
    pub subnet: Ipv4Net,
    /// Whether machines are kept from reaching the outside.
    pub internal: bool,
    /// What the hypervisor joins its cards with.
    #[serde(flatten)]
    pub wire: W,
}

impl<W> Network<W> {
    /// A network of a workspace with its wire.
    pub fn new(workspace: &Name, network: &ResolvedNetwork, wire: W) -> Self {
        Self {
            workspace: workspace.clone(),
            topology: network.topology.clone(),
            name: network.name.clone(),
            subnet: network.subnet,
            internal: network.internal,
            wire,
        }
    }

    /// What the provider calls it.
    pub fn native(&self) -> String {
        native(&self.workspace, &self.topology, &self.name)
    }
}

/// All networks of a hypervisor: a file each, in a folder. Calls block.
#[derive(Clone, Debug)]
pub struct Networks(Utf8PathBuf);

impl Networks {
    /// Those in a folder, which need not be there.
    #[must_use]
    pub fn new(folder: Utf8PathBuf) -> Self {
        Self(folder)
    }

    /// The folder.
    #[must_use]
    pub fn folder(&self) -> &Utf8Path {
        &self.0
    }

    /// Makes a network; one that is there in the same form stays as it is. The folder has to be there.
    ///
    /// # Errors
    /// When it is there in another form, or cannot be written.
    pub fn create<W: Serialize + DeserializeOwned>(&self, wanted: &Network<W>) -> Result<()> {
        let path = self.path(&wanted.native());
        match load::<W>(&path)? {
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
            None => files::write(&path, serde_json::to_string_pretty(wanted).unwrap_or_default().as_bytes()),
        }
    }

    /// A network; nothing where there is none.
    ///
    /// # Errors
    /// When its file cannot be read.
    pub fn get<W: DeserializeOwned>(
        &self,
        workspace: &Name,
        topology: &Name,
        name: &Name,
    ) -> Result<Option<Network<W>>> {
        load(&self.path(&native(workspace, topology, name)))
    }

    /// Removes a network by what the provider calls it. Absence is success.
    ///
    /// # Errors
    /// When its file cannot be removed.
    pub fn remove(&self, native: &str) -> Result<()> {
        files::remove_file(&self.path(native))
    }

    /// Adds the networks of a workspace and the address ranges of all others to an observation. What cannot be read of another
    /// workspace, because a newer rig wrote it, is left out.
    ///
    /// # Errors
    /// When the folder or a network of the workspace cannot be read.
    pub fn observe<W: DeserializeOwned>(
        &self,
        provider: &ProviderId,
        workspace: &Name,
        observed: &mut Observed,
    ) -> Result<()> {
        for name in files::names(&self.0)?.iter().filter(|name| name.ends_with(".json") && !name.starts_with('.')) {
            match load::<W>(&self.0.join(name)) {
                Ok(Some(network)) if network.workspace == *workspace => observed.networks.push(ObservedNetwork {
                    native: network.native(),
                    topology: network.topology,
                    name: network.name,
                    provider: provider.clone(),
                    subnet: Some(network.subnet),
                    internal: network.internal,
                }),
                Ok(Some(network)) => observed.foreign_subnets.push(network.subnet),
                // One that is removed meanwhile is not there.
                Ok(None) => {}
                Err(error) if name.split('.').next() == Some(workspace.as_str()) => return Err(error),
                Err(_) => {}
            }
        }
        Ok(())
    }

    fn path(&self, native: &str) -> Utf8PathBuf {
        self.0.join(format!("{native}.json"))
    }
}

/// Names hold no dots.
fn native(workspace: &Name, topology: &Name, name: &Name) -> String {
    format!("{workspace}.{topology}.{name}")
}

fn load<W: DeserializeOwned>(path: &Utf8Path) -> Result<Option<Network<W>>> {
    let Some(text) = files::read(path)? else { return Ok(None) };
    let network = serde_json::from_str(&text);
    network.map(Some).map_err(|error| ProviderError::failed(format!("reading {path}"), error))
}
