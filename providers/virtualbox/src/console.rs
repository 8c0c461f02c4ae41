//! What machines write to their serial port, which VirtualBox keeps in a file.

use crate::provider::VirtualBoxProvider;
use async_trait::async_trait;
use futures_util::{future::BoxFuture, stream::BoxStream};
use rig_hypervisor::Console;
use rig_model::MachineState;
use rig_provider_api::{Context, LogEvent, LogRequest, Logs, MachineRef, Result};
use std::time::Duration;

/// How long a look at a machine may take whose console is followed.
const LOOK: Duration = Duration::from_secs(30);

#[async_trait]
impl Logs for VirtualBoxProvider {
    async fn logs(
        &self,
        cx: &Context,
        machine: &MachineRef,
        request: &LogRequest,
    ) -> Result<BoxStream<'static, Result<LogEvent>>> {
        let doing = format!("reading the console of machine {machine}");
        let found = self.there(cx, &doing, machine).await?;
        let console = Console::new(found.place.console());
        let (provider, cx, machine) = (self.clone(), cx.clone(), machine.clone());
        let goes_on = move || -> BoxFuture<'static, Result<bool>> {
            let (provider, cx, machine) = (provider.clone(), cx.within(LOOK), machine.clone());
            Box::pin(async move {
                let Some(found) = provider.found(&cx, &machine).await? else { return Ok(false) };
                Ok(found.state(&provider.recent(&cx).await?) == Some(MachineState::Running))
            })
        };
        console.logs(doing, request, goes_on).await
    }
}
