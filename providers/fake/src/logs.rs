//! The output of process 1.

use crate::{
    FakeProvider, Verb,
    engine::Engine,
    state::{Key, LogEntry, key},
};
use async_trait::async_trait;
use futures_util::{
    StreamExt,
    stream::{self, BoxStream},
};
use rig_model::MachineState;
use rig_provider_api::{Context, LogEvent, LogRequest, Logs, MachineRef, ProviderError, Result};
use std::sync::Arc;
use tokio::sync::watch;

#[async_trait]
impl Logs for FakeProvider {
    async fn logs(
        &self,
        cx: &Context,
        machine: &MachineRef,
        request: &LogRequest,
    ) -> Result<BoxStream<'static, Result<LogEvent>>> {
        let work = async {
            let doing = format!("reading the log of machine {machine}");
            let key = key(machine);
            let (entries, changed) = {
                let inside = self.engine.lock();
                let there = inside
                    .world
                    .machines
                    .get(&key)
                    .ok_or_else(|| ProviderError::Absent { doing, what: format!("machine {machine}") })?;
                (there.log.clone(), there.changed.subscribe())
            };
            let next = entries.len();
            let since = |entry: &LogEntry| request.since.is_none_or(|since| entry.at >= since);
            let skipped =
                request.tail.map_or(0, |tail| next.saturating_sub(usize::try_from(tail).unwrap_or(usize::MAX)));
            let timestamps = request.timestamps;
            let past: Vec<_> =
                entries.into_iter().skip(skipped).filter(since).map(|entry| Ok(event(entry, timestamps))).collect();
            let past = stream::iter(past);
            if !request.follow {
                return Ok(past.boxed());
            }
            let follower = Follower { engine: Arc::clone(&self.engine), key, next, changed };
            let future = stream::unfold(follower, async |mut follower| {
                let entries = follower.more().await?;
                Some((stream::iter(entries), follower))
            });
            Ok(past.chain(future.flatten().map(move |entry| Ok(event(entry, timestamps)))).boxed())
        };
        self.engine.call(cx, Verb::Logs, &machine.to_string(), work).await
    }
}

fn event(entry: LogEntry, timestamps: bool) -> LogEvent {
    let bytes = if timestamps {
        let mut line = format!("{} ", entry.at).into_bytes();
        line.extend_from_slice(&entry.bytes);
        line.into()
    } else {
        entry.bytes
    };
    LogEvent { stream: entry.stream, bytes }
}

/// Reads on in a log that is still written.
struct Follower {
    engine: Arc<Engine>,
    key: Key,
    next: usize,
    changed: watch::Receiver<()>,
}

impl Follower {
    /// What was written since the last time; `None` once the machine has ended and everything was read.
    async fn more(&mut self) -> Option<Vec<LogEntry>> {
        loop {
            // Marked as seen before it is looked at, so that no change falls between the look and the wait.
            self.changed.borrow_and_update();
            {
                let inside = self.engine.lock();
                let there = inside.world.machines.get(&self.key)?;
                let new = there.log.get(self.next..).unwrap_or_default();
                if !new.is_empty() {
                    self.next += new.len();
                    return Some(new.to_vec());
                }
                if !matches!(there.state, MachineState::Running | MachineState::Restarting | MachineState::Paused) {
                    return None;
                }
            }
            self.changed.changed().await.ok()?;
        }
    }
}
