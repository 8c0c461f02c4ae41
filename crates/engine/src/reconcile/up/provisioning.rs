//! What is installed and configured in a machine once it runs.

use super::Planner;
use crate::{
    PlanError,
    reconcile::steps::{self, Due},
};
use rig_model::{
    Action, Cause, FileSource, MachineId, MachineSpec, MachineState, ObservedMachine, OpId, PlanNote, ResolvedStep,
    StepKind,
};
use rig_recipes::Facts;

impl Planner<'_> {
    /// Connects to a machine and runs the steps that are due. `seen` is what is there of it, `started` the operation that
    /// starts it. Gives the last operation, and the first step in words.
    pub(super) fn steps(
        &mut self,
        spec: &MachineSpec,
        seen: Option<&ObservedMachine>,
        started: Option<(OpId, Cause)>,
    ) -> Result<Option<(OpId, String)>, PlanError> {
        let Some(topology) = self.desired.workspace.topologies.get(&spec.id.topology).filter(|_| spec.ssh.is_some())
        else {
            return Ok(None);
        };
        let ip = |machine: &MachineId| self.resolver.ip(machine);
        let facts = Facts::new(self.desired.workspace.name.as_str(), topology, spec, &ip);
        let resolve = |step| rig_recipes::resolve(step, &spec.id, &facts, &self.desired.provisioning.contents, &ip);
        let resolved: Vec<ResolvedStep> = spec.steps.iter().map(resolve).collect::<Result<_, _>>()?;
        let record = self.desired.provisioning.records.get(&spec.id);
        // A record belongs to one machine: one that was made anew starts without.
        let record = record.filter(|record| seen.is_some_and(|seen| seen.native == record.native));
        let done = record.map_or(&[][..], |record| &record.steps);
        let due = steps::due(&spec.steps, resolved, done, &self.options.provision);
        let connect_cause = match (&started, due.first()) {
            (Some((_, cause)), _) => cause.clone(),
            (None, Some(first)) => Cause::NeededBy { what: format!("step {}", first.step.id) },
            // They were cut on their way.
            (None, None)
                if self.desired.provisioning.copies.contains(&spec.id) && !record.is_some_and(|r| r.has_folders) =>
            {
                Cause::NeededBy { what: format!("the folders of machine {}", spec.id) }
            }
            (None, None) => return Ok(None),
        };
        let first = due.first().map_or_else(|| "the copy of its folders".to_owned(), |due| due.step.id.to_string());
        let connect = Action::Connect { machine: spec.id.clone() };
        let mut last = self.graph.ask(&spec.provider, connect, connect_cause, started.map(|(op, _)| op));
        for Due { step, cause, stale, .. } in due {
            let mut after = vec![last];
            if let Some(declared) = spec.steps.iter().find(|declared| declared.id == step.id) {
                after.extend(self.reached(&declared.after));
                if let StepKind::File { source: FileSource::Artifact(artifact), .. } = &declared.kind {
                    let needed = Cause::NeededBy { what: format!("machine {}", spec.id) };
                    after.extend(self.boxes.fetch(&mut self.graph, &artifact.name, needed));
                }
            }
            let action = Action::Provision { machine: spec.id.clone(), step: Box::new(step), stale };
            last = self.graph.ask(&spec.provider, action, cause, after);
        }
        self.machines.entry(spec.id.clone()).or_default().provisioned = Some(last);
        Ok(Some((last, first)))
    }

    /// Runs steps on a machine that runs, and waits until it is ready again.
    pub(super) fn steps_alone(&mut self, spec: &MachineSpec) -> Result<(), PlanError> {
        let Some(seen) = self.at_home(spec) else { return Ok(()) };
        if seen.state != MachineState::Running {
            self.graph.note(PlanNote {
                text: format!("machine {} is {}, nothing is provisioned in it", spec.id, seen.state),
                hint: Some("`rig up` starts it".to_owned()),
                origin: None,
            });
            return Ok(());
        }
        match self.steps(spec, Some(seen), None)? {
            Some((last, step)) => self.await_ready(spec, Cause::Follows { step }, [last]),
            None => Ok(()),
        }
    }
}
