//! What is written on the engine's objects. The labels are the truth: with them alone, rig finds everything it made.
//!
//! | label | on | value |
//! |---|---|---|
//! | `rig.workspace` | containers, networks, volumes | the workspace's name |
//! | `rig.topology` | containers, networks, volumes | the topology's name |
//! | `rig.machine` | containers, volumes | the machine's name, index included |
//! | `rig.group` | containers | the `machine` node it comes from |
//! | `rig.index` | containers | the number in the group |
//! | `rig.digest` | containers, images | the hash of what it was made from |
//! | `rig.fields` | containers | JSON: every property that was set; environment values only as hashes |
//! | `rig.network` | networks | the network's name inside the topology |
//! | `rig.volume` | volumes | the volume's name inside the machine |
//! | `rig.box`, `rig.parent` | images | the box and its parent |
//! | `rig.snapshot` | images, volumes, containers | the snapshot's name; of a container, that it was restored from it |
//! | `rig.taken` | images, containers | when the snapshot was taken |
//! | `rig.state` | images, containers | what the machine was doing then: `running`, `created`, `exited:CODE` |
//! | `rig.bytes` | images | what the snapshot takes beside its box |
//! | `rig.base` | images, containers | the identifier of the box's image |
//! | `rig.container` | images | JSON: what the container was made with, as far as an image does not hold it |
//! | `rig.changes` | images | the paths that the container had otherwise than its box, packed |
//! | `rig.target` | volumes | where a snapshot's volume was mounted |
//!
//! A snapshot's image has its container's labels too, and gives all that it has to the container that is made from it.

use rig_model::{Digest, Field, MachineId, Name, ResolvedMachine};
use rig_provider_api::BoxTag;
use std::collections::{BTreeMap, HashMap};

/// The workspace's name.
pub const WORKSPACE: &str = "rig.workspace";
/// The topology's name.
pub const TOPOLOGY: &str = "rig.topology";
/// The machine's name.
pub const MACHINE: &str = "rig.machine";
/// The `machine` node.
pub const GROUP: &str = "rig.group";
/// The number in the group.
pub const INDEX: &str = "rig.index";
/// The hash of what an object was made from.
pub const DIGEST: &str = "rig.digest";
/// Every property that was set.
pub const FIELDS: &str = "rig.fields";
/// The network's name.
pub const NETWORK: &str = "rig.network";
/// The volume's name.
pub const VOLUME: &str = "rig.volume";
/// The box's name.
pub const BOX: &str = "rig.box";
/// The parent box's name.
pub const PARENT: &str = "rig.parent";
/// A snapshot's name.
pub const SNAPSHOT: &str = "rig.snapshot";
/// When a snapshot was taken.
pub const TAKEN: &str = "rig.taken";
/// What the machine was doing then.
pub const STATE: &str = "rig.state";
/// What a snapshot takes.
pub const BYTES: &str = "rig.bytes";
/// The box's image.
pub const BASE: &str = "rig.base";
/// What the container was made with.
pub const CONTAINER: &str = "rig.container";
/// What the container had otherwise than its box.
pub const CHANGES: &str = "rig.changes";
/// Where a snapshot's volume was mounted.
pub const TARGET: &str = "rig.target";

/// The labels that objects of the engine have.
pub(crate) type Labels = HashMap<String, String>;

/// The name of a machine's container. A dot occurs in no name of a workspace, so that no two machines share one.
pub(crate) fn container(workspace: &Name, id: &MachineId) -> String {
    format!("{workspace}.{}.{}", id.topology, id.machine)
}

/// What the names of containers end with that stand beside a machine's own for a while.
pub(crate) mod beside {
    /// A machine that is being restored.
    pub(crate) const RESTORE: &str = ".restore";
    /// Never runs: volumes are read through it.
    pub(crate) const FROM: &str = ".from";
    /// Never runs: volumes are written through it.
    pub(crate) const TO: &str = ".to";
    /// Never runs: a file of a box is read through it.
    pub(crate) const LOOK: &str = ".look";
    /// All of them.
    pub(crate) const ALL: [&str; 4] = [RESTORE, FROM, TO, LOOK];
}

/// The name of a topology's network.
pub(crate) fn network(workspace: &Name, topology: &Name, network: &Name) -> String {
    format!("{workspace}.{topology}.{network}")
}

/// The name of a machine's volume.
pub(crate) fn volume(workspace: &Name, id: &MachineId, volume: &Name) -> String {
    format!("{workspace}.{}.{}.{volume}", id.topology, id.machine)
}

/// A machine's labels.
pub(crate) fn of_machine(machine: &ResolvedMachine) -> Labels {
    let fields: BTreeMap<String, String> =
        machine.sealed_fields().into_iter().map(|field| (field.path, field.value)).collect();
    let mut labels = Labels::from([
        (WORKSPACE.to_owned(), machine.workspace.to_string()),
        (TOPOLOGY.to_owned(), machine.id.topology.to_string()),
        (MACHINE.to_owned(), machine.id.machine.to_string()),
        (GROUP.to_owned(), machine.group.to_string()),
        (DIGEST.to_owned(), machine.digest().to_string()),
        // A map of strings is always valid JSON.
        (FIELDS.to_owned(), serde_json::to_string(&fields).unwrap_or_default()),
    ]);
    if let Some(index) = machine.index {
        labels.insert(INDEX.to_owned(), index.to_string());
    }
    labels
}

/// A network's labels.
pub(crate) fn of_network(workspace: &Name, topology: &Name, network: &Name) -> Labels {
    Labels::from([
        (WORKSPACE.to_owned(), workspace.to_string()),
        (TOPOLOGY.to_owned(), topology.to_string()),
        (NETWORK.to_owned(), network.to_string()),
    ])
}

/// A volume's labels.
pub(crate) fn of_volume(workspace: &Name, id: &MachineId, volume: &Name) -> Labels {
    Labels::from([
        (WORKSPACE.to_owned(), workspace.to_string()),
        (TOPOLOGY.to_owned(), id.topology.to_string()),
        (MACHINE.to_owned(), id.machine.to_string()),
        (VOLUME.to_owned(), volume.to_string()),
    ])
}

/// The labels of what belongs to a machine's snapshot.
pub(crate) fn of_snapshot(workspace: &Name, id: &MachineId, snapshot: &Name) -> Labels {
    Labels::from([
        (WORKSPACE.to_owned(), workspace.to_string()),
        (TOPOLOGY.to_owned(), id.topology.to_string()),
        (MACHINE.to_owned(), id.machine.to_string()),
        (SNAPSHOT.to_owned(), snapshot.to_string()),
    ])
}

/// A box's labels.
pub(crate) fn of_box(tag: &BoxTag) -> Labels {
    let mut labels =
        Labels::from([(BOX.to_owned(), tag.name.to_string()), (DIGEST.to_owned(), tag.digest.to_string())]);
    if let Some(parent) = &tag.parent {
        labels.insert(PARENT.to_owned(), parent.to_string());
    }
    labels
}

/// The text of a label, where there is one: containers have empty ones in place of those of their image that say nothing
/// about them.
pub(crate) fn text<'a>(labels: &'a Labels, label: &str) -> Option<&'a str> {
    labels.get(label).map(String::as_str).filter(|text| !text.is_empty())
}

/// The name in a label.
pub(crate) fn name(labels: &Labels, label: &str) -> Option<Name> {
    Name::new(labels.get(label)?).ok()
}

/// The machine that labels speak of.
pub(crate) fn machine(labels: &Labels) -> Option<MachineId> {
    Some(MachineId::new(name(labels, TOPOLOGY)?, name(labels, MACHINE)?))
}

/// The hash in the labels.
pub(crate) fn digest(labels: &Labels) -> Option<Digest> {
    Digest::from_hex(labels.get(DIGEST)?)
}

/// The properties in the labels; none when the label is absent or not ours.
pub(crate) fn fields(labels: &Labels) -> Vec<Field> {
    let map: BTreeMap<String, String> =
        labels.get(FIELDS).and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    map.into_iter().map(|(path, value)| Field { path, value }).collect()
}
