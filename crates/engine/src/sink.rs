//! Where events go.

use rig_model::{Event, OpId, Progress};
use rig_provider_api::ProgressSink;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// Takes events. Implementations must not block.
pub trait EventSink: Send + Sync {
    /// Something happened.
    fn emit(&self, event: Event);
}

/// Turns an operation's progress into events.
pub(crate) struct OperationProgress {
    pub(crate) op: OpId,
    pub(crate) sink: Arc<dyn EventSink>,
}

impl ProgressSink for OperationProgress {
    fn progress(&self, progress: Progress) {
        self.sink.emit(Event::OperationProgress { op: self.op, progress });
    }
}

/// The user's wish to stop, in two steps.
#[derive(Clone, Debug, Default)]
pub struct Interrupt {
    /// Start nothing more, end waits and long transfers, let engine calls in flight end.
    pub stop: CancellationToken,
    /// Give up at once.
    pub abort: CancellationToken,
}
