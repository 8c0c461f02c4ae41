//! What a comparison needs done by the one who reads files and makes boxes.

use crate::{EngineError, Report, Session};
use async_trait::async_trait;
use rig_compare::Comparison;
use rig_model::{Action, Digest, Name, Plan};
use rig_state::Layout;
use std::time::Duration;

/// What is otherwise than in the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Variation {
    /// Variables with other values.
    pub variables: Vec<(String, String)>,
    /// Groups with another number of machines.
    pub counts: Vec<(Name, u32)>,
}

/// Something that was planned and carried out, without a failure.
#[derive(Debug)]
pub struct Deed {
    /// The plan.
    pub plan: Plan,
    /// What became of it.
    pub report: Report,
    /// How long planning and carrying it out took. What rig notes for itself afterwards is no part of it.
    pub elapsed: Duration,
}

impl Deed {
    /// Its operations that change something; the others only wait and connect.
    pub fn changes(&self) -> impl Iterator<Item = &Action> {
        let waits = |action: &Action| {
            matches!(action, Action::AwaitReady { .. } | Action::AwaitDone { .. } | Action::Connect { .. })
        };
        self.plan.operations.iter().map(|operation| &operation.action).filter(move |action| !waits(action))
    }
}

/// Why something was not done.
#[derive(Debug, thiserror::Error)]
pub enum LabError {
    /// The user interrupted.
    #[error("interrupted")]
    Interrupted,
    /// It failed.
    #[error("{0}")]
    Failed(String),
}

impl From<EngineError> for LabError {
    fn from(error: EngineError) -> Self {
        if error.is_cancelled() { Self::Interrupted } else { Self::Failed(error.to_string()) }
    }
}

impl From<rig_provider_api::ProviderError> for LabError {
    fn from(error: rig_provider_api::ProviderError) -> Self {
        EngineError::from(error).into()
    }
}

/// Machines of a workspace of its own, apart from those that people work with. Its work is done where it is asked for, on no
/// other thread.
#[async_trait(?Send)]
pub trait Lab {
    /// The workspace as the file has it, on its engine.
    fn session(&self) -> &Session;

    /// Where its state is kept.
    fn layout(&self) -> &Layout;

    /// What the topologies are made of now, as one hash.
    async fn subject(&self) -> Result<Digest, LabError>;

    /// Makes the boxes and fetches the downloads of the topologies, and of a topology with a variation.
    async fn prepare(&self, variations: &[(Name, Variation)]) -> Result<(), LabError>;

    /// Brings a topology to what the file describes, but for a variation.
    async fn up(&self, topology: &Name, variation: &Variation) -> Result<Deed, LabError>;

    /// Runs all provisioning steps of a topology that is up once more.
    async fn provision(&self, topology: &Name) -> Result<Deed, LabError>;

    /// Stops the machines of a topology.
    async fn halt(&self, topology: &Name) -> Result<Deed, LabError>;

    /// Removes everything: machines, networks, volumes, of all topologies.
    async fn clear(&self) -> Result<Deed, LabError>;

    /// Brings a topology up from boxes that are built anew, without anything cached, beside those that are there.
    async fn up_anew(&self, topology: &Name) -> Result<Deed, LabError>;

    /// Removes the boxes that [`Lab::up_anew`] built. None is success.
    async fn discard(&self) -> Result<(), LabError>;

    /// Forgets boxes and downloads, so that the next `up` begins without them.
    async fn forget(&self) -> Result<(), LabError>;

    /// Keeps what was measured so far.
    fn keep(&self, comparison: &Comparison) -> Result<(), LabError>;
}
