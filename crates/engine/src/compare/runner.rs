//! All runs of a comparison, one life after the other.

use super::{
    facts::Found,
    lab::{Lab, LabError},
    life::{Life, Step},
    setup::Setup,
};
use crate::EventSink;
use jiff::Timestamp;
use rig_compare::{
    Comparison, Plan, Slot,
    facts::{add_packages, add_running, add_working, declared},
    fairness::{Difference, TopologyFacts, differences},
    layers, remaining_seconds,
};
use rig_model::{Event, Name, OpId, Outcome, Phase, seconds};
use rig_provider_api::Context;
use std::{collections::BTreeMap, sync::Arc, time::Duration};

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

impl From<LabError> for End {
    fn from(error: LabError) -> Self {
        match error {
            LabError::Interrupted => Self::Interrupted,
            LabError::Failed(why) => Self::Stopped(why),
        }
    }
}

/// Makes the runs of a comparison.
pub struct Runner<'a> {
    /// Who does what is measured.
    pub lab: &'a dyn Lab,
    /// What is measured.
    pub setup: &'a Setup,
    /// Where it is told what happens.
    pub sink: Arc<dyn EventSink>,
    /// The user's wish to stop.
    pub cx: Context,
}

impl Runner<'_> {
    /// Makes what is left of the runs. Each life is kept when it is over, so that nothing of it is lost whatever comes.
    pub async fn run(&self, comparison: &mut Comparison) -> End {
        let mut found = BTreeMap::new();
        // What a killed comparison left of boxes that it built a second time.
        let clean = async {
            self.lab.clear().await?;
            self.lab.discard().await
        };
        if let Err(error) = clean.await {
            return error.into();
        }
        if comparison.runs.is_empty() {
            comparison.fairness = self.differences(&found);
        }
        loop {
            let next = Plan::of(comparison).left(&comparison.runs).next().cloned();
            let Some(slot) = next else { break };
            self.tell(comparison, &slot);
            // Of a life that was cut short nothing counts.
            comparison.runs.retain(|run| {
                run.number != slot.number || run.topology != slot.topology || !slot.scenarios.contains(&run.scenario)
            });
            let life = Life {
                lab: self.lab,
                setup: self.setup,
                cx: &self.cx,
                slot: &slot,
                caches: comparison.caches,
                worked: false,
                curious: !found.contains_key(&slot.topology),
            };
            let lived = match life.live(|step| self.tell_step(&slot, step)).await {
                Ok(lived) => lived,
                Err(error) => return error.into(),
            };
            let failed = lived.runs.iter().all(|run| run.failure().is_some());
            // An engine that went away fails every run after it: that is no finding about a topology.
            if failed && let Err(why) = self.lab.session().provider.probe(&self.cx.within(ANSWER)).await {
                return match self.cx.cancel().is_cancelled() {
                    true => End::Interrupted,
                    false => End::Stopped(format!("the engine does not answer any more: {why}")),
                };
            }
            comparison.runs.extend(lived.runs);
            if let Some(seen) = lived.found {
                let known = found.entry(slot.topology.clone()).or_insert_with(|| seen.clone());
                if known.working.is_empty() {
                    known.working = seen.working;
                }
                if found.len() == self.setup.topologies.len() {
                    comparison.fairness = self.differences(&found);
                }
            }
            layers::tell_unique(comparison);
            comparison.updated = Timestamp::now();
            if let Err(error) = self.lab.keep(comparison) {
                return error.into();
            }
        }
        self.lab.clear().await.map_or_else(End::from, |_| End::Done)
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
        let op = OpId(0);
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

    /// What differs between the topologies: of what the file declares, and of what was found in the machines of those that
    /// have been up.
    fn differences(&self, found: &BTreeMap<Name, Found>) -> Vec<Difference> {
        let workspace = &self.lab.session().workspace;
        let mut checks = self.setup.checks.clone();
        checks.extend(self.setup.job.clone());
        let mut facts: Vec<(Name, TopologyFacts)> = Vec::new();
        let (mut profiles, mut working) = (Vec::new(), Vec::new());
        for topology in self.setup.topologies.iter().filter_map(|name| workspace.topologies.get(name)) {
            let mut own = declared(workspace, topology, &checks);
            if let Some(found) = found.get(&topology.name) {
                add_running(&mut own, &found.running);
                profiles.push(found.profiles.iter().map(|(_, profile)| profile.clone()).collect());
                working.push(found.working.clone());
            }
            facts.push((topology.name.clone(), own));
        }
        if profiles.len() == facts.len() {
            add_packages(&mut facts, &profiles);
            add_working(&mut facts, &working);
        }
        self.beside_the_file(differences(&facts))
    }
}

impl Runner<'_> {
    /// The same with places named as from the folder of the file: a report goes to people who have another one.
    fn beside_the_file(&self, mut differences: Vec<Difference>) -> Vec<Difference> {
        let folder = format!("{}/", self.lab.session().folder);
        for fact in differences.iter_mut().flat_map(|one| &mut one.stated).filter_map(|stated| stated.fact.as_mut()) {
            for text in fact.origin.iter_mut().chain([&mut fact.value]) {
                if let Some(short) = text.strip_prefix(&folder) {
                    *text = short.to_owned();
                }
            }
        }
        differences
    }
}

/// A length of time for a glance.
fn minutes(seconds: f64) -> String {
    if seconds < 90.0 { format!("{seconds:.0} s") } else { format!("{:.0} min", seconds / 60.0) }
}
