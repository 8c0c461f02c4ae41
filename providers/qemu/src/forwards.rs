//! Ports of this host that are made to lead into a machine while it runs: QEMU's user network takes and gives them up at any time.
//! Its monitor has no command of its own for that, but passes words on to the one for people (`hostfwd_add`, `info usernet`).

use crate::{QemuProvider, arguments::NAT, monitor::Monitor, running::TAKEN};
use async_trait::async_trait;
use rig_model::{Protocol, PublishedPort};
use rig_provider_api::{Context, Forwards, MachineRef, ProviderError, Result};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};

#[async_trait]
impl Forwards for QemuProvider {
    async fn forward(&self, cx: &Context, machine: &MachineRef, port: &PublishedPort) -> Result<()> {
        let doing = format!("making port {} of this host lead into machine {machine}", port.host);
        let record = self.record(cx, &doing, machine).await?;
        let Some(mut monitor) = self.monitor(cx, &record).await? else {
            return Err(ProviderError::failed(doing, "it does not run"));
        };
        if leads_in(&say(&mut monitor, cx, &doing, "info usernet").await?, port) {
            return Ok(());
        }
        let said = say(&mut monitor, cx, &doing, &format!("hostfwd_add {NAT} {}", rule(port))).await?;
        if said.is_empty() {
            return Ok(());
        }
        let failed = ProviderError::failed(doing, &said);
        Err(if said.to_lowercase().contains(&TAKEN.to_lowercase()) {
            failed.hinted(format!(
                "port {} of this host is taken: stop what has it, or write another number, or `host=\"auto\"`",
                port.host
            ))
        } else {
            failed
        })
    }

    async fn withdraw(&self, cx: &Context, machine: &MachineRef, port: &PublishedPort) -> Result<()> {
        let doing = format!("ending that port {} of this host leads into machine {machine}", port.host);
        let Some(record) = self.found(cx, machine).await? else { return Ok(()) };
        let Some(mut monitor) = self.monitor(cx, &record).await? else { return Ok(()) };
        if !leads_in(&say(&mut monitor, cx, &doing, "info usernet").await?, port) {
            return Ok(());
        }
        let place = format!("{}:{}:{}", port.protocol, port.bind, port.host);
        // It answers in words whether there was one.
        say(&mut monitor, cx, &doing, &format!("hostfwd_remove {NAT} {place}")).await.map(drop)
    }
}

/// Has the monitor for people carry something out, and gives what it says.
async fn say<S: AsyncRead + AsyncWrite>(
    monitor: &mut Monitor<S>,
    cx: &Context,
    doing: &str,
    line: &str,
) -> Result<String> {
    let answer = monitor.ask(cx, doing, "human-monitor-command", json!({ "command-line": line })).await?;
    let said = answer.as_str().map(|text| text.trim().to_owned());
    said.ok_or_else(|| ProviderError::failed(doing, format!("QEMU answers {}", Value::to_string(&answer))))
}

fn rule(port: &PublishedPort) -> String {
    format!("{}:{}:{}-:{}", port.protocol, port.bind, port.host, port.guest)
}

/// Whether a port is among those that `info usernet` lists:
///
/// ```text
///   Protocol[State]    FD  Source Address  Port   Dest. Address  Port RecvQ SendQ
///   TCP[HOST_FORWARD]  14       127.0.0.1  8080       10.0.2.15  8080     0     0
/// ```
fn leads_in(table: &str, port: &PublishedPort) -> bool {
    let kind = match port.protocol {
        Protocol::Tcp => "TCP[HOST_FORWARD]",
        Protocol::Udp => "UDP[HOST_FORWARD]",
    };
    // An address that means all is written as a star.
    let bind = if port.bind.is_unspecified() { "*".to_owned() } else { port.bind.to_string() };
    table.lines().any(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        matches!(words.as_slice(), [of, _, from, host, _, guest, ..]
            if *of == kind && *from == bind && *host == port.host.to_string() && *guest == port.guest.to_string())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    const TABLE: &str = "Hub -1 (nat):\n  Protocol[State]    FD  Source Address  Port   Dest. Address  Port RecvQ SendQ\r\n  \
        TCP[HOST_FORWARD]  13       127.0.0.1 40407       10.0.2.15    22     0     0\r\n  \
        UDP[HOST_FORWARD]  14               *  5353       10.0.2.15    53     0     0\r\n  \
        TCP[ESTABLISHED]   15       127.0.0.1  8080       10.0.2.15  8080     0     0\r\n";

    fn port(bind: Ipv4Addr, host: u16, guest: u16, protocol: Protocol) -> PublishedPort {
        PublishedPort { guest, host, bind: bind.into(), protocol }
    }

    #[test]
    fn ports_that_lead_in_are_found_in_the_table() {
        assert!(leads_in(TABLE, &port(Ipv4Addr::LOCALHOST, 40407, 22, Protocol::Tcp)));
        assert!(leads_in(TABLE, &port(Ipv4Addr::UNSPECIFIED, 5353, 53, Protocol::Udp)));
        assert!(!leads_in(TABLE, &port(Ipv4Addr::LOCALHOST, 40407, 22, Protocol::Udp)));
        assert!(!leads_in(TABLE, &port(Ipv4Addr::LOCALHOST, 40407, 23, Protocol::Tcp)));
        // A connection is no port that listens.
        assert!(!leads_in(TABLE, &port(Ipv4Addr::LOCALHOST, 8080, 8080, Protocol::Tcp)));
    }
}
