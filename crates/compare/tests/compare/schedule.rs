//! The order of runs, and what is left of it.

use crate::example::{self, name};
use proptest::prelude::*;
use rig_compare::{Plan, Run, RunOutcome, Scenario, Slot, remaining_seconds};
use rig_model::Name;
use std::collections::BTreeSet;

fn names(count: usize) -> Vec<Name> {
    (0..count).map(|index| name(&format!("topology-{index}"))).collect()
}

fn made(slot: &Slot) -> Run {
    Run {
        topology: slot.topology.clone(),
        scenario: slot.scenario,
        number: slot.number,
        started: "2026-11-21T12:00:00Z".parse().unwrap(),
        seconds: 1.0,
        outcome: RunOutcome::Failed { why: "it stopped".to_owned() },
    }
}

proptest! {
    #[test]
    fn every_round_has_every_scenario_on_every_topology_once(
        topologies in 2_usize..5, scenarios in prop::sample::subsequence(Scenario::ALL.to_vec(), 1..=13), runs in 1_u32..8,
        seed: u32,
    ) {
        let names = names(topologies);
        let plan = Plan::new(&names, &scenarios, runs, seed);
        let round = topologies * scenarios.len();
        prop_assert_eq!(plan.slots().len(), round * runs as usize);
        for (number, slots) in (1..).zip(plan.slots().chunks(round)) {
            let distinct: BTreeSet<_> = slots.iter().map(|slot| (slot.scenario, &slot.topology)).collect();
            prop_assert_eq!(distinct.len(), round);
            prop_assert!(slots.iter().all(|slot| slot.number == number));
            // Topologies take turns directly after one another.
            for turns in slots.chunks(topologies) {
                let [first, ..] = turns else { unreachable!() };
                prop_assert!(turns.iter().all(|slot| slot.scenario == first.scenario));
            }
        }
    }

    #[test]
    fn the_seed_decides_and_more_rounds_change_nothing(runs in 1_u32..6, more in 0_u32..6, seed: u32) {
        let short = Plan::new(&names(2), &Scenario::ALL, runs, seed);
        let long = Plan::new(&names(2), &Scenario::ALL, runs + more, seed);
        prop_assert_eq!(Some(short.slots()), long.slots().get(..short.slots().len()));
    }

    #[test]
    fn wherever_it_was_interrupted_the_rest_is_what_is_left(runs in 1_u32..6, cut in 0_usize..200, seed: u32) {
        let plan = Plan::new(&names(3), &[Scenario::Up, Scenario::Drift, Scenario::Size], runs, seed);
        let cut = cut.min(plan.slots().len());
        let (before, after) = plan.slots().split_at(cut);
        let runs: Vec<Run> = before.iter().map(made).collect();
        prop_assert_eq!(plan.left(&runs).cloned().collect::<Vec<_>>(), after.to_vec());
    }
}

#[test]
fn seeds_give_different_orders_and_neither_topology_is_always_first() {
    let order = |seed| Plan::new(&names(2), &Scenario::ALL, 5, seed).slots().to_vec();
    assert_ne!(order(1), order(2));
    let firsts = order(1).chunks(2).filter(|turns| turns[0].topology == name("topology-0")).count();
    assert!((20..=45).contains(&firsts), "{firsts} of 65");
}

#[test]
fn a_seed_means_the_same_order_in_every_release() {
    let plan = Plan::new(&names(2), &[Scenario::Up, Scenario::Size], 2, 7);
    let order: Vec<String> =
        plan.slots().iter().map(|slot| format!("{} {} {}", slot.number, slot.scenario, slot.topology)).collect();
    insta::assert_snapshot!(order.join("\n"));
}

#[test]
fn the_remaining_time_is_that_of_similar_runs() {
    let mut comparison = example::planned(&["naughty", "immutable"], 2, "512m");
    comparison.scenarios = vec![Scenario::Up];
    assert_eq!(remaining_seconds(&comparison), None);
    let mut run = made(&Slot { number: 1, scenario: Scenario::Up, topology: name("naughty") });
    run.seconds = 60.0;
    comparison.runs.push(run.clone());
    assert_eq!(remaining_seconds(&comparison), Some(180.0), "the other topology is guessed from this one");
    run.topology = name("immutable");
    run.seconds = 20.0;
    comparison.runs.push(run);
    assert_eq!(remaining_seconds(&comparison), Some(80.0));
}
