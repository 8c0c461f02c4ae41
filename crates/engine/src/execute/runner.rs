//! Walking a plan's graph: what can run runs, what depends on a failure is skipped, the rest goes on.

use super::{
    action::{Shared, ends_at_interrupt, limit, log_tail, only_waits},
    deaths::{Deaths, Watcher},
};
use crate::{Access, EngineError, EventSink, Interrupt, Makes, Providers, probe::Prober, sink::OperationProgress};
use futures_util::{StreamExt, stream};
use rig_model::{
    Action, Event, MachineId, MachineState, OpId, Operation, Outcome, Phase, Plan, RestartPolicy, seconds,
};
use rig_provider_api::{Context, MachineRef, ObserveScope, Provider};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::task::JoinSet;

/// How long a machine without probes is given to show that it does not end at once: a shell that cannot do what it
/// should takes a few milliseconds. Longer would slow down every `up`; who wants more writes a probe.
const SETTLE: Duration = Duration::from_millis(25);
/// How long after a start an engine has noticed such an end: Docker takes 100 to 130 ms to clean up and say so.
const NOTICE: Duration = Duration::from_millis(300);

/// Carries plans out.
pub struct Executor {
    /// Who brings machines up.
    pub providers: Providers,
    /// Who makes boxes and fetches artifacts.
    pub makes: Arc<dyn Makes>,
    /// The way into machines over SSH.
    pub access: Arc<Access>,
    /// Where events go.
    pub sink: Arc<dyn EventSink>,
    /// How many operations work at the same time; at least 1. Waits count only when it is 1.
    pub jobs: usize,
    /// The user's wish to stop.
    pub interrupt: Interrupt,
}

/// What became of a plan.
#[derive(Debug, Default)]
pub struct Report {
    /// Operations that succeeded.
    pub done: usize,
    /// Operations that failed.
    pub failed: Vec<OperationFailure>,
    /// Operations that were not begun, or ended by the user, in words.
    pub left: Vec<String>,
    /// Whether the user interrupted.
    pub interrupted: bool,
    /// The time from the first start to the last end of each phase's operations.
    pub phases: BTreeMap<Phase, Duration>,
    /// The same per topology.
    pub topologies: BTreeMap<rig_model::Name, BTreeMap<Phase, Duration>>,
    /// How much of the whole time each phase has on the way that took longest: of the operation that ended last, of the one
    /// that it waited for, and so on. Together they are at most the whole time.
    pub critical: BTreeMap<Phase, Duration>,
    /// Machines that a provisioning step was done in.
    pub provisioned: BTreeSet<MachineId>,
    /// The whole time.
    pub elapsed: Duration,
}

/// An operation that failed.
#[derive(Debug)]
pub struct OperationFailure {
    /// What it did, in words.
    pub title: String,
    /// The machine it was about.
    pub machine: Option<MachineId>,
    /// Why it failed.
    pub error: EngineError,
}

impl Report {
    /// Whether everything was done.
    #[must_use]
    pub fn is_success(&self) -> bool {
        self.failed.is_empty() && !self.interrupted
    }
}

/// How an operation's task ended.
struct Ended {
    op: OpId,
    began: Instant,
    result: Result<(), EngineError>,
}

/// When the first operation of a phase began and the last one ended.
#[derive(Default)]
struct Spans(BTreeMap<Phase, (Instant, Instant)>);

impl Spans {
    fn add(&mut self, phase: Phase, began: Instant, ended: Instant) {
        let span = self.0.entry(phase).or_insert((began, ended));
        span.0 = span.0.min(began);
        span.1 = span.1.max(ended);
    }

    fn durations(self) -> BTreeMap<Phase, Duration> {
        self.0.into_iter().map(|(phase, (began, ended))| (phase, ended - began)).collect()
    }
}

impl Executor {
    /// Carries a plan out. Failures are part of the report.
    pub async fn execute(&self, plan: &Plan) -> Report {
        let begun = Instant::now();
        let mut report = Report::default();
        let Some(workspace) = plan.workspace.clone().filter(|_| !plan.operations.is_empty()) else { return report };
        self.sink.emit(Event::Started { operations: plan.operations.len() });
        let deaths = Arc::new(Deaths::default());
        let shared = Arc::new(Shared {
            providers: self.providers.clone(),
            prober: Prober::new(self.providers.clone()),
            workspace: workspace.clone(),
            makes: self.makes.clone(),
            access: self.access.clone(),
            deaths: deaths.clone(),
            sink: self.sink.clone(),
        });
        let waits = plan.operations.iter().any(|operation| only_waits(&operation.action));
        let cx = Context::new(
            self.interrupt.abort.clone(),
            Duration::from_secs(24 * 3600),
            Arc::new(rig_provider_api::NoProgress),
        );
        let watch = |provider: &Arc<dyn Provider>| {
            Watcher::start(provider.clone(), workspace.clone(), deaths.clone(), cx.clone())
        };
        let _watchers: Vec<Watcher> = self.providers.iter().filter(|_| waits).map(watch).collect();
        let mut walk = Walk::new(plan);
        let mut tasks: JoinSet<Ended> = JoinSet::new();
        let mut phases = Spans::default();
        let mut spans: BTreeMap<OpId, (Instant, Instant)> = BTreeMap::new();
        let mut last_start = None;
        let mut started = BTreeSet::new();
        let mut topologies: BTreeMap<rig_model::Name, Spans> = BTreeMap::new();
        loop {
            let stopped = self.notice_interrupt(&mut report);
            while !stopped && let Some(operation) = walk.next(self.jobs.max(1)) {
                self.spawn(&mut tasks, &shared, operation, walk.restart(operation));
            }
            let ended = tokio::select! {
                ended = tasks.join_next() => ended,
                () = self.interrupt.stop.cancelled(), if !stopped => continue,
            };
            let Some(ended) = ended else { break };
            // A panic in a task is a defect; it is passed on instead of being taken for a failure.
            let ended = match ended {
                Ok(ended) => ended,
                Err(error) => std::panic::resume_unwind(error.into_panic()),
            };
            // An interruption may have ended this very task.
            self.notice_interrupt(&mut report);
            let operation = walk.finished(ended.op, ended.result.is_ok());
            let phase = operation.action.phase();
            phases.add(phase, ended.began, Instant::now());
            spans.insert(ended.op, (ended.began, Instant::now()));
            if let Some(machine) = operation.action.machine() {
                topologies.entry(machine.topology.clone()).or_default().add(phase, ended.began, Instant::now());
            }
            if let (Action::StartMachine { machine, .. }, Ok(())) = (&operation.action, &ended.result) {
                last_start = Some(Instant::now());
                started.insert(machine.clone());
            }
            if let (Action::Provision { machine, .. }, Ok(())) = (&operation.action, &ended.result) {
                report.provisioned.insert(machine.clone());
            }
            self.finish(operation, ended, &mut report);
        }
        for operation in walk.skipped() {
            let why = if report.interrupted { "interrupted" } else { "something before it failed" };
            self.emit_end(operation, Duration::ZERO, Outcome::Skipped { why: why.to_owned() });
            report.left.push(operation.action.to_string());
        }
        self.verify(plan, &workspace, &started, last_start, &mut report).await;
        report.phases = phases.durations();
        report.critical = critical(plan, begun, &spans);
        report.topologies = topologies.into_iter().map(|(name, spans)| (name, spans.durations())).collect();
        report.elapsed = begun.elapsed();
        self.sink.emit(Event::Finished {
            done: report.done,
            failed: report.failed.len(),
            skipped: report.left.len(),
            seconds: seconds(report.elapsed),
        });
        report
    }

    /// Whether the user interrupted; says so the first time.
    fn notice_interrupt(&self, report: &mut Report) -> bool {
        let stopped = self.interrupt.stop.is_cancelled();
        if stopped && !report.interrupted {
            report.interrupted = true;
            self.sink.emit(Event::Interrupted);
        }
        stopped
    }

    fn spawn(&self, tasks: &mut JoinSet<Ended>, shared: &Arc<Shared>, operation: &Operation, restart: RestartPolicy) {
        self.sink.emit(Event::OperationStarted {
            op: operation.id,
            title: operation.action.to_string(),
            phase: operation.action.phase(),
            machine: operation.action.machine().cloned(),
        });
        let token = if ends_at_interrupt(&operation.action) { &self.interrupt.stop } else { &self.interrupt.abort };
        let progress = Arc::new(OperationProgress { op: operation.id, sink: self.sink.clone() });
        let cx = Context::new(token.clone(), limit(&operation.action), progress);
        let (shared, operation) = (shared.clone(), operation.clone());
        tasks.spawn(async move {
            let began = Instant::now();
            let result = shared.perform(&cx, &operation, restart).await;
            Ended { op: operation.id, began, result }
        });
    }

    fn finish(&self, operation: &Operation, ended: Ended, report: &mut Report) {
        let outcome = match ended.result {
            Ok(()) => {
                report.done += 1;
                Outcome::Done
            }
            Err(error) if report.interrupted && error.is_cancelled() => {
                report.left.push(operation.action.to_string());
                Outcome::Cancelled
            }
            Err(error) => {
                let text = error.to_string();
                report.failed.push(OperationFailure {
                    title: operation.action.to_string(),
                    machine: operation.action.machine().cloned(),
                    error,
                });
                Outcome::Failed { error: text }
            }
        };
        self.emit_end(operation, ended.began.elapsed(), outcome);
    }

    fn emit_end(&self, operation: &Operation, elapsed: Duration, outcome: Outcome) {
        self.sink.emit(Event::OperationFinished {
            op: operation.id,
            title: operation.action.to_string(),
            phase: operation.action.phase(),
            machine: operation.action.machine().cloned(),
            seconds: seconds(elapsed),
            outcome,
        });
    }

    /// A machine without probes was not waited for, and others may have ended since: one look tells whether all that were
    /// `started`, the last of them at `last`, still run.
    async fn verify(
        &self,
        plan: &Plan,
        workspace: &rig_model::Name,
        started: &BTreeSet<MachineId>,
        last: Option<Instant>,
        report: &mut Report,
    ) {
        let may_end: BTreeSet<&MachineId> = plan
            .operations
            .iter()
            .filter_map(|operation| match &operation.action {
                Action::AwaitDone { machine, .. } => Some(machine),
                Action::StartMachine { machine, restart } if *restart != RestartPolicy::No => Some(machine),
                _ => None,
            })
            .collect();
        let unwatched: BTreeSet<&MachineId> = started.iter().filter(|machine| !may_end.contains(machine)).collect();
        if unwatched.is_empty() || report.interrupted {
            return;
        }
        let cx = Context::alone(Duration::from_secs(30));
        let elapsed = || last.map_or(Duration::ZERO, |at| at.elapsed());
        tokio::time::sleep(SETTLE.saturating_sub(elapsed())).await;
        if self.all_have_processes(&cx, workspace, &unwatched).await {
            return;
        }
        tokio::time::sleep(NOTICE.saturating_sub(elapsed())).await;
        let observed = match self.providers.observe(&cx, workspace, ObserveScope::MACHINES).await {
            Ok(observed) => observed,
            Err(error) => {
                let title = "see whether all machines run".to_owned();
                report.failed.push(OperationFailure { title, machine: None, error });
                return;
            }
        };
        for seen in observed.machines {
            if seen.state != MachineState::Exited || !unwatched.contains(&seen.id) {
                continue;
            }
            let machine = MachineRef { workspace: workspace.clone(), id: seen.id.clone() };
            // It was observed through one of them.
            let Ok(provider) = self.providers.having(&seen) else { continue };
            let exit = match provider.inspect(&cx, &machine).await {
                Ok(Some(closer)) => closer.exit.map_or_else(|| "ended".to_owned(), |exit| exit.to_string()),
                _ => "ended".to_owned(),
            };
            let tail = log_tail(provider.as_ref(), &machine).await;
            report.failed.push(OperationFailure {
                title: format!("start machine {}", seen.id),
                machine: Some(seen.id.clone()),
                error: EngineError::Died { machine: seen.id, exit, tail },
            });
        }
    }
}

impl Executor {
    /// Whether every machine's process 1 is seen on this host; `false` where that cannot be told.
    async fn all_have_processes(
        &self,
        cx: &Context,
        workspace: &rig_model::Name,
        machines: &BTreeSet<&MachineId>,
    ) -> bool {
        stream::iter(machines)
            .map(|id| async move {
                let machine = MachineRef { workspace: workspace.clone(), id: (*id).clone() };
                let Ok(provider) = self.providers.of(id) else { return false };
                matches!(provider.inspect(cx, &machine).await, Ok(Some(seen)) if seen.process == Some(true))
            })
            .buffer_unordered(self.jobs.max(1))
            .all(std::future::ready)
            .await
    }
}

/// How much each phase has of the way that took longest. What an operation waited for a free place counts as its own.
fn critical(plan: &Plan, begun: Instant, spans: &BTreeMap<OpId, (Instant, Instant)>) -> BTreeMap<Phase, Duration> {
    let operations: BTreeMap<OpId, &Operation> =
        plan.operations.iter().map(|operation| (operation.id, operation)).collect();
    let last = |ops: &mut dyn Iterator<Item = OpId>| ops.filter_map(|op| Some((spans.get(&op)?.1, op))).max();
    let mut phases: BTreeMap<Phase, Duration> = BTreeMap::new();
    let mut next = last(&mut spans.keys().copied());
    while let Some((ended, op)) = next {
        let Some(operation) = operations.get(&op) else { break };
        let before = last(&mut operation.after.iter().copied());
        let since = before.map_or(begun, |(ended, _)| ended);
        *phases.entry(operation.action.phase()).or_default() += ended.saturating_duration_since(since);
        next = before;
    }
    phases
}

/// Which operations are done, under way and possible.
struct Walk<'a> {
    operations: BTreeMap<OpId, &'a Operation>,
    waiting: BTreeSet<OpId>,
    running: BTreeSet<OpId>,
    done: BTreeSet<OpId>,
    restarts: BTreeMap<&'a MachineId, RestartPolicy>,
}

impl<'a> Walk<'a> {
    fn new(plan: &'a Plan) -> Self {
        let restarts = plan.operations.iter().filter_map(|operation| match &operation.action {
            Action::StartMachine { machine, restart } => Some((machine, *restart)),
            _ => None,
        });
        Self {
            operations: plan.operations.iter().map(|operation| (operation.id, operation)).collect(),
            waiting: plan.operations.iter().map(|operation| operation.id).collect(),
            running: BTreeSet::new(),
            done: BTreeSet::new(),
            restarts: restarts.collect(),
        }
    }

    /// The next operation that can begin, taken out of those that wait.
    fn next(&mut self, jobs: usize) -> Option<&'a Operation> {
        let works =
            |op: &OpId| jobs == 1 || !self.operations.get(op).is_some_and(|operation| only_waits(&operation.action));
        let room = self.running.iter().filter(|op| works(op)).count() < jobs;
        let op = *self.waiting.iter().find(|op| {
            let ready = self
                .operations
                .get(op)
                .is_some_and(|operation| operation.after.iter().all(|before| self.done.contains(before)));
            ready && (room || !works(op))
        })?;
        self.waiting.remove(&op);
        self.running.insert(op);
        self.operations.get(&op).copied()
    }

    fn restart(&self, operation: &Operation) -> RestartPolicy {
        operation.action.machine().and_then(|machine| self.restarts.get(machine)).copied().unwrap_or_default()
    }

    fn finished(&mut self, op: OpId, success: bool) -> &'a Operation {
        self.running.remove(&op);
        if success {
            self.done.insert(op);
        }
        self.operations[&op]
    }

    /// What was never begun.
    fn skipped(&self) -> impl Iterator<Item = &'a Operation> + '_ {
        self.waiting.iter().filter_map(|op| self.operations.get(op).copied())
    }
}
