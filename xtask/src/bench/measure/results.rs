//! Times, and what can be said about them.

use super::contender::Step;
use std::{collections::BTreeMap, time::Duration};

/// The same thing, measured several times.
#[derive(Clone, Debug, Default)]
pub(super) struct Series {
    seconds: Vec<f64>,
    failed: usize,
    /// Why it failed, the first time.
    pub(super) failure: Option<String>,
}

impl Series {
    /// Another round.
    pub(super) fn add(&mut self, took: Duration) {
        self.seconds.push(took.as_secs_f64());
    }

    /// A round that failed.
    pub(super) fn fail(&mut self, why: &str) {
        self.failed += 1;
        self.failure.get_or_insert_with(|| why.to_owned());
    }

    /// The middle one of the rounds that did not fail, in seconds; of an even number, the mean of the middle two.
    pub(super) fn median(&self) -> Option<f64> {
        let sorted = self.sorted();
        let (below, above) = (sorted.get(sorted.len().saturating_sub(1) / 2)?, sorted.get(sorted.len() / 2)?);
        Some(f64::midpoint(*below, *above))
    }

    /// Median, spread and failures as tables have them.
    pub(super) fn cell(&self) -> String {
        let sorted = self.sorted();
        let (Some(median), Some(first), Some(last)) = (self.median(), sorted.first(), sorted.last()) else {
            return if self.failed > 0 { "failed".to_owned() } else { "–".to_owned() };
        };
        let failed = if self.failed > 0 { format!(", {} failed", self.failed) } else { String::new() };
        format!("{} ({}–{}{failed})", seconds(median), seconds(*first), seconds(*last))
    }

    fn sorted(&self) -> Vec<f64> {
        let mut sorted = self.seconds.clone();
        sorted.sort_by(f64::total_cmp);
        sorted
    }
}

/// Seconds with as many digits as mean something.
pub(super) fn seconds(value: f64) -> String {
    if value < 0.0995 { format!("{value:.3}") } else { format!("{value:.2}") }
}

/// One median divided by another.
pub(super) fn ratio(over: Option<f64>, under: Option<f64>) -> Option<f64> {
    over.zip(under).filter(|(_, under)| *under > 0.0).map(|(over, under)| over / under)
}

/// Everything that was measured on one engine.
#[derive(Debug, Default)]
pub(super) struct Results {
    /// Trivial machines: by step, number of machines, and contender.
    pub(super) machines: BTreeMap<(Step, usize, &'static str), Series>,
    /// From nothing to clusters that are ready, by row and contender.
    pub(super) spark: BTreeMap<(&'static str, &'static str), Series>,
    /// SSH: by row and program.
    pub(super) ssh: BTreeMap<(&'static str, &'static str), Series>,
    /// What rig takes by itself, by title.
    pub(super) own: BTreeMap<&'static str, Series>,
    /// rig's largest resident memory while it brings 100 machines up, in MB.
    pub(super) memory: Option<f64>,
    /// What was left out, and why.
    pub(super) left_out: Vec<String>,
}

impl Results {
    /// The median of one contender.
    pub(super) fn median(&self, step: Step, count: usize, contender: &'static str) -> Option<f64> {
        self.machines.get(&(step, count, contender)).and_then(Series::median)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_and_failures() {
        let mut series = Series::default();
        assert_eq!(series.cell(), "–");
        for millis in [300, 100, 20] {
            series.add(Duration::from_millis(millis));
        }
        assert_eq!(series.cell(), "0.10 (0.020–0.30)");
        assert_eq!(series.median(), Some(0.1));
        series.fail("no engine");
        assert_eq!(series.cell(), "0.10 (0.020–0.30, 1 failed)");
        let mut series = Series::default();
        series.fail("no engine");
        assert_eq!((series.median(), series.cell().as_str()), (None, "failed"));
    }
}
