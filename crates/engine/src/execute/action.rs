//! One operation: one call to a provider, or one wait.

use super::{await_machine::Waiting, deaths::Deaths};
use crate::{
    Access, EngineError, EventSink, Makes, Providers,
    command::run_command,
    probe::{self, Prober},
    provision::brings_folders,
    snapshot,
};
use futures_util::StreamExt;
use rig_model::{Action, Name, Operation, Progress, RestartPolicy};
use rig_provider_api::{Context, ExecRequest, LogRequest, MachineRef, Provider, ProviderError, StopMode};
use std::{sync::Arc, time::Duration};

/// How many of a machine's last lines are shown with its failure.
const TAIL: u32 = 20;

/// How often an operation is begun anew whose connection to the engine was lost.
const AGAIN: u32 = 2;

/// How long an engine has to show that it is still there.
const BACK: Duration = Duration::from_secs(10);

/// How much of what a leaving machine says is kept, in bytes.
const LEAVE_KEPT: usize = 8 << 10;

/// Everything that operations share.
pub(super) struct Shared {
    pub(super) providers: Providers,
    pub(super) prober: Prober,
    pub(super) workspace: Name,
    pub(super) makes: Arc<dyn Makes>,
    pub(super) access: Arc<Access>,
    pub(super) deaths: Arc<Deaths>,
    pub(super) sink: Arc<dyn EventSink>,
}

/// How long an operation may take. Engines under load need long; none of these is ever reached by one that works.
pub(super) fn limit(action: &Action) -> Duration {
    let minutes = |minutes: u64| Duration::from_secs(minutes * 60);
    match action {
        Action::FetchArtifact { .. } => minutes(120),
        Action::BuildBox { .. } | Action::SaveSnapshot { .. } | Action::RestoreSnapshot { .. } => minutes(60),
        Action::StopMachine { grace, .. } => *grace + minutes(1),
        // The wait itself ends at its own time-out with more to say.
        Action::AwaitReady { ready, .. } => ready.timeout + minutes(1),
        Action::AwaitDone { timeout, .. } | Action::Leave { timeout, .. } => *timeout + minutes(1),
        // The step's own time-out says more; what comes before and after it is a connection and an upload.
        Action::Provision { step, .. } => step.timeout + minutes(5),
        // Folders of the host may have to be copied first.
        Action::CreateMachine { .. } | Action::StartMachine { .. } | Action::Connect { .. } => minutes(60),
        Action::CreateNetwork { .. }
        | Action::RemoveNetwork { .. }
        | Action::RemoveVolume { .. }
        | Action::SuspendMachine { .. }
        | Action::ResumeMachine { .. }
        | Action::DeleteSnapshot { .. }
        | Action::DestroyMachine { .. } => minutes(5),
    }
}

/// Whether an interruption ends the operation at once: waits, and what goes on next time where it stopped.
pub(super) fn ends_at_interrupt(action: &Action) -> bool {
    matches!(
        action,
        Action::FetchArtifact { .. }
            | Action::BuildBox { .. }
            | Action::SaveSnapshot { .. }
            | Action::Connect { .. }
            | Action::Provision { .. }
            | Action::AwaitReady { .. }
            | Action::AwaitDone { .. }
    )
}

/// Whether the operation is the same when it is done twice. Most calls to providers are; what is run in machines may not be, and a
/// snapshot whose name is taken is refused.
fn may_be_repeated(action: &Action) -> bool {
    !matches!(action, Action::Provision { .. } | Action::Leave { .. } | Action::SaveSnapshot { .. })
}

/// Whether the operation only waits and so takes no place among those that work.
pub(super) fn only_waits(action: &Action) -> bool {
    matches!(action, Action::AwaitReady { .. } | Action::AwaitDone { .. })
}

impl Shared {
    /// Carries one operation out. `restart` is the policy of the machine it is about, where it was started by this plan.
    pub(super) async fn perform(
        &self,
        cx: &Context,
        operation: &Operation,
        restart: RestartPolicy,
    ) -> Result<(), EngineError> {
        let Some(provider) = &operation.provider else { return self.do_for_all(cx, &operation.action).await };
        let provider = self.providers.get(provider)?.as_ref();
        let mut tries = 0;
        loop {
            match self.ask(cx, provider, &operation.action, restart).await {
                // The connection to the engine was lost, not the engine.
                Err(EngineError::Provider(ProviderError::Unreachable { why, .. }))
                    if tries < AGAIN
                        && may_be_repeated(&operation.action)
                        && provider.probe(&cx.within(BACK)).await.is_ok() =>
                {
                    tries += 1;
                    cx.progress(Progress::step(format!("once more: {why}")));
                }
                result => return result,
            }
        }
    }

    /// What is done on this host, whoever needs it.
    async fn do_for_all(&self, cx: &Context, action: &Action) -> Result<(), EngineError> {
        match action {
            Action::FetchArtifact { artifact } => self.makes.fetch(cx, artifact).await.map(drop),
            _ => Err(EngineError::Host { doing: action.to_string(), why: "no provider was named".to_owned() }),
        }
    }

    /// What is asked of a provider.
    async fn ask(
        &self,
        cx: &Context,
        provider: &dyn Provider,
        action: &Action,
        restart: RestartPolicy,
    ) -> Result<(), EngineError> {
        let lacks = |capability| lacks(provider, capability, action);
        let machine = |id: &rig_model::MachineId| MachineRef { workspace: self.workspace.clone(), id: id.clone() };
        match action {
            Action::FetchArtifact { .. } => self.do_for_all(cx, action).await?,
            Action::BuildBox { name, digest, no_cache, .. } => {
                self.makes.make_box(cx, provider, name, digest, *no_cache).await?;
            }
            Action::CreateNetwork { network } => {
                let networks = provider.networks().ok_or_else(|| lacks("networks"))?;
                networks.create_network(cx, &self.workspace, network).await?;
            }
            Action::RemoveNetwork { native, .. } => {
                let networks = provider.networks().ok_or_else(|| lacks("networks"))?;
                networks.remove_network(cx, native).await?;
            }
            Action::RemoveVolume { native, .. } => {
                let volumes = provider.volumes().ok_or_else(|| lacks("volumes"))?;
                volumes.remove_volume(cx, native).await?;
            }
            Action::CreateMachine { machine } => provider.create(cx, machine).await?,
            Action::StartMachine { machine: id, .. } => provider.start(cx, &machine(id)).await?,
            Action::StopMachine { machine: id, grace } => {
                provider.stop(cx, &machine(id), StopMode::Graceful(*grace)).await?;
            }
            Action::SuspendMachine { machine: id } => {
                let suspension = provider.suspension().ok_or_else(|| lacks("suspension"))?;
                self.access.forget(id).await;
                suspension.suspend(cx, &machine(id)).await?;
            }
            Action::ResumeMachine { machine: id } => {
                let suspension = provider.suspension().ok_or_else(|| lacks("suspension"))?;
                self.access.forget(id).await;
                suspension.resume(cx, &machine(id)).await?;
            }
            Action::DestroyMachine { machine: id } => {
                provider.destroy(cx, &machine(id)).await?;
                self.access.destroyed(id).await?;
            }
            Action::SaveSnapshot { machine: id, name, spec } => {
                let capability = provider.snapshots().ok_or_else(|| lacks("snapshots"))?;
                let known = (id, spec.as_deref());
                snapshot::save(cx, (provider, capability), &self.access, self.sink.as_ref(), known, name).await?;
            }
            Action::RestoreSnapshot { machine: id, name, taken } => {
                let capability = provider.snapshots().ok_or_else(|| lacks("snapshots"))?;
                let what = (name, *taken);
                snapshot::restore(cx, (provider, capability), &self.access, self.sink.as_ref(), id, what).await?;
            }
            Action::DeleteSnapshot { machine: id, name } => {
                let capability = provider.snapshots().ok_or_else(|| lacks("snapshots"))?;
                snapshot::delete(cx, capability, &self.access, id, name).await?;
            }
            Action::Connect { machine: id } => {
                self.access.first_session(cx, id).await?;
                if let Some(folders) = provider.folders().filter(|_| brings_folders(provider)) {
                    folders.bring(cx, &machine(id)).await?;
                }
            }
            Action::Provision { machine: id, step, stale } => {
                self.access.run_step(cx, self.sink.as_ref(), self.makes.as_ref(), id, (step, stale)).await?;
            }
            Action::Leave { machine: id, command, timeout } => {
                leave(&cx.within(*timeout), provider, &machine(id), command).await?;
            }
            Action::AwaitReady { machine: id, ready } => {
                self.waiting(provider, machine(id), restart).ready(cx, ready).await?;
            }
            Action::AwaitDone { machine: id, timeout } => {
                self.waiting(provider, machine(id), restart).done(cx, *timeout).await?;
            }
        }
        Ok(())
    }

    fn waiting<'a>(&'a self, provider: &'a dyn Provider, machine: MachineRef, restart: RestartPolicy) -> Waiting<'a> {
        Waiting {
            provider,
            providers: &self.providers,
            prober: &self.prober,
            machine,
            deaths: &self.deaths,
            sink: self.sink.as_ref(),
            restart,
        }
    }
}

/// The last lines of a machine's log; empty when there is none to be had.
pub(crate) async fn log_tail(provider: &dyn Provider, machine: &MachineRef) -> Vec<String> {
    let Some(logs) = provider.logs() else { return Vec::new() };
    let cx = Context::alone(Duration::from_secs(3));
    let request = LogRequest { tail: Some(TAIL), ..LogRequest::default() };
    let read = async {
        let mut text = Vec::new();
        let mut stream = logs.logs(&cx, machine, &request).await?;
        while let Some(Ok(piece)) = stream.next().await {
            text.extend_from_slice(&piece.bytes);
        }
        Ok(text)
    };
    let text = cx.run("reading the log", read).await.unwrap_or_default();
    String::from_utf8_lossy(&text).lines().map(str::to_owned).collect()
}

/// Lets a machine hand over what it has.
async fn leave(
    cx: &Context,
    provider: &dyn Provider,
    machine: &MachineRef,
    command: &[String],
) -> Result<(), EngineError> {
    let words: Vec<rig_model::Text> = command.iter().map(rig_model::Text::literal).collect();
    let request = ExecRequest { command: probe::shell_or_words(&words), ..ExecRequest::default() };
    let output = run_command(provider, cx, machine, &request, LEAVE_KEPT).await?;
    if output.code == 0 {
        return Ok(());
    }
    let text = [output.stdout, output.stderr].concat();
    let lines: Vec<String> = String::from_utf8_lossy(&text).lines().map(str::to_owned).collect();
    Err(EngineError::Leave {
        machine: machine.id.clone(),
        command: command.join(" "),
        ending: format!("ended with exit code {}", output.code),
        tail: lines[lines.len().saturating_sub(TAIL as usize)..].to_vec(),
    })
}

fn lacks(provider: &dyn Provider, capability: &'static str, action: &Action) -> EngineError {
    EngineError::Capability { provider: provider.id().to_string(), capability, wanted_for: action.to_string() }
}
