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

/// The labels that objects of the engine have.
pub(crate) type Labels = HashMap<String, String>;

/// The name of a machine's container. A dot occurs in no name of a workspace, so that no two machines share one.
pub(crate) fn container(workspace: &Name, id: &MachineId) -> String {
    format!("{workspace}.{}.{}", id.topology, id.machine)
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

/// A box's labels.
pub(crate) fn of_box(tag: &BoxTag) -> Labels {
    let mut labels =
        Labels::from([(BOX.to_owned(), tag.name.to_string()), (DIGEST.to_owned(), tag.digest.to_string())]);
    if let Some(parent) = &tag.parent {
        labels.insert(PARENT.to_owned(), parent.to_string());
    }
    labels
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
