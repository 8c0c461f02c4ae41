//! Networks and volumes.

use crate::{DockerProvider, error, labels, observe};
use async_trait::async_trait;
use bollard::{
    models::{Ipam, IpamConfig, NetworkCreateRequest},
    query_parameters::RemoveVolumeOptions,
};
use rig_model::{Name, ResolvedNetwork};
use rig_provider_api::{Context, Networks, ProviderError, Result, Volumes};
use std::time::Duration;
use tokio::time::Instant;

/// How long a network is waited for that another call is making: an engine under load takes seconds for one.
const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(100);

impl DockerProvider {
    /// Whether the network of that name is the one that is wanted; `None` when there is none.
    async fn is_same(&self, workspace: &Name, wanted: &ResolvedNetwork) -> Option<bool> {
        let name = labels::network(workspace, &wanted.topology, &wanted.name);
        let there = self.docker.inspect_network(&name, None).await.ok()?;
        let there = bollard::models::Network {
            ipam: there.ipam,
            labels: there.labels,
            id: there.id,
            internal: there.internal,
            ..Default::default()
        };
        let seen = observe::network(&there, workspace);
        Some(seen.is_some_and(|seen| seen.subnet == Some(wanted.subnet) && seen.internal == wanted.internal))
    }

    /// Whether a range that is taken is taken by the wanted network itself, which another call is making at the same
    /// time or was making when it was cut. The engine takes the range before it shows the network.
    async fn appears(&self, workspace: &Name, wanted: &ResolvedNetwork) -> bool {
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            if let Some(is_same) = self.is_same(workspace, wanted).await {
                return is_same;
            }
            let others = self.docker.list_networks(None).await.unwrap_or_default();
            let ranges = others.iter().flat_map(observe::subnets);
            if ranges.into_iter().any(|range| range.contains(&wanted.subnet) || wanted.subnet.contains(&range)) {
                // Somebody else's; unless it is ours and appeared between the two looks.
                return self.is_same(workspace, wanted).await == Some(true);
            }
            tokio::time::sleep(PAUSE).await;
        }
        false
    }
}

#[async_trait]
impl Networks for DockerProvider {
    async fn create_network(&self, cx: &Context, workspace: &Name, network: &ResolvedNetwork) -> Result<()> {
        let name = labels::network(workspace, &network.topology, &network.name);
        let doing = format!("creating network {}/{} {}", network.topology, network.name, network.subnet);
        cx.run(&doing, async {
            // The engine would accept a second network of the same name; a plan that was cut may have made the first.
            match self.is_same(workspace, network).await {
                Some(true) => return Ok(()),
                Some(false) => {
                    return Err(ProviderError::failed(
                        &doing,
                        format!("a network named {name} is there already with another range"),
                    )
                    .hinted("`rig destroy` the topology first, then bring it up again"));
                }
                None => {}
            }
            let request = NetworkCreateRequest {
                name: name.clone(),
                driver: Some("bridge".to_owned()),
                internal: Some(network.internal),
                ipam: Some(Ipam {
                    config: Some(vec![IpamConfig { subnet: Some(network.subnet.to_string()), ..Default::default() }]),
                    ..Ipam::default()
                }),
                labels: Some(labels::of_network(workspace, &network.topology, &network.name)),
                ..NetworkCreateRequest::default()
            };
            let Err(error) = self.docker.create_network(request).await else { return Ok(()) };
            // Engines since 27 name the name that is taken, older ones the range.
            let taken = error::is_overlap(&error) || error::is_conflict(&error);
            if taken && self.appears(workspace, network).await {
                return Ok(());
            }
            Err(error::failure(&doing, &name, error))
        })
        .await
    }

    async fn remove_network(&self, cx: &Context, native: &str) -> Result<()> {
        let doing = format!("removing network {}", &native[..native.len().min(12)]);
        cx.run(&doing, async {
            match self.docker.remove_network(native).await {
                Ok(()) => Ok(()),
                Err(error) if error::is_absent(&error) => Ok(()),
                Err(error) => Err(error::failure(&doing, native, error)),
            }
        })
        .await
    }
}

#[async_trait]
impl Volumes for DockerProvider {
    async fn remove_volume(&self, cx: &Context, native: &str) -> Result<()> {
        let doing = format!("removing volume {native}");
        cx.run(&doing, async {
            match self.docker.remove_volume(native, None::<RemoveVolumeOptions>).await {
                Ok(()) => Ok(()),
                Err(error) if error::is_absent(&error) => Ok(()),
                Err(error) => Err(error::failure(&doing, native, error)),
            }
        })
        .await
    }
}
