//! Noticing that something in a folder of this host has changed.

use crate::EngineError;
use camino::Utf8PathBuf;
use notify_debouncer_full::{DebounceEventResult, new_debouncer, notify::RecursiveMode};
use std::time::Duration;
use tokio::sync::mpsc;

/// How long it has to be quiet before a change counts: editors write, rename and remove in one go.
const QUIET: Duration = Duration::from_millis(300);

/// Watches folders, with all that is in them. Something arrives for each time that something has changed; it ends with its receiver.
///
/// # Errors
/// When the host refuses: a folder that is not there, or more of them than it watches at once.
pub fn watch(folders: &[Utf8PathBuf]) -> Result<Watching, EngineError> {
    let refused = |doing: String, why: &dyn std::fmt::Display| EngineError::Host { doing, why: why.to_string() };
    // One that is waiting is enough: whoever takes it looks at everything.
    let (tell, changes) = mpsc::channel(1);
    let mut debouncer = new_debouncer(QUIET, None, move |news: DebounceEventResult| {
        // Errors count as changes: what was missed is found by looking. That somebody reads, as a copy does, is none.
        if news.map_or(true, |events| events.iter().any(|event| !event.kind.is_access())) {
            let _ = tell.try_send(());
        }
    })
    .map_err(|error| refused("watching folders".to_owned(), &error))?;
    for folder in folders {
        debouncer
            .watch(folder.as_std_path(), RecursiveMode::Recursive)
            .map_err(|error| refused(format!("watching {folder}"), &error))?;
    }
    Ok(Watching { changes, _debouncer: Box::new(debouncer) })
}

/// Folders that are watched, until this is dropped.
pub struct Watching {
    changes: mpsc::Receiver<()>,
    // Never read: dropping it ends the watch.
    _debouncer: Box<dyn std::any::Any + Send>,
}

impl Watching {
    /// Waits until something has changed.
    pub async fn changed(&mut self) {
        if self.changes.recv().await.is_none() {
            std::future::pending::<()>().await;
        }
    }
}
