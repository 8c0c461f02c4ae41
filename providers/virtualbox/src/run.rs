//! What is written beside a machine when it is started: VirtualBox does not know it.

use crate::layout::Place;
use jiff::Timestamp;
use rig_hypervisor::files;
use rig_model::{Exit, MachineId};
use rig_provider_api::{ProviderError, Result};
use serde::{Deserialize, Serialize};

/// One run of a machine. Absent for one that was never started since it was made or brought back to a snapshot.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Run {
    pub(crate) started: Timestamp,
    /// The neighbours whose names it was told; nothing before it was told anything.
    pub(crate) told: Option<Vec<MachineId>>,
    /// How it was ended; nothing while it runs, and of a machine that ended by itself.
    pub(crate) ended: Option<Exit>,
}

impl Run {
    /// A run that begins now.
    pub(crate) fn begin() -> Self {
        Self { started: Timestamp::now(), told: None, ended: None }
    }

    /// The last run of a machine. Blocks.
    pub(crate) fn load(place: &Place) -> Result<Option<Self>> {
        let path = place.run();
        let Some(text) = files::read(&path)? else { return Ok(None) };
        serde_json::from_str(&text).map(Some).map_err(|error| ProviderError::failed(format!("reading {path}"), error))
    }

    /// Writes it down. Blocks.
    pub(crate) fn save(&self, place: &Place) -> Result<()> {
        files::write(&place.run(), serde_json::to_string_pretty(self).unwrap_or_default().as_bytes())
    }

    /// Changes what is written, if something is. Blocks.
    pub(crate) fn update(place: &Place, change: impl FnOnce(&mut Self)) -> Result<()> {
        let Some(mut run) = Self::load(place)? else { return Ok(()) };
        change(&mut run);
        run.save(place)
    }
}
