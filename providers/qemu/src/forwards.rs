//! Ports of this host that are made to lead into a machine while it runs: QEMU's user network takes and gives them up at any time.
//! Its monitor has no command of its own for that, but passes words on to the one for people (`hostfwd_add`, `info usernet`).

use crate::{QemuProvider, arguments::NAT, monitor::Monitor, provider::SSH, running::TAKEN};
use async_trait::async_trait;
use rig_model::{Protocol, PublishedPort};
use rig_provider_api::{Context, Forwards, MachineRef, ProviderError, Result};
use serde_json::{Value, json};
use std::net::Ipv4Addr;
use tokio::io::{AsyncRead, AsyncWrite};

#[async_trait]
impl Forwards for QemuProvider {
    async fn forwards(&self, cx: &Context, machine: &MachineRef) -> Result<Vec<PublishedPort>> {
        let doing = format!("listing the ports that lead into machine {machine}");
        let Some(record) = self.found(cx, machine).await? else { return Ok(Vec::new()) };
        let Some(mut monitor) = self.monitor(cx, &record).await? else { return Ok(Vec::new()) };
        let table = say(&mut monitor, cx, &doing, "info usernet").await?;
        let ssh = record.run.as_ref().map(|run| run.ssh);
        let made_with = |port: &PublishedPort| {
            record.ports.contains(port) || (port.guest == SSH && Some(port.host) == ssh && port.bind.is_loopback())
        };
        Ok(lead_in(&table).filter(|port| !made_with(port)).collect())
    }

    async fn forward(&self, cx: &Context, machine: &MachineRef, port: &PublishedPort) -> Result<()> {
        let doing = format!("making port {} of this host lead into machine {machine}", port.host);
        let record = self.record(cx, &doing, machine).await?;
        let Some(mut monitor) = self.monitor(cx, &record).await? else {
            return Err(ProviderError::failed(doing, "it does not run"));
        };
        let table = say(&mut monitor, cx, &doing, "info usernet").await?;
        if lead_in(&table).any(|there| there == *port) {
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
        let table = say(&mut monitor, cx, &doing, "info usernet").await?;
        if !lead_in(&table).any(|there| there == *port) {
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

/// The ports that `info usernet` lists:
///
/// ```text
///   Protocol[State]    FD  Source Address  Port   Dest. Address  Port RecvQ SendQ
///   TCP[HOST_FORWARD]  14       127.0.0.1  8080       10.0.2.15  8080     0     0
/// ```
fn lead_in(table: &str) -> impl Iterator<Item = PublishedPort> + '_ {
    table.lines().filter_map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [kind, _, bind, host, _, guest, ..] = words.as_slice() else { return None };
        let protocol = match *kind {
            "TCP[HOST_FORWARD]" => Protocol::Tcp,
            "UDP[HOST_FORWARD]" => Protocol::Udp,
            _ => return None,
        };
        // An address that means all is written as a star.
        let bind = if *bind == "*" { Ipv4Addr::UNSPECIFIED } else { bind.parse().ok()? };
        Some(PublishedPort { guest: guest.parse().ok()?, host: host.parse().ok()?, bind: bind.into(), protocol })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_that_lead_in_are_read_from_the_table() {
        let table = "Hub -1 (nat):\n  Protocol[State]    FD  Source Address  Port   Dest. Address  Port RecvQ SendQ\r\n  \
            TCP[HOST_FORWARD]  13       127.0.0.1 40407       10.0.2.15    22     0     0\r\n  \
            UDP[HOST_FORWARD]  14               *  5353       10.0.2.15    53     0     0\r\n  \
            TCP[ESTABLISHED]   15       127.0.0.1  8080       10.0.2.15  8080     0     0\r\n";
        let ports: Vec<String> = lead_in(table).map(|port| rule(&port)).collect();
        // A connection is no port that listens.
        assert_eq!(ports, ["tcp:127.0.0.1:40407-:22", "udp:0.0.0.0:5353-:53"]);
    }
}
