//! The bootstrap of a median, without lots: what infinitely many resamples would give.
//!
//! Of a resample of n values, drawn with replacement from x₁ ≤ … ≤ xₙ, the k-th smallest is at most xᵢ when at least k of the
//! n draws are among the first i: a binomial tail with probability i/n. That gives the distribution of the median for odd n
//! (Maritz and Jarrett 1978); for even n the middle two have a joint distribution of the same making.

use super::sample::middle;

/// How much of the distribution lies outside of the interval at each end.
const TAIL: f64 = 0.025;

/// Medians that are rarer than this cannot move a quantile that anybody sees.
const NEGLIGIBLE: f64 = 1e-6;

/// The percentile interval of the median of `second` in units of the median of `first`; both ascending and above zero.
pub(super) fn ratio_of_medians(first: &[f64], second: &[f64]) -> Option<(f64, f64)> {
    let ratios = Ratios::new(medians(first), medians(second));
    Some((ratios.quantile(TAIL)?, ratios.quantile(1.0 - TAIL)?))
}

/// All ratios of a median above to a median below. They are many: they are counted, not listed.
struct Ratios {
    /// Medians below, with their probabilities.
    below: Vec<(f64, f64)>,
    /// Medians above, ascending.
    above: Vec<f64>,
    /// The probability of each of these or a smaller one, after nothing.
    at_most: Vec<f64>,
}

impl Ratios {
    fn new(below: Vec<(f64, f64)>, mut above: Vec<(f64, f64)>) -> Self {
        above.sort_by(|one, other| one.0.total_cmp(&other.0));
        let mut sum = 0.0;
        let mut at_most = vec![0.0];
        at_most.extend(above.iter().map(|(_, probability)| {
            sum += probability;
            sum
        }));
        Self { below, above: above.into_iter().map(|(value, _)| value).collect(), at_most }
    }

    /// How many of the medians above are at most `ratio` times this one.
    fn count(&self, below: f64, ratio: f64) -> usize {
        self.above.partition_point(|above| above / below <= ratio)
    }

    /// The probability of this ratio or a smaller one.
    fn at_most(&self, ratio: f64) -> f64 {
        let share = |below: f64| self.at_most.get(self.count(below, ratio)).copied().unwrap_or_default();
        self.below.iter().map(|(below, probability)| probability * share(*below)).sum()
    }

    /// The smallest ratio that has at least this share of the probability at or below it.
    fn quantile(&self, share: f64) -> Option<f64> {
        let (first, last) = (*self.above.first()?, *self.above.last()?);
        let belows = || self.below.iter().map(|(below, _)| *below);
        let mut low = belows().map(|below| first / below).min_by(f64::total_cmp)?;
        let mut high = belows().map(|below| last / below).max_by(f64::total_cmp)?;
        let wanted = share * self.at_most(high);
        if self.at_most(low) >= wanted {
            return Some(low);
        }
        // At `low` there is too little, at `high` enough. Sixty halvings leave neighbouring numbers.
        for _ in 0..60 {
            let middle = (low * high).sqrt();
            if middle <= low || middle >= high {
                break;
            }
            if self.at_most(middle) >= wanted {
                high = middle;
            } else {
                low = middle;
            }
        }
        belows()
            .filter_map(|below| self.above.get(self.count(below, low)).map(|above| above / below))
            .min_by(f64::total_cmp)
    }
}

/// The medians that a resample of these values can have, each with its probability.
fn medians(sorted: &[f64]) -> Vec<(f64, f64)> {
    let n = sorted.len();
    let half = n / 2;
    let binomial = Binomial::new(n);
    let mut medians = Vec::new();
    let mut before = 0.0;
    for (position, value) in sorted.iter().enumerate() {
        // For odd n the median; for even n the lower of the middle two.
        let at_most = binomial.at_least(n.div_ceil(2), (position + 1) as f64 / n as f64);
        let mut here = at_most - before;
        before = at_most;
        if n.is_multiple_of(2) {
            // The lower of the two is this value, the upper one is another: half of the draws here or below, at least one
            // of them here, and half of them there or above, at least one of them there.
            let power = |draws: usize| (draws as f64 / n as f64).powi(i32::try_from(half).unwrap_or(i32::MAX));
            let ways = binomial.ways(half);
            let low = power(position + 1) - power(position);
            for (above, other) in sorted.iter().enumerate().skip(position + 1) {
                let probability = ways * low * (power(n - above) - power(n - above - 1));
                here -= probability;
                if probability > NEGLIGIBLE {
                    medians.push((middle(*value, *other), probability));
                }
            }
        }
        if here > NEGLIGIBLE {
            medians.push((*value, here));
        }
    }
    medians
}

/// Draws that succeed or fail.
struct Binomial {
    n: usize,
    /// Logarithms of 0!, 1!, 2! …
    factorials: Vec<f64>,
}

impl Binomial {
    fn new(n: usize) -> Self {
        let mut sum = 0.0;
        let mut factorials = vec![0.0];
        factorials.extend((1..=n).map(|k| {
            sum += (k as f64).ln();
            sum
        }));
        Self { n, factorials }
    }

    fn factorial(&self, k: usize) -> f64 {
        self.factorials.get(k).copied().unwrap_or_default()
    }

    /// The logarithm of the number of ways to choose `k`.
    fn choose(&self, k: usize) -> f64 {
        self.factorial(self.n) - self.factorial(k) - self.factorial(self.n.saturating_sub(k))
    }

    fn ways(&self, k: usize) -> f64 {
        self.choose(k).exp()
    }

    /// The probability of at least `k` successes.
    fn at_least(&self, k: usize, probability: f64) -> f64 {
        if probability >= 1.0 {
            return 1.0;
        }
        let (hit, miss) = (probability.ln(), (-probability).ln_1p());
        (k..=self.n).map(|hits| (self.choose(hits) + hits as f64 * hit + (self.n - hits) as f64 * miss).exp()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_values_have_the_medians_of_all_27_resamples() {
        let medians = medians(&[1.0, 2.0, 3.0]);
        let expected = [(1.0, 7.0 / 27.0), (2.0, 13.0 / 27.0), (3.0, 7.0 / 27.0)];
        assert_eq!(medians.len(), expected.len());
        for ((value, probability), (other, wanted)) in medians.iter().zip(expected) {
            assert!(*value == other && (probability - wanted).abs() < 1e-12);
        }
    }

    /// All resamples, one after the other.
    fn by_hand(values: &[f64]) -> Vec<(f64, f64)> {
        let n = values.len();
        let all = n.pow(u32::try_from(n).unwrap());
        let mut found: Vec<(f64, f64)> = Vec::new();
        for mut code in 0..all {
            let mut draw: Vec<f64> = (0..n)
                .map(|_| {
                    let value = values[code % n];
                    code /= n;
                    value
                })
                .collect();
            draw.sort_by(f64::total_cmp);
            let median = if n % 2 == 1 { draw[n / 2] } else { middle(draw[n / 2 - 1], draw[n / 2]) };
            match found.iter_mut().find(|(value, _)| *value == median) {
                Some((_, weight)) => *weight += 1.0 / all as f64,
                None => found.push((median, 1.0 / all as f64)),
            }
        }
        found.sort_by(|one, other| one.0.total_cmp(&other.0));
        found
    }

    #[test]
    fn the_closed_form_is_what_all_resamples_give() {
        for values in [&[1.0, 2.4, 4.0, 9.0][..], &[1.0, 2.0, 4.0, 8.0, 16.0], &[1.0, 2.1, 4.3, 8.7, 16.9, 40.0]] {
            let mut closed = medians(values);
            closed.sort_by(|one, other| one.0.total_cmp(&other.0));
            let open = by_hand(values);
            assert_eq!(closed.len(), open.len());
            for ((value, probability), (other, wanted)) in closed.iter().zip(open) {
                assert!((value - other).abs() < 1e-12 && (probability - wanted).abs() < 1e-9, "{value} {probability}");
            }
        }
    }

    #[test]
    fn quantiles_are_those_of_the_sorted_list() {
        let (below, above) = (medians(&[1.0, 1.2, 1.5, 1.7]), medians(&[3.0, 3.3, 3.9, 5.0, 5.5]));
        let mut list: Vec<(f64, f64)> =
            below.iter().flat_map(|(a, p)| above.iter().map(move |(b, q)| (b / a, p * q))).collect();
        list.sort_by(|one, other| one.0.total_cmp(&other.0));
        let ratios = Ratios::new(below, above);
        for share in [0.01, 0.025, 0.3, 0.5, 0.9, 0.975, 0.999] {
            let mut sum = 0.0;
            let expected = list.iter().find(|(_, probability)| {
                sum += probability;
                sum >= share
            });
            assert_eq!(ratios.quantile(share), expected.map(|(ratio, _)| *ratio), "{share}");
        }
    }

    #[test]
    fn the_interval_of_many_runs_is_narrow() {
        let first: Vec<f64> = (0..51).map(|k| 10.0 + f64::from(k) / 50.0).collect();
        let second: Vec<f64> = (0..50).map(|k| 20.0 + f64::from(k) / 25.0).collect();
        let (low, high) = ratio_of_medians(&first, &second).unwrap();
        assert!(low > 1.9 && low < 2.0 && high > 2.0 && high < 2.1, "{low} {high}");
    }
}
