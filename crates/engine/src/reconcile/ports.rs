//! Which host port a published port gets. Pure.

use crate::PlanError;
use rig_model::{MachineId, MachineSpec, Observed, PortSpec, Protocol, PublishedPort, RequestedPort, Workspace};
use std::collections::BTreeMap;

/// Host ports of all machines, as far as they are decided.
#[derive(Clone, Debug, Default)]
pub struct HostPorts {
    taken: BTreeMap<(Protocol, u16), String>,
    decided: BTreeMap<MachineId, Vec<PublishedPort>>,
}

impl HostPorts {
    /// Decides every port of the machines in `selected`.
    ///
    /// # Errors
    /// All ports that somebody else has, or that cannot be found.
    pub fn assign(
        workspace: &Workspace,
        observed: &Observed,
        selected: &dyn Fn(&MachineId) -> bool,
    ) -> Result<Self, Vec<PlanError>> {
        let mut ports = Self::default();
        for foreign in &observed.host_ports {
            ports.taken.insert((foreign.protocol, foreign.port), foreign.owner.clone());
        }
        // What a declared machine has is its own; what an undeclared or unselected one has is taken.
        for seen in &observed.machines {
            if selected(&seen.id) && workspace.machine(&seen.id).is_some() {
                continue;
            }
            for port in &seen.ports {
                ports.taken.insert((port.protocol, port.host), format!("machine {}", seen.id));
            }
        }
        let machines: Vec<&MachineSpec> = workspace.machines().filter(|machine| selected(&machine.id)).collect();
        let mut errors = Vec::new();
        for machine in &machines {
            for port in &machine.ports {
                if let RequestedPort::Fixed(host) = port.host {
                    match ports.taken.get(&(port.protocol, host)) {
                        Some(owner) => errors.push(PlanError::PortTaken {
                            machine: machine.id.clone(),
                            port: host,
                            owner: owner.clone(),
                            origin: port.origin.clone(),
                        }),
                        None => ports.give(machine, port, host),
                    }
                }
            }
        }
        // Ports that `auto` once found stay where they are; only then are new ones looked for.
        let mut open = Vec::new();
        for machine in &machines {
            let seen = observed.machines.iter().find(|seen| seen.id == machine.id);
            for port in machine.ports.iter().filter(|port| port.host == RequestedPort::Auto) {
                let has = seen.and_then(|seen| {
                    seen.ports
                        .iter()
                        .find(|has| has.guest == port.guest && has.protocol == port.protocol && has.bind == port.bind)
                });
                match has {
                    Some(has) if !ports.taken.contains_key(&(port.protocol, has.host)) => {
                        ports.give(machine, port, has.host);
                    }
                    _ => open.push((*machine, port)),
                }
            }
        }
        for (machine, port) in open {
            let free =
                (port.guest.max(1024)..=u16::MAX).find(|host| !ports.taken.contains_key(&(port.protocol, *host)));
            match free {
                Some(host) => ports.give(machine, port, host),
                None => errors.push(PlanError::NoPort { machine: machine.id.clone(), guest: port.guest }),
            }
        }
        if errors.is_empty() { Ok(ports) } else { Err(errors) }
    }

    fn give(&mut self, machine: &MachineSpec, port: &PortSpec, host: u16) {
        self.taken.insert((port.protocol, host), format!("machine {}", machine.id));
        let decided = self.decided.entry(machine.id.clone()).or_default();
        decided.push(PublishedPort { guest: port.guest, host, bind: port.bind, protocol: port.protocol });
        decided.sort();
    }

    /// A machine's published ports.
    #[must_use]
    pub fn of(&self, machine: &MachineId) -> Vec<PublishedPort> {
        self.decided.get(machine).cloned().unwrap_or_default()
    }
}
