//! Names of things in a workspace file.

use serde::{Deserialize, Serialize};
use std::fmt;

/// The longest name that is accepted, in characters. A DNS label ends at 63, and a machine's index is appended to it.
const LONGEST: usize = 50;

/// A name as the workspace file gives it: lower-case letters, digits and inner hyphens, starting with a letter.
/// The rule is that of a DNS label, because names become host names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(String);

/// Why a text is not a [`Name`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing between the quotes.
    #[error("a name cannot be empty")]
    Empty,
    /// More characters than a host name has room for.
    #[error("a name has at most {LONGEST} characters, this one has {0}")]
    TooLong(usize),
    /// A character that a host name cannot hold.
    #[error("a name holds lower-case letters, digits and hyphens; {0:?} is none of them")]
    Character(char),
    /// A name that starts with a digit or a hyphen.
    #[error("a name starts with a letter")]
    Start,
    /// A name that ends with a hyphen.
    #[error("a name ends with a letter or a digit")]
    End,
}

impl Name {
    /// Checks `text` and makes a name of it.
    ///
    /// # Errors
    /// The first rule that the text breaks.
    pub fn new(text: impl Into<String>) -> Result<Self, NameError> {
        let text = text.into();
        let mut characters = text.chars();
        let Some(first) = characters.next() else {
            return Err(NameError::Empty);
        };
        if let Some(bad) = text.chars().find(|c| !(c.is_ascii_lowercase() || c.is_ascii_digit() || *c == '-')) {
            return Err(NameError::Character(bad));
        }
        if !first.is_ascii_lowercase() {
            return Err(NameError::Start);
        }
        if text.ends_with('-') {
            return Err(NameError::End);
        }
        if text.len() > LONGEST {
            return Err(NameError::TooLong(text.len()));
        }
        Ok(Self(text))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl TryFrom<String> for Name {
    type Error = NameError;
    fn try_from(text: String) -> Result<Self, NameError> {
        Self::new(text)
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.0
    }
}

impl std::borrow::Borrow<str> for Name {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// The name of a box.
pub type BoxName = Name;

/// The name of a provider, as the file's `provider` node gives it (`docker`).
pub type ProviderId = Name;

/// A machine in the workspace: its topology and its own name, index included (`immutable/spark-worker2`).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MachineId {
    /// The topology that holds the machine.
    pub topology: Name,
    /// The machine's name inside the topology.
    pub machine: Name,
}

impl MachineId {
    /// A machine of a topology.
    #[must_use]
    pub fn new(topology: Name, machine: Name) -> Self {
        Self { topology, machine }
    }
}

impl fmt::Display for MachineId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}/{}", self.topology, self.machine))
    }
}

impl TryFrom<String> for MachineId {
    type Error = NameError;
    fn try_from(text: String) -> Result<Self, NameError> {
        let (topology, machine) = text.split_once('/').ok_or(NameError::Empty)?;
        Ok(Self::new(Name::new(topology)?, Name::new(machine)?))
    }
}

impl From<MachineId> for String {
    fn from(id: MachineId) -> Self {
        id.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_rules_of_host_names() {
        for good in ["a", "spark-master", "scale1", "x-9"] {
            assert_eq!(Name::new(good).unwrap().as_str(), good);
        }
        assert_eq!(Name::new(""), Err(NameError::Empty));
        assert_eq!(Name::new("9a"), Err(NameError::Start));
        assert_eq!(Name::new("a-"), Err(NameError::End));
        assert_eq!(Name::new("a.b"), Err(NameError::Character('.')));
        assert_eq!(Name::new("Scale"), Err(NameError::Character('S')));
        assert_eq!(Name::new("a".repeat(51)), Err(NameError::TooLong(51)));
    }

    #[test]
    fn a_machine_id_survives_json() {
        let id = MachineId::new(Name::new("immutable").unwrap(), Name::new("spark-master").unwrap());
        let json = serde_json::to_string(&id).unwrap();
        assert_eq!(json, "\"immutable/spark-master\"");
        assert_eq!(serde_json::from_str::<MachineId>(&json).unwrap(), id);
    }
}
