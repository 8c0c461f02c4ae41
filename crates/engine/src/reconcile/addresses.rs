//! Who gets which network range and which address. Pure: the same file and the same observation give the same answer.

use crate::PlanError;
use ipnet::Ipv4Net;
use rig_model::{Hasher, MachineId, Name, NetworkSpec, Observed, ResolvedNetwork, Topology, Workspace, usable};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::Ipv4Addr,
};

/// Ranges that rig gives to networks without a `subnet`: private (RFC 1918), away from Docker's own pools (172.17–31 and
/// 192.168) and from the ranges that home routers and most company networks use.
const POOL: Ipv4Net = Ipv4Net::new_assert(Ipv4Addr::new(10, 89, 0, 0), 16);
/// The size of such a range: 253 machines.
const SMALL: u8 = 24;
/// The size for topologies with more machines: 4,093.
const LARGE: u8 = 20;

/// Every network's range and every machine's addresses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Addresses {
    networks: BTreeMap<(Name, Name), ResolvedNetwork>,
    machines: BTreeMap<MachineId, BTreeMap<Name, Ipv4Addr>>,
}

impl Addresses {
    /// Gives out what the file leaves open, keeping what is there.
    ///
    /// # Errors
    /// When a range is full or no range is free.
    pub fn assign(workspace: &Workspace, observed: &Observed) -> Result<Self, PlanError> {
        let mut addresses = Self::default();
        let mut taken: Vec<Ipv4Net> = observed.foreign_subnets.clone();
        taken.extend(observed.networks.iter().filter_map(|network| network.subnet));
        taken.extend(
            workspace.topologies.values().flat_map(|topology| &topology.networks).filter_map(|spec| spec.subnet),
        );
        for topology in workspace.topologies.values() {
            for spec in &topology.networks {
                unchanged(observed, topology, spec)?;
                let subnet = match spec.subnet.or_else(|| there(observed, topology, spec)) {
                    Some(subnet) => subnet,
                    None => {
                        let subnet =
                            free(&taken, topology.machines.len(), &[&workspace.name, &topology.name, &spec.name])
                                .ok_or_else(|| PlanError::NoRange {
                                    network: format!("{}/{}", topology.name, spec.name),
                                })?;
                        taken.push(subnet);
                        subnet
                    }
                };
                addresses.networks.insert(
                    (topology.name.clone(), spec.name.clone()),
                    ResolvedNetwork {
                        topology: topology.name.clone(),
                        name: spec.name.clone(),
                        subnet,
                        internal: spec.internal,
                    },
                );
                addresses.assign_network(topology, spec, subnet, observed)?;
            }
        }
        Ok(addresses)
    }

    fn assign_network(
        &mut self,
        topology: &Topology,
        spec: &NetworkSpec,
        subnet: Ipv4Net,
        observed: &Observed,
    ) -> Result<(), PlanError> {
        let members = || {
            topology.machines.iter().filter_map(|machine| {
                machine
                    .networks
                    .iter()
                    .find(|attachment| attachment.network == spec.name)
                    .map(|attachment| (machine, attachment.ip))
            })
        };
        // First what the file says, then what machines have, then the lowest free one: an address that somebody was
        // told never moves because a machine was added before it.
        let mut used: BTreeSet<Ipv4Addr> = members().filter_map(|(_, ip)| ip).collect();
        let mut open = Vec::new();
        for (machine, ip) in members() {
            let has = || {
                let seen = observed.machines.iter().find(|seen| seen.id == machine.id)?;
                seen.addresses.iter().find(|(network, _)| *network == spec.name).map(|(_, ip)| *ip)
            };
            let ip = ip.or_else(|| has().filter(|ip| subnet.contains(ip) && used.insert(*ip)));
            match ip {
                Some(ip) => self.set(&machine.id, &spec.name, ip),
                None => open.push(&machine.id),
            }
        }
        // Machines that are there but not declared keep theirs until they are gone.
        for seen in observed.machines.iter().filter(|seen| seen.id.topology == topology.name) {
            used.extend(seen.addresses.iter().filter(|(network, _)| *network == spec.name).map(|(_, ip)| *ip));
        }
        let mut free = usable(&subnet).filter(|ip| !used.contains(ip));
        for machine in open {
            let ip = free.next().ok_or_else(|| PlanError::RangeFull {
                network: format!("{}/{}", topology.name, spec.name),
                subnet,
                origin: spec.origin.clone(),
            })?;
            self.set(machine, &spec.name, ip);
        }
        Ok(())
    }

    fn set(&mut self, machine: &MachineId, network: &Name, ip: Ipv4Addr) {
        self.machines.entry(machine.clone()).or_default().insert(network.clone(), ip);
    }

    /// A network with its range.
    #[must_use]
    pub fn network(&self, topology: &Name, name: &Name) -> Option<&ResolvedNetwork> {
        self.networks.get(&(topology.clone(), name.clone()))
    }

    /// A machine's address on a network.
    #[must_use]
    pub fn ip(&self, machine: &MachineId, network: &Name) -> Option<Ipv4Addr> {
        self.machines.get(machine)?.get(network).copied()
    }
}

/// Refuses to go on with a network that is not what the file says: machines would be kept apart less than they should,
/// or get addresses that the network does not have.
fn unchanged(observed: &Observed, topology: &Topology, spec: &NetworkSpec) -> Result<(), PlanError> {
    let Some(seen) = observed.networks.iter().find(|seen| seen.topology == topology.name && seen.name == spec.name)
    else {
        return Ok(());
    };
    let changed = |field, old: String, new: String| {
        let network = format!("{}/{}", topology.name, spec.name);
        Err(PlanError::NetworkChanged { network, field, old, new, origin: spec.origin.clone() })
    };
    match (seen.subnet, spec.subnet) {
        (Some(old), Some(new)) if old != new => return changed("subnet", old.to_string(), new.to_string()),
        _ => {}
    }
    if seen.internal != spec.internal {
        return changed("internal", seen.internal.to_string(), spec.internal.to_string());
    }
    Ok(())
}

fn there(observed: &Observed, topology: &Topology, spec: &NetworkSpec) -> Option<Ipv4Net> {
    observed.networks.iter().find(|seen| seen.topology == topology.name && seen.name == spec.name)?.subnet
}

/// A range of the pool that overlaps no other. The search begins at a place that depends on the names: two workspaces
/// that come up at the same moment do not see each other's networks yet and must not choose the same one.
fn free(taken: &[Ipv4Net], machines: usize, names: &[&Name]) -> Option<Ipv4Net> {
    // Room to scale to twice the size without another range.
    let roomy = machines * 2 > usable(&Ipv4Net::new_assert(Ipv4Addr::UNSPECIFIED, SMALL)).count();
    let prefix = if roomy { LARGE } else { SMALL };
    let overlaps = |a: &Ipv4Net, b: &Ipv4Net| a.contains(&b.network()) || b.contains(&a.network());
    let ranges: Vec<Ipv4Net> = POOL.subnets(prefix).ok()?.collect();
    let mut hasher = Hasher::new("range/1");
    for name in names {
        hasher.part(name.as_str());
    }
    let place = usize::from_str_radix(&hasher.finish().as_str()[..4], 16).unwrap_or_default() % ranges.len();
    let (behind, before) = (ranges.iter().skip(place), ranges.iter().take(place));
    behind.chain(before).find(|range| !taken.iter().any(|other| overlaps(range, other))).copied()
}
