//! Machines as a provider creates them, and their properties for comparison.

use crate::{
    Attachment, BoxName, Digest, Hasher, Idiom, Limits, MachineId, Name, ProviderId, ProviderOption, PublishedPort,
    RestartPolicy, Security, TmpfsSpec,
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt, time::Duration};

/// A machine with every value decided: what a provider creates and starts, in terms that no provider owns.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResolvedMachine {
    /// The workspace that owns it.
    pub workspace: Name,
    /// Topology and name.
    pub id: MachineId,
    /// The `machine` node it comes from.
    pub group: Name,
    /// The number among the group's machines.
    pub index: Option<u32>,
    /// What it is in its cluster.
    pub role: Option<String>,
    /// The topology's idiom.
    pub idiom: Idiom,
    /// Who brings it up.
    pub provider: ProviderId,
    /// The box's name.
    pub box_name: BoxName,
    /// The provider's reference of the box, which holds its content hash.
    pub image: String,
    /// The flavor its limits come from.
    pub flavor: Option<Name>,
    /// Its own host name.
    pub hostname: String,
    /// Networks with their addresses.
    pub networks: Vec<Attachment>,
    /// Arguments for the entry point.
    pub command: Vec<String>,
    /// Environment of the service. Values may be secret: written out, they are hashes.
    #[serde(serialize_with = "sealed")]
    pub env: BTreeMap<String, String>,
    /// The host's proxies, which differ from one call to the next and therefore make no difference.
    #[serde(skip)]
    pub host_env: BTreeMap<String, String>,
    /// Published ports with host ports decided.
    pub ports: Vec<PublishedPort>,
    /// Volumes and folders of the host.
    pub mounts: Vec<Mount>,
    /// Folders in memory.
    pub tmpfs: Vec<TmpfsSpec>,
    /// What it may use.
    pub limits: Limits,
    /// What it may do.
    pub security: Security,
    /// What happens when its service ends.
    pub restart: RestartPolicy,
    /// How long the service has to end after TERM.
    pub stop_timeout: Duration,
    /// What only its provider understands.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<ProviderOption>,
}

/// Something mounted into a machine.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "kind")]
pub enum Mount {
    /// A named volume.
    Volume {
        /// The volume's name inside the machine.
        name: Name,
        /// Where it is mounted.
        target: String,
    },
    /// A folder of the host.
    Bind {
        /// The absolute path on the host.
        source: String,
        /// Where it is mounted.
        target: String,
        /// Whether the machine may write to it.
        writable: bool,
    },
}

/// One comparable property of a [`ResolvedMachine`]: its path in the file's words, and its value.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Field {
    /// The path (`limits.memory`, `env.SPARK_ROLE`).
    pub path: String,
    /// The value as a person reads it.
    pub value: String,
}

impl Field {
    /// Replaces the value by its hash when it belongs to an environment variable.
    #[must_use]
    pub fn sealed(self) -> Self {
        if self.path.starts_with("env.") { Self { value: seal(&self.value), ..self } } else { self }
    }

    /// Whether the value is a hash.
    #[must_use]
    pub fn is_sealed(&self) -> bool {
        self.value.starts_with(SEAL)
    }
}

/// The hash of a value, as it stands in its place.
fn seal(value: &str) -> String {
    format!("{SEAL}{}", Digest::of(value.as_bytes()).short())
}

/// Writes hashes instead of values.
fn sealed<S: serde::Serializer>(env: &BTreeMap<String, String>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(env.iter().map(|(name, value)| (name, seal(value))))
}

/// What a sealed value begins with.
const SEAL: &str = "sha256:";

impl ResolvedMachine {
    /// Every property that cannot be changed in a running machine, so that a difference means replacement. Properties
    /// with their default are left out: a property that a later version of rig adds then changes no existing machine.
    #[must_use]
    pub fn fields(&self) -> Vec<Field> {
        let mut fields = Fields::default();
        fields.add("box", &self.image);
        fields.add("hostname", &self.hostname);
        fields.option("role", self.role.as_ref());
        for attachment in &self.networks {
            let ip = attachment.ip.map(|ip| ip.to_string()).unwrap_or_default();
            fields.add(format!("network.{}", attachment.network), ip);
        }
        for (position, word) in self.command.iter().enumerate() {
            fields.add(format!("command.{}", position + 1), word);
        }
        for (name, value) in &self.env {
            fields.add(format!("env.{name}"), value);
        }
        for port in &self.ports {
            fields.add(format!("port.{}/{}", port.guest, port.protocol), format!("{}:{}", port.bind, port.host));
        }
        for mount in &self.mounts {
            match mount {
                Mount::Volume { name, target } => fields.add(format!("volume.{target}"), name),
                Mount::Bind { source, target, writable } => fields
                    .add(format!("sync.{target}"), format!("{source}{}", if *writable { " writable" } else { "" })),
            }
        }
        for folder in &self.tmpfs {
            fields.add(format!("tmpfs.{}", folder.target), folder.options());
        }
        fields.option("limits.cpus", self.limits.cpus);
        fields.option("limits.memory", self.limits.memory);
        fields.option("limits.pids", self.limits.pids);
        for (path, list) in [("cap.add", &self.security.cap_add), ("cap.drop", &self.security.cap_drop)] {
            if !list.is_empty() {
                fields.add(path, list.join(" "));
            }
        }
        fields.flag("read-only", self.security.read_only);
        fields.flag("new-privileges", self.security.new_privileges);
        fields.flag("privileged", self.security.privileged);
        fields.option("user", self.security.user.as_ref());
        if self.restart != RestartPolicy::No {
            fields.add("restart", self.restart);
        }
        for (position, option) in self.options.iter().enumerate() {
            fields.add(format!("provider.{}.{}", position + 1, option.name), option);
        }
        fields.0.sort();
        fields.0
    }

    /// [`Self::fields`] in a form that may be written where others can read it: values of environment variables, which
    /// may be secret, are replaced by their hash.
    #[must_use]
    pub fn sealed_fields(&self) -> Vec<Field> {
        self.fields().into_iter().map(Field::sealed).collect()
    }

    /// The hash of all [`Self::fields`].
    #[must_use]
    pub fn digest(&self) -> Digest {
        let mut hasher = Hasher::new("machine/1");
        for field in self.fields() {
            hasher.part(field.path).part(field.value);
        }
        hasher.finish()
    }
}

#[derive(Default)]
struct Fields(Vec<Field>);

impl Fields {
    fn add(&mut self, path: impl Into<String>, value: impl fmt::Display) {
        self.0.push(Field { path: path.into(), value: value.to_string() });
    }

    fn option(&mut self, path: &str, value: Option<impl fmt::Display>) {
        if let Some(value) = value {
            self.add(path, value);
        }
    }

    fn flag(&mut self, path: &str, value: bool) {
        if value {
            self.add(path, "yes");
        }
    }
}
