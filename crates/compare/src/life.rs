//! What is measured of one and the same clean start.

use crate::Scenario;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A clean start, and what is measured until everything is gone again. Bringing a cluster up takes most of the time of a
/// comparison, so scenarios that leave the topology as the file describes it share a start; what is broken or changed on
/// purpose has one of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Life {
    /// It comes up, works, and is taken away.
    Work,
    /// It grows, breaks and is changed.
    Trouble,
    /// It is built a second time, from nothing.
    Twice,
}

impl Life {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Work, Self::Trouble, Self::Twice];

    /// What is measured in it, in the order in which it happens.
    #[must_use]
    pub fn scenarios(self) -> &'static [Scenario] {
        match self {
            // What only looks comes before what works, and what repeats the work comes last.
            Self::Work => &[
                Scenario::Up,
                Scenario::Surface,
                Scenario::FirstJob,
                Scenario::Drift,
                Scenario::Size,
                Scenario::Cost,
                Scenario::Idempotence,
                Scenario::Destroy,
            ],
            Self::Trouble => &[Scenario::ScaleOut, Scenario::Restart, Scenario::Replace, Scenario::Change],
            Self::Twice => &[Scenario::Reproducibility],
        }
    }

    /// Whether every round has one. What two builds have in common is no matter of chance, and building takes long.
    #[must_use]
    pub fn is_in_round(self, number: u32) -> bool {
        self != Self::Twice || number == 1
    }

    /// The word for people.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Work => "work",
            Self::Trouble => "trouble",
            Self::Twice => "built twice",
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
