//! Observe, reconcile, execute: turns a workspace into running machines.
//!
//! Data flows one way. [`Session`] observes through a provider; [`reconcile`] compares with the file and makes a plan,
//! purely; [`Executor`] carries the plan out and emits events.

mod boxes;
mod check;
mod command;
mod compare;
mod drift;
mod error;
mod execute;
mod host_ports;
mod lines;
mod makes;
mod over_ssh;
mod package;
mod plan_error;
mod probe;
mod providers;
mod provision;
pub mod reconcile;
mod select;
mod session;
mod sink;
mod snapshot;
mod sync;

pub use boxes::{BoxChoice, BoxTable};
pub use check::{CheckResult, machine as check_machine, run_check};
pub use command::{Output, run_command};
pub use compare::{Deed, End, Lab, LabError, Runner, Setup, SetupError, Variation, Wishes};
pub use drift::{MachineDrift, Since, TextDrift, machine_drift, record_baselines, text_drift};
pub use error::{EngineError, StepFailure};
pub use execute::{Executor, OperationFailure, Report};
pub use lines::Lines;
pub use makes::Makes;
pub use package::package;
pub use plan_error::PlanError;
pub use probe::describe as describe_probe;
pub use providers::{Engines, Providers};
pub use provision::{Access, Provisioning};
pub use reconcile::{DestroyOptions, ProvisionOptions, UpOptions};
pub use select::{Selection, one_machine};
pub use session::{Questions, Seen, Session};
pub use sink::{EventSink, Interrupt};
pub use sync::{Listing as FolderListing, Watching, list as list_folder, watch as watch_folders};
