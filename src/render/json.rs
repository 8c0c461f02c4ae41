//! Events as JSON lines on standard output.

use super::ui::out;
use rig_engine::EventSink;
use rig_model::{Event, TimedEvent, seconds};
use std::time::Instant;

/// Writes every event.
pub(super) struct JsonLines {
    began: Instant,
}

impl JsonLines {
    pub(super) fn new() -> Self {
        Self { began: Instant::now() }
    }
}

impl EventSink for JsonLines {
    fn emit(&self, event: Event) {
        let event = TimedEvent { at: seconds(self.began.elapsed()), event };
        // Events are plain data: writing them cannot fail.
        out(&serde_json::to_string(&event).unwrap_or_default());
    }
}
