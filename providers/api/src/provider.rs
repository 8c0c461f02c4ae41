//! The trait that every backend implements.

use crate::{
    Changes, Context, Dial, Doors, Exec, Folders, Forwards, Images, Logs, Networks, Packaging, Result, Snapshots,
    Suspension, Usage, Volumes, Watch,
};
use async_trait::async_trait;
use rig_model::{
    BoxSpec, EngineFacts, MachineId, MachineSpec, Name, Observed, ObservedMachine, ProviderId, ProviderOption,
    ResolvedMachine,
};
use std::{collections::BTreeSet, time::Duration};

/// A backend that brings machines up.
///
/// Every mutating call is idempotent: creating what is there in the same form succeeds and returns it, starting what
/// runs and stopping what is stopped succeeds, destroying what is absent succeeds. Absence is a value, not an error.
/// What a call made before it failed or was cancelled is found again by [`Provider::observe`], never lost.
#[async_trait]
pub trait Provider: Send + Sync {
    /// The name that the file's `provider` node uses.
    fn id(&self) -> &ProviderId;

    /// Whether the backend is there and what it has. Cheap.
    async fn probe(&self, cx: &Context) -> Result<EngineFacts>;

    /// What this backend cannot do of a machine that is made of a box; all issues at once, no side effects.
    fn validate(&self, machine: &MachineSpec, of_box: Option<&BoxSpec>) -> Vec<FieldIssue>;

    /// The names of the workspaces that have machines here, whoever's file declares them.
    async fn workspaces(&self, cx: &Context) -> Result<BTreeSet<Name>>;

    /// Everything that carries the workspace's label.
    async fn observe(&self, cx: &Context, workspace: &Name, scope: ObserveScope) -> Result<Observed>;

    /// A closer look at one machine: start time, restarts, exit, environment. `None` when it is gone.
    async fn inspect(&self, cx: &Context, machine: &MachineRef) -> Result<Option<ObservedMachine>>;

    /// Creates a machine, with the volumes it names, without starting it. Final names and addresses are part of it.
    async fn create(&self, cx: &Context, machine: &ResolvedMachine) -> Result<()>;

    /// Starts a machine; returns when its process 1 exists.
    async fn start(&self, cx: &Context, machine: &MachineRef) -> Result<()>;

    /// Stops a machine.
    async fn stop(&self, cx: &Context, machine: &MachineRef, mode: StopMode) -> Result<()>;

    /// Removes a machine and its anonymous volumes; named volumes stay.
    async fn destroy(&self, cx: &Context, machine: &MachineRef) -> Result<()>;

    /// How the inside of a running machine is entered; `None` when it does not run.
    async fn endpoint(&self, cx: &Context, machine: &MachineRef) -> Result<Option<Endpoint>>;

    /// Boxes as images.
    fn images(&self) -> Option<&dyn Images> {
        None
    }
    /// Commands inside machines without a network.
    fn exec(&self) -> Option<&dyn Exec> {
        None
    }
    /// The output of a machine's process 1.
    fn logs(&self) -> Option<&dyn Logs> {
        None
    }
    /// Networks of its own.
    fn networks(&self) -> Option<&dyn Networks> {
        None
    }
    /// Volumes that outlive machines.
    fn volumes(&self) -> Option<&dyn Volumes> {
        None
    }
    /// Connections to a port inside a machine.
    fn dial(&self) -> Option<&dyn Dial> {
        None
    }
    /// Machines that only SSH leads into.
    fn doors(&self) -> Option<&dyn Doors> {
        None
    }
    /// What a machine's file system has otherwise than its box.
    fn changes(&self) -> Option<&dyn Changes> {
        None
    }
    /// What machines have used and what they take on disk.
    fn usage(&self) -> Option<&dyn Usage> {
        None
    }
    /// What machines were at a moment, to go back to it.
    fn snapshots(&self) -> Option<&dyn Snapshots> {
        None
    }
    /// Machines that stop in the middle and go on later.
    fn suspension(&self) -> Option<&dyn Suspension> {
        None
    }
    /// Machines as boxes.
    fn packaging(&self) -> Option<&dyn Packaging> {
        None
    }
    /// Ports of this host that are made to lead into machines while they run.
    fn forwards(&self) -> Option<&dyn Forwards> {
        None
    }
    /// Folders of this host that machines have as copies.
    fn folders(&self) -> Option<&dyn Folders> {
        None
    }
    /// News of machines without asking.
    fn watch(&self) -> Option<&dyn Watch> {
        None
    }
}

/// The lines of a machine's `provider` block that a provider does not know.
#[must_use]
pub fn unknown_options(machine: &MachineSpec, known: &[&str]) -> Vec<FieldIssue> {
    let unknown = machine.options.iter().filter(|option| !known.contains(&option.name.as_str()));
    let issue = |option: &ProviderOption| FieldIssue {
        field: format!("provider.{}", option.name),
        message: format!("provider {} has no option {}", machine.provider, option.name),
        hint: (!known.is_empty()).then(|| format!("it has {}", known.join(", "))),
    };
    unknown.map(issue).collect()
}

/// Names a machine to a provider.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MachineRef {
    /// The workspace.
    pub workspace: Name,
    /// Topology and name.
    pub id: MachineId,
}

impl std::fmt::Display for MachineRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.id.fmt(f)
    }
}

/// What an observation should hold, so that nothing is asked that nobody reads. Machines are always part of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ObserveScope {
    /// Networks of the workspace, and the address ranges of all others.
    pub networks: bool,
    /// Volumes of the workspace.
    pub volumes: bool,
    /// Boxes of every workspace.
    pub boxes: bool,
    /// Host ports that other machines of the engine publish.
    pub host_ports: bool,
}

impl ObserveScope {
    /// Machines alone.
    pub const MACHINES: Self = Self { networks: false, volumes: false, boxes: false, host_ports: false };
    /// Everything.
    pub const ALL: Self = Self { networks: true, volumes: true, boxes: true, host_ports: true };
}

/// How a machine is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopMode {
    /// Asked with TERM, killed when this time has passed.
    Graceful(Duration),
    /// Killed at once.
    Kill,
}

/// How the inside of a machine is entered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// Through [`Provider::exec`].
    Exec,
}

/// Something a provider cannot do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldIssue {
    /// The property's path in the file's words (`sync./scale-shared`).
    pub field: String,
    /// What is wrong with it.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}
