//! What machines cost: the processor, memory and network that they used, and the disk that they take.

use crate::{Context, MachineRef, Result};
use async_trait::async_trait;
use rig_model::{Bytes, MachineId};
use std::{collections::BTreeMap, time::Duration};

/// What machines have used and what they take on disk.
#[async_trait]
pub trait Usage: Send + Sync {
    /// What a running machine has used since it was last started. One that does not run has lost its counters, which is an
    /// error and not a machine that used nothing.
    async fn used(&self, cx: &Context, machine: &MachineRef) -> Result<MachineUsage>;

    /// What machines take on the engine's disk: the layers of their boxes, what they wrote, their volumes. Also of machines
    /// that have stopped; those that are not there are left out. All are of one workspace.
    async fn disk(&self, cx: &Context, machines: &[MachineRef]) -> Result<DiskUsage>;
}

/// What a machine has used since it was last started, all of its processes together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MachineUsage {
    /// Time on processors, summed over all of them: two that were busy for a second are two seconds.
    pub cpu: Duration,
    /// The most memory that it had at once, as its limit counts it: with the files that the kernel keeps for it. `None` where
    /// the engine keeps no peak.
    pub memory_peak: Option<Bytes>,
    /// What came in over its networks, all interfaces but the loopback together, with the headers of packets. `None` where
    /// it has no network of its own.
    pub received: Option<Bytes>,
}

/// What machines take on an engine's disk.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DiskUsage {
    /// How the engine stores layers (`overlay2`).
    pub storage_driver: String,
    /// The images of the machines' boxes, each once.
    pub images: Vec<ImageUsage>,
    /// What each machine has on top of its image: sizes of files, not of the blocks that hold them. Every machine that is
    /// there has an entry.
    pub written: BTreeMap<MachineId, Bytes>,
    /// What is in each machine's named volumes. Every machine that is there has an entry, except one with a volume whose size
    /// the engine cannot tell.
    pub volumes: BTreeMap<MachineId, Bytes>,
}

/// An image that machines were made from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageUsage {
    /// The provider's own identifier.
    pub id: String,
    /// The machines that were made from it, in the order of the question.
    pub machines: Vec<MachineId>,
    /// Its layers, the lowest first.
    pub layers: Vec<LayerUsage>,
}

/// A layer of an image, which an engine stores once however many images have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayerUsage {
    /// The same for the same layer in every image.
    pub id: String,
    /// The sizes of its files together, uncompressed.
    pub bytes: Bytes,
}
