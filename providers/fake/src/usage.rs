//! What machines have used and what they take: counted from what they did.

use crate::{FakeProvider, Verb, state::key};
use async_trait::async_trait;
use rig_model::Bytes;
use rig_provider_api::{Context, DiskUsage, ImageUsage, MachineRef, MachineUsage, ProviderError, Result, Usage};
use std::time::Duration;

/// The processor time of a command: about what beginning and ending a process takes.
const COMMAND: Duration = Duration::from_millis(1);

/// The memory of a process, in bytes: about that of a shell.
const PROCESS: u64 = Bytes::MIB;

/// What one life of a machine has done so far.
#[derive(Debug, Default)]
pub(crate) struct Work {
    commands: u32,
    processes: u64,
    most_processes: u64,
    received: u64,
}

impl Work {
    /// A process begins, which is a command for itself.
    pub(crate) fn begin(&mut self) {
        self.command();
        self.processes += 1;
        self.most_processes = self.most_processes.max(self.processes);
    }

    /// A process ends. Saturating: it may have been one of an earlier life.
    pub(crate) fn end(&mut self) {
        self.processes = self.processes.saturating_sub(1);
    }

    /// A command is run.
    pub(crate) fn command(&mut self) {
        self.commands += 1;
    }

    /// Something came over the network.
    pub(crate) fn receive(&mut self, bytes: usize) {
        self.received += bytes as u64;
    }
}

#[async_trait]
impl Usage for FakeProvider {
    async fn used(&self, cx: &Context, machine: &MachineRef) -> Result<MachineUsage> {
        let work = async {
            let doing = format!("asking what machine {machine} has used");
            self.running(machine, &doing)?;
            let inside = self.engine.lock();
            let there = inside
                .world
                .machines
                .get(&key(machine))
                .ok_or_else(|| ProviderError::Absent { doing, what: format!("machine {machine}") })?;
            let Work { commands, most_processes, received, .. } = there.work;
            Ok(MachineUsage {
                cpu: COMMAND * commands,
                memory_peak: Some(Bytes(PROCESS * most_processes)),
                received: (!there.spec.networks.is_empty()).then_some(Bytes(received)),
            })
        };
        self.engine.call(cx, Verb::Used, &machine.to_string(), work).await
    }

    async fn disk(&self, cx: &Context, machines: &[MachineRef]) -> Result<DiskUsage> {
        let work = async {
            let inside = self.engine.lock();
            let world = &inside.world;
            let storage_driver = inside.facts.storage.clone().unwrap_or_default();
            let mut disk = DiskUsage { storage_driver, ..DiskUsage::default() };
            for machine in machines {
                let key = key(machine);
                let Some(there) = world.machines.get(&key) else { continue };
                let written = there.files().map(|(_, content)| content.len() as u64).sum();
                disk.written.insert(machine.id.clone(), Bytes(written));
                disk.volumes.insert(machine.id.clone(), Bytes(world.in_volumes(&key)));
                let image = &there.spec.image;
                match disk.images.iter_mut().find(|known| known.id == *image) {
                    Some(known) => known.machines.push(machine.id.clone()),
                    None => disk.images.push(ImageUsage {
                        id: image.clone(),
                        machines: vec![machine.id.clone()],
                        layers: world.layers.get(image).cloned().unwrap_or_default(),
                    }),
                }
            }
            Ok(disk)
        };
        self.engine.call(cx, Verb::Disk, "", work).await
    }
}
