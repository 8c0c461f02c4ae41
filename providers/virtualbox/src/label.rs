//! What is written into the extra data of a machine, and of the master that its box is: whose they are, and what they were made from.

use crate::{options::Options, settings::Settings};
use jiff::Timestamp;
use rig_model::{BoxName, Bytes, Digest, Field, MachineId, Name, PublishedPort};
use rig_provider_api::{ProviderError, Result};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::net::Ipv4Addr;

/// The names of the entries.
pub(crate) const MACHINE: &str = "rig/machine";
pub(crate) const BOX: &str = "rig/box";

/// The version of both forms. A newer one is refused: another rig wrote it.
const FORMAT: u32 = 2;

/// The version in which something is written: what older ones cannot know is not shown to them.
pub(crate) fn format(seeded: bool) -> u32 {
    if seeded { FORMAT } else { 1 }
}

/// A machine as it was made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct MachineLabel {
    pub(crate) format: u32,
    pub(crate) workspace: Name,
    pub(crate) id: MachineId,
    pub(crate) group: Name,
    pub(crate) index: Option<u32>,
    /// The hash of its fields, and the fields with sealed values.
    pub(crate) digest: Digest,
    pub(crate) fields: Vec<Field>,
    /// The reference of its box.
    pub(crate) image: String,
    pub(crate) hostname: String,
    /// Its cards behind the first, which leads out.
    pub(crate) cards: Vec<LabelCard>,
    pub(crate) ports: Vec<PublishedPort>,
    /// Folders of this host.
    pub(crate) folders: Vec<LabelFolder>,
    pub(crate) created: Timestamp,
    /// What its file says to VirtualBox itself.
    #[serde(default)]
    pub(crate) options: Options,
    /// How often it was brought back to a snapshot: each time it is another machine.
    #[serde(default)]
    pub(crate) restored: u32,
    /// Whether a disk tells it at every start who it is; others are told when somebody is in.
    #[serde(default)]
    pub(crate) seeded: bool,
}

/// A card on a network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct LabelCard {
    pub(crate) network: Name,
    /// As Linux writes it.
    pub(crate) mac: String,
    pub(crate) ip: Ipv4Addr,
    pub(crate) prefix: u8,
}

/// A shared folder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct LabelFolder {
    /// What VirtualBox calls it.
    pub(crate) name: String,
    pub(crate) target: String,
    pub(crate) writable: bool,
}

/// A box that was made or imported.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct BoxLabel {
    pub(crate) format: u32,
    pub(crate) name: BoxName,
    pub(crate) digest: Digest,
    pub(crate) parent: Option<BoxName>,
    /// What its disks take, in bytes.
    pub(crate) size: Bytes,
    pub(crate) created: Timestamp,
    /// Whether its machines read a disk that tells them who they are.
    #[serde(default)]
    pub(crate) seeded: bool,
}

impl MachineLabel {
    /// What a machine says of itself; nothing when it was never finished.
    pub(crate) fn of(settings: &Settings) -> Result<Option<Self>> {
        read(settings, MACHINE)
    }
}

impl BoxLabel {
    /// The same of a master.
    pub(crate) fn of(settings: &Settings) -> Result<Option<Self>> {
        read(settings, BOX)
    }
}

/// An entry that cannot be read is an error and not absence: what was never finished is removed.
fn read<T: DeserializeOwned>(settings: &Settings, key: &str) -> Result<Option<T>> {
    #[derive(Deserialize)]
    struct Form {
        format: u32,
    }
    let Some(text) = settings.extra.get(key) else { return Ok(None) };
    let doing = || format!("reading what {key} says of {}", settings.uuid);
    let failed = |error: serde_json::Error| ProviderError::failed(doing(), error);
    let form: Form = serde_json::from_str(text).map_err(failed)?;
    if form.format > FORMAT {
        let why = format!("it was written by a newer rig (form {}, this one knows {FORMAT})", form.format);
        return Err(ProviderError::failed(doing(), why).hinted("use that one, or destroy the machine with it"));
    }
    serde_json::from_str(text).map(Some).map_err(failed)
}

/// A label as it is written.
pub(crate) fn text(label: &impl Serialize) -> String {
    // Plain data: nothing in it can fail to be written.
    serde_json::to_string(label).unwrap_or_default()
}
