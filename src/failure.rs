//! What ends a command, and with which exit code.

use rig_box_store::StoreError;
use rig_config::Mistakes;
use rig_engine::{EngineError, LabError};
use rig_provider_api::ProviderError;

/// 0 done; 1 the operation failed; 2 usage or workspace file wrong; 3 a check did not hold; 4 changes are pending;
/// 130 interrupted. Documented in `docs/exit-codes.md`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ExitCode {
    Done = 0,
    Failed = 1,
    Usage = 2,
    Unmet = 3,
    Pending = 4,
    Interrupted = 130,
}

/// Why a command did not do what it should.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The workspace file is wrong.
    #[error("{0}")]
    File(Box<Mistakes>),
    /// The command line is wrong, or asks for something that does not go together.
    #[error("{message}")]
    Usage { message: String, hint: Option<String> },
    /// The engine, or what it should do.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The store of boxes for virtual machines.
    #[error(transparent)]
    Store(Box<StoreError>),
    /// Something on this host.
    #[error("{message}")]
    Host { message: String, hint: Option<String> },
    /// Everything has been said already.
    #[error("")]
    Said(ExitCode),
}

impl Failure {
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::Usage { message: message.into(), hint: None }
    }

    pub(crate) fn host(message: impl Into<String>) -> Self {
        Self::Host { message: message.into(), hint: None }
    }

    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            Self::File(_) | Self::Usage { .. } => ExitCode::Usage,
            // A plan that cannot be made because of what the file asks for.
            Self::Engine(EngineError::Plan(errors)) if errors.iter().all(is_usage) => ExitCode::Usage,
            Self::Engine(error) if error.is_cancelled() => ExitCode::Interrupted,
            Self::Store(error) if error.is_cancelled() => ExitCode::Interrupted,
            Self::Store(error) if error.is_usage() => ExitCode::Usage,
            Self::Engine(_) | Self::Store(_) | Self::Host { .. } => ExitCode::Failed,
            Self::Said(code) => *code,
        }
    }

    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::File(_) | Self::Said(_) => None,
            Self::Usage { hint, .. } | Self::Host { hint, .. } => hint.clone(),
            Self::Engine(error) => error.hint(),
            Self::Store(error) => error.hint(),
        }
    }

    pub(crate) fn tail(&self) -> &[String] {
        match self {
            Self::Engine(error) => error.tail(),
            _ => &[],
        }
    }
}

fn is_usage(error: &rig_engine::PlanError) -> bool {
    use rig_engine::PlanError;
    !matches!(
        error,
        PlanError::PortTaken { .. }
            | PlanError::NoPort { .. }
            | PlanError::NoRange { .. }
            | PlanError::MemoryBudget { .. }
            | PlanError::CannotLeave { .. }
    )
}

impl From<ProviderError> for Failure {
    fn from(error: ProviderError) -> Self {
        Self::Engine(error.into())
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Store(Box::new(error))
    }
}

impl From<LabError> for Failure {
    fn from(error: LabError) -> Self {
        match error {
            LabError::Interrupted => Self::Said(ExitCode::Interrupted),
            LabError::Failed(why) => Self::host(why),
        }
    }
}

impl From<rig_engine::PlanError> for Failure {
    fn from(error: rig_engine::PlanError) -> Self {
        Self::Engine(error.into())
    }
}

impl From<rig_state::StateError> for Failure {
    fn from(error: rig_state::StateError) -> Self {
        Self::Host { hint: error.hint(), message: error.to_string() }
    }
}

impl From<rig_boxes::BoxError> for Failure {
    fn from(error: rig_boxes::BoxError) -> Self {
        Self::Engine(error.into())
    }
}

impl From<Mistakes> for Failure {
    fn from(mistakes: Mistakes) -> Self {
        Self::File(Box::new(mistakes))
    }
}
