//! The vocabulary of rig: what a workspace file says, what providers observe, what a plan does, what happens while it
//! runs. Plain data without I/O, so that every other crate can share it.

mod artifact;
mod boxes;
mod check;
mod compare;
mod digest;
mod drift;
mod event;
mod listing;
mod machine;
mod name;
mod network;
mod observed;
mod origin;
mod plan;
mod probe;
mod resolved;
mod scenario;
mod settings;
mod size;
mod step;
mod text;
mod workspace;

pub use artifact::{ArtifactSource, ArtifactSpec};
pub use boxes::{Bootstrap, BootstrapKind, BoxBuild, BoxSource, BoxSpec, StoredSource};
pub use check::{CheckSpec, CheckTarget, Expectation};
pub use compare::CompareSpec;
pub use digest::{Digest, Hasher};
pub use drift::{DriftClass, DriftRule};
pub use event::{Event, LogLine, Outcome, Progress, Stream, TimedEvent, Unit, seconds};
pub use ipnet::Ipv4Net;
pub use listing::{Entry, Listing, OWN_FOLDER};
pub use machine::{
    Condition, Dependency, Idiom, LeaveSpec, Limits, MachineSpec, PortSpec, Protocol, ProviderOption, RequestedPort,
    RestartPolicy, Security, SyncSpec, TmpfsSpec, VolumeSpec,
};
pub use name::{BoxName, MachineId, Name, NameError, ProviderId};
pub use network::{Attachment, NetworkSpec, ResolvedNetwork, usable};
pub use observed::{
    EngineFacts, Exit, HostPortUse, MachineState, Observed, ObservedBox, ObservedMachine, ObservedNetwork,
    ObservedSnapshot, ObservedVolume, PublishedPort, TakenSnapshot,
};
pub use origin::Origin;
pub use plan::{Action, Cause, FieldChange, OpId, Operation, Phase, Plan, PlanNote};
pub use probe::{IpOf, Probe, ProbeKind, ReadySpec, Value};
pub use resolved::{Field, Mount, ResolvedMachine};
pub use scenario::{Scenario, UnknownScenario};
pub use settings::HostTrust;
pub use size::{Bytes, MilliCpus, SizeError, parse_duration};
pub use step::{
    Content, FileSource, ResolvedStep, Rights, RunPolicy, Script, ServiceSpec, SshSpec, StepId, StepKind, StepRecord,
    StepSpec, Work,
};
pub use text::{Part, Text};
pub use workspace::{Topology, Workspace};
