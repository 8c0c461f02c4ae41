//! Which ports of this host are in use by programs that no engine knows of.

use rig_model::{HostPortUse, Observed, PortSpec, Protocol, RequestedPort, Workspace};
use std::{
    collections::BTreeSet,
    net::{IpAddr, TcpListener, UdpSocket},
};

/// How many ports behind a taken one are tried for `host="auto"`.
const TRIES: u16 = 512;

/// The ports that the file asks for and that a process of this host has. Ports that machines have already are not tried:
/// their owner is known.
#[must_use]
pub(crate) fn in_use(workspace: &Workspace, observed: &Observed) -> Vec<HostPortUse> {
    let known: BTreeSet<(Protocol, u16)> = observed
        .machines
        .iter()
        .filter(|machine| machine.state.is_running())
        .flat_map(|machine| machine.ports.iter().map(|port| (port.protocol, port.host)))
        .chain(observed.host_ports.iter().map(|port| (port.protocol, port.port)))
        .collect();
    let mut tried: BTreeSet<(Protocol, u16)> = BTreeSet::new();
    let mut uses = Vec::new();
    let mut free = |port: &PortSpec, host: u16| -> bool {
        if known.contains(&(port.protocol, host)) {
            return false;
        }
        if !tried.insert((port.protocol, host)) {
            return !uses.iter().any(|used: &HostPortUse| used.port == host && used.protocol == port.protocol);
        }
        let free = can_bind(port.protocol, port.bind, host);
        if !free {
            uses.push(HostPortUse { port: host, protocol: port.protocol, owner: owner(port.protocol, host) });
        }
        free
    };
    for port in workspace.machines().flat_map(|machine| &machine.ports) {
        match port.host {
            RequestedPort::Fixed(host) => {
                free(port, host);
            }
            RequestedPort::Auto => {
                // Several machines may want the same number: enough free ones for all of them have to be known.
                let first = port.guest.max(1024);
                let mut found = 0;
                let wanted = workspace
                    .machines()
                    .flat_map(|machine| &machine.ports)
                    .filter(|other| other.guest == port.guest)
                    .count();
                for host in first..=first.saturating_add(TRIES) {
                    found += usize::from(free(port, host));
                    if found >= wanted {
                        break;
                    }
                }
            }
        }
    }
    uses
}

fn can_bind(protocol: Protocol, bind: IpAddr, port: u16) -> bool {
    let tried = match protocol {
        Protocol::Tcp => TcpListener::bind((bind, port)).map(drop),
        Protocol::Udp => UdpSocket::bind((bind, port)).map(drop),
    };
    // What this user may not bind, the engine may.
    !tried.is_err_and(|error| error.kind() == std::io::ErrorKind::AddrInUse)
}

/// Who listens on a port, as far as this user may know.
fn owner(protocol: Protocol, port: u16) -> String {
    let protocol = match protocol {
        Protocol::Tcp => listeners::Protocol::TCP,
        Protocol::Udp => listeners::Protocol::UDP,
    };
    match listeners::get_process_by_port(port, protocol) {
        Ok(process) => format!("process {} ({})", process.name, process.pid),
        Err(_) => "another process".to_owned(),
    }
}
