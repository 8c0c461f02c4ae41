//! The questions that people ask of a comparison.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A question that a report answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Question {
    /// How long until I can work?
    Work,
    /// What changed behind my back?
    Changed,
    /// What is exposed?
    Exposed,
    /// What does it cost?
    Cost,
    /// What happens when something breaks?
    Breaks,
    /// What does a change take?
    Change,
    /// Can I build it again?
    Again,
}

impl Question {
    /// All of them, in the order in which reports answer them.
    pub const ALL: [Self; 7] =
        [Self::Work, Self::Changed, Self::Exposed, Self::Cost, Self::Breaks, Self::Change, Self::Again];

    /// The question in words.
    #[must_use]
    pub fn asked(self) -> &'static str {
        match self {
            Self::Work => "How long until I can work?",
            Self::Changed => "What changed behind my back?",
            Self::Exposed => "What is exposed?",
            Self::Cost => "What does it cost?",
            Self::Breaks => "What happens when something breaks?",
            Self::Change => "What does a change take?",
            Self::Again => "Can I build it again?",
        }
    }
}

impl fmt::Display for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.asked())
    }
}
