//! News of machines that ended, kept for those who wait for them.

use futures_util::StreamExt;
use rig_model::{Exit, MachineId, Name};
use rig_provider_api::{Context, MachineEventKind, Provider};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{sync::Notify, task::JoinHandle};

/// The last end of each machine since the watch began.
#[derive(Default)]
pub(super) struct Deaths {
    ends: Mutex<HashMap<MachineId, End>>,
    news: Notify,
}

/// How a machine ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// Its process 1 ended.
    Exit(Exit),
    /// It was removed.
    Removed,
}

impl Deaths {
    /// Takes a machine's end away, if it has ended since the last call.
    pub(super) fn take(&self, machine: &MachineId) -> Option<End> {
        self.ends.lock().unwrap_or_else(PoisonError::into_inner).remove(machine)
    }

    /// Waits for news of any machine, at most this long.
    pub(super) async fn news(&self, limit: Duration) {
        // Both ends are reasons to look again.
        let _ = tokio::time::timeout(limit, self.news.notified()).await;
    }

    fn put(&self, machine: MachineId, end: Option<End>) {
        let mut ends = self.ends.lock().unwrap_or_else(PoisonError::into_inner);
        match end {
            Some(end) => ends.insert(machine, end),
            None => ends.remove(&machine),
        };
        drop(ends);
        self.news.notify_waiters();
    }
}

/// A task that listens to the engine; it ends with this value.
pub(super) struct Watcher(JoinHandle<()>);

impl Watcher {
    /// Listens, if the provider can tell. Without news, waits look for themselves every second.
    pub(super) fn start(provider: Arc<dyn Provider>, workspace: Name, deaths: Arc<Deaths>, cx: Context) -> Self {
        Self(tokio::spawn(async move {
            let Some(watch) = provider.watch() else { return };
            let Ok(mut events) = watch.watch(&cx, &workspace).await else { return };
            // An error means that the engine went away; those who wait see that by themselves.
            while let Some(Ok(event)) = events.next().await {
                let end = match event.kind {
                    MachineEventKind::Started => None,
                    MachineEventKind::Died(exit) => Some(End::Exit(exit)),
                    MachineEventKind::Destroyed => Some(End::Removed),
                };
                deaths.put(event.id, end);
            }
        }))
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.0.abort();
    }
}
