//! The order of the runs. Topologies take turns, so that a machine that becomes slower does not make one of them slower.

use crate::{Comparison, Run, Scenario, statistics::Sample};
use rand::{SeedableRng, rngs::Xoshiro256PlusPlus, seq::SliceRandom};
use rig_model::Name;
use std::collections::BTreeSet;

/// One run that is to be made.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Slot {
    /// The round, from 1.
    pub number: u32,
    /// What is done.
    pub scenario: Scenario,
    /// On which topology.
    pub topology: Name,
}

/// All runs of a comparison in their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    slots: Vec<Slot>,
}

impl Plan {
    /// Plans `runs` rounds. Each round has every scenario on every topology once: scenarios in an order drawn from the seed,
    /// and inside a scenario the topologies, one directly after the other, in an order drawn again. A round depends on the
    /// seed and its number only, so that more rounds leave the first ones as they are.
    #[must_use]
    pub fn new(topologies: &[Name], scenarios: &[Scenario], runs: u32, seed: u32) -> Self {
        let mut slots = Vec::new();
        for number in 1..=runs {
            let mut lots = Xoshiro256PlusPlus::seed_from_u64((u64::from(seed) << 32) | u64::from(number));
            let mut order = scenarios.to_vec();
            order.shuffle(&mut lots);
            for scenario in order {
                let mut turns: Vec<&Name> = topologies.iter().collect();
                turns.shuffle(&mut lots);
                slots.extend(turns.into_iter().map(|topology| Slot { number, scenario, topology: topology.clone() }));
            }
        }
        Self { slots }
    }

    /// The plan of a comparison.
    #[must_use]
    pub fn of(comparison: &Comparison) -> Self {
        let topologies: Vec<Name> = comparison.topologies.iter().map(|topology| topology.name.clone()).collect();
        Self::new(&topologies, &comparison.scenarios, comparison.planned_runs, comparison.seed)
    }

    /// All runs, the first first.
    #[must_use]
    pub fn slots(&self) -> &[Slot] {
        &self.slots
    }

    /// What is left when these runs have been made. A run that failed has been made.
    pub fn left<'a>(&'a self, runs: &'a [Run]) -> impl Iterator<Item = &'a Slot> {
        let made: BTreeSet<(u32, Scenario, &Name)> =
            runs.iter().map(|run| (run.number, run.scenario, &run.topology)).collect();
        self.slots.iter().filter(move |slot| !made.contains(&(slot.number, slot.scenario, &slot.topology)))
    }
}

/// How long what is left will probably take, in seconds: for each run the median of those made of the same scenario on the
/// same topology, else of the same scenario, else of all. `None` before the first run.
#[must_use]
pub fn remaining_seconds(comparison: &Comparison) -> Option<f64> {
    let median = |of: &dyn Fn(&Run) -> bool| {
        Sample::new(comparison.runs.iter().filter(|run| of(run)).map(|run| run.seconds)).median()
    };
    Plan::of(comparison)
        .left(&comparison.runs)
        .map(|slot| {
            median(&|run| run.scenario == slot.scenario && run.topology == slot.topology)
                .or_else(|| median(&|run| run.scenario == slot.scenario))
                .or_else(|| median(&|_| true))
        })
        .sum()
}
