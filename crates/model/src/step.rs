//! Steps: what installs and configures software in a running machine.

use crate::{ArtifactSpec, Dependency, Digest, Field, Hasher, Listing, Name, Origin, Text};
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

/// One provisioning step of one machine, as declared: in the machine's own block, or by a recipe that the machine uses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepSpec {
    /// Name and recipe.
    pub id: StepId,
    /// The recipes whose change makes this step's recipe run again.
    pub requires: Vec<Name>,
    /// When it runs.
    pub run: RunPolicy,
    /// How long it may take.
    pub timeout: Duration,
    /// Other machines that must have come to a state before it.
    pub after: Vec<Dependency>,
    /// What it does.
    pub kind: StepKind,
    /// What templates of its recipe call by name.
    pub parameters: IndexMap<String, Text>,
    /// Where it was declared.
    pub origin: Origin,
}

/// Names a step in its machine.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct StepId {
    /// The recipe it is part of; absent for a step of the machine's own block.
    pub recipe: Option<Name>,
    /// Its name, unique in its recipe.
    pub name: String,
}

impl fmt::Display for StepId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.recipe {
            Some(recipe) => write!(f, "{recipe}: {}", self.name),
            None => f.write_str(&self.name),
        }
    }
}

/// When a step runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RunPolicy {
    /// Once with the same content; again when its content, or something before it in its recipe, changed.
    #[default]
    Once,
    /// With every `rig up` and `rig provision`.
    Always,
    /// Only when it is named: `rig provision --with NAME`.
    Never,
}

/// What a step does, before files are read and addresses known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StepKind {
    /// Runs a script.
    Shell {
        /// The script.
        script: Script,
        /// Its arguments.
        args: Vec<Text>,
        /// Its environment.
        env: IndexMap<String, Text>,
        /// The program that reads it, with arguments.
        interpreter: Vec<String>,
        /// Whether it runs as root.
        privileged: bool,
        /// Whether the machine is restarted afterwards.
        reboot: bool,
    },
    /// Puts a file or a folder into place.
    File {
        /// What.
        source: FileSource,
        /// Where, an absolute path.
        target: String,
        /// Who has it and who may do what.
        rights: Rights,
    },
    /// Renders a template into place.
    Template {
        /// The template, relative to the workspace file's folder.
        source: String,
        /// Where, an absolute path.
        target: String,
        /// Who has it and who may do what.
        rights: Rights,
        /// Values beyond parameters and facts.
        values: IndexMap<String, Text>,
    },
    /// Installs packages of the machine's distribution.
    Packages {
        /// Their names.
        names: Vec<String>,
    },
    /// Installs a service with the machine's init, and starts it anew.
    Service(ServiceSpec),
}

/// Where a script comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Script {
    /// The workspace file.
    Inline(Text),
    /// A file, relative to the workspace file's folder.
    Path(String),
}

/// Where a file comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FileSource {
    /// A file or folder, relative to the workspace file's folder.
    Path(String),
    /// An artifact of the workspace, from the host's cache.
    Artifact(Box<ArtifactSpec>),
}

/// Who has a file and who may do what with it; absent means that a file keeps its mode and root has it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rights {
    /// Mode bits.
    pub mode: Option<u32>,
    /// Owner, as `chown` takes it.
    pub owner: Option<String>,
}

/// A long-running program, in terms that every init knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceSpec {
    /// Its name.
    pub name: String,
    /// Program and arguments.
    pub command: Vec<Text>,
    /// Who it runs as; root when absent.
    pub user: Option<String>,
    /// Its environment.
    pub env: IndexMap<String, Text>,
}

/// A step with every value decided. Written out, it is its fields, with values that may be secret as hashes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResolvedStep {
    /// Name and recipe.
    pub id: StepId,
    /// How long it may take.
    pub timeout: Duration,
    /// What its digest is made of, hashes instead of contents.
    pub fields: Vec<Field>,
    /// What it does.
    #[serde(skip)]
    pub work: Work,
    /// Where it was declared.
    pub origin: Origin,
}

impl ResolvedStep {
    /// The hash of everything that makes the step what it is.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let mut hasher = Hasher::new("step/1");
        for field in &self.fields {
            hasher.part(&field.path).part(&field.value);
        }
        hasher.finish()
    }
}

/// What a step does, contents included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Work {
    /// Runs a script.
    Shell {
        /// The script's bytes.
        script: Vec<u8>,
        /// Its arguments.
        args: Vec<String>,
        /// Its environment.
        env: BTreeMap<String, String>,
        /// The program that reads it, with arguments.
        interpreter: Vec<String>,
        /// Whether it runs as root.
        privileged: bool,
        /// Whether the machine is restarted afterwards.
        reboot: bool,
    },
    /// Puts something into place.
    Put {
        /// What.
        content: Content,
        /// Where.
        target: String,
        /// Who has it and who may do what.
        rights: Rights,
    },
}

/// What is put into a machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// These bytes.
    Bytes(Vec<u8>),
    /// A file or folder of the host.
    Path {
        /// Where it is, an absolute path.
        path: String,
        /// What it held when it was read.
        listing: Arc<Listing>,
    },
    /// An artifact, from the host's cache.
    Artifact(Box<ArtifactSpec>),
}

impl Default for Work {
    /// Nothing: a plan that was written out holds no contents.
    fn default() -> Self {
        Self::Shell {
            script: Vec::new(),
            args: Vec::new(),
            env: BTreeMap::new(),
            interpreter: Vec::new(),
            privileged: false,
            reboot: false,
        }
    }
}

/// What was done to a machine: written after a step succeeded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepRecord {
    /// The step.
    pub id: StepId,
    /// The hash of what it was.
    pub digest: Digest,
    /// What the hash was made of.
    pub fields: Vec<Field>,
}

/// How a machine is reached over SSH.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SshSpec {
    /// The user; provisioning needs one that may use `sudo` without a password, or root.
    pub user: String,
    /// The port inside the machine.
    pub port: u16,
}

impl SshSpec {
    /// The user of boxes that rig makes.
    pub const USER: &'static str = "rig";
    /// The user of boxes that were made for Vagrant
    /// (<https://developer.hashicorp.com/vagrant/docs/boxes/base#default-user-settings>).
    pub const STORED_USER: &'static str = "vagrant";
    /// Where SSH servers listen.
    pub const PORT: u16 = 22;
}

impl Default for SshSpec {
    fn default() -> Self {
        Self { user: Self::USER.to_owned(), port: Self::PORT }
    }
}
