//! Boxes and artifacts: which source a box comes from on this host, its content hash, downloads with resume and
//! checksum, build contexts, and Debian root file systems made from packages.
//!
//! Nothing here knows an engine: boxes are handed to [`rig_provider_api::Images`] as streams.

mod apt_sources;
mod artifact;
mod bootstrap;
mod context;
mod digest;
mod error;
mod folder;
mod hash;
mod host;
mod ignorefile;
mod make;
mod plan;
mod process;
#[cfg(test)]
mod testing;
mod tools;
mod trust;

pub use artifact::{
    ArtifactStore, CachedArtifact, Document, FetchSettings, MAVEN_CENTRAL, PYPI, RemoteDocument, RemoteFile, Retry,
    file_name,
};
pub use error::{BoxError, Result};
pub use host::BoxHost;
pub use make::{MakeBox, make_box};
pub use plan::{BoxPlan, BoxPlans, FindStored, FoundStored, NoStore, NotStored, PlanBoxes};
pub use tools::{MMDEBSTRAP, find_mmdebstrap};
