//! What was in a machine when it had been provisioned.

use crate::{Access, Format, Layout, Result, format, layout};
use jiff::Timestamp;
use rig_drift::Manifest;
use rig_model::MachineId;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

const BASELINE: Format = Format { name: "rig.baseline", major: 1 };

/// What was in one machine. It belongs to one identity, as [`crate::MachineRecord`] does.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Baseline {
    /// The provider's own identifier of the machine.
    pub native: String,
    /// When that was.
    pub taken: Timestamp,
    /// What was in it.
    pub manifest: Manifest,
    /// The texts of configuration files by path.
    pub texts: BTreeMap<String, String>,
}

impl Baseline {
    /// Reads a machine's baseline; `None` when there is none.
    ///
    /// # Errors
    /// When the file cannot be read, is a newer rig's, or does not hold a baseline.
    pub fn load(layout: &Layout, machine: &MachineId) -> Result<Option<Self>> {
        format::read_json(&layout.baseline(machine), BASELINE)
    }

    /// Writes the baseline.
    ///
    /// # Errors
    /// When the file is a newer rig's, or cannot be written.
    pub fn save(&self, layout: &Layout, machine: &MachineId) -> Result<()> {
        layout.prepare()?;
        layout::create_folder(&layout.baselines())?;
        format::write_json(&layout.baseline(machine), BASELINE, self, Access::OwnerOnly)
    }

    /// Removes a machine's baseline. Absence is success.
    ///
    /// # Errors
    /// When the file cannot be removed.
    pub fn remove(layout: &Layout, machine: &MachineId) -> Result<()> {
        format::remove(&layout.baseline(machine))
    }
}
