//! The values of one metric on one topology.

use serde::{Deserialize, Serialize};

/// Values in ascending order, all of them finite.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sample(Vec<f64>);

/// A sample in four numbers.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// How many values there are.
    pub n: usize,
    /// The middle value; the mean of the middle two when their number is even.
    pub median: f64,
    /// The smallest.
    pub min: f64,
    /// The largest.
    pub max: f64,
}

impl Sample {
    /// A sample of these values; what is not finite is left out.
    #[must_use]
    pub fn new(values: impl IntoIterator<Item = f64>) -> Self {
        // Adding zero makes one zero of the two.
        let mut values: Vec<f64> = values.into_iter().filter(|value| value.is_finite()).map(|v| v + 0.0).collect();
        values.sort_by(f64::total_cmp);
        Self(values)
    }

    /// The values, ascending.
    #[must_use]
    pub fn values(&self) -> &[f64] {
        &self.0
    }

    /// The middle value; `None` of nothing.
    #[must_use]
    pub fn median(&self) -> Option<f64> {
        let upper = *self.0.get(self.0.len() / 2)?;
        if self.0.len() % 2 == 1 {
            return Some(upper);
        }
        let lower = *self.0.get(self.0.len() / 2 - 1)?;
        Some(middle(lower, upper))
    }

    /// The sample in four numbers; `None` of nothing.
    #[must_use]
    pub fn spread(&self) -> Option<Spread> {
        Some(Spread { n: self.0.len(), median: self.median()?, min: *self.0.first()?, max: *self.0.last()? })
    }

    /// The one number that every value is.
    #[must_use]
    pub fn constant(&self) -> Option<f64> {
        self.0.first().filter(|first| self.0.last() == Some(first)).copied()
    }
}

/// The mean of two, without an overflow on the way.
pub(super) fn middle(lower: f64, upper: f64) -> f64 {
    lower / 2.0 + upper / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn medians_of_odd_and_even_numbers() {
        assert_eq!(Sample::new([3.0, 1.0, 2.0]).median(), Some(2.0));
        assert_eq!(Sample::new([4.0, 1.0, 2.0, 3.0]).median(), Some(2.5));
        assert_eq!(Sample::new([]).spread(), None);
        assert_eq!(Sample::new([f64::NAN, 7.0]).spread(), Some(Spread { n: 1, median: 7.0, min: 7.0, max: 7.0 }));
        assert_eq!(Sample::new([-0.0, 0.0]).constant(), Some(0.0));
        assert_eq!(Sample::new([1.0, 2.0]).constant(), None);
    }

    proptest! {
        #[test]
        fn the_median_is_between_the_ends(values in prop::collection::vec(-1e9..1e9_f64, 1..60)) {
            let sample = Sample::new(values.clone());
            let spread = sample.spread().unwrap();
            prop_assert!(spread.min <= spread.median && spread.median <= spread.max);
            let mut backwards = values;
            backwards.reverse();
            prop_assert_eq!(Sample::new(backwards), sample);
        }
    }
}
