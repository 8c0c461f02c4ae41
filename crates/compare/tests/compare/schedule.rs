//! The order of runs, and what is left of it.

use crate::example::{self, name};
use proptest::prelude::*;
use rig_compare::{Life, Plan, Run, RunOutcome, Scenario, Slot, remaining_seconds};
use rig_model::Name;

fn names(count: usize) -> Vec<Name> {
    (0..count).map(|index| name(&format!("topology-{index}"))).collect()
}

fn made(slot: &Slot) -> Vec<Run> {
    let run = |scenario: &Scenario| Run {
        topology: slot.topology.clone(),
        scenario: *scenario,
        number: slot.number,
        started: "2026-11-21T12:00:00Z".parse().unwrap(),
        seconds: 1.0,
        outcome: RunOutcome::Failed { why: "it stopped".to_owned() },
    };
    slot.scenarios.iter().map(run).collect()
}

proptest! {
    #[test]
    fn every_round_has_every_scenario_on_every_topology_once(
        topologies in 2_usize..5, scenarios in prop::sample::subsequence(Scenario::ALL.to_vec(), 1..=13), runs in 1_u32..8,
        seed: u32,
    ) {
        let names = names(topologies);
        let plan = Plan::new(&names, &scenarios, runs, seed);
        for number in 1..=runs {
            let round = plan.slots().iter().filter(|slot| slot.number == number);
            let mut made: Vec<_> =
                round.flat_map(|slot| slot.scenarios.iter().map(|scenario| (&slot.topology, *scenario))).collect();
            let count = made.len();
            made.sort();
            made.dedup();
            let wanted = scenarios.iter().filter(|scenario| number == 1 || !Life::makes_once(**scenario)).count();
            prop_assert_eq!((made.len(), count), (topologies * wanted, topologies * wanted));
        }
        // Topologies take turns directly after one another.
        for turns in plan.slots().chunks(topologies) {
            let [first, ..] = turns else { unreachable!() };
            prop_assert!(turns.iter().all(|slot| (slot.life, slot.number) == (first.life, first.number)));
        }
    }

    #[test]
    fn the_seed_decides_and_more_rounds_change_nothing(runs in 1_u32..6, more in 0_u32..6, seed: u32) {
        let short = Plan::new(&names(2), &Scenario::ALL, runs, seed);
        let long = Plan::new(&names(2), &Scenario::ALL, runs + more, seed);
        prop_assert_eq!(Some(short.slots()), long.slots().get(..short.slots().len()));
    }

    #[test]
    fn wherever_it_was_interrupted_the_rest_is_what_is_left(runs in 1_u32..6, cut in 0_usize..40, seed: u32) {
        let plan = Plan::new(&names(3), &[Scenario::Up, Scenario::Drift, Scenario::Restart], runs, seed);
        let cut = cut.min(plan.slots().len());
        let (before, after) = plan.slots().split_at(cut);
        let mut runs: Vec<Run> = before.iter().flat_map(made).collect();
        prop_assert_eq!(plan.left(&runs).cloned().collect::<Vec<_>>(), after.to_vec());
        // A life of which only a part was measured is lived again.
        if let Some(next) = after.first().filter(|next| next.scenarios.len() > 1) {
            runs.extend(made(next).into_iter().take(1));
            prop_assert_eq!(plan.left(&runs).cloned().collect::<Vec<_>>(), after.to_vec());
        }
    }
}

#[test]
fn seeds_give_different_orders_and_neither_topology_is_always_first() {
    let order = |seed| Plan::new(&names(2), &Scenario::ALL, 20, seed).slots().to_vec();
    assert_ne!(order(1), order(2));
    let firsts = order(1).chunks(2).filter(|turns| turns[0].topology == name("topology-0")).count();
    assert!((6..=15).contains(&firsts), "{firsts} of 21");
}

#[test]
fn a_seed_means_the_same_order_in_every_release() {
    let plan = Plan::new(&names(2), &[Scenario::Up, Scenario::Size, Scenario::Change], 2, 7);
    let order = plan.slots().iter().map(|slot| {
        let scenarios: Vec<&str> = slot.scenarios.iter().map(|scenario| scenario.as_str()).collect();
        format!("{} {} {}: {}", slot.number, slot.life, slot.topology, scenarios.join(" "))
    });
    insta::assert_snapshot!(order.collect::<Vec<_>>().join("\n"));
}

#[test]
fn the_remaining_time_is_that_of_similar_runs() {
    let mut comparison = example::planned(&["naughty", "immutable"], 2, "512m");
    comparison.scenarios = vec![Scenario::Up];
    assert_eq!(remaining_seconds(&comparison), None);
    let slot = Slot { number: 1, life: Life::Work, topology: name("naughty"), scenarios: vec![Scenario::Up] };
    let mut run = made(&slot).remove(0);
    run.seconds = 60.0;
    comparison.runs.push(run.clone());
    assert_eq!(remaining_seconds(&comparison), Some(180.0), "the other topology is guessed from this one");
    run.topology = name("immutable");
    run.seconds = 20.0;
    comparison.runs.push(run);
    assert_eq!(remaining_seconds(&comparison), Some(80.0));
}
