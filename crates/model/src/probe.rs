//! Questions to a running service.

use crate::{MachineId, Origin, Text};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// When a machine counts as ready: all probes have passed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadySpec {
    /// What is asked, in order; empty means that a started machine is ready.
    pub probes: Vec<Probe>,
    /// How long the machine has from its start.
    pub timeout: Duration,
}

impl Default for ReadySpec {
    fn default() -> Self {
        Self { probes: Vec::new(), timeout: Duration::from_secs(120) }
    }
}

/// One question.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probe {
    /// The machine that is asked.
    pub on: MachineId,
    /// The question.
    pub kind: ProbeKind,
    /// Pause between two tries.
    pub every: Duration,
    /// Where it was declared.
    pub origin: Origin,
}

/// The kinds of questions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ProbeKind {
    /// A connection to a port is accepted.
    Tcp {
        /// The port inside the machine.
        port: u16,
    },
    /// A GET is answered with 2xx and, where asked, the values.
    Http {
        /// The port inside the machine.
        port: u16,
        /// Path and query.
        path: String,
        /// Values in the JSON answer; all must hold.
        values: Vec<Value>,
    },
    /// A command in the machine ends with 0; a single word runs as a shell line.
    Exec {
        /// The command.
        command: Vec<Text>,
    },
    /// A line of the machine's log, since its start, contains this.
    Log {
        /// The text.
        contains: Text,
    },
}

/// An expected value in a JSON document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Value {
    /// A JSONPath (RFC 9535) that must select at least one value.
    pub path: Text,
    /// What every selected value must be, compared as text; absent means that it must only exist.
    pub is: Option<Text>,
}

/// Looks the address of a machine up.
pub type IpOf<'a> = &'a dyn Fn(&MachineId) -> Option<std::net::Ipv4Addr>;

impl ReadySpec {
    /// The same with every address filled in; `None` when one is not known.
    #[must_use]
    pub fn resolve(&self, ip: IpOf<'_>) -> Option<Self> {
        let probes = self.probes.iter().map(|probe| probe.resolve(ip)).collect::<Option<_>>()?;
        Some(Self { probes, timeout: self.timeout })
    }
}

impl Probe {
    /// The same with every address filled in; `None` when one is not known.
    #[must_use]
    pub fn resolve(&self, ip: IpOf<'_>) -> Option<Self> {
        let text = |text: &Text| text.resolve(ip).map(Text::literal);
        let kind = match &self.kind {
            ProbeKind::Tcp { port } => ProbeKind::Tcp { port: *port },
            ProbeKind::Http { port, path, values } => ProbeKind::Http {
                port: *port,
                path: path.clone(),
                values: values
                    .iter()
                    .map(|value| {
                        let is = match &value.is {
                            Some(is) => Some(text(is)?),
                            None => None,
                        };
                        Some(Value { path: text(&value.path)?, is })
                    })
                    .collect::<Option<_>>()?,
            },
            ProbeKind::Exec { command } => {
                ProbeKind::Exec { command: command.iter().map(text).collect::<Option<_>>()? }
            }
            ProbeKind::Log { contains } => ProbeKind::Log { contains: text(contains)? },
        };
        Some(Self { kind, ..self.clone() })
    }
}
