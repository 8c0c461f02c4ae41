//! What machines know of each other: names, which nobody answers for on networks that hypervisors make.

use rig_model::{MachineId, Name};
use std::{fmt::Write, net::Ipv4Addr};

/// A virtual machine, as far as others see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guest {
    /// Topology and name.
    pub id: MachineId,
    /// Its own host name.
    pub hostname: String,
    /// Its addresses by network.
    pub addresses: Vec<(Name, Ipv4Addr)>,
}

impl Guest {
    fn is_on(&self, network: &Name) -> bool {
        self.addresses.iter().any(|(own, _)| own == network)
    }

    /// Its names, the host name first.
    fn names(&self) -> impl Iterator<Item = String> {
        let machine = Some(self.id.machine.to_string()).filter(|name| *name != self.hostname);
        std::iter::once(self.hostname.clone()).chain(machine)
    }
}

/// The machines of a workspace that are on a network with this one.
pub fn neighbours<'a>(own: &'a Guest, all: &'a [Guest]) -> impl Iterator<Item = &'a Guest> {
    all.iter().filter(move |other| {
        own.id != other.id
            && own.id.topology == other.id.topology
            && own.addresses.iter().any(|(network, _)| other.is_on(network))
    })
}

/// Whether `told` holds all neighbours of a machine.
#[must_use]
pub fn knows_all(own: &Guest, told: &[MachineId], all: &[Guest]) -> bool {
    neighbours(own, all).all(|other| told.contains(&other.id))
}

/// The names that a machine knows with their addresses: its own on each of its networks, and its neighbours'.
#[must_use]
pub fn hosts(own: &Guest, all: &[Guest]) -> Vec<(String, Ipv4Addr)> {
    let mut hosts: Vec<_> = own.addresses.iter().flat_map(|(_, ip)| own.names().map(|name| (name, *ip))).collect();
    for other in neighbours(own, all) {
        // On one of the networks that both are on: a name has one address.
        let shared = other.addresses.iter().find(|(network, _)| own.is_on(network));
        hosts.extend(shared.into_iter().flat_map(|(_, ip)| other.names().map(|name| (name, *ip))));
    }
    hosts
}

/// `/etc/hosts` with these names.
#[must_use]
pub fn hosts_file(hosts: &[(String, Ipv4Addr)]) -> String {
    let mut text = "127.0.0.1\tlocalhost\n".to_owned();
    for (name, ip) in hosts {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{ip}\t{name}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guest(machine: &str, hostname: &str, addresses: &[(&str, [u8; 4])]) -> Guest {
        let name = |text: &str| Name::new(text).unwrap();
        Guest {
            id: MachineId::new(name("main"), name(machine)),
            hostname: hostname.to_owned(),
            addresses: addresses.iter().map(|(network, ip)| (name(network), Ipv4Addr::from(*ip))).collect(),
        }
    }

    #[test]
    fn a_machine_knows_those_it_shares_a_network_with() {
        let own = guest("web", "web.lab", &[("front", [10, 0, 0, 2]), ("back", [10, 0, 1, 2])]);
        let db = guest("db", "db", &[("back", [10, 0, 1, 3])]);
        let far = guest("far", "far", &[("other", [10, 0, 2, 2])]);
        let all = [own.clone(), db.clone(), far];
        let known = hosts_file(&hosts(&own, &all));
        let lines: Vec<&str> = known.lines().collect();
        assert_eq!(
            lines,
            [
                "127.0.0.1\tlocalhost",
                "10.0.0.2\tweb.lab",
                "10.0.0.2\tweb",
                "10.0.1.2\tweb.lab",
                "10.0.1.2\tweb",
                "10.0.1.3\tdb"
            ]
        );
        assert!(!knows_all(&own, &[], &all));
        assert!(knows_all(&own, &[db.id], &all));
    }
}
