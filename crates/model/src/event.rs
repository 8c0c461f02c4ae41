//! What happens while a plan runs. Libraries emit these; the binary turns them into bars, lines or JSON.

use crate::{MachineId, OpId, Phase};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// An event and when it happened, as it is written in JSON lines.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TimedEvent {
    /// Seconds since the command began.
    pub at: f64,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "event")]
pub enum Event {
    /// A plan begins.
    Started {
        /// How many operations it has.
        operations: usize,
    },
    /// An operation begins.
    OperationStarted {
        /// Its number.
        op: OpId,
        /// What it does, in words.
        title: String,
        /// The part of the way it belongs to.
        phase: Phase,
        /// The machine it is about.
        machine: Option<MachineId>,
    },
    /// An operation has come further.
    OperationProgress {
        /// Its number.
        op: OpId,
        /// How far.
        progress: Progress,
    },
    /// An operation ended.
    OperationFinished {
        /// Its number.
        op: OpId,
        /// What it did, in words.
        title: String,
        /// The part of the way it belongs to.
        phase: Phase,
        /// The machine it was about.
        machine: Option<MachineId>,
        /// How long it took, in seconds.
        seconds: f64,
        /// How it ended.
        outcome: Outcome,
    },
    /// A machine's service was started again by its restart policy.
    Restarted {
        /// The machine.
        machine: MachineId,
        /// Why, in words.
        why: String,
    },
    /// A line of a machine's output.
    Log(LogLine),
    /// A remark that needs no action.
    Note {
        /// The remark.
        text: String,
    },
    /// A remark that may need action.
    Warning {
        /// The remark.
        text: String,
    },
    /// The user asked to stop.
    Interrupted,
    /// The plan ended.
    Finished {
        /// Operations that succeeded.
        done: usize,
        /// Operations that failed.
        failed: usize,
        /// Operations that were never started.
        skipped: usize,
        /// How long everything took, in seconds.
        seconds: f64,
    },
}

/// How far an operation is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// What it is at, in words.
    pub step: String,
    /// How much is done.
    pub done: Option<u64>,
    /// How much there is to do.
    pub total: Option<u64>,
    /// What is counted.
    pub unit: Unit,
}

impl Progress {
    /// A step without numbers.
    #[must_use]
    pub fn step(step: impl Into<String>) -> Self {
        Self { step: step.into(), done: None, total: None, unit: Unit::Steps }
    }

    /// A transfer.
    #[must_use]
    pub fn bytes(step: impl Into<String>, done: u64, total: Option<u64>) -> Self {
        Self { step: step.into(), done: Some(done), total, unit: Unit::Bytes }
    }
}

/// What a [`Progress`] counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unit {
    /// Bytes.
    Bytes,
    /// Steps.
    Steps,
}

/// How an operation ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "result")]
pub enum Outcome {
    /// As it should.
    Done,
    /// It failed.
    Failed {
        /// Why, with causes.
        error: String,
    },
    /// It was not begun, because something before it failed or the user interrupted.
    Skipped {
        /// Why.
        why: String,
    },
    /// The user interrupted it.
    Cancelled,
}

/// Which stream a line came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// A line of a machine's output, without its line end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    /// The machine.
    pub machine: MachineId,
    /// The stream.
    pub stream: Stream,
    /// The line; bytes that are no UTF-8 are replaced.
    pub line: String,
}

/// Seconds with millisecond precision, as events carry them.
#[must_use]
pub fn seconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1000.0).round() / 1000.0
}
