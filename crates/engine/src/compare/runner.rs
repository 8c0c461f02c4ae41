//! All runs of a comparison, one life after the other.

use super::{
    facts::Found,
    lab::{Lab, LabError},
    life::Life,
    setup::Setup,
};
use crate::EventSink;
use jiff::Timestamp;
use rig_compare::{
    Comparison, Plan, RunOutcome, Slot,
    facts::{add_packages, add_running, declared},
    fairness::{TopologyFacts, differences},
    layers, remaining_seconds,
};
use rig_model::{Event, Name, Scenario};
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
            };
            let lived = match life.live(|scenario| self.tell_scenario(&slot, scenario)).await {
                Ok(lived) => lived,
                Err(_) => return End::Interrupted,
            };
            for run in &lived.runs {
                if let RunOutcome::Failed { why } = &run.outcome {
                    let text = format!("{} {}, run {}: {why}", run.topology, run.scenario, run.number);
                    self.sink.emit(Event::Warning { text });
                }
            }
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
                found.insert(slot.topology.clone(), seen);
                if found.len() == self.setup.topologies.len() {
                    comparison.fairness = self.differences(&found);
                }
            }
            layers::tell_unique(comparison);
            comparison.updated = Timestamp::now();
            match self.lab.keep(comparison) {
                Ok(()) => {}
                Err(LabError::Interrupted) => return End::Interrupted,
                Err(LabError::Failed(why)) => return End::Stopped(why),
            }
        }
        match self.lab.clear().await {
            Ok(_) => End::Done,
            Err(LabError::Interrupted) => End::Interrupted,
            Err(LabError::Failed(why)) => End::Stopped(why),
        }
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

    fn tell_scenario(&self, slot: &Slot, scenario: Scenario) {
        self.sink.emit(Event::Note { text: format!("  {}: {scenario} …", slot.topology) });
    }

    /// What differs between the topologies: of what the file declares, and of what was found in the machines of those that
    /// have been up.
    fn differences(&self, found: &BTreeMap<Name, Found>) -> Vec<rig_compare::fairness::Difference> {
        let workspace = &self.lab.session().workspace;
        let mut checks = self.setup.checks.clone();
        checks.extend(self.setup.job.clone());
        let mut facts: Vec<(Name, TopologyFacts)> = Vec::new();
        let mut profiles = Vec::new();
        for topology in self.setup.topologies.iter().filter_map(|name| workspace.topologies.get(name)) {
            let mut own = declared(workspace, topology, &checks);
            if let Some(found) = found.get(&topology.name) {
                add_running(&mut own, &found.running);
                profiles.push(found.profiles.iter().map(|(_, profile)| profile.clone()).collect());
            }
            facts.push((topology.name.clone(), own));
        }
        if profiles.len() == facts.len() {
            add_packages(&mut facts, &profiles);
        }
        differences(&facts)
    }
}

/// A length of time for a glance.
fn minutes(seconds: f64) -> String {
    if seconds < 90.0 { format!("{seconds:.0} s") } else { format!("{:.0} min", seconds / 60.0) }
}
