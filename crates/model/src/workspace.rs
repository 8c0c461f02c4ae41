//! The whole file, merged and validated.

use crate::{
    ArtifactSpec, BoxName, BoxSpec, CheckSpec, CompareSpec, FileSource, Idiom, MachineId, MachineSpec, Name,
    NetworkSpec, Origin, StepKind,
};
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

/// A workspace: everything that one file and its includes declare, checked and interpolated. References between its
/// parts (boxes, machines, networks, artifacts) hold, and neither `after` nor `from` has a cycle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Workspace {
    /// Its name: the identity of everything that rig creates for it.
    pub name: Name,
    /// The engine the file names, if it does (`engine "unix:///…"`).
    pub engine: Option<String>,
    /// Whether the host's certificate authorities and proxies reach boxes and machines.
    pub host_trust: bool,
    /// Boxes by name, parents before children.
    pub boxes: IndexMap<BoxName, BoxSpec>,
    /// Artifacts by name.
    pub artifacts: IndexMap<Name, ArtifactSpec>,
    /// Topologies by name, in the file's order.
    pub topologies: IndexMap<Name, Topology>,
    /// Checks in the file's order.
    pub checks: Vec<CheckSpec>,
    /// What `rig compare` compares when the command line does not say.
    pub compare: Option<CompareSpec>,
}

/// Machines that belong together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Topology {
    /// Its name.
    pub name: Name,
    /// How its machines become what they are for.
    pub idiom: Idiom,
    /// Its networks; the first is where machines are that name none.
    pub networks: Vec<NetworkSpec>,
    /// Its machines in the file's order, indexes ascending.
    pub machines: Vec<MachineSpec>,
    /// The `machine` nodes that have a `count`, with that count, which may be 0.
    pub counts: IndexMap<Name, u32>,
    /// What machines of a group do before it becomes smaller, by group.
    pub leaves: IndexMap<Name, crate::LeaveSpec>,
    /// Where it was declared.
    pub origin: Origin,
}

impl Topology {
    /// The artifacts that its machines' steps put into place, each once.
    #[must_use]
    pub fn step_artifacts(&self) -> Vec<&ArtifactSpec> {
        let mut artifacts: IndexMap<&Name, &ArtifactSpec> = IndexMap::new();
        for step in self.machines.iter().flat_map(|machine| &machine.steps) {
            if let StepKind::File { source: FileSource::Artifact(artifact), .. } = &step.kind {
                artifacts.insert(&artifact.name, artifact);
            }
        }
        artifacts.into_values().collect()
    }
}

impl Workspace {
    /// All machines of all topologies.
    pub fn machines(&self) -> impl Iterator<Item = &MachineSpec> {
        self.topologies.values().flat_map(|topology| &topology.machines)
    }

    /// The machine with this id.
    #[must_use]
    pub fn machine(&self, id: &MachineId) -> Option<&MachineSpec> {
        self.topologies.get(&id.topology)?.machines.iter().find(|machine| machine.id == *id)
    }

    /// The boxes that machines are made from and all their ancestors, parents first.
    #[must_use]
    pub fn needed_boxes<'a>(&'a self, machines: impl Iterator<Item = &'a MachineSpec>) -> Vec<&'a BoxSpec> {
        let mut needed = std::collections::HashSet::new();
        for machine in machines {
            let mut next = Some(&machine.box_name);
            while let Some(name) = next {
                if !needed.insert(name) {
                    break;
                }
                next = self.boxes.get(name).and_then(BoxSpec::parent);
            }
        }
        self.boxes.values().filter(|spec| needed.contains(&spec.name)).collect()
    }
}
