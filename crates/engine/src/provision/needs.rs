//! What provisioning needs to know before a plan is made.

use crate::{EngineError, Session};
use camino::Utf8Path;
use rig_model::{MachineId, Workspace};
use rig_provider_api::Provider;
use rig_recipes::Contents;
use rig_state::{Layout, MachineRecord};
use std::collections::{BTreeMap, BTreeSet};

/// What provisioning needs to know before a plan is made.
#[derive(Clone, Debug, Default)]
pub struct Provisioning {
    /// What the files hold that steps name.
    pub contents: Contents,
    /// What was done, by machine.
    pub records: BTreeMap<MachineId, MachineRecord>,
    /// The machines that have copies of folders, which are brought when they have been entered.
    pub copies: BTreeSet<MachineId>,
}

impl Provisioning {
    /// Reads what the steps of a workspace's machines name, and what was done. Blocks while it reads.
    ///
    /// # Errors
    /// All files and templates that cannot be used, or a record that cannot be read.
    pub fn load(session: &Session, layout: &Layout) -> Result<Self, EngineError> {
        let contents = Self::contents(&session.workspace, &session.folder)?;
        let (mut records, mut copies) = (BTreeMap::new(), BTreeSet::new());
        for machine in session.workspace.machines().filter(|machine| machine.ssh.is_some()) {
            let provider = session.providers.get(&machine.provider).ok();
            if provider.is_some_and(|provider| brings_folders(provider.as_ref())) && !machine.syncs.is_empty() {
                copies.insert(machine.id.clone());
            }
            if let Some(record) = MachineRecord::load(layout, &machine.id)? {
                records.insert(machine.id.clone(), record);
            }
        }
        Ok(Self { contents, records, copies })
    }

    /// Reads what the steps of a workspace's machines name. Blocks while it reads.
    ///
    /// # Errors
    /// All files and templates that cannot be used.
    pub fn contents(workspace: &Workspace, folder: &Utf8Path) -> Result<Contents, EngineError> {
        let machines = workspace.machines().filter(|machine| machine.ssh.is_some());
        Contents::load(machines, folder)
            .map_err(|errors| EngineError::Plan(errors.into_iter().map(Into::into).collect()))
    }
}

/// Whether the folders of a provider's machines are brought over SSH once they have been entered. Those that an engine's own machine
/// has are there since the start.
pub(crate) fn brings_folders(provider: &dyn Provider) -> bool {
    provider.folders().is_some() && provider.doors().is_some()
}
