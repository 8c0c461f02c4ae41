//! What is in machines: their own files and those of their volumes.

use crate::state::{Key, Machine, World, volume_name};
use rig_model::{Mount, Name, ResolvedMachine};

impl Machine {
    /// What was written into it, volumes and folders in memory left out.
    pub(crate) fn files(&self) -> impl Iterator<Item = (&String, &Vec<u8>)> {
        self.files.iter().filter(|(path, _)| !in_memory(&self.spec, path))
    }
}

impl World {
    /// How many bytes are in a machine's volumes.
    pub(crate) fn in_volumes(&self, (workspace, id): &Key) -> u64 {
        let own = self.volumes.values().filter(|volume| volume.workspace == *workspace && volume.machine == *id);
        own.flat_map(|volume| volume.files.values()).map(|content| content.len() as u64).sum()
    }

    /// A file of a machine.
    pub(crate) fn read(&self, key: &Key, path: &str) -> Option<Vec<u8>> {
        let machine = self.machines.get(key)?;
        match path {
            "/etc/hostname" => return Some(format!("{}\n", machine.spec.hostname).into_bytes()),
            "/etc/hosts" => {
                let own = machine.spec.networks.iter().filter_map(|at| at.ip);
                let lines = own.map(|ip| format!("{ip}\t{}\n", machine.spec.hostname));
                return Some(
                    std::iter::once("127.0.0.1\tlocalhost\n".to_owned()).chain(lines).collect::<String>().into(),
                );
            }
            _ => {}
        }
        match volume_at(&machine.spec, path) {
            Some((name, rest)) => self.volumes.get(&volume_name(key, name))?.files.get(rest).cloned(),
            None => machine.files.get(path).cloned(),
        }
    }

    /// Writes a file of a machine whole.
    pub(crate) fn write(&mut self, key: &Key, path: &str, content: Vec<u8>) -> std::result::Result<(), &'static str> {
        let machine = self.machines.get_mut(key).ok_or("No such machine")?;
        if let Some((name, rest)) = volume_at(&machine.spec, path) {
            let volume = self.volumes.get_mut(&volume_name(key, name)).ok_or("No such volume")?;
            volume.files.insert(rest.to_owned(), content);
            return Ok(());
        }
        if machine.spec.security.read_only && !in_memory(&machine.spec, path) {
            return Err("Read-only file system");
        }
        machine.files.insert(path.to_owned(), content);
        Ok(())
    }

    /// Removes a file of a machine; says whether it was there.
    pub(crate) fn remove(&mut self, key: &Key, path: &str) -> bool {
        let Some(machine) = self.machines.get_mut(key) else { return false };
        match volume_at(&machine.spec, path) {
            Some((name, rest)) => {
                let volume = self.volumes.get_mut(&volume_name(key, name));
                volume.is_some_and(|volume| volume.files.remove(rest).is_some())
            }
            None => machine.files.remove(path).is_some(),
        }
    }
}

/// Whether a path is in a folder in memory.
fn in_memory(spec: &ResolvedMachine, path: &str) -> bool {
    spec.tmpfs.iter().any(|folder| below(path, &folder.target).is_some())
}

/// The volume that holds a path, and the path inside it.
fn volume_at<'a>(spec: &'a ResolvedMachine, path: &'a str) -> Option<(&'a Name, &'a str)> {
    spec.mounts.iter().find_map(|mount| match mount {
        Mount::Volume { name, target } => Some((name, below(path, target)?)),
        Mount::Bind { .. } => None,
    })
}

fn below<'a>(path: &'a str, folder: &str) -> Option<&'a str> {
    path.strip_prefix(folder)?.strip_prefix('/')
}
