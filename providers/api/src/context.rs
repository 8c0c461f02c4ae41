//! What every call carries: the way to stop it, its deadline, and where its progress goes.

use crate::{ProviderError, Result};
use rig_model::Progress;
use std::{future::Future, sync::Arc, time::Duration};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Takes a call's progress. Implementations must not block.
pub trait ProgressSink: Send + Sync {
    /// The call has come this far.
    fn progress(&self, progress: Progress);
}

/// A sink for calls whose progress nobody wants.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoProgress;

impl ProgressSink for NoProgress {
    fn progress(&self, _: Progress) {}
}

/// Cancellation, deadline and progress of one call.
#[derive(Clone)]
pub struct Context {
    cancel: CancellationToken,
    deadline: Instant,
    limit: Duration,
    progress: Arc<dyn ProgressSink>,
}

impl Context {
    /// A context that ends after `limit`.
    #[must_use]
    pub fn new(cancel: CancellationToken, limit: Duration, progress: Arc<dyn ProgressSink>) -> Self {
        Self { cancel, deadline: Instant::now() + limit, limit, progress }
    }

    /// A context of its own for calls that stand alone, with a deadline and without progress.
    #[must_use]
    pub fn alone(limit: Duration) -> Self {
        Self::new(CancellationToken::new(), limit, Arc::new(NoProgress))
    }

    /// The same cancellation and progress with another deadline, which never lies behind this one's.
    #[must_use]
    pub fn within(&self, limit: Duration) -> Self {
        let deadline = self.deadline.min(Instant::now() + limit);
        Self { deadline, limit: limit.min(self.limit), ..self.clone() }
    }

    /// Reports progress.
    pub fn progress(&self, progress: Progress) {
        self.progress.progress(progress);
    }

    /// The token that ends the call early.
    #[must_use]
    pub fn cancel(&self) -> &CancellationToken {
        &self.cancel
    }

    /// When the call must have ended.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Runs a future until it ends, the deadline passes or the token is cancelled. `doing` says what is waited for.
    ///
    /// # Errors
    /// The future's own, [`ProviderError::TimedOut`] or [`ProviderError::Cancelled`].
    pub async fn run<T>(&self, doing: &str, future: impl Future<Output = Result<T>>) -> Result<T> {
        tokio::select! {
            biased;
            () = self.cancel.cancelled() => Err(ProviderError::Cancelled { doing: doing.to_owned() }),
            result = future => result,
            () = tokio::time::sleep_until(self.deadline) => {
                Err(ProviderError::TimedOut { doing: doing.to_owned(), seconds: self.limit.as_secs_f64() })
            }
        }
    }
}

impl std::fmt::Debug for Context {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context")
            .field("limit", &self.limit)
            .field("cancelled", &self.cancel.is_cancelled())
            .finish_non_exhaustive()
    }
}
