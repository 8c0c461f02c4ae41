//! What can stop a command before it acts.

use ipnet::Ipv4Net;
use rig_model::{Bytes, MachineId, Name, Origin};

/// Why no plan can be made. Nothing has been touched.
#[derive(Clone, Debug, thiserror::Error)]
pub enum PlanError {
    /// A port that the file names is in use.
    #[error("{origin}: machine {machine}: port {port} of this host is taken by {owner}")]
    PortTaken {
        /// The machine that wants it.
        machine: MachineId,
        /// The port on the host.
        port: u16,
        /// Who has it.
        owner: String,
        /// Where it was asked for.
        origin: Origin,
    },
    /// No port is left.
    #[error("machine {machine}: no port of this host is free for its port {guest}")]
    NoPort {
        /// The machine.
        machine: MachineId,
        /// The port inside.
        guest: u16,
    },
    /// A network has no address left.
    #[error("{origin}: network {network}: no address is left in {subnet}")]
    RangeFull {
        /// The network.
        network: String,
        /// Its range.
        subnet: Ipv4Net,
        /// Where it was declared.
        origin: Origin,
    },
    /// A network that is there differs from the file, and machines are on it.
    #[error(
        "{origin}: network {network}: {field} is {old}, the file says {new}; that cannot be changed while it exists"
    )]
    NetworkChanged {
        /// The network.
        network: String,
        /// What differs.
        field: &'static str,
        /// What it is.
        old: String,
        /// What the file says.
        new: String,
        /// Where it was declared.
        origin: Origin,
    },
    /// No range is left.
    #[error("network {network}: no address range is free")]
    NoRange {
        /// The network.
        network: String,
    },
    /// More memory than there is.
    #[error("the machines may use {wanted} of memory, the engine has {available}:\n{}", list(.machines))]
    MemoryBudget {
        /// The sum of all limits.
        wanted: Bytes,
        /// What the engine has.
        available: Bytes,
        /// Each machine's part.
        machines: Vec<(MachineId, Bytes)>,
    },
    /// The provider cannot do what the file asks for.
    #[error("{origin}: machine {machine}: {field}: {message}")]
    Unsupported {
        /// The machine.
        machine: MachineId,
        /// The property.
        field: String,
        /// What is wrong with it.
        message: String,
        /// What to do.
        hint: Option<String>,
        /// Where the machine was declared.
        origin: Origin,
    },
    /// A machine's provider is not part of this program.
    #[error("{origin}: machine {machine}: there is no provider {provider:?}")]
    NoProvider {
        /// The machine.
        machine: MachineId,
        /// The provider's name.
        provider: String,
        /// Where it was declared.
        origin: Origin,
    },
    /// A value depends on something that is not decided.
    #[error("{origin}: machine {machine}: a value depends on an address that is not known")]
    Unresolved {
        /// The machine.
        machine: MachineId,
        /// Where it was declared.
        origin: Origin,
    },
    /// A machine whose group became smaller, and which cannot hand over what it has.
    #[error("machine {machine} is {state}: it cannot hand over what it has before it is removed")]
    CannotLeave {
        /// The machine.
        machine: MachineId,
        /// What it is.
        state: String,
    },
    /// Machines that are not there.
    #[error("{} not there", many(.machines, "machine", "is", "machines", "are"))]
    NotThere {
        /// The machines.
        machines: Vec<MachineId>,
    },
    /// A snapshot that is not there, or not of all machines that are meant.
    #[error("{}", no_snapshot(name.as_ref(), .machines))]
    NoSnapshot {
        /// The snapshot; absent when there is none at all.
        name: Option<Name>,
        /// The machines that have none of that name; empty when no machine has.
        machines: Vec<MachineId>,
        /// The names that there are.
        there: Vec<Name>,
    },
    /// A snapshot's name that is taken.
    #[error("{} a snapshot {name} already", many(.machines, "machine", "has", "machines", "have"))]
    SnapshotTaken {
        /// The snapshot.
        name: Name,
        /// The machines that have it.
        machines: Vec<MachineId>,
    },
    /// A provisioning step cannot be made.
    #[error("{0}")]
    Step(rig_recipes::RecipeError),
    /// A target that names nothing.
    #[error("no machine, topology or group is called {target:?}")]
    UnknownTarget {
        /// What was asked for.
        target: String,
        /// What may have been meant.
        nearest: Option<String>,
    },
    /// A target that names several machines where one is needed.
    #[error("{target:?} names {} machines: {}", .machines.len(), names(.machines))]
    AmbiguousTarget {
        /// What was asked for.
        target: String,
        /// What it names.
        machines: Vec<MachineId>,
    },
    /// A pattern that is none.
    #[error("{pattern:?} is not a regular expression: {why}")]
    Pattern {
        /// The pattern.
        pattern: String,
        /// What is wrong with it.
        why: String,
    },
}

impl PlanError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::PortTaken { .. } => Some("`host=\"auto\"` takes the next free one".to_owned()),
            Self::MemoryBudget { .. } => Some(
                "lower the limits or the counts, or give the engine more memory; memory is never over-committed"
                    .to_owned(),
            ),
            Self::RangeFull { .. } => Some("give the network a larger `subnet`".to_owned()),
            Self::NetworkChanged { network, .. } => {
                let topology = network.split('/').next().unwrap_or_default();
                Some(format!("`rig destroy {topology}` removes it with its machines, volumes stay; then `rig up`"))
            }
            Self::NoRange { .. } => Some("give the network a `subnet` of its own".to_owned()),
            Self::Unsupported { hint, .. } => hint.clone(),
            Self::Step(error) => error.hint(),
            Self::CannotLeave { .. } => {
                Some("start it first, with the count that it had; `rig scale --force` removes it as it is".to_owned())
            }
            Self::NotThere { .. } => Some("`rig up` makes what the file declares".to_owned()),
            Self::NoSnapshot { there, .. } if there.is_empty() => {
                Some("there are none: `rig snapshot save NAME` takes one".to_owned())
            }
            Self::NoSnapshot { machines, there, .. } => {
                let there = there.iter().map(Name::as_str).collect::<Vec<_>>().join(", ");
                let others = if machines.is_empty() { "" } else { "; name the machines or topologies that have it" };
                Some(format!("there are: {there}{others}"))
            }
            Self::SnapshotTaken { name, .. } => {
                Some(format!("`rig snapshot save --force {name}` replaces it, another name keeps both"))
            }
            Self::UnknownTarget { nearest, .. } => nearest.as_ref().map(|name| format!("did you mean {name:?}?")),
            Self::AmbiguousTarget { .. } => Some("name one of them as topology/machine".to_owned()),
            Self::NoProvider { .. } => Some("this version brings machines up with \"docker\"".to_owned()),
            Self::NoPort { .. } | Self::Unresolved { .. } | Self::Pattern { .. } => None,
        }
    }
}

impl From<rig_recipes::RecipeError> for PlanError {
    fn from(error: rig_recipes::RecipeError) -> Self {
        Self::Step(error)
    }
}

fn list(machines: &[(MachineId, Bytes)]) -> String {
    machines.iter().map(|(id, memory)| format!("  {memory:>8}  {id}")).collect::<Vec<_>>().join("\n")
}

/// `machine a has` or `machines a, b have`.
fn many(machines: &[MachineId], one: &str, does: &str, several: &str, do_: &str) -> String {
    match machines {
        [machine] => format!("{one} {machine} {does}"),
        machines => format!("{several} {} {do_}", names(machines)),
    }
}

fn no_snapshot(name: Option<&Name>, machines: &[MachineId]) -> String {
    let what = name.map_or_else(|| "snapshot".to_owned(), |name| format!("snapshot {name}"));
    match machines {
        [] => format!("no machine has a {what}"),
        machines => format!("{} no {what}: nothing was touched", many(machines, "machine", "has", "machines", "have")),
    }
}

fn names(machines: &[MachineId]) -> String {
    machines.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
