//! Values with parts that are known only when a plan is made.

use crate::MachineId;
use serde::{Deserialize, Serialize};

/// A value of the file after interpolation. Everything is literal but the addresses of machines, which the plan gives out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Text(pub Vec<Part>);

/// A piece of a [`Text`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// Characters as they are.
    Literal(String),
    /// The address of a machine on its first network.
    Ip(MachineId),
}

impl Text {
    /// A text without open parts.
    pub fn literal(text: impl Into<String>) -> Self {
        Self(vec![Part::Literal(text.into())])
    }

    /// Fills the open parts in; `None` when `ip` knows no address for one of them.
    #[must_use]
    pub fn resolve(&self, ip: crate::IpOf<'_>) -> Option<String> {
        let mut whole = String::new();
        for part in &self.0 {
            match part {
                Part::Literal(text) => whole.push_str(text),
                Part::Ip(machine) => whole.push_str(&ip(machine)?.to_string()),
            }
        }
        Some(whole)
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self::literal(text)
    }
}

impl std::fmt::Display for Text {
    /// Open parts are shown as the fact they stand for.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for part in &self.0 {
            match part {
                Part::Literal(text) => f.write_str(text)?,
                Part::Ip(machine) => write!(f, "{{{}.ip}}", machine.machine)?,
            }
        }
        Ok(())
    }
}
