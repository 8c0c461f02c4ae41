//! Files from elsewhere, fixed by their checksum: found, downloaded once for all workspaces, checked, kept.

mod cache;
mod client;
mod download;
mod index;
mod list;
mod page;
mod partial;
mod remote;
mod settings;
mod source;
mod store;

pub use cache::CachedArtifact;
pub use remote::{Document, RemoteDocument, RemoteFile};
pub use settings::{FetchSettings, MAVEN_CENTRAL, PYPI, Retry};
pub use source::file_name;
pub use store::ArtifactStore;
