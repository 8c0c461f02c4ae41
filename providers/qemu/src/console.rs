//! What machines write to their console, which QEMU keeps in a file.

use crate::QemuProvider;
use async_trait::async_trait;
use futures_util::stream::BoxStream;
use rig_hypervisor::Console;
use rig_provider_api::{Context, LogEvent, LogRequest, Logs, MachineRef, Result};
use std::time::Duration;

/// How long a look at a machine may take whose console is followed.
const LOOK: Duration = Duration::from_secs(30);

#[async_trait]
impl Logs for QemuProvider {
    async fn logs(
        &self,
        cx: &Context,
        machine: &MachineRef,
        request: &LogRequest,
    ) -> Result<BoxStream<'static, Result<LogEvent>>> {
        let doing = format!("reading the console of machine {machine}");
        self.record(cx, &doing, machine).await?;
        let console = Console::new(self.layout.machine(machine).console());
        let (provider, cx, machine) = (self.clone(), cx.clone(), machine.clone());
        let goes_on = move || -> futures_util::future::BoxFuture<'static, Result<bool>> {
            let (provider, cx, machine) = (provider.clone(), cx.within(LOOK), machine.clone());
            Box::pin(async move {
                match provider.found(&cx, &machine).await? {
                    Some(record) => Ok(provider.state(&cx, &record).await?.is_running()),
                    None => Ok(false),
                }
            })
        };
        console.logs(doing, request, goes_on).await
    }
}
