//! All runs of a comparison, one life after the other.

use super::{
    guard::{self, Knowledge},
    lab::{Lab, LabError, Variation},
    life::{Life, Lived, Step},
    rounds::Rounds,
    setup::Setup,
};
use crate::EventSink;
use jiff::Timestamp;
use rig_compare::{Caches, Comparison, Life as Kind, Plan, Slot, layers, remaining_seconds};
use rig_model::{Event, Name, OpId, Outcome, Phase, Scenario, seconds};
use rig_provider_api::Context;
use std::{sync::Arc, time::Duration};

/// How long an engine has to say that it is there.
const ANSWER: Duration = Duration::from_secs(20);

/// How a comparison ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// All runs were made.
    Done,
    /// The user interrupted.
    Interrupted,
    /// It could not go on.
    Stopped(String),
}

/// Makes the runs of a comparison.
pub struct Runner<'a> {
    /// Who does what is measured.
    pub lab: &'a dyn Lab,
    /// What is measured.
    pub setup: &'a Setup,
    /// How long all rounds may take together: one that would not be over by then is left out, unless it is the first.
    pub within: Option<Duration>,
    /// Where it is told what happens.
    pub sink: Arc<dyn EventSink>,
    /// The user's wish to stop.
    pub cx: Context,
}

impl Runner<'_> {
    /// Makes what is left of the runs. Each life is kept when it is over, so that nothing of it is lost whatever comes.
    pub async fn run(&self, comparison: &mut Comparison) -> End {
        match self.all(comparison).await {
            Ok(()) => End::Done,
            Err(LabError::Interrupted) => End::Interrupted,
            Err(LabError::Failed(why)) => End::Stopped(why),
        }
    }

    async fn all(&self, comparison: &mut Comparison) -> Result<(), LabError> {
        // What a killed comparison left of machines, and of boxes that it built a second time.
        self.lab.clear().await?;
        self.lab.discard().await?;
        if comparison.caches == Caches::Warm {
            self.sink.emit(Event::Note { text: "making boxes and fetching downloads that are missing".to_owned() });
            self.lab.prepare(&self.variations()).await?;
        }
        let mut knowledge = Knowledge::new(self.lab.session(), self.setup);
        if comparison.runs.is_empty() {
            comparison.fairness = knowledge.differences();
        }
        let next = |comparison: &Comparison| Plan::of(comparison).left(&comparison.runs).next().cloned();
        let mut rounds = Rounds::begin(self.within);
        while let Some(slot) = next(comparison) {
            if !rounds.may_begin(slot.number) {
                self.leave_out(comparison, slot.number)?;
                break;
            }
            if self.lab.subject().await? != comparison.subject {
                let why = "the file, a recipe or a box is not what it was when the comparison began";
                return Err(LabError::Failed(why.to_owned()));
            }
            self.tell(comparison, &slot);
            // Of a life that was cut short nothing counts.
            comparison.runs.retain(|run| {
                run.number != slot.number || run.topology != slot.topology || !slot.scenarios.contains(&run.scenario)
            });
            let lived = self.live(comparison, &slot, &knowledge).await?;
            comparison.runs.extend(lived.runs);
            if let Some(seen) = lived.found {
                knowledge.learn(&slot.topology, seen);
                // What was known of all of them before an interruption is more than what is known of some now.
                if knowledge.is_of_all() || guard::is_open(&comparison.fairness) {
                    comparison.fairness = knowledge.differences();
                }
            }
            layers::tell_unique(comparison);
            comparison.updated = Timestamp::now();
            self.lab.keep(comparison)?;
        }
        self.lab.clear().await.map(drop)
    }

    /// One life. An engine that goes away fails what comes after it, and a topology that never comes up fails everything: both
    /// end the comparison instead of being taken for findings.
    async fn live(&self, comparison: &Comparison, slot: &Slot, known: &Knowledge<'_>) -> Result<Lived, LabError> {
        let life = Life {
            lab: self.lab,
            setup: self.setup,
            cx: &self.cx,
            slot,
            caches: comparison.caches,
            worked: false,
            curious: slot.life == Kind::Work && !known.has_watched(&slot.topology),
            working: None,
        };
        let lived = life.live(|step| self.tell_step(slot, step)).await;
        let failed = lived.as_ref().map_or(true, |lived| lived.runs.iter().any(|run| run.failure().is_some()));
        if failed && let Err(why) = self.lab.session().providers.probe(&self.cx.within(ANSWER)).await {
            if self.cx.cancel().is_cancelled() {
                return Err(LabError::Interrupted);
            }
            return Err(LabError::Failed(format!("the engine does not answer any more: {why}")));
        }
        let lived = lived?;
        if slot.life == Kind::Twice {
            self.lab.discard().await?;
        }
        let never = comparison.runs.iter().all(|run| run.topology != slot.topology || run.failure().is_some());
        match lived.runs.first().and_then(|run| run.failure()) {
            Some(why) if lived.found.is_none() && never => Err(LabError::Failed(why.to_owned())),
            _ => Ok(lived),
        }
    }

    /// What topologies become besides what the file says.
    fn variations(&self) -> Vec<(Name, Variation)> {
        let changes = self.setup.change.iter().filter(|_| self.setup.scenarios.contains(&Scenario::Change));
        let varied = changes.map(|change| Variation { variables: vec![change.clone()], ..Variation::default() });
        let varied: Vec<Variation> = varied.chain([Variation::default()]).collect();
        let topologies = self.setup.topologies.iter();
        topologies.flat_map(|topology| varied.iter().map(|varied| (topology.clone(), varied.clone()))).collect()
    }

    /// There is no time for a round: the comparison is one of those before it.
    fn leave_out(&self, comparison: &mut Comparison, round: u32) -> Result<(), LabError> {
        let within = minutes(self.within.unwrap_or_default().as_secs_f64());
        let text =
            format!("round {round} of {} is left out: it would not be over within {within}", comparison.planned_runs);
        self.sink.emit(Event::Note { text });
        comparison.planned_runs = round - 1;
        self.lab.keep(comparison)
    }

    fn tell(&self, comparison: &Comparison, slot: &Slot) {
        let left = remaining_seconds(comparison).map(|seconds| format!(", about {} left", minutes(seconds)));
        let text = format!(
            "round {} of {}: {}, {}{}",
            slot.number,
            comparison.planned_runs,
            slot.topology,
            slot.life,
            left.unwrap_or_default()
        );
        self.sink.emit(Event::Note { text });
    }

    fn tell_step(&self, slot: &Slot, step: Step) {
        let (phase, machine) = (Phase::Converge, None);
        // One thing happens at a time.
        let op = OpId(u32::MAX);
        let begins = |what: &str| {
            let title = format!("{}: {what}", slot.topology);
            Event::OperationStarted { op, title, phase, machine: None }
        };
        let ends = |what: &str, elapsed, failure: Option<String>| Event::OperationFinished {
            op,
            title: format!("{}: {what}", slot.topology),
            phase,
            machine,
            seconds: seconds(elapsed),
            outcome: failure.map_or(Outcome::Done, |error| Outcome::Failed { error }),
        };
        self.sink.emit(match step {
            Step::Rises => begins("clean start"),
            Step::Risen(elapsed, failure) => ends("clean start", elapsed, failure),
            Step::Begins(scenario) => begins(scenario.as_str()),
            Step::Ended(scenario, elapsed, failure) => ends(scenario.as_str(), elapsed, failure),
        });
    }
}

/// A length of time for a glance.
fn minutes(seconds: f64) -> String {
    if seconds < 90.0 { format!("{seconds:.0} s") } else { format!("{:.0} min", seconds / 60.0) }
}
