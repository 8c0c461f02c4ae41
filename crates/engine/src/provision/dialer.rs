//! Connections to machines' SSH servers.

use async_trait::async_trait;
use rig_model::MachineState;
use rig_provider_api::{Context, MachineRef, Provider, ProviderError};
use rig_ssh::{Connection, DialError, Dialer};
use std::{sync::Arc, time::Duration};
use tokio::net::TcpStream;

/// Connects through the provider, which knows where its machines are.
pub(super) struct ProviderDialer {
    pub(super) provider: Arc<dyn Provider>,
    pub(super) machine: MachineRef,
    pub(super) port: u16,
}

/// How long a provider may take to connect to a port.
const DIAL: Duration = Duration::from_secs(5);

impl ProviderDialer {
    async fn connect(&self, cx: &Context) -> rig_provider_api::Result<Box<dyn Connection>> {
        let doing = || format!("connecting to port {} of machine {}", self.port, self.machine);
        if let Some(dial) = self.provider.dial() {
            return Ok(Box::new(dial.dial(cx, &self.machine, self.port).await?));
        }
        let Some(doors) = self.provider.doors() else {
            let why = format!("provider {} cannot connect to ports", self.provider.id());
            return Err(ProviderError::failed(doing(), why));
        };
        let absent = || ProviderError::Absent { doing: doing(), what: format!("machine {}", self.machine) };
        let door = doors.door(cx, &self.machine).await?.ok_or_else(absent)?;
        let connect =
            async { TcpStream::connect(door.address).await.map_err(|error| ProviderError::failed(doing(), error)) };
        Ok(Box::new(cx.run(&doing(), connect).await?))
    }
}

#[async_trait]
impl Dialer for ProviderDialer {
    async fn dial(&self) -> Result<Box<dyn Connection>, DialError> {
        let cx = Context::alone(DIAL);
        match self.connect(&cx).await {
            Ok(stream) => Ok(stream),
            Err(error) => Err(match self.provider.inspect(&cx, &self.machine).await {
                Ok(None) => DialError::Permanent { why: "it was removed".to_owned() },
                Ok(Some(seen)) if seen.state == MachineState::Exited => {
                    let how = seen.exit.map_or_else(|| "ended".to_owned(), |exit| exit.to_string());
                    DialError::Permanent { why: format!("it {how}") }
                }
                _ => DialError::Temporary { why: error.to_string() },
            }),
        }
    }

    fn place(&self) -> String {
        format!("port {} of machine {}", self.port, self.machine)
    }

    /// Ports of this host that lead into virtual machines are there before their machines are.
    fn is_forwarded(&self) -> bool {
        self.provider.doors().is_some()
    }
}
