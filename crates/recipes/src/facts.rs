//! What steps know of their machine and of its neighbours.

use rig_model::{IpOf, MachineSpec, Topology};

/// What templates can say of machines.
#[derive(Clone, Debug)]
pub struct Facts {
    /// The machine itself.
    pub machine: Peer,
    /// All machines of its topology, itself included, in the file's order.
    pub peers: Vec<Peer>,
    /// The topology's name.
    pub topology: String,
    /// The workspace's name.
    pub workspace: String,
}

/// What machines know of each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its name.
    pub name: String,
    /// Its host name.
    pub host: String,
    /// Its address on its first network, where that is known.
    pub ip: Option<String>,
    /// The `machine` node it comes from.
    pub group: String,
    /// Its number in the group, from 1.
    pub index: Option<u32>,
    /// What it is in its cluster.
    pub role: Option<String>,
    /// Processors, where limited.
    pub cpus: Option<String>,
    /// Memory in MiB, where limited.
    pub memory_mib: Option<u64>,
}

impl Peer {
    fn new(machine: &MachineSpec, ip: IpOf<'_>) -> Self {
        Self {
            name: machine.id.machine.to_string(),
            host: machine.hostname.clone(),
            ip: ip(&machine.id).map(|ip| ip.to_string()),
            group: machine.group.to_string(),
            index: machine.index,
            role: machine.role.clone(),
            cpus: machine.limits.cpus.map(|cpus| cpus.to_string()),
            memory_mib: machine.limits.memory.map(|memory| memory.mib()),
        }
    }
}

impl Facts {
    /// What a machine of a topology knows.
    #[must_use]
    pub fn new(workspace: &str, topology: &Topology, machine: &MachineSpec, ip: IpOf<'_>) -> Self {
        Self {
            machine: Peer::new(machine, ip),
            peers: topology.machines.iter().map(|other| Peer::new(other, ip)).collect(),
            topology: topology.name.to_string(),
            workspace: workspace.to_owned(),
        }
    }

    /// The same as variables for scripts. They make no difference to a step's hash: what a script takes from them is the
    /// machine's own, and a machine with another address is another machine.
    pub(crate) fn variables(&self) -> Vec<(String, String)> {
        let Peer { name, host, ip, index, role, .. } = &self.machine;
        let mut variables = vec![
            ("RIG_WORKSPACE".to_owned(), self.workspace.clone()),
            ("RIG_TOPOLOGY".to_owned(), self.topology.clone()),
            ("RIG_MACHINE".to_owned(), name.clone()),
            ("RIG_HOST".to_owned(), host.clone()),
        ];
        let optional =
            [("RIG_IP", ip.clone()), ("RIG_INDEX", index.map(|index| index.to_string())), ("RIG_ROLE", role.clone())];
        variables.extend(optional.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
        variables
    }
}
