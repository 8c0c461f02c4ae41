//! What the numbers should be, and whether they are.

use super::{
    contender::Step,
    own,
    results::{Results, Series, ratio},
    spark, ssh,
};

/// A goal of the project.
pub(super) struct Goal {
    /// In words, with its bound.
    pub(super) text: String,
    /// What was measured; none when it could not be.
    pub(super) measured: Option<String>,
    /// Whether it holds.
    pub(super) met: bool,
}

/// On which side of its bound a number should be.
#[derive(Clone, Copy)]
enum Bound {
    AtMost(f64),
    Below(f64),
    AtLeast(f64),
}

impl Bound {
    fn holds(self, value: f64) -> bool {
        match self {
            Self::AtMost(bound) => value <= bound,
            Self::Below(bound) => value < bound,
            Self::AtLeast(bound) => value >= bound,
        }
    }

    fn words(self) -> String {
        match self {
            Self::AtMost(bound) => format!("≤ {bound}"),
            Self::Below(bound) => format!("< {bound}"),
            Self::AtLeast(bound) => format!("≥ {bound}"),
        }
    }

    /// The number that is hardest on the goal.
    fn worst(self, numbers: impl Iterator<Item = (usize, f64)>) -> Option<(usize, f64)> {
        match self {
            Self::AtMost(_) | Self::Below(_) => numbers.max_by(|a, b| a.1.total_cmp(&b.1)),
            Self::AtLeast(_) => numbers.min_by(|a, b| a.1.total_cmp(&b.1)),
        }
    }
}

/// All goals, with what was measured.
pub(super) fn all(results: &Results, counts: &[usize]) -> Vec<Goal> {
    let against = |step: Step, over: &'static str, under: &'static str, counts: &[usize], bound: Bound| {
        let ratios = counts.iter().filter_map(|&count| {
            let ratio = ratio(results.median(step, count, over), results.median(step, count, under))?;
            Some((count, ratio))
        });
        let worst = bound.worst(ratios);
        Goal {
            text: format!("{}: {over} ÷ {under} {}", step.title(), bound.words()),
            measured: worst.map(|(count, ratio)| format!("{ratio:.2} (the worst; {count} machines)")),
            met: worst.is_some_and(|(_, ratio)| bound.holds(ratio)),
        }
    };
    let ten: Vec<usize> = counts.iter().copied().filter(|count| *count == 10).collect();
    let mut goals = vec![
        against(Step::Up, "rig", "api", counts, Bound::AtMost(1.1)),
        against(Step::Up, "rig", "compose", counts, Bound::Below(1.0)),
        against(Step::NoOp, "rig", "compose", &ten, Bound::AtMost(1.0)),
        against(Step::Status, "rig", "compose", &ten, Bound::AtMost(1.0)),
        against(Step::Destroy, "rig", "api", counts, Bound::AtMost(1.1)),
        against(Step::Destroy, "rig", "compose", counts, Bound::Below(1.0)),
        against(Step::Up, "vagrant", "rig", counts, Bound::AtLeast(4.0)),
        against(Step::NoOp, "vagrant", "rig", counts, Bound::AtLeast(50.0)),
        against(Step::Status, "vagrant", "rig", counts, Bound::AtLeast(50.0)),
    ];
    let cluster = |row, who| results.spark.get(&(row, who)).and_then(Series::median);
    for row in [spark::IMMUTABLE, spark::NAUGHTY] {
        let measured = ratio(cluster(row, "rig"), cluster(row, spark::SCRIPT));
        goals.push(one(&format!("{row}: rig ÷ script"), measured, "", Bound::AtMost(1.1)));
    }
    let over_ssh = |row, who| results.ssh.get(&(row, who)).and_then(Series::median);
    for row in [ssh::COMMAND, ssh::UPLOAD] {
        let measured = ratio(over_ssh(row, "rig"), over_ssh(row, ssh::OPENSSH));
        goals.push(one(&format!("SSH, {row}: rig ÷ OpenSSH"), measured, "", Bound::AtMost(1.0)));
    }
    goals.push(one(ssh::PROVISION, over_ssh(ssh::PROVISION, "rig"), " s", Bound::Below(1.0)));
    for (title, bound) in [(own::HELP, 20.0), (own::VALIDATE, 30.0), (own::PLAN, 50.0)] {
        let millis = results.own.get(title).and_then(Series::median).map(|seconds| seconds * 1000.0);
        goals.push(one(title, millis, " ms", Bound::Below(bound)));
    }
    goals.push(one("rig's memory during `up` of 100 machines", results.memory, " MB", Bound::Below(50.0)));
    goals
}

fn one(title: &str, value: Option<f64>, unit: &str, bound: Bound) -> Goal {
    Goal {
        text: format!("{title} {}{unit}", bound.words()),
        measured: value.map(|value| format!("{value:.2}{unit}")),
        met: value.is_some_and(|value| bound.holds(value)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn the_worst_count_decides() {
        let mut results = Results::default();
        for (count, rig, api) in [(1, 100, 100), (10, 300, 200)] {
            results.machines.entry((Step::Up, count, "rig")).or_default().add(Duration::from_millis(rig));
            results.machines.entry((Step::Up, count, "api")).or_default().add(Duration::from_millis(api));
        }
        let goals = all(&results, &[1, 10]);
        assert!(!goals[0].met);
        assert_eq!(goals[0].measured.as_deref(), Some("1.50 (the worst; 10 machines)"));
        assert_eq!(goals[1].measured, None, "compose was not measured");
    }
}
