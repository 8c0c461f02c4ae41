//! Every metric: its name, what it counts, which direction is better, which question it answers, and what must be equal
//! for a ratio of it to be fair.
//!
//! A new metric is a row in `metrics.rs` and a value with its id in the runs; table, document and page show it by themselves.

mod metrics;

use crate::{Question, Scenario, fairness::FactKind};
pub use metrics::ALL;
use serde::{Deserialize, Serialize};

/// A thing that is measured.
#[derive(Debug)]
pub struct Metric {
    /// Its stable name: scenario, dot, what (`up.ready`).
    pub id: &'static str,
    /// What it is, in a person's words.
    pub title: &'static str,
    /// What its number counts.
    pub unit: Unit,
    /// Which direction is better.
    pub better: Better,
    /// The question of the report that it helps to answer.
    pub question: Question,
    /// The scenario that measures it.
    pub scenario: Scenario,
    /// The kinds of facts that must be equal for a ratio to be fair.
    pub needs: &'static [FactKind],
    /// How a sentence says it; absent for what is shown in tables only.
    pub spoken: Option<Spoken>,
}

/// The words that make a sentence of a metric: "`lead`, naughty `verb` 22 s and immutable 4 s".
#[derive(Debug)]
pub struct Spoken {
    /// How the sentence begins.
    pub lead: &'static str,
    /// What the topology did.
    pub verb: &'static str,
    /// What is counted, behind the first number, one of it and more; empty where the unit says it.
    pub noun: [&'static str; 2],
    /// The ratio's words: "took 5 times `as_much`".
    pub as_much: &'static str,
}

/// What a number counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unit {
    /// Time on the wall's clock.
    Seconds,
    /// Bytes.
    Bytes,
    /// Things.
    Count,
    /// Time of processors.
    CpuSeconds,
    /// How much two builds have in common, 0 to 4; see [`GRADES`].
    Grade,
    /// 1 for yes, 0 for no.
    Flag,
}

impl Unit {
    /// Whether a ratio of two such numbers means something.
    #[must_use]
    pub fn has_ratio(self) -> bool {
        !matches!(self, Self::Grade | Self::Flag)
    }
}

/// Which direction is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Better {
    /// Less is better.
    Lower,
    /// More is better.
    Higher,
    /// A figure, not a merit.
    Neither,
}

/// What two builds had in common, by [`Unit::Grade`], worst first.
pub const GRADES: [&str; 5] =
    ["nothing alike", "the same checks", "the same packages", "the same files", "the same digest"];

/// The metric with this id.
#[must_use]
pub fn find(id: &str) -> Option<&'static Metric> {
    ALL.iter().find(|metric| metric.id == id)
}

/// The parts of `up`, in their order: they share the way to ready between them, so that together they are at most
/// `up.ready`. Where several machines are in different parts at once, the one that ready waited for counts.
pub const PHASES: [&str; 6] = ["up.fetch", "up.build", "up.create", "up.boot", "up.provision", "up.converge"];

/// The classes of changed paths that have a metric of their own, worst first, with its id.
pub const DRIFT_CLASSES: [(&str, &str); 6] = [
    ("program", "drift.program"),
    ("configuration", "drift.configuration"),
    ("state", "drift.state"),
    ("cache", "drift.cache"),
    ("log", "drift.log"),
    ("temporary", "drift.temporary"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn ids_are_unique_and_begin_with_their_scenario() {
        let mut seen = BTreeSet::new();
        for metric in ALL {
            assert!(seen.insert(metric.id), "{} is there twice", metric.id);
            let start = metric.id.split('.').next();
            assert_eq!(start, Some(metric.scenario.as_str()), "{}", metric.id);
            let mut titles = ALL.iter().filter(|other| other.title == metric.title);
            assert!(titles.next().is_some() && titles.next().is_none(), "two metrics are called {}", metric.title);
        }
    }

    #[test]
    fn every_scenario_and_every_question_has_metrics() {
        for scenario in Scenario::ALL {
            assert!(ALL.iter().any(|metric| metric.scenario == scenario), "{scenario}");
        }
        for question in Question::ALL {
            assert!(ALL.iter().any(|metric| metric.question == question && metric.spoken.is_some()), "{question}");
        }
    }

    #[test]
    fn every_class_of_drift_has_a_metric_of_its_name() {
        let mut known: Vec<&str> = rig_model::DriftClass::ALL.iter().map(|(word, _)| *word).collect();
        let mut here = DRIFT_CLASSES.map(|(word, _)| word);
        known.sort_unstable();
        here.sort_unstable();
        assert_eq!(known, here);
        assert!(DRIFT_CLASSES.iter().all(|(word, id)| *id == format!("drift.{word}")));
    }

    #[test]
    fn lists_name_metrics_that_exist() {
        for id in PHASES.into_iter().chain(DRIFT_CLASSES.map(|(_, id)| id)) {
            assert!(find(id).is_some(), "{id}");
        }
    }
}
