//! The published key's stay in a machine: let in while a box is made of the machine, and taken out again.

use super::{
    access::{Access, SAID},
    well_known,
};
use crate::EngineError;
use rig_model::MachineId;
use rig_provider_api::{Context, ProviderError};

impl Access {
    /// Lets in whoever has the published key, and the workspace no more: so do machines of the box that this one becomes. It is
    /// written down first, so that the next connection ends it, whatever happens.
    ///
    /// # Errors
    /// When the machine cannot be entered, or refuses.
    pub(crate) async fn publish(&self, cx: &Context, machine: &MachineId) -> Result<(), EngineError> {
        let session = self.session(cx, machine).await?;
        self.update(machine, |known| known.published = true).await?;
        let doing = format!("letting the published key into machine {machine}");
        let public = self.keys().await?.public_line().map_err(|error| EngineError::ssh(machine, error))?;
        self.tell(cx, machine, &session, &doing, &well_known::exposure(&public)).await
    }

    /// Takes the published key out of a machine.
    pub(super) async fn lock_up(
        &self,
        cx: &Context,
        machine: &MachineId,
        session: &rig_ssh::Session,
    ) -> Result<(), EngineError> {
        let public = self.keys().await?.public_line().map_err(|error| EngineError::ssh(machine, error))?;
        let doing = format!("replacing the published key of machine {machine}");
        self.tell(cx, machine, session, &doing, &well_known::replacement(&public)).await
    }

    /// Runs a line of rig's own, which must succeed.
    async fn tell(
        &self,
        cx: &Context,
        machine: &MachineId,
        session: &rig_ssh::Session,
        doing: &str,
        line: &str,
    ) -> Result<(), EngineError> {
        let run = async { session.run(line, None, SAID).await.map_err(|error| ProviderError::failed(doing, error)) };
        let outcome = cx.run(doing, run).await?;
        if outcome.success() {
            return Ok(());
        }
        let why = String::from_utf8_lossy(&outcome.stderr).trim().to_owned();
        Err(EngineError::NotEnrolled { machine: machine.clone(), why })
    }
}
