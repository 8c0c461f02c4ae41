//! A clean start of a topology, and what is measured of it.

use super::{
    facts::{self, Found},
    lab::{Deed, Lab, LabError, Variation},
    setup::Setup,
    work::Taken,
};
use crate::{Access, CheckResult, Session, run_check};
use jiff::Timestamp;
use rig_compare::{Caches, Life as Kind, Measured, Run, RunOutcome, Slot, facts::Running};
use rig_model::{
    Bytes, CheckSpec, Condition, Dependency, MachineId, MachineSpec, Name, ObservedMachine, ProviderId, Scenario,
    Topology,
};
use rig_provider_api::{Context, DiskUsage, MachineRef, ObserveScope, Provider, Usage};
use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

/// How long a look at a topology may take.
const LOOK: Duration = Duration::from_secs(300);

/// A topology that is brought up to be measured.
pub(super) struct Life<'a> {
    pub(super) lab: &'a dyn Lab,
    pub(super) setup: &'a Setup,
    pub(super) cx: &'a Context,
    pub(super) slot: &'a Slot,
    pub(super) caches: Caches,
    /// Whether the first job has been done in it.
    pub(super) worked: bool,
    /// Whether it is still to be found out what runs beside a job.
    pub(super) curious: bool,
    /// What was found to run beside it.
    pub(super) working: Option<Vec<Running>>,
}

/// What is known of a topology that has just become ready.
pub(super) struct Risen {
    /// How it came to be.
    pub(super) deed: Deed,
    /// What its machines had received by then; nothing where nobody counts.
    pub(super) received: Option<Bytes>,
    /// The processor time that rig's looks into the machines took, or why nobody knows.
    pub(super) looks: Result<Duration, String>,
    /// What was found in its machines, or why nobody knows.
    pub(super) found: Result<Found, String>,
    /// What each machine had otherwise than its box, or why nobody knows.
    pub(super) manifests: Result<Vec<Taken>, String>,
}

impl Risen {
    /// How long it took.
    pub(super) fn ready(&self) -> Duration {
        self.deed.elapsed
    }
}

/// How far a life has come.
pub(super) enum Step {
    /// It comes up.
    Rises,
    /// It is up after this time, or is not, with the reason.
    Risen(Duration, Option<String>),
    /// A scenario begins.
    Begins(Scenario),
    /// A scenario ended after this time, with the reason when it failed.
    Ended(Scenario, Duration, Option<String>),
}

/// What was made of a life.
pub(super) struct Lived {
    /// A run for each scenario.
    pub(super) runs: Vec<Run>,
    /// What was found in the machines, or why nobody knows; nothing of a topology that did not come up.
    pub(super) found: Option<Result<Found, String>>,
}

impl Life<'_> {
    /// Lives it. A scenario that fails is a run that failed; only an interruption ends it early.
    pub(super) async fn live(mut self, mut told: impl FnMut(Step)) -> Result<Lived, LabError> {
        let mut lived = Lived { runs: Vec::new(), found: None };
        let (mut started, mut began) = (Timestamp::now(), Instant::now());
        told(Step::Rises);
        let risen = match self.rise().await {
            Err(LabError::Interrupted) => return Err(LabError::Interrupted),
            risen => risen.map_err(|error| format!("topology {} did not come up: {error}", self.slot.topology)),
        };
        told(Step::Risen(began.elapsed(), risen.as_ref().err().cloned()));
        for scenario in &self.slot.scenarios {
            if self.curious && risen.is_ok() && ends_the_peace(*scenario) {
                self.watch_a_job().await?;
                (started, began) = (Timestamp::now(), Instant::now());
            }
            told(Step::Begins(*scenario));
            let outcome = match &risen {
                Err(why) => RunOutcome::Failed { why: why.clone() },
                Ok(risen) => match self.scenario(*scenario, risen).await {
                    Ok(values) => RunOutcome::Measured { values },
                    Err(LabError::Failed(why)) => RunOutcome::Failed { why },
                    Err(LabError::Interrupted) => return Err(LabError::Interrupted),
                },
            };
            let run = Run {
                topology: self.slot.topology.clone(),
                scenario: *scenario,
                number: self.slot.number,
                started,
                seconds: began.elapsed().as_secs_f64(),
                outcome,
            };
            told(Step::Ended(*scenario, began.elapsed(), run.failure().map(str::to_owned)));
            lived.runs.push(run);
            (started, began) = (Timestamp::now(), Instant::now());
        }
        if self.curious && risen.is_ok() {
            self.watch_a_job().await?;
        }
        self.lab.clear().await?;
        let found = risen.ok().map(|risen| risen.found);
        lived.found = found.map(|found| found.map(|found| Found { working: self.working, ..found }));
        Ok(lived)
    }

    async fn scenario(&mut self, scenario: Scenario, risen: &Risen) -> Result<Vec<Measured>, LabError> {
        match scenario {
            Scenario::Up => Ok(super::clock::ready(&risen.deed)),
            Scenario::Surface => self.surface(risen),
            Scenario::FirstJob => self.first_job(risen).await,
            Scenario::Drift => self.drift(risen).await,
            Scenario::Size => self.size().await,
            Scenario::Cost => self.cost(risen).await,
            Scenario::Idempotence => self.idempotence().await,
            Scenario::Destroy => self.destroy().await,
            Scenario::ScaleOut => self.scale_out().await,
            Scenario::Restart => self.restart().await,
            Scenario::Replace => self.replace().await,
            Scenario::Change => self.change().await,
            Scenario::Reproducibility => self.twice().await,
        }
    }

    /// From nothing to ready.
    async fn rise(&self) -> Result<Risen, LabError> {
        self.lab.clear().await?;
        if self.caches == Caches::Cold && self.slot.life == Kind::Work {
            self.lab.forget().await?;
        }
        let deed = self.up().await?;
        let before = known(self.used().await)?;
        let received = before.as_ref().ok().and_then(|used| used.received);
        let found = known(self.found().await)?;
        let manifests = if self.slot.scenarios.contains(&Scenario::Drift) {
            known(self.manifests(&[]).await)?
        } else {
            Err("nobody looked".to_owned())
        };
        let after = known(self.used().await)?;
        let looks = before.and_then(|before| Ok(after?.cpu.saturating_sub(before.cpu)));
        Ok(Risen { deed, received, looks, found, manifests })
    }

    /// Brings the topology to what the file says.
    pub(super) async fn up(&self) -> Result<Deed, LabError> {
        self.lab.up(&self.slot.topology, &Variation::default()).await
    }

    async fn found(&self) -> Result<Found, LabError> {
        let access = self.access();
        let running = self.machines().await?;
        let machines: Vec<&MachineSpec> = running.iter().map(|(spec, _)| *spec).collect();
        Ok(facts::look(&self.look(), access, &machines).await?)
    }

    /// Runs the first job to see which Java programs run while it does, where nobody wants to know how long it takes.
    async fn watch_a_job(&mut self) -> Result<(), LabError> {
        let Some(job) = &self.setup.job else {
            self.seen_working(Vec::new());
            return Ok(());
        };
        // A job that fails has run something, too.
        known(self.watched(job).await).map(drop)
    }

    /// Runs a check, and looks now and then which Java programs run while it does.
    pub(super) async fn watched(&mut self, job: &Name) -> Result<CheckResult, LabError> {
        let access = self.access();
        let machines: Vec<&MachineSpec> = self.topology()?.machines.iter().collect();
        let (result, working) = facts::watch(&self.look(), access, &machines, self.check(job)).await;
        self.seen_working(working);
        result
    }

    fn seen_working(&mut self, working: Vec<Running>) {
        self.working = Some(working);
        self.curious = false;
    }

    pub(super) fn session(&self) -> &Session {
        self.lab.session()
    }

    /// Who has a machine of the topology.
    pub(super) fn provider(&self, machine: &MachineId) -> Result<&Arc<dyn Provider>, LabError> {
        Ok(self.session().providers.of(machine)?)
    }

    pub(super) fn access(&self) -> &Access {
        &self.session().access
    }

    /// A context for calls that look.
    pub(super) fn look(&self) -> Context {
        self.cx.within(LOOK)
    }

    pub(super) fn topology(&self) -> Result<&Topology, LabError> {
        let name = &self.slot.topology;
        let topology = self.session().workspace.topologies.get(name);
        topology.ok_or_else(|| LabError::Failed(format!("there is no topology {name}")))
    }

    pub(super) fn reference(&self, machine: &MachineId) -> MachineRef {
        MachineRef { workspace: self.session().workspace.name.clone(), id: machine.clone() }
    }

    /// The figures that the provider of a machine keeps.
    pub(super) fn usage(&self, machine: &MachineId) -> Result<&dyn Usage, LabError> {
        let provider = self.provider(machine)?;
        provider.usage().ok_or_else(|| LabError::Failed(format!("provider {} keeps no figures", provider.id())))
    }

    /// What machines take on the disks of their providers, as far as these keep such figures.
    pub(super) async fn disks(
        &self,
        cx: &Context,
        running: &[(&MachineSpec, ObservedMachine)],
    ) -> Result<Vec<DiskUsage>, LabError> {
        let mut machines: BTreeMap<&ProviderId, Vec<MachineRef>> = BTreeMap::new();
        for (_, seen) in running {
            machines.entry(&seen.provider).or_default().push(self.reference(&seen.id));
        }
        let mut disks = Vec::new();
        for (provider, machines) in machines {
            if let Some(usage) = self.session().providers.get(provider)?.usage() {
                disks.push(usage.disk(cx, &machines).await?);
            }
        }
        Ok(disks)
    }

    /// The machines that run, as the file has them. One that should run and does not is a failure; one that others waited for
    /// until it was done is not.
    pub(super) async fn machines(&self) -> Result<Vec<(&MachineSpec, ObservedMachine)>, LabError> {
        let observed = self.session().observe(&self.look(), ObserveScope::MACHINES).await?;
        let topology = self.topology()?;
        let mut running = Vec::new();
        for spec in &topology.machines {
            let seen = observed.machines.iter().find(|seen| seen.id == spec.id);
            match seen.filter(|seen| seen.state.is_running()) {
                Some(seen) => running.push((spec, seen.clone())),
                None if is_one_shot(topology, &spec.id) => {}
                None => {
                    let state = seen.map_or_else(|| "gone".to_owned(), |seen| seen.state.to_string());
                    return Err(LabError::Failed(format!("machine {} does not run: it is {state}", spec.id)));
                }
            }
        }
        Ok(running)
    }

    /// Runs a check, which has to hold.
    pub(super) async fn check(&self, name: &Name) -> Result<CheckResult, LabError> {
        let session = self.session();
        let same = |check: &&CheckSpec| check.topology == self.slot.topology && check.name == *name;
        let check = session.workspace.checks.iter().find(same);
        let check =
            check.ok_or_else(|| LabError::Failed(format!("topology {} has no check {name}", self.slot.topology)))?;
        let machines: Vec<ObservedMachine> = self.machines().await?.into_iter().map(|(_, seen)| seen).collect();
        let ip = Session::addresses(&session.workspace, &machines);
        let result = run_check(session, self.cx, check, &ip).await;
        if self.cx.cancel().is_cancelled() {
            return Err(LabError::Interrupted);
        }
        match &result.failure {
            None => Ok(result),
            Some(why) => Err(LabError::Failed(format!("check {name} does not hold: {why}"))),
        }
    }
}

/// Whether a machine is there to end: others wait until it is done.
fn is_one_shot(topology: &Topology, machine: &MachineId) -> bool {
    let waits = |dependency: &Dependency| dependency.machine == *machine && dependency.condition == Condition::Done;
    topology.machines.iter().flat_map(MachineSpec::dependencies).any(waits)
}

/// Whether a scenario leaves a topology that has been measured by then in another state.
fn ends_the_peace(scenario: Scenario) -> bool {
    matches!(
        scenario,
        Scenario::ScaleOut | Scenario::Restart | Scenario::Replace | Scenario::Change | Scenario::Destroy
    )
}

/// A result that may be unknown; only an interruption goes on.
fn known<T>(result: Result<T, LabError>) -> Result<Result<T, String>, LabError> {
    match result {
        Err(LabError::Interrupted) => Err(LabError::Interrupted),
        Err(LabError::Failed(why)) => Ok(Err(why)),
        Ok(value) => Ok(Ok(value)),
    }
}
