//! What is done to a topology to measure it, for `rig compare`.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// Something that is done to a topology, from a clean start, to measure it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scenario {
    /// From nothing to ready.
    Up,
    /// From nothing to the first job done.
    FirstJob,
    /// One node more, until it has registered.
    ScaleOut,
    /// A node is killed, until the topology is whole again.
    Replace,
    /// Stopped or killed, until it is ready again.
    Restart,
    /// A new setting reaches every machine.
    Change,
    /// Everything is taken away.
    Destroy,
    /// Images, writable layers and disk.
    Size,
    /// What is different in the machines after the checks ran.
    Drift,
    /// What a second run changes.
    Idempotence,
    /// Built twice and compared.
    Reproducibility,
    /// What can be reached and what it may do.
    Surface,
    /// Memory, processor time and bytes received.
    Cost,
}

/// A text that names no scenario.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no scenario; there are {known}", known = Scenario::ALL.map(Scenario::as_str).join(", "))]
pub struct UnknownScenario(pub String);

impl Scenario {
    /// All of them, in the order in which reports show them.
    pub const ALL: [Self; 13] = [
        Self::Up,
        Self::FirstJob,
        Self::ScaleOut,
        Self::Replace,
        Self::Restart,
        Self::Change,
        Self::Destroy,
        Self::Size,
        Self::Drift,
        Self::Idempotence,
        Self::Reproducibility,
        Self::Surface,
        Self::Cost,
    ];

    /// The name as the file, the command line and JSON have it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::FirstJob => "first-job",
            Self::ScaleOut => "scale-out",
            Self::Replace => "replace",
            Self::Restart => "restart",
            Self::Change => "change",
            Self::Destroy => "destroy",
            Self::Size => "size",
            Self::Drift => "drift",
            Self::Idempotence => "idempotence",
            Self::Reproducibility => "reproducibility",
            Self::Surface => "surface",
            Self::Cost => "cost",
        }
    }
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Scenario {
    type Err = UnknownScenario;
    fn from_str(text: &str) -> Result<Self, UnknownScenario> {
        Self::ALL.into_iter().find(|scenario| scenario.as_str() == text).ok_or_else(|| UnknownScenario(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_the_same_in_json_and_on_the_command_line() {
        for scenario in Scenario::ALL {
            assert_eq!(serde_json::to_string(&scenario).unwrap(), format!("\"{scenario}\""));
            assert_eq!(scenario.as_str().parse(), Ok(scenario));
        }
        let error = "boot".parse::<Scenario>().unwrap_err();
        assert!(error.to_string().starts_with("\"boot\" is no scenario; there are up, first-job, "), "{error}");
    }
}
