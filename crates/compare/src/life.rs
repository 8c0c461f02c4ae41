//! What is measured of one and the same clean start.

use crate::Scenario;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A clean start, and what is measured until everything is gone again. Bringing a cluster up takes most of the time of a
/// comparison, so scenarios share a start, in an order in which none of them spoils the next: what only looks, what works,
/// what is broken and mended until it is again what the file describes, and what changes for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Life {
    /// It comes up, works, grows, breaks, is changed, and is taken away.
    Work,
    /// Everything is done a second time: provisioning, and building from nothing.
    Twice,
}

impl Life {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Work, Self::Twice];

    /// What is measured in it, in the order in which it happens.
    #[must_use]
    pub fn scenarios(self) -> &'static [Scenario] {
        match self {
            Self::Work => &[
                Scenario::Up,
                Scenario::Surface,
                Scenario::FirstJob,
                Scenario::Cost,
                Scenario::Drift,
                Scenario::Size,
                Scenario::ScaleOut,
                Scenario::Restart,
                Scenario::Replace,
                Scenario::Change,
                Scenario::Destroy,
            ],
            Self::Twice => &[Scenario::Idempotence, Scenario::Reproducibility],
        }
    }

    /// Whether every round has one. What a second run changes and what two builds have in common is no matter of chance, and
    /// takes long to find out.
    #[must_use]
    pub fn is_in_round(self, number: u32) -> bool {
        self != Self::Twice || number == 1
    }

    /// Whether a scenario is made once, however many runs there are.
    #[must_use]
    pub fn makes_once(scenario: Scenario) -> bool {
        Self::Twice.scenarios().contains(&scenario)
    }

    /// The word for people.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Work => "work",
            Self::Twice => "a second time",
        }
    }
}

impl fmt::Display for Life {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scenario_belongs_to_one_life() {
        for scenario in Scenario::ALL {
            let lives = Life::ALL.iter().filter(|life| life.scenarios().contains(&scenario)).count();
            assert_eq!(lives, 1, "{scenario}");
        }
    }
}
