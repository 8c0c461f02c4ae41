//! From what is declared to what a provider creates. Pure.

use super::{addresses::Addresses, ports::HostPorts};
use crate::PlanError;
use camino::{Utf8Path, Utf8PathBuf};
use rig_model::{
    Attachment, BoxName, Bytes, MachineId, MachineSpec, Mount, Name, OWN_FOLDER, ProviderId, ResolvedMachine, Text,
    TmpfsSpec, Workspace,
};
use std::net::Ipv4Addr;

/// The size of what hides a folder, in bytes: one page, for nobody writes to it.
const MASK: u64 = 4096;

/// Everything that fills a specification's open ends.
pub(crate) struct Resolver<'a> {
    pub(crate) workspace: &'a Workspace,
    /// The folder of the workspace file, for synced folders.
    pub(crate) folder: &'a Utf8Path,
    pub(crate) addresses: &'a Addresses,
    pub(crate) ports: &'a HostPorts,
    /// The reference that each box has at a provider.
    pub(crate) image: &'a dyn Fn(&ProviderId, &BoxName) -> Option<String>,
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
            image: (self.image)(&spec.provider, &spec.box_name).ok_or_else(unresolved)?,
            flavor: spec.flavor.clone(),
            hostname: spec.hostname.clone(),
            networks: spec.networks.iter().map(|attachment| self.attachment(&spec.id, &attachment.network)).collect(),
            command: spec.command.iter().map(text).collect::<Result<_, _>>()?,
            env,
            host_env: self.proxies.iter().cloned().collect(),
            ports: self.ports.of(&spec.id),
            mounts,
            tmpfs: spec.tmpfs.iter().cloned().chain(self.masks(spec)).collect(),
            limits: spec.limits,
            security: spec.security.clone(),
            restart: spec.restart,
            stop_timeout: spec.stop_timeout,
            options: spec.options.clone(),
        })
    }

    /// rig's own folder beside the workspace file holds the key that opens machines. Where a synced folder would show it,
    /// something empty lies over it.
    fn masks<'s>(&'s self, spec: &'s MachineSpec) -> impl Iterator<Item = TmpfsSpec> + 's {
        let own = Utf8PathBuf::from(absolute(self.folder, OWN_FOLDER));
        spec.syncs.iter().filter_map(move |sync| {
            let below = own.strip_prefix(absolute(self.folder, &sync.source)).ok()?;
            let target = format!("{}/{below}", sync.target.trim_end_matches('/'));
            let mode = Some("0555".to_owned());
            Some(TmpfsSpec { target, size: Some(Bytes(MASK)), mode, uid: None, exec: false })
        })
    }

    fn attachment(&self, machine: &MachineId, network: &Name) -> Attachment {
        Attachment { network: network.clone(), ip: self.addresses.ip(machine, network) }
    }
}

/// A synced folder's absolute path, without `.` in it: it is compared with what a machine was made with.
fn absolute(folder: &Utf8Path, source: &str) -> String {
    folder.join(source).components().collect::<Utf8PathBuf>().into_string()
}
