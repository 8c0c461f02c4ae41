//! The rounds: everybody's turn comes in each, in an order that moves on, so that the host's moods hit all of them alike.

use super::{
    cleanup::Onlooker,
    contender::{Contender, Step},
    machine,
    options::Options,
    results::Results,
};
use crate::cargo::Result;
use std::time::Instant;

/// Does every round with every number of machines.
///
/// # Errors
/// When the engine cannot be brought back to nothing; what a contender cannot do is a result.
pub(super) fn all(
    options: &Options,
    contenders: &mut [Box<dyn Contender>],
    onlooker: &Onlooker,
    results: &mut Results,
) -> Result {
    for &count in options.counts() {
        for round in 0..options.rounds {
            println!("{count} machines, round {} of {}, load {:.1}", round + 1, options.rounds, machine::load());
            for turn in 0..contenders.len() {
                let next = (round + turn) % contenders.len();
                let contender = contenders[next].as_mut();
                contender.prepare(count)?;
                one(contender, count, onlooker, results);
                onlooker.remove_all(false)?;
            }
        }
    }
    Ok(())
}

/// One contender's turn: from nothing to nothing.
fn one(contender: &mut dyn Contender, count: usize, onlooker: &Onlooker, results: &mut Results) {
    let mut said = format!("  {:8}", contender.name());
    for step in Step::ALL {
        let series = results.machines.entry((step, count, contender.name())).or_default();
        let began = Instant::now();
        let outcome = contender.step(step);
        let took = began.elapsed();
        match outcome.and_then(|()| holds(contender.name(), step, count, onlooker)) {
            Ok(()) => {
                said += &format!("  {} {:.3} s", step.title(), took.as_secs_f64());
                series.add(took);
            }
            Err(error) => {
                said += &format!("  {} failed: {error}", step.title());
                series.fail(&error);
                // What comes after it would measure something else.
                break;
            }
        }
    }
    println!("{said}");
}

/// Whether a step has done what it says.
fn holds(contender: &str, step: Step, count: usize, onlooker: &Onlooker) -> Result {
    let expected = if step == Step::Destroy { 0 } else { count };
    let running = onlooker.running(contender)?;
    if running == expected { Ok(()) } else { Err(format!("{running} machines run afterwards, not {expected}")) }
}
