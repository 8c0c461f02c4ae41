//! Networks of a topology: internal ones of VirtualBox, which carry frames between the cards that name them, need no driver of the
//! host, no rights and no address of it, and have no limits on their ranges. The first card of a machine leads out.

use crate::provider::VirtualBoxProvider;
use async_trait::async_trait;
use rig_hypervisor::{Network, files};
use rig_model::{Name, ResolvedNetwork};
use rig_provider_api::{Context, Networks, ProviderError, Result};
use serde::{Deserialize, Serialize};

/// An internal network of VirtualBox is nothing but its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Internal {}

#[async_trait]
impl Networks for VirtualBoxProvider {
    async fn create_network(&self, cx: &Context, workspace: &Name, network: &ResolvedNetwork) -> Result<()> {
        let doing = format!("creating network {}", network.name);
        if network.internal {
            let why = "VirtualBox lets every machine out through the card that rig comes in by";
            return Err(ProviderError::failed(doing, why).hinted("leave `internal` out, or use provider \"qemu\""));
        }
        self.prepare_folders(cx, &doing).await?;
        let (networks, wanted) = (self.layout.networks(), Network::new(workspace, network, Internal {}));
        cx.run(&doing, files::blocking(&doing, move || networks.create(&wanted))).await
    }

    async fn remove_network(&self, cx: &Context, native: &str) -> Result<()> {
        let doing = format!("removing network {native}");
        let (networks, native) = (self.layout.networks(), native.to_owned());
        cx.run(&doing, files::blocking(&doing, move || networks.remove(&native))).await
    }
}
