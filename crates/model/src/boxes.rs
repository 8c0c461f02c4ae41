//! Boxes: what machines are made from.

use crate::{BoxName, Name, Origin};
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

/// A box of the workspace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BoxSpec {
    /// Its name.
    pub name: BoxName,
    /// Where it can come from, in order of preference; never empty.
    pub sources: Vec<BoxSource>,
    /// Whether the host's own certificate authorities and proxy settings reach it.
    pub host_trust: bool,
    /// Where it was declared.
    pub origin: Origin,
}

impl BoxSource {
    /// The artifacts that it is made with.
    #[must_use]
    pub fn artifacts(&self) -> &[Name] {
        match self {
            Self::Build(build) => &build.artifacts,
            Self::CloudImage(artifact) => std::slice::from_ref(artifact),
            Self::Bootstrap(_) | Self::Image(_) | Self::Stored(_) => &[],
        }
    }

    /// Whether nothing is made on this host: it is the same whenever it is fetched.
    #[must_use]
    pub fn is_fetched(&self) -> bool {
        matches!(self, Self::Image(_) | Self::CloudImage(_) | Self::Stored(_))
    }
}

impl BoxSpec {
    /// The box that this one is built from, when it is built.
    #[must_use]
    pub fn parent(&self) -> Option<&BoxName> {
        self.sources.iter().find_map(|source| match source {
            BoxSource::Build(build) => build.from.as_ref(),
            BoxSource::Bootstrap(_) | BoxSource::Image(_) | BoxSource::CloudImage(_) | BoxSource::Stored(_) => None,
        })
    }
}

/// One way to get a box.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BoxSource {
    /// Built from a folder with a Dockerfile.
    Build(BoxBuild),
    /// Made from Debian's packages on this host.
    Bootstrap(Bootstrap),
    /// Pulled from an image registry.
    Image(String),
    /// The disk of a virtual machine that reads at its first start who it is (cloud-init): an artifact.
    CloudImage(Name),
    /// A box of rig's store, which virtual machines are made of.
    Stored(StoredSource),
}

/// Which box of rig's store is meant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredSource {
    /// Its name there (`debian/bookworm64`).
    pub name: String,
    /// The versions that will do, in the words of Vagrant (`~> 12.0`); the newest one where nothing is said.
    pub version: Option<String>,
}

/// A box folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BoxBuild {
    /// The folder, relative to the workspace file.
    pub folder: String,
    /// The box that the Dockerfile's `RIG_FROM` argument names.
    pub from: Option<BoxName>,
    /// Other build arguments.
    pub args: IndexMap<String, String>,
    /// Artifacts laid into the build context as `artifacts/<name>`.
    pub artifacts: Vec<Name>,
}

/// A root file system from Debian's packages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bootstrap {
    /// The suite (`bookworm`).
    pub suite: String,
    /// Packages beside the essential ones.
    pub packages: Vec<String>,
    /// The mirror; the host's own for that suite when there is none.
    pub mirror: Option<String>,
    /// What it is for.
    pub kind: BootstrapKind,
}

/// What a root file system from Debian's packages is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BootstrapKind {
    /// Containers.
    #[default]
    Container,
    /// Virtual machines: it holds a kernel, an init of its own and an SSH server beside the packages.
    Machine,
    /// Virtual machines that are there within seconds: a kernel, BusyBox and a small SSH server, and no package manager.
    TinyMachine,
}

impl BootstrapKind {
    /// Whether a virtual machine can boot from it.
    #[must_use]
    pub fn boots(self) -> bool {
        self != Self::Container
    }

    /// Whether it is made of packages that are installed, to which a box can add others.
    #[must_use]
    pub fn has_packages(self) -> bool {
        self != Self::TinyMachine
    }
}
