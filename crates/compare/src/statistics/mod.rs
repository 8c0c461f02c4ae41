//! What a few runs say about two topologies, and what they do not.
//!
//! # The rule
//!
//! Comparisons have few runs: five, often three. A percentile bootstrap alone is too sure of itself there (its interval for
//! the median of five values never reaches beyond them and covers in about nine of ten cases; Efron and Tibshirani, *An
//! Introduction to the Bootstrap*, 1993, chapters 13 and 14). So the interval that is shown is the hull of two, and a
//! difference is claimed only when 1 lies outside of it: sentence and interval cannot contradict each other.
//!
//! 1. The 95 % percentile **bootstrap** interval of the ratio of medians. It is not drawn by lot: the distribution of a
//!    resample's median is known in closed form (Maritz and Jarrett, *A Note on Estimating the Variance of the Sample
//!    Median*, JASA 73, 1978), so every reader of the same runs gets the same interval.
//! 2. The interval of all ratios that an exact **rank test** (Mann and Whitney, *On a Test of Whether one of Two Random
//!    Variables is Stochastically Larger than the Other*, 1947) does not refuse at 2 %, both sides together. With five runs
//!    each it refuses when at most one of the 25 pairs of runs is the other way round: 4 of 252 orders, 1.6 %. It assumes
//!    nothing about the noise, and an outlier is one rank, not ten. Ties count against a difference.
//!
//! With fewer runs (three against six, four against four) no order of ranks is that rare. There a difference must be bare
//! of overlap **and** hold against Welch's t interval of the logarithms, with the degrees of freedom of the smaller
//! sample and 98 %: noise of run times is close to log-normal, and an outlier makes this interval wider, never narrower.
//! Below three runs on a side nothing is claimed.
//!
//! Runs are not paired by round: five pairs cannot reach 5 % in a signed rank test at all. Values that are the same in
//! every run (bytes of an image, listeners) have no noise: equal ones are the same, unequal ones differ.
//!
//! # What it costs and gives
//!
//! Measured with 4,000 comparisons for each number, log-normal noise, with and without an outlier of up to three times the
//! value in one run of twenty; `tests/compare/statistics.rs` holds the rule to it with fewer:
//!
//! | | 3 runs each | 4 | 5 | 7 | 10 | 20 |
//! |---|---|---|---|---|---|---|
//! | claims a difference where there is none (noise 2, 10 and 20 %) | 0.1–0.2 % | 0.3–0.4 % | 1.6 % | 1.4–2.1 % | 1.2–1.4 % | 1.8–2.2 % |
//! | the same of a count that is one of two numbers, evenly | 2.9 % | 0.8 % | 0.1 % | | 0.0 % | |
//! | the interval holds the true ratio | 99.7 % | 99.6 % | 98.4 % | 98.4 % | 98.0 % | 98.6 % |
//!
//! Five runs each find a factor of 1.5 at 10 % noise in 99.1 % of the comparisons (81.5 % with outliers), 1.2 at 5 % in 97.2 %,
//! 2 at 20 % in 95.9 %. Three runs each find a factor of 2 at 5 % noise in all, and of 3 at 10 % in 99.2 %. The worst case
//! of the first row is known without measuring: an exact test at 2 %, of numbers that vary without steps.

mod bootstrap;
mod few;
mod rank;
mod sample;

pub use sample::{Sample, Spread};
use serde::{Deserialize, Serialize};

/// With fewer runs than this on a side, nothing is claimed.
pub const FEWEST_RUNS: usize = 3;

/// How the second of two samples stands to the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It is less.
    Less,
    /// It is more.
    More,
    /// Every value of both is the same number.
    Same,
    /// There may be a difference; these runs do not show one.
    WithinNoise,
    /// A side has fewer runs than [`FEWEST_RUNS`].
    TooFewRuns,
}

impl Verdict {
    /// Whether a difference is claimed.
    #[must_use]
    pub fn is_difference(self) -> bool {
        matches!(self, Self::Less | Self::More)
    }
}

/// The median of the second sample in units of the median of the first.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ratio {
    /// The ratio of the medians.
    pub value: f64,
    /// The lower end of its interval, which covers the true ratio in at least 95 of 100 comparisons.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

impl Ratio {
    /// The same seen from the other side.
    #[must_use]
    pub fn inverse(self) -> Self {
        Self { value: 1.0 / self.value, low: 1.0 / self.high, high: 1.0 / self.low }
    }
}

/// What two samples say together.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Contrast {
    /// How the second stands to the first.
    pub verdict: Verdict,
    /// Their ratio; there is none with too few runs, or when a value is not above zero.
    pub ratio: Option<Ratio>,
}

/// Compares the second sample with the first.
#[must_use]
pub fn contrast(first: &Sample, second: &Sample) -> Contrast {
    if first.values().len().min(second.values().len()) < FEWEST_RUNS {
        return Contrast { verdict: Verdict::TooFewRuns, ratio: None };
    }
    let critical = rank::critical(first.values().len(), second.values().len());
    let Some(ratio) = ratio(first, second, critical) else {
        return Contrast { verdict: unlike(first, second, critical), ratio: None };
    };
    let verdict = if first.constant().is_some() && first.constant() == second.constant() {
        Verdict::Same
    } else if ratio.low > 1.0 {
        Verdict::More
    } else if ratio.high < 1.0 {
        Verdict::Less
    } else {
        Verdict::WithinNoise
    };
    Contrast { verdict, ratio: Some(ratio) }
}

/// The ratio with its interval, for values above zero.
fn ratio(first: &Sample, second: &Sample, critical: Option<usize>) -> Option<Ratio> {
    let (lower, upper) = (first.values(), second.values());
    if lower.iter().chain(upper).any(|value| *value <= 0.0) {
        return None;
    }
    let value = second.median()? / first.median()?;
    if first.constant().is_some() && second.constant().is_some() {
        return Some(Ratio { value, low: value, high: value });
    }
    let mut pairs: Vec<f64> = lower.iter().flat_map(|a| upper.iter().map(move |b| b / a)).collect();
    pairs.sort_by(f64::total_cmp);
    // The test refuses a ratio when no more than `critical` pairs speak for it.
    let cut = critical.unwrap_or_default();
    let mut low = value.min(*pairs.get(cut)?);
    let mut high = value.max(*pairs.get(pairs.len().checked_sub(cut + 1)?)?);
    let mut widen = |from: f64, to: f64| {
        low = low.min(from);
        high = high.max(to);
    };
    let (from, to) = bootstrap::ratio_of_medians(lower, upper)?;
    widen(from, to);
    if critical.is_none() {
        let logarithms = |values: &[f64]| values.iter().map(|value| value.ln()).collect::<Vec<_>>();
        let (from, to) = few::interval(&logarithms(lower), &logarithms(upper))?;
        widen(from.exp(), to.exp());
    }
    (low.is_finite() && high.is_finite()).then_some(Ratio { value, low, high })
}

/// The verdict where there is no ratio: the same tests, of differences.
fn unlike(first: &Sample, second: &Sample, critical: Option<usize>) -> Verdict {
    let (lower, upper) = (first.values(), second.values());
    if first.constant().is_some() && first.constant() == second.constant() {
        return Verdict::Same;
    }
    let pairs = || lower.iter().flat_map(|a| upper.iter().map(move |b| b - a));
    let (above, below) = (pairs().filter(|d| *d > 0.0).count(), pairs().filter(|d| *d < 0.0).count());
    let all = lower.len() * upper.len();
    let cut = critical.unwrap_or_default();
    let (from, to) = match critical {
        Some(_) => (f64::NEG_INFINITY, f64::INFINITY),
        None => few::interval(lower, upper).unwrap_or((f64::NEG_INFINITY, f64::INFINITY)),
    };
    let holds = |end: f64| critical.is_some() || end > 0.0;
    if all - above <= cut && holds(from) {
        Verdict::More
    } else if all - below <= cut && holds(-to) {
        Verdict::Less
    } else {
        Verdict::WithinNoise
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(first: &[f64], second: &[f64]) -> Contrast {
        contrast(&Sample::new(first.iter().copied()), &Sample::new(second.iter().copied()))
    }

    #[test]
    fn constants_are_the_same_or_differ_without_noise() {
        let same = of(&[774e6; 5], &[774e6; 5]);
        assert_eq!(same.verdict, Verdict::Same);
        assert_eq!(same.ratio, Some(Ratio { value: 1.0, low: 1.0, high: 1.0 }));
        let more = of(&[2.0; 3], &[3.0; 3]);
        assert_eq!(more.verdict, Verdict::More);
        assert_eq!(more.ratio, Some(Ratio { value: 1.5, low: 1.5, high: 1.5 }));
        assert_eq!(of(&[0.0; 4], &[0.0; 4]), Contrast { verdict: Verdict::Same, ratio: None });
    }

    #[test]
    fn nothing_has_no_ratio_but_more_than_nothing_is_more() {
        let drift = of(&[0.0; 5], &[1900.0, 1908.0, 1911.0, 1908.0, 1902.0]);
        assert_eq!(drift, Contrast { verdict: Verdict::More, ratio: None });
        let less = of(&[11.0, 12.0, 11.0], &[0.0; 3]);
        assert_eq!(less, Contrast { verdict: Verdict::Less, ratio: None });
        assert_eq!(of(&[0.0, 0.0, 9.0], &[0.0; 3]).verdict, Verdict::WithinNoise);
    }

    #[test]
    fn two_runs_say_nothing() {
        assert_eq!(of(&[1.0, 1.1], &[9.0, 9.1, 9.2]), Contrast { verdict: Verdict::TooFewRuns, ratio: None });
        assert_eq!(of(&[], &[]).verdict, Verdict::TooFewRuns);
    }

    #[test]
    fn one_pair_of_five_runs_may_be_the_other_way_round_two_may_not() {
        let first = [10.0, 11.0, 12.0, 13.0, 14.5];
        assert_eq!(of(&first, &[14.0, 15.0, 16.0, 17.0, 18.0]).verdict, Verdict::More);
        assert_eq!(of(&first, &[14.0, 14.4, 16.0, 17.0, 18.0]).verdict, Verdict::WithinNoise);
        assert_eq!(of(&first, &[7.0, 8.0, 9.0, 9.5, 10.5]).verdict, Verdict::Less);
    }

    #[test]
    fn three_runs_name_what_is_large_and_clear() {
        assert_eq!(of(&[22.0, 21.4, 22.9], &[4.2, 4.1, 4.4]).verdict, Verdict::Less);
        assert_eq!(
            of(&[10.0, 11.0, 12.0], &[12.5, 13.0, 14.0]).verdict,
            Verdict::WithinNoise,
            "apart, but not by much"
        );
    }

    #[test]
    fn an_outlier_does_not_hide_a_difference_of_five_runs() {
        let contrast = of(&[4.0, 4.1, 4.2, 4.3, 4.1], &[8.0, 8.1, 8.3, 8.2, 60.0]);
        assert_eq!(contrast.verdict, Verdict::More);
        assert!(contrast.ratio.is_some_and(|ratio| ratio.value < 2.1));
    }

    #[test]
    fn a_ratio_seen_from_the_other_side_keeps_its_interval() {
        let ratio = Ratio { value: 4.0, low: 2.0, high: 8.0 };
        assert_eq!(ratio.inverse(), Ratio { value: 0.25, low: 0.125, high: 0.5 });
    }
}
