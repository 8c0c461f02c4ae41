//! What the rule claims where there is nothing, and what it finds where there is something. Simulated runs: log-normal noise
//! of 2 to 20 %, outliers in one run of twenty, and counts.

use rand::{RngExt, SeedableRng, rngs::Xoshiro256PlusPlus};
use rig_compare::statistics::{Contrast, Sample, Verdict, contrast};

/// Comparisons for each rate; fewer of many runs, which take longer and are not the hard case.
fn trials(n: usize) -> usize {
    match n {
        0..10 => 2000,
        10..20 => 400,
        _ => 100,
    }
}

struct Noise {
    lots: Xoshiro256PlusPlus,
    sigma: f64,
    /// How often a run takes up to three times as long.
    outliers: f64,
}

impl Noise {
    fn new(seed: u64, sigma: f64, outliers: f64) -> Self {
        Self { lots: Xoshiro256PlusPlus::seed_from_u64(seed), sigma, outliers }
    }

    fn value(&mut self, median: f64) -> f64 {
        // Box and Muller.
        let (radius, angle) = (self.lots.random::<f64>(), self.lots.random::<f64>());
        let normal = (-2.0 * (1.0 - radius).ln()).sqrt() * (std::f64::consts::TAU * angle).cos();
        let outlier =
            if self.lots.random::<f64>() < self.outliers { 1.0 + 2.0 * self.lots.random::<f64>() } else { 1.0 };
        median * (self.sigma * normal).exp() * outlier
    }

    fn sample(&mut self, n: usize, median: f64) -> Sample {
        Sample::new((0..n).map(|_| self.value(median)).collect::<Vec<_>>())
    }
}

/// The share of comparisons in which `holds`.
fn share(n: usize, mut make: impl FnMut() -> Contrast, holds: impl Fn(&Contrast) -> bool) -> f64 {
    (0..trials(n)).filter(|_| holds(&make())).count() as f64 / trials(n) as f64
}

fn claims(contrast: &Contrast) -> bool {
    contrast.verdict.is_difference()
}

#[test]
fn equal_topologies_are_told_apart_in_at_most_two_of_a_hundred_metrics() {
    let mut table = Vec::new();
    for n in [3, 4, 5, 7, 10, 20] {
        for (sigma, outliers) in [(0.02, 0.0), (0.1, 0.0), (0.2, 0.0), (0.02, 0.05), (0.1, 0.05), (0.2, 0.05)] {
            let mut noise = Noise::new(n as u64, sigma, outliers);
            let rate = share(n, || contrast(&noise.sample(n, 20.0), &noise.sample(n, 20.0)), claims);
            table.push(format!("n {n:2}, sigma {sigma:.2}, outliers {outliers:.2}: {:4.1} %", rate * 100.0));
            // 2 % and three deviations of what so many trials can differ from it by chance.
            let chance = 3.0 * (0.02 * 0.98 / trials(n) as f64).sqrt();
            assert!(rate <= 0.02 + chance, "{table:#?}");
        }
    }
}

#[test]
fn counts_that_vary_are_not_told_apart_either() {
    let mut table = Vec::new();
    for n in [3, 4, 5, 10] {
        for (what, values) in [
            ("two values, even", &[5.0, 6.0][..]),
            ("two values, one rare", &[5.0, 5.0, 5.0, 6.0]),
            ("0 or 1", &[0.0, 1.0]),
        ] {
            let mut lots = Xoshiro256PlusPlus::seed_from_u64(n as u64);
            let mut sample =
                || Sample::new((0..n).map(|_| values[lots.random_range(0..values.len())]).collect::<Vec<_>>());
            let rate = share(n, || contrast(&sample(), &sample()), claims);
            table.push(format!("n {n:2}, {what}: {:4.1} %", rate * 100.0));
            // Three heads against three tails: one in 32. With three runs, counts are what they seem.
            assert!(rate <= if n == 3 { 0.04 } else { 0.02 }, "{table:#?}");
        }
    }
    let same = contrast(&Sample::new([3.0; 5]), &Sample::new([3.0; 5]));
    assert_eq!(same.verdict, Verdict::Same);
}

#[test]
fn differences_that_matter_are_found() {
    let mut table = Vec::new();
    let cases = [
        // n, factor, sigma, outliers, at least
        (5, 1.5, 0.1, 0.0, 0.98),
        (5, 1.5, 0.1, 0.05, 0.80),
        (5, 1.5, 0.05, 0.0, 0.99),
        (5, 1.2, 0.05, 0.0, 0.95),
        (5, 2.0, 0.2, 0.0, 0.95),
        (10, 1.2, 0.1, 0.0, 0.85),
        (3, 2.0, 0.05, 0.0, 0.95),
        (3, 3.0, 0.1, 0.0, 0.90),
        (3, 5.0, 0.1, 0.0, 0.97),
    ];
    for (n, factor, sigma, outliers, least) in cases {
        let mut noise = Noise::new(n as u64 + 100, sigma, outliers);
        let rate = share(
            n,
            || contrast(&noise.sample(n, 10.0), &noise.sample(n, 10.0 * factor)),
            |contrast| contrast.verdict == Verdict::More,
        );
        table.push(format!(
            "n {n:2}, factor {factor}, sigma {sigma:.2}, outliers {outliers:.2}: {:4.1} %",
            rate * 100.0
        ));
        assert!(rate >= least, "{table:#?}");
    }
}

#[test]
fn the_interval_holds_the_true_ratio() {
    let mut table = Vec::new();
    for n in [3, 4, 5, 7, 10, 20] {
        for sigma in [0.02, 0.1, 0.2] {
            let mut noise = Noise::new(n as u64 + 200, sigma, 0.0);
            let holds = |contrast: &Contrast| contrast.ratio.is_some_and(|ratio| ratio.low <= 1.5 && 1.5 <= ratio.high);
            let rate = share(n, || contrast(&noise.sample(n, 10.0), &noise.sample(n, 15.0)), holds);
            table.push(format!("n {n:2}, sigma {sigma:.2}: {:4.1} %", rate * 100.0));
            assert!(rate >= 0.95, "{table:#?}");
        }
    }
}

mod properties {
    use super::*;
    use proptest::prelude::*;

    fn values() -> impl Strategy<Value = Vec<f64>> {
        prop::collection::vec(prop_oneof![0.001..1e6_f64, (1_u32..9).prop_map(f64::from)], 0..12)
    }

    proptest! {
        #[test]
        fn verdict_and_interval_never_contradict_each_other(first in values(), second in values()) {
            let Contrast { verdict, ratio } = contrast(&Sample::new(first), &Sample::new(second));
            match (verdict, ratio) {
                (Verdict::TooFewRuns, ratio) => prop_assert_eq!(ratio, None),
                (_, None) => prop_assert!(false, "values above zero have a ratio"),
                (_, Some(ratio)) => {
                    prop_assert!(ratio.low <= ratio.value && ratio.value <= ratio.high, "{:?}", ratio);
                    let differs = ratio.low > 1.0 || ratio.high < 1.0;
                    prop_assert_eq!(verdict.is_difference(), differs, "{:?}", ratio);
                }
            }
        }

        #[test]
        fn the_other_way_round_it_says_the_opposite(first in values(), second in values()) {
            let (first, second) = (Sample::new(first), Sample::new(second));
            let opposite = match contrast(&second, &first).verdict {
                Verdict::Less => Verdict::More,
                Verdict::More => Verdict::Less,
                other => other,
            };
            prop_assert_eq!(contrast(&first, &second).verdict, opposite);
        }

        #[test]
        fn the_unit_does_not_matter(first in values(), second in values(), power in -10_i32..10) {
            // Powers of two, so that nothing is rounded.
            let scaled = |values: &[f64]| Sample::new(values.iter().map(|value| value * 2_f64.powi(power)).collect::<Vec<_>>());
            let plain = contrast(&Sample::new(first.clone()), &Sample::new(second.clone()));
            prop_assert_eq!(contrast(&scaled(&first), &scaled(&second)).verdict, plain.verdict);
        }

        #[test]
        fn it_never_panics(first in prop::collection::vec(any::<f64>(), 0..9), second in prop::collection::vec(any::<f64>(), 0..9)) {
            let Contrast { ratio, .. } = contrast(&Sample::new(first), &Sample::new(second));
            if let Some(ratio) = ratio {
                prop_assert!(ratio.low.is_finite() && ratio.high.is_finite());
            }
        }
    }
}
