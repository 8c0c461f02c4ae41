//! What is written beside a machine's disk: everything that an observation tells and a start needs.

use crate::{
    boot::Boot,
    firmware::Firmware,
    layout::{self, MachinePlace},
};
use camino::Utf8Path;
use jiff::Timestamp;
use rig_hypervisor::{Card, files};
use rig_model::{Bytes, Digest, Exit, Field, MachineId, MilliCpus, Name, PublishedPort};
use rig_provider_api::{ProviderError, Result};
use serde::{Deserialize, Serialize};

/// The version of the form. A newer one is refused: another rig made it.
const FORMAT: u32 = 2;

/// A machine as it was made, and as it was last started.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) format: u32,
    /// Its own identity, which it tells through its monitor.
    pub(crate) identity: String,
    pub(crate) workspace: Name,
    pub(crate) id: MachineId,
    pub(crate) group: Name,
    pub(crate) index: Option<u32>,
    /// The hash of its fields, and the fields with sealed values.
    pub(crate) digest: Digest,
    pub(crate) fields: Vec<Field>,
    /// The reference of its box.
    pub(crate) image: String,
    #[serde(default)]
    pub(crate) boot: Boot,
    /// What boots it where there is no kernel; nothing for what its board has.
    #[serde(default)]
    pub(crate) firmware: Option<Firmware>,
    pub(crate) hostname: String,
    pub(crate) memory: Bytes,
    pub(crate) cpus: MilliCpus,
    /// Its cards, the first of which leads out.
    pub(crate) cards: Vec<NetworkCard>,
    /// Whether it is kept from reaching the outside.
    pub(crate) restricted: bool,
    pub(crate) ports: Vec<PublishedPort>,
    pub(crate) created: Timestamp,
    /// What its present or last run is known by.
    pub(crate) run: Option<Run>,
    /// The snapshot that its disk is still to be brought back to, before anything else is done with it.
    #[serde(default)]
    pub(crate) restoring: Option<Name>,
}

/// A card and where it leads.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct NetworkCard {
    /// The network; nothing for the way out.
    pub(crate) network: Option<Name>,
    pub(crate) card: Card,
    /// The group and port over which the machines of the network speak.
    pub(crate) group: Option<std::net::SocketAddrV4>,
}

/// One run of a machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Run {
    pub(crate) started: Timestamp,
    /// The port of this host that leads to its SSH server.
    pub(crate) ssh: u16,
    /// The neighbours whose names it was told; nothing once it has been suspended: it missed what happened meanwhile.
    pub(crate) told: Option<Vec<MachineId>>,
    /// How it was ended; nothing while it runs, and of a machine that ended by itself.
    pub(crate) ended: Option<Exit>,
    /// Whether what it holds in memory is on its disk, from which it goes on.
    #[serde(default)]
    pub(crate) suspended: bool,
    /// The snapshot in which that is, if it is one that stays; of a suspension that is of one use, nothing.
    #[serde(default)]
    pub(crate) snapshot: Option<Name>,
}

impl Record {
    /// The version of a machine's form: the second one says how machines boot, which rigs that know the first would lose.
    pub(crate) fn form(boot: Boot) -> u32 {
        if boot == Boot::Kernel { 1 } else { FORMAT }
    }

    /// What lies in a machine's folder; nothing where there is no machine.
    pub(crate) fn load(place: &MachinePlace) -> Result<Option<Self>> {
        let path = place.record();
        files::read(&path)?.map(|text| Self::parse(&path, &text)).transpose()
    }

    /// Notes how the machine's run was ended.
    pub(crate) fn set_ended(&mut self, exit: Exit) {
        if let Some(run) = &mut self.run {
            run.ended = Some(exit);
            (run.suspended, run.snapshot) = (false, None);
        }
    }

    pub(crate) fn save(&self, place: &MachinePlace) -> Result<()> {
        files::write(&place.record(), self.text().as_bytes())
    }

    /// The machines of a workspace.
    pub(crate) fn of(folder: &Utf8Path, workspace: &Name) -> Result<Vec<Self>> {
        Self::some(folder, |name| owner(name) == Some(workspace.as_str())).collect()
    }

    /// The machines of all other workspaces. What cannot be read, because a newer rig wrote it, is left out.
    pub(crate) fn of_others(folder: &Utf8Path, workspace: &Name) -> Vec<Self> {
        Self::some(folder, |name| owner(name) != Some(workspace.as_str())).filter_map(Result::ok).collect()
    }

    /// The machines of all workspaces.
    pub(crate) fn every(folder: &Utf8Path) -> Result<Vec<Self>> {
        Self::some(folder, |_| true).collect()
    }

    fn some(folder: &Utf8Path, wanted: impl Fn(&str) -> bool) -> impl Iterator<Item = Result<Self>> {
        let (names, failed) = match files::names(folder) {
            Ok(names) => (names, None),
            Err(error) => (Vec::new(), Some(Err(error))),
        };
        let names: Vec<String> = names.into_iter().filter(|name| wanted(name)).collect();
        let places = names.into_iter().map(|name| MachinePlace(folder.join(name)));
        // One that is removed meanwhile is not there.
        let records =
            places.filter(|place| !layout::is_being_made(&place.0)).filter_map(|place| Self::load(&place).transpose());
        failed.into_iter().chain(records)
    }

    fn parse(path: &Utf8Path, text: &str) -> Result<Self> {
        #[derive(Deserialize)]
        struct Form {
            format: u32,
        }
        let doing = format!("reading {path}");
        let failed = |error: serde_json::Error| ProviderError::failed(doing.clone(), error);
        let form: Form = serde_json::from_str(text).map_err(failed)?;
        if form.format > FORMAT {
            let why = format!("it was written by a newer rig (form {}, this one knows {FORMAT})", form.format);
            return Err(ProviderError::failed(doing, why).hinted("use that one, or destroy the machine with it"));
        }
        serde_json::from_str(text).map_err(failed)
    }

    fn text(&self) -> String {
        // Nothing in it can fail to be written.
        serde_json::to_string_pretty(self).unwrap_or_default()
    }
}

/// The workspace of a machine's folder.
fn owner(folder: &str) -> Option<&str> {
    folder.split('.').next()
}
