//! The order of the runs. Topologies take turns, so that a machine that becomes slower does not make one of them slower.

use crate::{Comparison, Life, Run, Scenario, statistics::Sample};
use rand::{SeedableRng, rngs::Xoshiro256PlusPlus, seq::SliceRandom};
use rig_model::Name;
use std::collections::BTreeSet;

/// One clean start that is to be made, and what is measured of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Slot {
    /// The round, from 1.
    pub number: u32,
    /// The kind of life.
    pub life: Life,
    /// Of which topology.
    pub topology: Name,
    /// What is measured, in this order; never empty.
    pub scenarios: Vec<Scenario>,
}

/// All runs of a comparison in their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    slots: Vec<Slot>,
}

impl Plan {
    /// Plans `runs` rounds. Each round has every life that measures something on every topology once: lives in an order drawn
    /// from the seed, and inside a life the topologies, one directly after the other, in an order drawn again. A round
    /// depends on the seed and its number only, so that more rounds leave the first ones as they are.
    #[must_use]
    pub fn new(topologies: &[Name], scenarios: &[Scenario], runs: u32, seed: u32) -> Self {
        let wanted = |life: Life| -> Vec<Scenario> {
            life.scenarios().iter().copied().filter(|scenario| scenarios.contains(scenario)).collect()
        };
        let mut slots = Vec::new();
        for number in 1..=runs {
            let mut lots = Xoshiro256PlusPlus::seed_from_u64((u64::from(seed) << 32) | u64::from(number));
            let mut lives = Life::ALL.to_vec();
            lives.shuffle(&mut lots);
            for life in lives.into_iter().filter(|life| life.is_in_round(number)) {
                let mut turns: Vec<&Name> = topologies.iter().collect();
                turns.shuffle(&mut lots);
                let scenarios = wanted(life);
                if !scenarios.is_empty() {
                    slots.extend(turns.into_iter().map(|topology| Slot {
                        number,
                        life,
                        topology: topology.clone(),
                        scenarios: scenarios.clone(),
                    }));
                }
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

    /// All lives, the first first.
    #[must_use]
    pub fn slots(&self) -> &[Slot] {
        &self.slots
    }

    /// What is left when these runs have been made. A run that failed has been made; a life that was cut short is lived again.
    pub fn left<'a>(&'a self, runs: &'a [Run]) -> impl Iterator<Item = &'a Slot> {
        let made: BTreeSet<(u32, Scenario, &Name)> =
            runs.iter().map(|run| (run.number, run.scenario, &run.topology)).collect();
        self.slots.iter().filter(move |slot| {
            !slot.scenarios.iter().all(|scenario| made.contains(&(slot.number, *scenario, &slot.topology)))
        })
    }
}

impl Comparison {
    /// How many runs of a scenario each topology has.
    #[must_use]
    pub fn runs_planned(&self, scenario: Scenario) -> u32 {
        let life = Life::ALL.into_iter().find(|life| life.scenarios().contains(&scenario));
        let rounds = (1..=self.planned_runs).filter(|number| life.is_none_or(|life| life.is_in_round(*number)));
        u32::try_from(rounds.count()).unwrap_or(u32::MAX)
    }
}

/// How long what is left will probably take, in seconds: for each scenario the median of the runs made of it on the same
/// topology, else of it at all, else of all runs. `None` before the first run.
#[must_use]
pub fn remaining_seconds(comparison: &Comparison) -> Option<f64> {
    let median = |of: &dyn Fn(&Run) -> bool| {
        Sample::new(comparison.runs.iter().filter(|run| of(run)).map(|run| run.seconds)).median()
    };
    let plan = Plan::of(comparison);
    plan.left(&comparison.runs)
        .flat_map(|slot| slot.scenarios.iter().map(move |scenario| (slot, *scenario)))
        .map(|(slot, scenario)| {
            median(&|run| run.scenario == scenario && run.topology == slot.topology)
                .or_else(|| median(&|run| run.scenario == scenario))
                .or_else(|| median(&|_| true))
        })
        .sum()
}
