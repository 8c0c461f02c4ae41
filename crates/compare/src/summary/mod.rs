//! What a comparison says: one structure for terminal, JSON and page, so that they cannot disagree.

mod metric;
mod pair;
mod sentence;

use crate::{
    Comparison, Detail, Plan, Question, Scenario,
    catalogue::{Better, Unit},
    fairness::Objection,
    statistics::{Ratio, Spread, Verdict},
};
use rig_model::Name;
use serde::Serialize;

/// What a comparison says.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// The topology that the others are measured against: the first.
    pub reference: Name,
    /// The others, in their order.
    pub others: Vec<Name>,
    /// How many runs are planned, all scenarios and topologies together.
    pub planned: usize,
    /// How many have been made.
    pub made: usize,
    /// Whether ratios are shown that are not fair.
    pub unfair: bool,
    /// The questions that the scenarios answer.
    pub answers: Vec<Answer>,
    /// Every metric that a run speaks of, in the catalogue's order.
    pub metrics: Vec<MetricSummary>,
    /// The runs that failed.
    pub failures: Vec<Failure>,
    /// What could not be measured in runs that went through.
    pub gaps: Vec<Gap>,
}

/// A question with its answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Answer {
    /// The question.
    pub question: Question,
    /// The question in words.
    pub asked: &'static str,
    /// The answer, the most important sentence first.
    pub sentences: Vec<String>,
}

/// A metric on all topologies.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MetricSummary {
    /// The metric's id.
    pub metric: String,
    /// What it is, in a person's words.
    pub title: String,
    /// What it counts.
    pub unit: Unit,
    /// Which direction is better.
    pub better: Better,
    /// The question it belongs to; none for a metric that this version of rig does not know.
    pub question: Option<Question>,
    /// The topologies in their order.
    pub topologies: Vec<Cell>,
    /// Each topology but the first against the first.
    pub pairs: Vec<PairSummary>,
}

/// A metric on one topology.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Cell {
    /// The topology.
    pub topology: Name,
    /// The values in four numbers; absent when there are none.
    pub spread: Option<Spread>,
    /// The median as people read it; without values, what there is to say instead.
    pub shown: String,
    /// Smallest and largest as people read them; absent where they say no more than the median.
    pub range: Option<String>,
    /// Every value, by run.
    pub dots: Vec<Dot>,
    /// How many runs are planned.
    pub planned: u32,
    /// How many runs of the scenario failed.
    pub failed: usize,
    /// How many runs went through without a value for this metric.
    pub missing: usize,
    /// What the last value is made of. Not written again: it stands in the runs.
    #[serde(skip)]
    pub details: Vec<Detail>,
}

/// The value of one run.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Dot {
    /// The run's number, from 1.
    pub run: u32,
    /// The value.
    pub value: f64,
}

/// A topology against the first one.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PairSummary {
    /// The topology.
    pub topology: Name,
    /// The first one.
    pub against: Name,
    /// Its median in units of the first one's; absent when there is none to defend.
    pub ratio: Option<Ratio>,
    /// How it stands to the first one; absent when the comparison is refused, or a side was not measured.
    pub verdict: Option<Verdict>,
    /// Why there is no ratio.
    pub why_no_ratio: Option<String>,
    /// Why a ratio is not fair. When this is not empty, the ratio is refused, or there only because it was asked for.
    pub unfair: Vec<Objection>,
    /// Ratio, or the reason that there is none, in short.
    pub shown_ratio: String,
    /// The verdict in short.
    pub shown_verdict: String,
}

/// A run that failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// The topology.
    pub topology: Name,
    /// What was done.
    pub scenario: Scenario,
    /// The run's number, from 1.
    pub number: u32,
    /// Why, with causes.
    pub why: String,
}

/// A metric that runs went through without.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Gap {
    /// The topology.
    pub topology: Name,
    /// The metric's id.
    pub metric: String,
    /// The runs' numbers.
    pub runs: Vec<u32>,
    /// Why.
    pub why: String,
}

impl Summary {
    /// The metric with this id.
    #[must_use]
    pub fn metric(&self, id: &str) -> Option<&MetricSummary> {
        self.metrics.iter().find(|metric| metric.metric == id)
    }

    /// All topologies, the reference first.
    pub fn topologies(&self) -> impl Iterator<Item = &Name> {
        std::iter::once(&self.reference).chain(&self.others)
    }
}

impl MetricSummary {
    /// Whether any topology has a value.
    #[must_use]
    pub fn is_measured(&self) -> bool {
        self.topologies.iter().any(|cell| cell.spread.is_some())
    }
}

/// Makes of the runs what there is to say. With `unfair`, ratios that are not fair are shown with the reason beside them;
/// without it they are refused. A comparison of fewer than two topologies has nothing to say: `None`.
#[must_use]
pub fn summarise(comparison: &Comparison, unfair: bool) -> Option<Summary> {
    let (reference, others) = comparison.topologies.split_first()?;
    if others.is_empty() {
        return None;
    }
    let (metrics, gaps) = metric::all(comparison, unfair);
    let failures: Vec<Failure> = comparison
        .runs
        .iter()
        .filter_map(|run| {
            Some(Failure {
                topology: run.topology.clone(),
                scenario: run.scenario,
                number: run.number,
                why: run.failure()?.to_owned(),
            })
        })
        .collect();
    Some(Summary {
        reference: reference.name.clone(),
        others: others.iter().map(|other| other.name.clone()).collect(),
        planned: Plan::of(comparison).slots().iter().map(|slot| slot.scenarios.len()).sum(),
        made: comparison.runs.len(),
        unfair,
        answers: sentence::answers(comparison, &metrics),
        metrics,
        failures,
        gaps,
    })
}
