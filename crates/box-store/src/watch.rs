//! Long work on a thread of its own: how far it is, and whether it should go on.

use crate::{Result, StoreError};
use rig_boxes::BoxError;
use rig_model::Progress;
use rig_provider_api::Context;
use std::time::{Duration, Instant};

/// How often progress is told.
const TELL_EVERY: Duration = Duration::from_millis(100);

/// Tells progress in bytes and notices the caller's wish to stop.
pub(crate) struct Watch<'a> {
    cx: &'a Context,
    /// What is being done, as an error says it.
    doing: String,
    done: u64,
    total: Option<u64>,
    told: Instant,
}

impl<'a> Watch<'a> {
    /// Begins some work of so many bytes, where that is known.
    pub(crate) fn new(cx: &'a Context, doing: impl Into<String>, total: Option<u64>) -> Self {
        let doing = doing.into();
        cx.progress(Progress::bytes(doing.clone(), 0, total));
        Self { cx, doing, done: 0, total, told: Instant::now() }
    }

    /// Counts bytes.
    ///
    /// # Errors
    /// When the caller wants to stop, or the deadline has passed.
    pub(crate) fn advance(&mut self, bytes: u64) -> Result<()> {
        self.done += bytes;
        if self.cx.cancel().is_cancelled() {
            return Err(StoreError::Cancelled { doing: self.doing.clone() });
        }
        if self.told.elapsed() >= TELL_EVERY {
            self.told = Instant::now();
            if self.cx.deadline() < tokio::time::Instant::now() {
                return Err(BoxError::TimedOut { doing: self.doing.clone() }.into());
            }
            self.cx.progress(Progress::bytes(self.doing.clone(), self.done, self.total));
        }
        Ok(())
    }
}
