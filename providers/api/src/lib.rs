//! The seam between rig and what brings machines up.
//!
//! [`Provider`] is small and object-safe; whatever not every backend can do is a capability behind an accessor, so that
//! what a provider says about itself and what it implements cannot disagree. A provider does one call at a time and
//! knows nothing of plans, readiness, retries across machines or terminals.

mod capability;
pub mod conformance;
mod context;
mod doors;
mod error;
mod provider;
mod usage;

pub use capability::{
    BoxTag, BuildRequest, ByteStream, Changes, Connection, Dial, DialStream, EngineHost, Exec, ExecEvent, ExecRequest,
    ExecSession, Folders, Forwards, Images, Introduction, LogEvent, LogRequest, Logs, MachineEvent, MachineEventKind,
    Networks, PackagedDisk, PackagedFiles, Packaging, PathChange, PathChangeKind, Snapshots, StoredDisk, StoredFiles,
    Suspension, Terminal, Volumes, Watch,
};
pub use context::{Context, NoProgress, ProgressSink};
pub use doors::{Briefing, CardAddress, Door, DoorKeys, Doors, FolderMount, KnownBy};
pub use error::{ProviderError, Result};
pub use provider::{Endpoint, FieldIssue, MachineRef, ObserveScope, Provider, StopMode, unknown_options};
pub use usage::{DiskUsage, ImageUsage, LayerUsage, MachineUsage, Usage};
