//! What only one machine can have: an address, a host name, a port of the host.

use crate::context::{At, Context, Draft};
use ipnet::Ipv4Net;
use rig_model::{MachineId, Name, NetworkSpec, PortSpec, Protocol, RequestedPort};
use std::{
    collections::HashMap,
    net::{IpAddr, Ipv4Addr},
};

/// Claims of all machines so far.
#[derive(Default)]
pub(crate) struct Claims {
    ports: HashMap<(Protocol, u16), Vec<Claim<IpAddr>>>,
    addresses: HashMap<(Name, Name, Ipv4Addr), Claim<()>>,
    hosts: HashMap<(Name, String), Claim<()>>,
    subnets: Vec<(Ipv4Net, Name, At)>,
}

struct Claim<T> {
    what: T,
    who: MachineId,
    at: At,
}

impl Claims {
    /// A fixed port of the host; one bound to all addresses collides with every other.
    pub(crate) fn port(&mut self, cx: &mut Context, who: &MachineId, port: &PortSpec, at: At) {
        let RequestedPort::Fixed(number) = port.host else {
            return;
        };
        let claims = self.ports.entry((port.protocol, number)).or_default();
        let collides = |other: &&Claim<IpAddr>| {
            other.what == port.bind || other.what.is_unspecified() || port.bind.is_unspecified()
        };
        if let Some(first) = claims.iter().find(collides) {
            let help = "give one another port with `host=…`, let rig choose with `host=\"auto\"`, or publish it of one machine with `only=1`";
            let message =
                format!("port {number}/{} of the host is published by {} and by {who}", port.protocol, first.who);
            let mut draft = Draft::new(at, message).label("taken already").help(help);
            if first.at != at {
                draft = draft.also(first.at, "taken here");
            }
            cx.report(draft);
        }
        claims.push(Claim { what: port.bind, who: who.clone(), at });
    }

    /// A host name in a topology.
    pub(crate) fn host(&mut self, cx: &mut Context, who: &MachineId, host: &str, at: At) {
        let key = (who.topology.clone(), host.to_ascii_lowercase());
        if let Some(first) = self.hosts.get(&key) {
            let message = format!("the host name `{host}` is that of {} and of {who}", first.who.machine);
            let help = "use `{n}` or `{name}` in host names of several machines: `hostname \"node{n}.lab\"`";
            let mut draft = Draft::new(at, message).label("taken already").help(help);
            if first.at != at {
                draft = draft.also(first.at, "taken here");
            }
            cx.report(draft);
            return;
        }
        self.hosts.insert(key, Claim { what: (), who: who.clone(), at });
    }

    /// An address on a network.
    pub(crate) fn address(&mut self, cx: &mut Context, who: &MachineId, network: &NetworkSpec, ip: Ipv4Addr, at: At) {
        let Some(subnet) = network.subnet else {
            let help = format!("give it one: `network \"{}\" subnet=\"10.8.0.0/24\"`", network.name);
            let message = format!("network `{}` has no subnet, so no address on it can be fixed", network.name);
            cx.report(Draft::new(at, message).label("a fixed address").help(help));
            return;
        };
        // Between the gateway's address and the broadcast address; a network has at least three bits for its machines.
        let first = Ipv4Addr::from(u32::from(subnet.network()) + 2);
        let last = Ipv4Addr::from(u32::from(subnet.broadcast()) - 1);
        let range = format!("machines can have {first} to {last}");
        let problem = if !subnet.contains(&ip) {
            Some(format!("{ip} is outside the network `{}`, {subnet}", network.name))
        } else if ip < first || ip > last {
            let owner = if ip == subnet.network() {
                "the network's own address"
            } else if ip == subnet.broadcast() {
                "the broadcast address"
            } else {
                "the gateway's address"
            };
            Some(format!("{ip} is {owner} in `{}`, {subnet}", network.name))
        } else {
            None
        };
        if let Some(message) = problem {
            cx.report(Draft::new(at, message).label("not an address for a machine").help(range));
            return;
        }
        let key = (who.topology.clone(), network.name.clone(), ip);
        if let Some(taken) = self.addresses.get(&key) {
            let message = format!("{ip} is the address of {} and of {who}", taken.who.machine);
            let help = "machines of a group need addresses of their own: `ip \"10.8.0.1{n}\"`";
            let mut draft = Draft::new(at, message).label("taken already").help(help);
            if taken.at != at {
                draft = draft.also(taken.at, "taken here");
            }
            cx.report(draft);
            return;
        }
        self.addresses.insert(key, Claim { what: (), who: who.clone(), at });
    }

    /// The range of a network; ranges of one workspace are on one engine and cannot overlap.
    pub(crate) fn subnet(&mut self, cx: &mut Context, topology: &Name, name: &Name, subnet: Ipv4Net, at: At) {
        let overlaps = |other: &&(Ipv4Net, Name, At)| other.0.contains(&subnet) || subnet.contains(&other.0);
        if let Some((other, owner, first)) = self.subnets.iter().find(overlaps) {
            let message = format!("{subnet} of network `{name}` overlaps {other} of topology `{owner}`");
            let draft = Draft::new(at, message).label("overlaps").help("give every network a range of its own");
            cx.report(draft.also(*first, "the other range"));
        }
        self.subnets.push((subnet, topology.clone(), at));
    }
}
