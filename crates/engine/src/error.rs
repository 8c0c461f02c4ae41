//! What can stop a command while it acts.

use crate::PlanError;
use rig_model::{BoxName, MachineId, Origin, ProviderId};
use rig_provider_api::ProviderError;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The backend failed.
    #[error(transparent)]
    Provider(#[from] ProviderError),
    /// A box or artifact cannot be had.
    #[error(transparent)]
    Box(#[from] rig_boxes::BoxError),
    /// No plan can be made; all reasons.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Plan(Vec<PlanError>),
    /// A machine that the file does not declare.
    #[error("the file declares no machine {machine}")]
    Undeclared {
        /// The machine.
        machine: MachineId,
    },
    /// A provider that is not at hand.
    #[error("there is no provider {provider:?} here", provider = provider.as_str())]
    NoProvider {
        /// Its name.
        provider: ProviderId,
    },
    /// The provider has no images, logs, …
    #[error("provider {provider} has no {capability}, which {wanted_for} needs")]
    Capability {
        /// The provider.
        provider: String,
        /// What it lacks.
        capability: &'static str,
        /// What wants it.
        wanted_for: String,
    },
    /// A machine ended while it was waited for.
    #[error("machine {machine} {exit} while rig waited for it")]
    Died {
        /// The machine.
        machine: MachineId,
        /// How it ended.
        exit: String,
        /// The last lines of its log.
        tail: Vec<String>,
    },
    /// A machine was removed by somebody else.
    #[error("machine {machine} was removed while rig waited for it")]
    Gone {
        /// The machine.
        machine: MachineId,
    },
    /// A machine did not become ready in time.
    #[error("machine {machine} is not ready after {seconds:.0} s: {last}")]
    NotReady {
        /// The machine.
        machine: MachineId,
        /// The limit.
        seconds: f64,
        /// What the last try ended with.
        last: String,
        /// The last lines of its log.
        tail: Vec<String>,
    },
    /// A one-shot ended with something other than 0.
    #[error("machine {machine} {exit}, it should have ended with 0")]
    NotDone {
        /// The machine.
        machine: MachineId,
        /// How it ended.
        exit: String,
        /// The last lines of its log.
        tail: Vec<String>,
    },
    /// The user interrupted.
    #[error("interrupted while {0}")]
    Interrupted(String),
    /// Keys or records of the workspace cannot be used.
    #[error(transparent)]
    State(#[from] rig_state::StateError),
    /// Something on this host failed.
    #[error("{doing}: {why}")]
    Host {
        /// What was being done.
        doing: String,
        /// Why it failed.
        why: String,
    },
    /// A machine that no SSH leads into.
    #[error("machine {machine} has no SSH server that rig knows of")]
    NoSsh {
        /// The machine.
        machine: MachineId,
    },
    /// A machine that must run and does not.
    #[error("machine {machine} is {state}")]
    NotRunning {
        /// The machine.
        machine: MachineId,
        /// What it is.
        state: String,
    },
    /// A machine did not take the workspace's key or has no host keys.
    #[error("machine {machine} cannot be entered over SSH: {why}")]
    NotEnrolled {
        /// The machine.
        machine: MachineId,
        /// What is wrong.
        why: String,
    },
    /// SSH failed.
    #[error("machine {machine}: {error}")]
    Ssh {
        /// The machine.
        machine: MachineId,
        /// Why.
        error: rig_ssh::SshError,
        /// The last lines of what ran, or of the machine's log when it ended.
        tail: Vec<String>,
    },
    /// A provisioning step failed.
    #[error(transparent)]
    Step(Box<StepFailure>),
    /// A machine did not hand over what it has.
    #[error("machine {machine} was not removed: `{command}` {ending}")]
    Leave {
        /// The machine.
        machine: MachineId,
        /// The command.
        command: String,
        /// How it ended.
        ending: String,
        /// Its last lines.
        tail: Vec<String>,
    },
    /// A box that is not declared.
    #[error("there is no box {0}")]
    NoBox(BoxName),
}

/// How a provisioning step failed.
#[derive(Debug, thiserror::Error)]
#[error("{origin}: step `{step}` of machine {machine} failed: {ending}")]
pub struct StepFailure {
    /// The machine.
    pub machine: MachineId,
    /// The step.
    pub step: rig_model::StepId,
    /// Where it was declared.
    pub origin: Origin,
    /// How it ended.
    pub ending: String,
    /// Its last lines.
    pub tail: Vec<String>,
    /// Where all of them are.
    pub log: camino::Utf8PathBuf,
}

impl EngineError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Provider(ProviderError::Absent { .. }) => Some("`rig up` makes it".to_owned()),
            Self::Provider(error) => error.hint().map(str::to_owned),
            Self::Box(error) => error.hint(),
            Self::Plan(errors) => errors.iter().find_map(PlanError::hint),
            Self::Died { machine, .. } | Self::NotDone { machine, .. } => {
                Some(format!("`rig logs {machine}` shows its whole log; `rig up` goes on from what is there"))
            }
            Self::NotReady { machine, .. } => {
                Some(format!("`rig logs {machine}` shows its whole log; `ready-timeout` in the file gives it longer"))
            }
            Self::State(error) => error.hint(),
            Self::Ssh { machine, error: rig_ssh::SshError::HostKeyChanged { .. }, .. } => Some(format!(
                "somebody else may answer there; if you changed the key yourself, remove .rig/machines/{}.{}.json",
                machine.topology, machine.machine
            )),
            Self::Ssh { error, .. } => error.hint().map(str::to_owned),
            Self::NoSsh { .. } => Some("`rig exec` runs commands in an immutable machine".to_owned()),
            Self::NotRunning { .. } => Some("`rig up` starts it".to_owned()),
            Self::NotEnrolled { .. } => Some(
                "its box needs an SSH server and the user that `ssh user=…` names (rig, if nothing does)".to_owned(),
            ),
            Self::Step(failure) => {
                Some(format!("{} has all it printed; the next `rig up` goes on with this step", failure.log))
            }
            Self::Leave { .. } => {
                Some("nothing of it was lost; `--force` removes it without handing anything over".to_owned())
            }
            Self::Undeclared { machine } => {
                Some(format!("`rig destroy {machine}` removes it where it is there all the same"))
            }
            Self::NoProvider { .. } => Some("`rig doctor` says which providers there are".to_owned()),
            Self::Gone { .. } => Some("`rig up` makes it again".to_owned()),
            Self::Capability { .. } | Self::Interrupted(_) | Self::NoBox(_) | Self::Host { .. } => None,
        }
    }

    /// Whether the user ended it.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        match self {
            Self::Interrupted(_) | Self::Provider(ProviderError::Cancelled { .. }) => true,
            Self::Box(error) => error.is_cancelled(),
            Self::Ssh { error, .. } => error.is_cancelled(),
            Self::State(error) => error.is_cancelled(),
            _ => false,
        }
    }

    /// The last lines of the log that belongs to it.
    #[must_use]
    pub fn tail(&self) -> &[String] {
        match self {
            Self::Provider(error) => error.tail(),
            Self::Box(error) => error.tail(),
            Self::Died { tail, .. }
            | Self::NotReady { tail, .. }
            | Self::NotDone { tail, .. }
            | Self::Ssh { tail, .. }
            | Self::Leave { tail, .. } => tail,
            Self::Step(failure) => &failure.tail,
            _ => &[],
        }
    }
}

impl EngineError {
    /// A failure of SSH with a machine.
    pub(crate) fn ssh(machine: &MachineId, error: rig_ssh::SshError) -> Self {
        Self::Ssh { machine: machine.clone(), error, tail: Vec::new() }
    }
}

impl From<PlanError> for EngineError {
    fn from(error: PlanError) -> Self {
        Self::Plan(vec![error])
    }
}
