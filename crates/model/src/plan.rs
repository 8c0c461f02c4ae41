//! Plans: graphs of operations, each one call to an engine, each with its cause.

use crate::{
    ArtifactSpec, BoxName, Digest, MachineId, MachineSpec, Name, Origin, ProviderId, ReadySpec, ResolvedMachine,
    ResolvedNetwork, ResolvedStep,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::{fmt, time::Duration};

/// The number of an operation in its plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct OpId(pub u32);

/// What will be done, and why. Data: printed, written as JSON, compared in tests, executed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// The workspace.
    pub workspace: Option<Name>,
    /// Operations; an operation's predecessors stand before it.
    pub operations: Vec<Operation>,
    /// What a person should know beside the operations.
    pub notes: Vec<PlanNote>,
}

/// One step of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operation {
    /// Its number.
    pub id: OpId,
    /// Whose machine, network, volume or box it is about; absent for what belongs to none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<ProviderId>,
    /// What is done.
    pub action: Action,
    /// Why.
    pub cause: Cause,
    /// What must have succeeded before.
    pub after: Vec<OpId>,
}

/// What an operation does; one call to an engine, or one wait.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum Action {
    /// Downloads a file into the cache.
    FetchArtifact {
        /// The file.
        artifact: Box<ArtifactSpec>,
    },
    /// Makes a box available.
    BuildBox {
        /// The box.
        name: BoxName,
        /// The reference it will have.
        image: String,
        /// Its content hash.
        digest: Digest,
        /// Whether cached layers are left unused.
        no_cache: bool,
    },
    /// Creates a network.
    CreateNetwork {
        /// The network.
        network: ResolvedNetwork,
    },
    /// Removes a network.
    RemoveNetwork {
        /// Its topology.
        topology: Name,
        /// Its name inside the topology.
        name: Name,
        /// The provider's identifier.
        native: String,
    },
    /// Removes a volume with its data.
    RemoveVolume {
        /// The machine that owns it.
        machine: MachineId,
        /// Its name inside the machine.
        name: Name,
        /// The provider's identifier.
        native: String,
    },
    /// Creates a machine, with the volumes it names.
    CreateMachine {
        /// The machine.
        machine: Box<ResolvedMachine>,
    },
    /// Starts a machine.
    StartMachine {
        /// The machine.
        machine: MachineId,
        /// What happens when its service ends while rig waits.
        restart: crate::RestartPolicy,
    },
    /// Stops a machine.
    StopMachine {
        /// The machine.
        machine: MachineId,
        /// How long its service has to end after TERM.
        grace: Duration,
    },
    /// Stops a machine in the middle of what it does, so that it can go on later.
    SuspendMachine {
        /// The machine.
        machine: MachineId,
    },
    /// Lets a suspended machine go on.
    ResumeMachine {
        /// The machine.
        machine: MachineId,
    },
    /// Removes a machine; its volumes stay.
    DestroyMachine {
        /// The machine.
        machine: MachineId,
    },
    /// Takes a snapshot of a machine.
    SaveSnapshot {
        /// The machine.
        machine: MachineId,
        /// The snapshot's name.
        name: Name,
        /// The machine as the file has it, to look into it first; absent when the file does not declare it.
        #[serde(skip)]
        spec: Option<Box<MachineSpec>>,
    },
    /// Makes a machine what it was when a snapshot was taken. It does not run then.
    RestoreSnapshot {
        /// The machine.
        machine: MachineId,
        /// The snapshot's name.
        name: Name,
        /// When it was taken.
        taken: Timestamp,
    },
    /// Removes a snapshot of a machine.
    DeleteSnapshot {
        /// The machine.
        machine: MachineId,
        /// The snapshot's name.
        name: Name,
    },
    /// Waits until a machine lets rig in over SSH.
    Connect {
        /// The machine.
        machine: MachineId,
    },
    /// Runs a provisioning step.
    Provision {
        /// The machine.
        machine: MachineId,
        /// The step.
        step: Box<ResolvedStep>,
        /// Steps that depend on it: from its begin on, what is known of them does not count any more.
        #[serde(skip)]
        stale: Vec<crate::StepId>,
    },
    /// Lets a machine hand over what it has before it is removed.
    Leave {
        /// The machine.
        machine: MachineId,
        /// The command.
        command: Vec<String>,
        /// How long it may take.
        timeout: Duration,
    },
    /// Waits until a machine's probes pass.
    AwaitReady {
        /// The machine.
        machine: MachineId,
        /// The probes.
        ready: ReadySpec,
    },
    /// Waits until a one-shot machine has ended with 0.
    AwaitDone {
        /// The machine.
        machine: MachineId,
        /// How long it may take.
        timeout: Duration,
    },
}

/// Why an operation is in a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum Cause {
    /// The file declares it and it is not there.
    Missing,
    /// It is there but stopped.
    Stopped,
    /// It is there in a state of no use.
    Unusable {
        /// The state, in words.
        state: String,
    },
    /// It was made from other values than the file gives now.
    Changed {
        /// Which.
        changes: Vec<FieldChange>,
    },
    /// The file does not declare it any more.
    Undeclared,
    /// The count of its group is smaller.
    ScaledDown {
        /// The count.
        count: u32,
    },
    /// It runs, but its probes do not pass.
    NotReady,
    /// Something before it in its recipe, or a recipe that it requires, runs.
    Follows {
        /// The step that runs.
        step: String,
    },
    /// It runs every time.
    Always,
    /// The user asked for it.
    Requested,
    /// Something that needs it is in the plan.
    NeededBy {
        /// What, in words.
        what: String,
    },
}

/// A property with its old and new value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldChange {
    /// Its path in the file's words.
    pub field: String,
    /// The value the machine was made with; absent when it had none.
    pub old: Option<String>,
    /// The value of the file; absent when it gives none.
    pub new: Option<String>,
}

/// A remark on a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanNote {
    /// The remark.
    pub text: String,
    /// What to do about it, if something can be done.
    pub hint: Option<String>,
    /// Where in the file.
    pub origin: Option<Origin>,
}

/// The parts of the way from nothing to a running topology, for timings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Downloads.
    Fetch,
    /// Boxes.
    Build,
    /// Networks, volumes, machines, snapshots.
    Create,
    /// From start to a running process 1.
    Boot,
    /// Software installed after the start.
    Provision,
    /// From process 1 to a service that says it is ready.
    Converge,
    /// The way back.
    Remove,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Fetch => "fetch",
            Self::Build => "build",
            Self::Create => "create",
            Self::Boot => "boot",
            Self::Provision => "provision",
            Self::Converge => "converge",
            Self::Remove => "remove",
        })
    }
}

impl Action {
    /// The phase that its time belongs to.
    #[must_use]
    pub fn phase(&self) -> Phase {
        match self {
            Self::FetchArtifact { .. } => Phase::Fetch,
            Self::BuildBox { .. } => Phase::Build,
            Self::CreateNetwork { .. }
            | Self::CreateMachine { .. }
            | Self::SaveSnapshot { .. }
            | Self::RestoreSnapshot { .. } => Phase::Create,
            Self::StartMachine { .. } | Self::ResumeMachine { .. } | Self::Connect { .. } => Phase::Boot,
            Self::Provision { .. } => Phase::Provision,
            Self::AwaitReady { .. } | Self::AwaitDone { .. } => Phase::Converge,
            Self::RemoveNetwork { .. }
            | Self::RemoveVolume { .. }
            | Self::StopMachine { .. }
            | Self::SuspendMachine { .. }
            | Self::Leave { .. }
            | Self::DeleteSnapshot { .. }
            | Self::DestroyMachine { .. } => Phase::Remove,
        }
    }

    /// The machine it is about.
    #[must_use]
    pub fn machine(&self) -> Option<&MachineId> {
        match self {
            Self::CreateMachine { machine } => Some(&machine.id),
            Self::StartMachine { machine, .. }
            | Self::StopMachine { machine, .. }
            | Self::SuspendMachine { machine }
            | Self::ResumeMachine { machine }
            | Self::DestroyMachine { machine }
            | Self::Connect { machine }
            | Self::Provision { machine, .. }
            | Self::Leave { machine, .. }
            | Self::AwaitReady { machine, .. }
            | Self::AwaitDone { machine, .. }
            | Self::SaveSnapshot { machine, .. }
            | Self::RestoreSnapshot { machine, .. }
            | Self::DeleteSnapshot { machine, .. }
            | Self::RemoveVolume { machine, .. } => Some(machine),
            Self::FetchArtifact { .. }
            | Self::BuildBox { .. }
            | Self::CreateNetwork { .. }
            | Self::RemoveNetwork { .. } => None,
        }
    }

    /// The verb, for lists (`create`).
    #[must_use]
    pub fn verb(&self) -> &'static str {
        match self {
            Self::FetchArtifact { .. } => "fetch",
            Self::BuildBox { .. } => "build",
            Self::CreateNetwork { .. } | Self::CreateMachine { .. } => "create",
            Self::RemoveNetwork { .. } | Self::RemoveVolume { .. } => "remove",
            Self::StartMachine { .. } => "start",
            Self::StopMachine { .. } => "stop",
            Self::SuspendMachine { .. } => "suspend",
            Self::ResumeMachine { .. } => "resume",
            Self::DestroyMachine { .. } => "destroy",
            Self::SaveSnapshot { .. } => "save",
            Self::RestoreSnapshot { .. } => "restore",
            Self::DeleteSnapshot { .. } => "delete",
            Self::Connect { .. } => "connect",
            Self::Provision { .. } => "provision",
            Self::Leave { .. } => "retire",
            Self::AwaitReady { .. } | Self::AwaitDone { .. } => "await",
        }
    }

    /// What it is done to, in words (`machine immutable/spark-master`).
    #[must_use]
    pub fn object(&self) -> String {
        match self {
            Self::FetchArtifact { artifact } => match &artifact.version {
                Some(version) => format!("artifact {} {version}", artifact.name),
                None => format!("artifact {}", artifact.name),
            },
            Self::BuildBox { name, .. } => format!("box {name}"),
            Self::CreateNetwork { network } => {
                format!("network {}/{} {}", network.topology, network.name, network.subnet)
            }
            Self::RemoveNetwork { topology, name, .. } => format!("network {topology}/{name}"),
            Self::RemoveVolume { machine, name, .. } => format!("volume {machine}/{name}"),
            Self::CreateMachine { machine } => format!("machine {}", machine.id),
            Self::StartMachine { machine, .. }
            | Self::StopMachine { machine, .. }
            | Self::SuspendMachine { machine }
            | Self::ResumeMachine { machine }
            | Self::DestroyMachine { machine } => format!("machine {machine}"),
            Self::Connect { machine } | Self::Leave { machine, .. } => format!("machine {machine}"),
            Self::SaveSnapshot { machine, name, .. } | Self::DeleteSnapshot { machine, name } => {
                format!("snapshot {name} of machine {machine}")
            }
            Self::RestoreSnapshot { machine, name, .. } => format!("machine {machine} to snapshot {name}"),
            Self::Provision { machine, step, .. } => format!("machine {machine} {}", step.id),
            Self::AwaitReady { machine, .. } => format!("machine {machine} ready"),
            Self::AwaitDone { machine, .. } => format!("machine {machine} done"),
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.verb(), self.object())
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("not there yet"),
            Self::Stopped => f.write_str("stopped"),
            Self::Unusable { state } => write!(f, "it is {state}"),
            Self::Changed { changes } => {
                for (position, change) in changes.iter().enumerate() {
                    if position > 0 {
                        f.write_str(", ")?;
                    }
                    write!(f, "{change}")?;
                }
                Ok(())
            }
            Self::Undeclared => f.write_str("no longer in the file"),
            Self::ScaledDown { count } => write!(f, "count is {count}"),
            Self::NotReady => f.write_str("running, but not ready"),
            Self::Follows { step } => write!(f, "follows {step}"),
            Self::Always => f.write_str("runs every time"),
            Self::Requested => f.write_str("requested"),
            Self::NeededBy { what } => write!(f, "needed by {what}"),
        }
    }
}

impl fmt::Display for FieldChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {} → {}",
            self.field,
            self.old.as_deref().unwrap_or("(none)"),
            self.new.as_deref().unwrap_or("(none)")
        )
    }
}
