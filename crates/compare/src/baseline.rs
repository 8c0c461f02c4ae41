//! A comparison against an earlier one of the same machine: what has become worse.

use crate::{
    Comparison, Life, Mismatch, catalogue,
    catalogue::{Better, Unit},
    mismatches,
    results::Reading,
    show,
    statistics::{Sample, Spread, Verdict, contrast},
};
use rig_model::Name;
use serde::Serialize;
use std::{cmp::Ordering, fmt};

/// Why there is nothing to say about an earlier comparison.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum BaselineError {
    /// It was made of something else, or somewhere else.
    #[error("the baseline cannot be compared: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Other(Vec<Mismatch>),
    /// A threshold that is no share.
    #[error("a threshold is a percentage of 0 or more, not {0}")]
    Threshold(f64),
}

/// What became of the metrics of an earlier comparison.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Changes {
    /// Metrics that are worse by more than the threshold and outside of the noise.
    pub regressions: Vec<Change>,
    /// Metrics that are better by more than the threshold and outside of the noise.
    pub improvements: Vec<Change>,
    /// Metrics that the earlier comparison has and this one does not, though it ran their scenario.
    pub lost: Vec<Lost>,
    /// How many metrics of how many topologies could be compared.
    pub compared: usize,
}

impl Changes {
    /// Whether nothing became worse: no regression, and nothing lost.
    #[must_use]
    pub fn hold(&self) -> bool {
        self.regressions.is_empty() && self.lost.is_empty()
    }
}

/// A metric of a topology that changed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Change {
    /// The topology.
    pub topology: Name,
    /// The metric's id.
    pub metric: String,
    /// What it counts.
    pub unit: Unit,
    /// What it was.
    pub before: Spread,
    /// What it is.
    pub now: Spread,
    /// By how much the median grew, in percent, negative when it shrank; `None` where it was nothing before, or where a
    /// percentage means nothing.
    pub percent: Option<f64>,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let title = catalogue::find(&self.metric).map_or(self.metric.as_str(), |metric| metric.title);
        let (before, now) = (show::shown(self.unit, self.before.median), show::shown(self.unit, self.now.median));
        write!(f, "{}, {title} ({}): {before} before, {now} now", self.topology, self.metric)?;
        match self.percent {
            Some(percent) => write!(f, " ({percent:+.1} %)"),
            None => Ok(()),
        }
    }
}

/// A metric of a topology that can no longer be measured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Lost {
    /// The topology.
    pub topology: Name,
    /// The metric's id.
    pub metric: String,
    /// Why, as the runs say it; the reason of the last.
    pub why: String,
}

/// Compares with an earlier comparison. A change counts when it is more than `threshold` percent of the earlier median and
/// outside of the noise ([`contrast`]). Metrics of which neither direction is better are left out, and so are scenarios
/// that one of the two did not run. Some 50 metrics on two topologies are 100 questions: one or two of them can be
/// answered wrongly by chance at a threshold of 0.
///
/// # Errors
/// When the two were made under different circumstances, or the threshold is no percentage.
pub fn changes(earlier: &Comparison, now: &Comparison, threshold: f64) -> Result<Changes, BaselineError> {
    if !threshold.is_finite() || threshold < 0.0 {
        return Err(BaselineError::Threshold(threshold));
    }
    let mismatches = mismatches(earlier, now);
    if !mismatches.is_empty() {
        return Err(BaselineError::Other(mismatches));
    }
    let mut changes = Changes::default();
    for topology in now.topologies.iter().map(|topology| &topology.name) {
        for metric in catalogue::ALL.iter().filter(|metric| metric.better != Better::Neither) {
            let (before, after) = (sample(earlier, topology, metric.id), sample(now, topology, metric.id));
            let Some(old) = before.spread() else { continue };
            let Some(new) = after.spread() else {
                let why = reason(now, topology, metric);
                changes.lost.extend(why.map(|why| Lost {
                    topology: topology.clone(),
                    metric: metric.id.to_owned(),
                    why,
                }));
                continue;
            };
            let verdict = match contrast(&before, &after).verdict {
                // What is no matter of chance needs no second run.
                Verdict::TooFewRuns if Life::makes_once(metric.scenario) => once(old.median, new.median),
                verdict => verdict,
            };
            if verdict == Verdict::TooFewRuns {
                continue;
            }
            changes.compared += 1;
            let percent = (metric.unit.has_ratio() && old.median != 0.0)
                .then(|| (new.median - old.median) / old.median.abs() * 100.0);
            if !verdict.is_difference() || percent.is_some_and(|percent| percent.abs() <= threshold) {
                continue;
            }
            let change = Change {
                topology: topology.clone(),
                metric: metric.id.to_owned(),
                unit: metric.unit,
                before: old,
                now: new,
                percent,
            };
            let worse = (verdict == Verdict::More) == (metric.better == Better::Lower);
            if worse {
                changes.regressions.push(change);
            } else {
                changes.improvements.push(change);
            }
        }
    }
    Ok(changes)
}

fn once(before: f64, now: f64) -> Verdict {
    match now.total_cmp(&before) {
        Ordering::Less => Verdict::Less,
        Ordering::Equal => Verdict::Same,
        Ordering::Greater => Verdict::More,
    }
}

fn sample(comparison: &Comparison, topology: &Name, metric: &str) -> Sample {
    let runs = comparison.runs.iter().filter(|run| run.topology == *topology);
    Sample::new(runs.flat_map(|run| run.values()).filter(|value| value.metric == metric).filter_map(|value| {
        match value.reading {
            Reading::Value(number) => Some(number),
            Reading::Missing(_) => None,
        }
    }))
}

/// Why nothing was measured; `None` when the scenario was not run.
fn reason(comparison: &Comparison, topology: &Name, metric: &catalogue::Metric) -> Option<String> {
    let run = comparison.runs_of(topology, metric.scenario).last()?;
    if let Some(why) = run.failure() {
        return Some(why.to_owned());
    }
    let value = run.values().iter().find(|value| value.metric == metric.id);
    Some(match value.map(|value| &value.reading) {
        Some(Reading::Missing(why)) => why.clone(),
        _ => "it is not among the values of the run".to_owned(),
    })
}
