//! Waiting for a machine: until it is ready, until it is done, or until it is clear that it never will be.

use super::{
    action::log_tail,
    deaths::{Deaths, End},
};
use crate::{EngineError, EventSink, Providers, probe::Prober};
use rig_model::{Event, Exit, MachineId, MachineState, Progress, ReadySpec, RestartPolicy};
use rig_provider_api::{Context, MachineRef, Provider};
use std::time::Duration;
use tokio::time::Instant;

/// How often a wait looks at the machine itself, beside listening to the engine's news.
const LOOK: Duration = Duration::from_secs(1);
/// How long an engine may take to carry a restart policy out before rig does it.
const RESTART_GRACE: Duration = Duration::from_secs(2);
/// A machine that ended this often while it was waited for does not come up.
const MOST_RESTARTS: u32 = 5;

/// One wait.
pub(super) struct Waiting<'a> {
    /// Who has the machine.
    pub(super) provider: &'a dyn Provider,
    /// Who has the others.
    pub(super) providers: &'a Providers,
    pub(super) prober: &'a Prober,
    pub(super) machine: MachineRef,
    pub(super) deaths: &'a Deaths,
    pub(super) sink: &'a dyn EventSink,
    /// What happens when the machine ends.
    pub(super) restart: RestartPolicy,
}

impl Waiting<'_> {
    /// Waits until all probes pass.
    pub(super) async fn ready(&self, cx: &Context, ready: &ReadySpec) -> Result<(), EngineError> {
        let deadline = Instant::now() + ready.timeout;
        let mut open = ready.probes.as_slice();
        let mut last;
        let mut ends = 0;
        let mut looked: Option<Instant> = None;
        while let Some((probe, rest)) = open.split_first() {
            if cx.cancel().is_cancelled() {
                return Err(EngineError::Interrupted(format!("waiting for machine {}", self.machine)));
            }
            self.survive(cx, &mut ends, &mut looked).await?;
            match self.prober.ask(cx, &self.machine.workspace, probe).await {
                Ok(()) => {
                    open = rest;
                    continue;
                }
                Err(why) => {
                    last = why;
                    cx.progress(Progress::step(last.clone()));
                    self.other_lives(cx, &probe.on).await?;
                }
            }
            if Instant::now() >= deadline {
                return Err(EngineError::NotReady {
                    machine: self.id().clone(),
                    seconds: ready.timeout.as_secs_f64(),
                    last,
                    tail: self.tail().await,
                });
            }
            tokio::select! {
                () = self.deaths.news(probe.every) => {}
                () = cx.cancel().cancelled() => {}
            }
        }
        Ok(())
    }

    /// Waits until a one-shot has ended with 0.
    pub(super) async fn done(&self, cx: &Context, timeout: Duration) -> Result<(), EngineError> {
        let deadline = Instant::now() + timeout;
        loop {
            // What was heard is only a reason to look: it may be of the machine that this one replaced.
            let _ = self.deaths.take(self.id());
            match self.ended(cx).await? {
                Some(Exit { code: 0, .. }) => return Ok(()),
                Some(exit) => {
                    let tail = self.tail().await;
                    return Err(EngineError::NotDone { machine: self.id().clone(), exit: exit.to_string(), tail });
                }
                None => {}
            }
            if Instant::now() >= deadline {
                let last = "it still runs".to_owned();
                let tail = self.tail().await;
                return Err(EngineError::NotReady {
                    machine: self.id().clone(),
                    seconds: timeout.as_secs_f64(),
                    last,
                    tail,
                });
            }
            tokio::select! {
                () = self.deaths.news(LOOK) => {}
                () = cx.cancel().cancelled() => {
                    return Err(EngineError::Interrupted(format!("waiting for machine {}", self.machine)));
                }
            }
        }
    }

    /// Fails when the machine has ended for good; brings it back when its restart policy says so.
    async fn survive(&self, cx: &Context, ends: &mut u32, looked: &mut Option<Instant>) -> Result<(), EngineError> {
        // News may be of the machine that this one replaced: they are a reason to look, not a verdict. Only a machine
        // that its engine starts again at once may run by now although it ended.
        let exit = match self.deaths.take(self.id()) {
            Some(End::Exit(exit)) if self.restart != RestartPolicy::No => Some(exit),
            Some(End::Removed | End::Exit(_)) => self.ended(cx).await?,
            None if looked.is_none_or(|at| at.elapsed() >= LOOK) => {
                *looked = Some(Instant::now());
                self.ended(cx).await?
            }
            None => None,
        };
        let Some(exit) = exit else { return Ok(()) };
        *ends += 1;
        let again = match self.restart {
            RestartPolicy::No => false,
            RestartPolicy::OnFailure => exit.code != 0,
            RestartPolicy::Always => true,
        };
        if !again || *ends > MOST_RESTARTS {
            return Err(EngineError::Died {
                machine: self.id().clone(),
                exit: exit.to_string(),
                tail: self.tail().await,
            });
        }
        // Engines do not restart what a person killed through them; while rig waits, the file's word counts.
        tokio::time::sleep(RESTART_GRACE).await;
        if self.ended(cx).await?.is_some() {
            self.provider.start(cx, &self.machine).await?;
        }
        self.sink.emit(Event::Restarted { machine: self.id().clone(), why: exit.to_string() });
        Ok(())
    }

    /// Fails when another machine, which a probe asks, has ended for good: it will not answer any more.
    async fn other_lives(&self, cx: &Context, other: &MachineId) -> Result<(), EngineError> {
        if other == self.id() {
            return Ok(());
        }
        let machine = MachineRef { workspace: self.machine.workspace.clone(), id: other.clone() };
        let provider = self.providers.of(other)?.as_ref();
        let Some(seen) = provider.inspect(cx, &machine).await? else {
            return Err(EngineError::Gone { machine: other.clone() });
        };
        let comes_back = seen.fields.iter().any(|field| field.path == "restart");
        if seen.state != MachineState::Exited || comes_back {
            return Ok(());
        }
        let exit = seen.exit.map_or_else(|| "ended".to_owned(), |exit| exit.to_string());
        let tail = log_tail(provider, &machine).await;
        Err(EngineError::Died { machine: other.clone(), exit, tail })
    }

    /// How the machine ended, if it has.
    async fn ended(&self, cx: &Context) -> Result<Option<Exit>, EngineError> {
        match self.provider.inspect(cx, &self.machine).await? {
            None => Err(EngineError::Gone { machine: self.id().clone() }),
            Some(seen) => match seen.state {
                MachineState::Exited => Ok(Some(seen.exit.unwrap_or(Exit { code: -1, out_of_memory: false }))),
                MachineState::Dead => Ok(Some(Exit { code: -1, out_of_memory: false })),
                _ => Ok(None),
            },
        }
    }

    async fn tail(&self) -> Vec<String> {
        log_tail(self.provider, &self.machine).await
    }

    fn id(&self) -> &MachineId {
        &self.machine.id
    }
}
