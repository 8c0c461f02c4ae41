//! Networks and volumes.

use crate::{FakeProvider, Verb};
use async_trait::async_trait;
use rig_model::{Name, ResolvedNetwork};
use rig_provider_api::{Context, Networks, Result, Volumes};

#[async_trait]
impl Networks for FakeProvider {
    async fn create_network(&self, cx: &Context, workspace: &Name, network: &ResolvedNetwork) -> Result<()> {
        let subject = format!("{}/{}", network.topology, network.name);
        let work = async { self.engine.lock().world.create_network(workspace, network) };
        self.engine.call(cx, Verb::CreateNetwork, &subject, work).await
    }

    async fn remove_network(&self, cx: &Context, native: &str) -> Result<()> {
        let work = async { self.engine.lock().world.remove_network(native) };
        self.engine.call(cx, Verb::RemoveNetwork, native, work).await
    }
}

#[async_trait]
impl Volumes for FakeProvider {
    async fn remove_volume(&self, cx: &Context, native: &str) -> Result<()> {
        let work = async { self.engine.lock().world.remove_volume(native) };
        self.engine.call(cx, Verb::RemoveVolume, native, work).await
    }
}
