//! Connections to a port inside a container.

use crate::DockerProvider;
use async_trait::async_trait;
use rig_provider_api::{Context, Dial, DialStream, MachineRef, Provider, ProviderError, Result};
use std::{net::SocketAddr, time::Duration};
use tokio::net::TcpStream;

/// How long a container on the same host may take to accept a connection.
const NEAR: Duration = Duration::from_secs(2);

#[async_trait]
impl Dial for DockerProvider {
    async fn dial(&self, cx: &Context, machine: &MachineRef, port: u16) -> Result<DialStream> {
        let doing = format!("connecting to port {port} of machine {machine}");
        let seen = self
            .inspect(cx, machine)
            .await?
            .ok_or_else(|| ProviderError::Absent { doing: doing.clone(), what: format!("machine {machine}") })?;
        if let Some(host) = self.address.host() {
            let address = seen.addresses.first().map(|(_, ip)| SocketAddr::from((*ip, port)));
            let running = address.filter(|_| seen.state.is_running());
            let address = running.ok_or_else(|| ProviderError::failed(&doing, "it has no address"))?;
            return host.dial(cx, address).await;
        }
        // On Linux the container's own address first: a published port accepts connections even while nothing listens
        // behind it. Elsewhere the engine lives in a VM and only published ports lead there.
        let direct = (cfg!(target_os = "linux") && self.address.is_local())
            .then(|| seen.addresses.first().map(|(_, ip)| SocketAddr::from((*ip, port))))
            .flatten();
        let published = seen.ports.iter().find(|published| published.guest == port).map(|published| {
            let bind =
                if published.bind.is_unspecified() { std::net::Ipv4Addr::LOCALHOST.into() } else { published.bind };
            SocketAddr::new(bind, published.host)
        });
        let mut last = None;
        for address in direct.into_iter().chain(published) {
            let connect = async {
                match tokio::time::timeout(NEAR, TcpStream::connect(address)).await {
                    Ok(connected) => Ok(connected),
                    Err(_) => Err(ProviderError::TimedOut { doing: doing.clone(), seconds: NEAR.as_secs_f64() }),
                }
            };
            match cx.run(&doing, connect).await {
                Ok(Ok(stream)) => return Ok(Box::new(stream)),
                // Somebody is there and says no: another way would only hide that.
                Ok(Err(error)) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
                    return Err(ProviderError::failed(&doing, error));
                }
                // An engine in a VM, or without root, has addresses that this host does not reach.
                Ok(Err(error)) => last = Some(ProviderError::failed(&doing, error)),
                Err(cancelled @ ProviderError::Cancelled { .. }) => return Err(cancelled),
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(|| {
            ProviderError::failed(&doing, "the machine has no address that this host reaches")
                .hinted(format!("publish it: `port {port} host=\"auto\"`"))
        }))
    }
}
