//! Machines are frozen and go on. Their memory stays with the engine: when that ends, they end too.

use crate::{DockerProvider, error};
use async_trait::async_trait;
use bollard::errors::Error;
use rig_provider_api::{Context, MachineRef, Provider, ProviderError, Result, Suspension};
use std::future::Future;

#[async_trait]
impl Suspension for DockerProvider {
    async fn suspend(&self, cx: &Context, machine: &MachineRef) -> Result<()> {
        let name = Self::container(machine);
        let doing = format!("suspending machine {machine}");
        self.turn(cx, machine, &doing, true, self.docker.pause_container(&name)).await
    }

    async fn resume(&self, cx: &Context, machine: &MachineRef) -> Result<()> {
        let name = Self::container(machine);
        let doing = format!("resuming machine {machine}");
        self.turn(cx, machine, &doing, false, self.docker.unpause_container(&name)).await
    }
}

impl DockerProvider {
    /// Asks for a change; one that the engine refuses because it is done already is success.
    async fn turn(
        &self,
        cx: &Context,
        machine: &MachineRef,
        doing: &str,
        frozen: bool,
        call: impl Future<Output = std::result::Result<(), Error>> + Send,
    ) -> Result<()> {
        let refused = match cx.run(doing, async { Ok(call.await) }).await? {
            Ok(()) => return Ok(()),
            Err(error) => error,
        };
        match self.inspect(cx, machine).await? {
            None => Err(ProviderError::Absent { doing: doing.to_owned(), what: format!("machine {machine}") }),
            Some(seen) if seen.state.is_running() && seen.state.can_resume() == frozen => Ok(()),
            Some(seen) if !seen.state.is_running() => {
                Err(ProviderError::failed(doing, format!("it is {}", seen.state)))
            }
            Some(_) => Err(error::failure(doing, &Self::container(machine), refused)),
        }
    }
}
