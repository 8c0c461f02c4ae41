//! Boxes for virtual machines, compatible with Vagrant's: box files (tar, tar.gz, zip), catalogues with versions,
//! constraints, providers and architectures, and a store that all workspaces of a user share.
//!
//! A box comes from somewhere else. Its Vagrantfile is a program and is never run; what it is packed in is unpacked
//! with limits, and nothing of it reaches a place outside its folder; what it says about itself is checked. A box is in
//! the store whole or not at all, also after `kill -9`, and two processes may change the store at the same time.

mod address;
mod archive;
mod catalogue;
mod checksum;
mod cloud_image;
mod constraint;
mod disks;
mod error;
mod hash;
mod image;
mod json;
mod layout;
mod metadata;
mod names;
mod outline;
mod platform;
mod record;
mod store;
mod vagrantfile;
mod version;
mod vmdk;
mod watch;

pub use address::without_secrets;
pub use archive::Limits;
pub use catalogue::{Catalogue, CatalogueFile, CatalogueVersion, Choice, Wish};
pub use checksum::{Algorithm, Checksum};
pub use cloud_image::cloud_image;
pub use constraint::{Constraint, ConstraintError};
pub use disks::Disk;
pub use error::{Result, StoreError};
pub use image::DiskFormat;
pub use metadata::{Metadata, MetadataDisk};
pub use names::{Architecture, BoxKey, BoxProvider, NameError, StoreName};
pub use record::{Record, StoredFile, StoredLink};
pub use store::{
    AddRequest, Added, Age, BoxContent, BoxStore, Change, Filter, Listing, Package, Pruned, Repackaged, StoreSettings,
    StoredBox, StoredFor, Unreadable, VAGRANT_CLOUD, Verdict,
};
pub use vagrantfile::VagrantfileFacts;
pub use version::{Version, VersionError};
