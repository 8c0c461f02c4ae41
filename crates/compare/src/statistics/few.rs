//! Welch's interval of a difference of means, for samples that are too small for ranks.

/// Student's t for 98 %, both sides, by degrees of freedom from 1 (any table of the distribution).
const STUDENT: [f64; 6] = [31.821, 6.965, 4.541, 3.747, 3.365, 3.143];

/// The interval of the mean of `second` less the mean of `first`; `None` with fewer than two values on a side. The degrees
/// of freedom are those of the smaller sample: fewer than Welch's own formula gives, so that the interval is rather too
/// wide.
pub(super) fn interval(first: &[f64], second: &[f64]) -> Option<(f64, f64)> {
    let freedom = first.len().min(second.len()).checked_sub(1)?;
    let student = STUDENT.get(freedom.checked_sub(1)?.min(STUDENT.len() - 1))?;
    let (low_mean, low_error) = moments(first);
    let (high_mean, high_error) = moments(second);
    let difference = high_mean - low_mean;
    let reach = student * (low_error + high_error).sqrt();
    Some((difference - reach, difference + reach))
}

/// The mean, and the square of its standard error.
fn moments(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (mean, squares / (n - 1.0) / n)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_is_that_of_the_formula() {
        // Means 2 and 12, both variances 1: 10 ± 6.965 √(2/3).
        let (low, high) = interval(&[1.0, 2.0, 3.0], &[11.0, 12.0, 13.0]).unwrap();
        assert!((low - 4.313).abs() < 0.001 && (high - 15.687).abs() < 0.001, "{low} {high}");
        assert_eq!(interval(&[1.0], &[2.0, 3.0]), None);
    }

    #[test]
    fn an_outlier_makes_it_wider() {
        let (calm, _) = interval(&[1.0, 1.1, 1.2], &[2.0, 2.1, 2.2]).unwrap();
        let (wild, _) = interval(&[1.0, 1.1, 1.2], &[2.0, 2.1, 9.0]).unwrap();
        assert!(calm > 0.0 && wild < 0.0);
    }
}
