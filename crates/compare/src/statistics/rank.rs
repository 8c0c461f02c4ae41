//! The exact distribution of Mann and Whitney's count: of all pairs of a value of one sample and a value of the other,
//! how many are the other way round.

/// How often the test may claim a difference where there is none, both directions together.
const ERROR: f64 = 0.02;

/// Above this many pairs the count is taken as normally distributed; at 1,000 pairs the two agree within one pair.
const MOST_EXACT_PAIRS: usize = 1000;

/// The two-sided normal quantile of [`ERROR`].
const NORMAL_QUANTILE: f64 = 2.326_347_9;

/// The largest number of contrary pairs at which samples of these sizes still differ; `None` when even a full separation
/// happens by chance too often.
pub(super) fn critical(first: usize, second: usize) -> Option<usize> {
    let pairs = first * second;
    if pairs > MOST_EXACT_PAIRS {
        let (m, n) = (first as f64, second as f64);
        let sigma = (m * n * (m + n + 1.0) / 12.0).sqrt();
        // Half a pair is the correction for a count that is taken as continuous.
        let cut = (m * n / 2.0 - NORMAL_QUANTILE * sigma - 0.5).floor();
        return (cut >= 0.0).then_some(cut as usize);
    }
    let orders = orders(first, second);
    let all: f64 = orders.iter().sum();
    let mut below = 0.0;
    let mut cut = None;
    for (contrary, count) in orders.iter().enumerate() {
        below += count;
        if 2.0 * below > ERROR * all {
            break;
        }
        cut = Some(contrary);
    }
    cut
}

/// How many orders of two samples have 0, 1, 2 … contrary pairs. Every step is a sum, so that nothing is lost.
fn orders(first: usize, second: usize) -> Vec<f64> {
    // rows[n]: the counts for m values of the first sample and n of the second.
    let mut rows: Vec<Vec<f64>> = vec![vec![1.0]; second + 1];
    for m in 1..=first {
        let mut next: Vec<Vec<f64>> = Vec::with_capacity(second + 1);
        for (n, fewer) in rows.iter().enumerate() {
            // The largest of all values is either of the first sample, and above n of the other, or of the second.
            let mut counts = vec![0.0; m * n + 1];
            for (contrary, count) in fewer.iter().enumerate() {
                if let Some(slot) = counts.get_mut(contrary + n) {
                    *slot += count;
                }
            }
            for (slot, count) in counts.iter_mut().zip(next.last().into_iter().flatten()) {
                *slot += count;
            }
            next.push(counts);
        }
        rows = next;
    }
    rows.pop().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_those_of_the_published_tables() {
        assert_eq!(orders(2, 2), [1.0, 1.0, 2.0, 1.0, 1.0]);
        let five = orders(5, 5);
        assert_eq!(five.iter().sum::<f64>(), 252.0);
        assert_eq!(five.get(..4), Some(&[1.0, 1.0, 2.0, 3.0][..]));
        assert_eq!(orders(3, 4), orders(4, 3));
    }

    #[test]
    fn critical_values_are_those_of_the_published_tables() {
        // Two-sided 2 %: Mann-Whitney tables of every textbook.
        assert_eq!(critical(3, 3), None);
        assert_eq!(critical(4, 4), None);
        assert_eq!(critical(4, 5), Some(0));
        assert_eq!(critical(5, 5), Some(1));
        assert_eq!(critical(6, 6), Some(3));
        assert_eq!(critical(10, 10), Some(19));
        assert_eq!(critical(20, 20), Some(114));
    }

    #[test]
    fn the_normal_approximation_takes_over_smoothly() {
        let exact = critical(31, 32).unwrap();
        let mean = 31.0 * 32.0 / 2.0;
        let sigma = (31.0_f64 * 32.0 * 64.0 / 12.0).sqrt();
        let normal = (mean - NORMAL_QUANTILE * sigma - 0.5).floor();
        assert!((exact as f64 - normal).abs() <= 2.0, "{exact} and {normal}");
    }
}
