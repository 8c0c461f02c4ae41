//! The document of a comparison: what was planned, under which circumstances, and every run with its values.

use crate::{Scenario, Summary, catalogue, catalogue::Unit, fairness::Difference};
use jiff::Timestamp;
use rig_model::{Bytes, Digest, Idiom, MilliCpus, Name};
use serde::{Deserialize, Serialize};

/// The name and version of the document's shape.
pub const SCHEMA: &str = "rig.compare/1";

/// The most runs that a comparison has: more take weeks.
pub const MOST_RUNS: u32 = 1000;

/// A comparison, finished or not.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// The workspace.
    pub workspace: Name,
    /// What is compared, two or more; the first is what the others are measured against.
    pub topologies: Vec<Compared>,
    /// What is done to each.
    pub scenarios: Vec<Scenario>,
    /// Whether there were boxes and artifacts when runs began.
    pub caches: Caches,
    /// What the order of the runs comes from. 32 bits, so that every reader of JSON keeps it exactly.
    pub seed: u32,
    /// How many runs of each scenario on each topology are planned.
    pub planned_runs: u32,
    /// Where it runs.
    pub host: Host,
    /// When it was first started.
    pub started: Timestamp,
    /// When the last run was added.
    pub updated: Timestamp,
    /// What the topologies are made of, as one hash: runs of other machines, steps or boxes do not belong to it.
    pub subject: Digest,
    /// What differs between the topologies and makes some ratios unfair.
    pub fairness: Vec<Difference>,
    /// The runs in the order in which they were made.
    pub runs: Vec<Run>,
}

/// A topology that is compared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Compared {
    /// Its name.
    pub name: Name,
    /// How its machines become what they are for.
    pub idiom: Idiom,
}

/// Whether boxes and downloads were there when a run began. One comparison has one answer: the two are different
/// experiments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Caches {
    /// They were there.
    Warm,
    /// They were removed first.
    Cold,
}

impl std::fmt::Display for Caches {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Warm => "warm",
            Self::Cold => "cold",
        })
    }
}

/// Where a comparison runs. Figures from two machines or engines are never compared with each other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Host {
    /// Product and version of the engine (`Docker 28.5.2`).
    pub engine: String,
    /// How the engine stores layers (`overlay2`); it decides what sizes mean.
    pub storage_driver: String,
    /// Processors, in thousandths.
    pub cpus: MilliCpus,
    /// Memory, in bytes.
    pub memory: Bytes,
    /// Operating system and processor (`Debian GNU/Linux 12, linux/amd64`).
    pub os: String,
    /// The version of rig that measured.
    pub rig: String,
}

/// One scenario, once, on one topology.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// The topology.
    pub topology: Name,
    /// What was done.
    pub scenario: Scenario,
    /// Which round it was, from 1.
    pub number: u32,
    /// When it began.
    pub started: Timestamp,
    /// How long it took with everything around it (cleaning, waiting), in seconds; for progress, not for comparison.
    pub seconds: f64,
    /// What came of it.
    pub outcome: RunOutcome,
}

/// What came of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "result")]
pub enum RunOutcome {
    /// It went through.
    Measured {
        /// What was measured, and what could not be.
        values: Vec<Measured>,
    },
    /// It failed. It counts, and is shown; it has no values.
    Failed {
        /// Why, with causes.
        why: String,
    },
}

/// A metric in a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// The metric's id in the [`catalogue`] (`up.ready`).
    pub metric: String,
    /// What the number counts.
    pub unit: Unit,
    /// The number, or why there is none.
    #[serde(flatten)]
    pub reading: Reading,
    /// What the number is made of, by name: processes, listeners, files, paths. May be cut short by the runner.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub details: Vec<Detail>,
}

/// A number, or why there is none.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reading {
    /// The number; always finite.
    Value(f64),
    /// Why it could not be measured.
    Missing(String),
}

/// A part of what a metric counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Detail {
    /// Its name: a path, a listener, a command line.
    pub text: String,
    /// What sort it is, where there are sorts: a changed path's class (`configuration`), a file's mode.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<String>,
}

impl Detail {
    /// A name alone.
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), class: None }
    }

    /// A name with its sort.
    pub fn of_class(text: impl Into<String>, class: impl Into<String>) -> Self {
        Self { text: text.into(), class: Some(class.into()) }
    }
}

impl Measured {
    /// A measured value. What is not a finite number counts as not measured.
    #[must_use]
    pub fn value(metric: &catalogue::Metric, value: f64) -> Self {
        let reading = if value.is_finite() {
            Reading::Value(value)
        } else {
            Reading::Missing("the measurement gave no finite number".to_owned())
        };
        Self { metric: metric.id.to_owned(), unit: metric.unit, reading, details: Vec::new() }
    }

    /// What could not be measured, and why.
    pub fn missing(metric: &catalogue::Metric, why: impl Into<String>) -> Self {
        Self {
            metric: metric.id.to_owned(),
            unit: metric.unit,
            reading: Reading::Missing(why.into()),
            details: Vec::new(),
        }
    }

    /// The same with what the number is made of.
    #[must_use]
    pub fn with_details(mut self, details: Vec<Detail>) -> Self {
        self.details = details;
        self
    }
}

impl Run {
    /// What was measured; nothing for a run that failed.
    #[must_use]
    pub fn values(&self) -> &[Measured] {
        match &self.outcome {
            RunOutcome::Measured { values } => values,
            RunOutcome::Failed { .. } => &[],
        }
    }

    /// Why it failed, if it did.
    #[must_use]
    pub fn failure(&self) -> Option<&str> {
        match &self.outcome {
            RunOutcome::Measured { .. } => None,
            RunOutcome::Failed { why } => Some(why),
        }
    }
}

/// The whole document as it is written: the comparison, and what was made of it.
#[derive(Clone, Debug, Serialize)]
pub struct Report<'a> {
    /// The comparison.
    #[serde(flatten)]
    pub comparison: &'a Comparison,
    /// What its runs say. Left out when a comparison is read: it is made anew.
    pub summary: &'a Summary,
}

/// Why a text is not the document of a comparison.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// Not JSON, or not of the shape that its version has.
    #[error("is not a comparison's document: {0}")]
    Malformed(#[from] serde_json::Error),
    /// Another document, or one of another version.
    #[error("has the schema {found:?}; this version of rig reads {SCHEMA:?}")]
    Schema {
        /// What it says it is.
        found: String,
    },
    /// Of the right shape, but its parts contradict each other.
    #[error("is not a comparison's document: {0}")]
    Inconsistent(String),
}

impl Comparison {
    /// Reads a document that was written with [`SCHEMA`].
    ///
    /// # Errors
    /// When the text is not JSON, has another schema, lacks a field, or speaks of topologies that it does not name.
    pub fn read(text: &str) -> Result<Self, ReadError> {
        #[derive(Deserialize)]
        struct Head {
            #[serde(default)]
            schema: String,
        }
        let head: Head = serde_json::from_str(text)?;
        if head.schema != SCHEMA {
            return Err(ReadError::Schema { found: head.schema });
        }
        let comparison: Self = serde_json::from_str(text)?;
        comparison.check().map_err(ReadError::Inconsistent)?;
        Ok(comparison)
    }

    /// The first thing in it that cannot be.
    fn check(&self) -> Result<(), String> {
        if self.topologies.len() < 2 {
            return Err("it has fewer than two topologies".to_owned());
        }
        if self.planned_runs > MOST_RUNS {
            return Err(format!("it plans {} runs, and {MOST_RUNS} are the most", self.planned_runs));
        }
        for (position, topology) in self.topologies.iter().enumerate() {
            if self.topologies.iter().take(position).any(|other| other.name == topology.name) {
                return Err(format!("it names topology {} twice", topology.name));
            }
        }
        for run in &self.runs {
            if !self.topologies.iter().any(|topology| topology.name == run.topology) {
                return Err(format!("it has a run of topology {}, which it does not compare", run.topology));
            }
        }
        Ok(())
    }

    /// The runs of a scenario on a topology, in the order in which they were made.
    pub fn runs_of<'a>(&'a self, topology: &'a Name, scenario: Scenario) -> impl Iterator<Item = &'a Run> {
        self.runs.iter().filter(move |run| run.topology == *topology && run.scenario == scenario)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ready() -> &'static catalogue::Metric {
        catalogue::find("up.ready").unwrap()
    }

    #[test]
    fn a_reading_is_a_number_or_a_reason() {
        let json = serde_json::to_string(&Measured::value(ready(), 4.25)).unwrap();
        assert_eq!(json, r#"{"metric":"up.ready","unit":"seconds","value":4.25}"#);
        let json = serde_json::to_string(&Measured::missing(ready(), "no clock")).unwrap();
        assert_eq!(json, r#"{"metric":"up.ready","unit":"seconds","missing":"no clock"}"#);
        assert_eq!(serde_json::from_str::<Measured>(&json).unwrap(), Measured::missing(ready(), "no clock"));
        let whole: Measured = serde_json::from_str(r#"{"metric":"up.ready","unit":"seconds","value":4}"#).unwrap();
        assert_eq!(whole.reading, Reading::Value(4.0));
    }

    #[test]
    fn what_is_no_number_is_not_measured() {
        assert!(matches!(Measured::value(ready(), f64::NAN).reading, Reading::Missing(_)));
        assert!(matches!(Measured::value(ready(), f64::INFINITY).reading, Reading::Missing(_)));
    }

    #[test]
    fn other_documents_are_refused_by_name() {
        let error = Comparison::read(r#"{"schema": "rig.compare/2", "workspace": 1}"#).unwrap_err();
        assert_eq!(error.to_string(), "has the schema \"rig.compare/2\"; this version of rig reads \"rig.compare/1\"");
        assert!(matches!(Comparison::read("{}"), Err(ReadError::Schema { found }) if found.is_empty()));
        assert!(matches!(Comparison::read("[1"), Err(ReadError::Malformed(_))));
        assert!(matches!(Comparison::read(r#"{"schema": "rig.compare/1"}"#), Err(ReadError::Malformed(_))));
    }
}
