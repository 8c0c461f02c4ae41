//! From what is declared to what a provider creates. Pure.

use super::{addresses::Addresses, ports::HostPorts};
use crate::PlanError;
use camino::Utf8Path;
use rig_model::{Attachment, BoxName, MachineId, MachineSpec, Mount, Name, ResolvedMachine, Text, Workspace};
use std::net::Ipv4Addr;

/// Everything that fills a specification's open ends.
pub(crate) struct Resolver<'a> {
    pub(crate) workspace: &'a Workspace,
    /// The folder of the workspace file, for synced folders.
    pub(crate) folder: &'a Utf8Path,
    pub(crate) addresses: &'a Addresses,
    pub(crate) ports: &'a HostPorts,
    /// The reference of each box.
    pub(crate) image: &'a dyn Fn(&BoxName) -> Option<String>,
    /// The host's proxies, for machines.
    pub(crate) proxies: &'a [(String, String)],
}

impl Resolver<'_> {
    /// A machine's address on its first network.
    pub(crate) fn ip(&self, machine: &MachineId) -> Option<Ipv4Addr> {
        let spec = self.workspace.machine(machine)?;
        self.addresses.ip(machine, &spec.networks.first()?.network)
    }

    /// The machine with every value decided.
    pub(crate) fn machine(&self, spec: &MachineSpec) -> Result<ResolvedMachine, PlanError> {
        let unresolved = || PlanError::Unresolved { machine: spec.id.clone(), origin: spec.origin.clone() };
        let text = |text: &Text| text.resolve(&|machine| self.ip(machine)).ok_or_else(unresolved);
        let mut env = std::collections::BTreeMap::new();
        for (name, value) in &spec.env {
            env.insert(name.clone(), text(value)?);
        }
        let mut mounts: Vec<Mount> = spec
            .volumes
            .iter()
            .map(|volume| Mount::Volume { name: volume.name.clone(), target: volume.target.clone() })
            .chain(spec.syncs.iter().map(|sync| Mount::Bind {
                source: absolute(self.folder, &sync.source),
                target: sync.target.clone(),
                writable: sync.writable,
            }))
            .collect();
        mounts.sort();
        Ok(ResolvedMachine {
            workspace: self.workspace.name.clone(),
            id: spec.id.clone(),
            group: spec.group.clone(),
            index: spec.index,
            role: spec.role.clone(),
            idiom: spec.idiom,
            provider: spec.provider.clone(),
            box_name: spec.box_name.clone(),
            image: (self.image)(&spec.box_name).ok_or_else(unresolved)?,
            flavor: spec.flavor.clone(),
            hostname: spec.hostname.clone(),
            networks: spec.networks.iter().map(|attachment| self.attachment(&spec.id, &attachment.network)).collect(),
            command: spec.command.iter().map(text).collect::<Result<_, _>>()?,
            env,
            host_env: self.proxies.iter().cloned().collect(),
            ports: self.ports.of(&spec.id),
            mounts,
            tmpfs: spec.tmpfs.clone(),
            limits: spec.limits,
            security: spec.security.clone(),
            restart: spec.restart,
            stop_timeout: spec.stop_timeout,
        })
    }

    fn attachment(&self, machine: &MachineId, network: &Name) -> Attachment {
        Attachment { network: network.clone(), ip: self.addresses.ip(machine, network) }
    }
}

/// A synced folder's absolute path, without `.` in it: it is compared with what a machine was made with.
fn absolute(folder: &Utf8Path, source: &str) -> String {
    folder.join(source).components().collect::<camino::Utf8PathBuf>().into_string()
}
