//! Checks: what must hold of a running topology.

use crate::{MachineId, Name, Origin, Probe, Text};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A check of the file, on one topology.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckSpec {
    /// Its name, unique in a topology.
    pub name: Name,
    /// The topology it belongs to.
    pub topology: Name,
    /// What is done.
    pub target: CheckTarget,
    /// How long it may take.
    pub timeout: Duration,
    /// Where it was declared.
    pub origin: Origin,
}

/// What a check does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CheckTarget {
    /// Runs a command inside a machine.
    Run {
        /// The machine.
        on: MachineId,
        /// The command; a single word runs as a shell line.
        command: Vec<Text>,
        /// What must come of it.
        expect: Vec<Expectation>,
    },
    /// Asks a service.
    Probe(Probe),
    /// Stops and starts machines, waits until they are ready again, and runs other checks.
    Restart {
        /// The machines; never empty.
        machines: Vec<MachineId>,
        /// Checks of the same topology that must hold afterwards.
        then: Vec<Name>,
    },
}

/// What a command's result must be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Expectation {
    /// The exit code (0 when none is named).
    Exit(i64),
    /// Standard output contains this.
    Stdout(Text),
    /// Standard error contains this.
    Stderr(Text),
    /// Standard output matches this regular expression.
    Matches(String),
}
