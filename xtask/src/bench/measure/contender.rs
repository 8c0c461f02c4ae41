//! What every contender can do, and what all of them do it with.

use crate::cargo::Result;
use std::path::PathBuf;

/// Everything that is made for a measurement has a name that begins with this.
pub(super) const PREFIX: &str = "rigbench";

/// What process 1 of a trivial machine is: nothing, and gone at once when it is asked to stop.
pub(super) const COMMAND: [&str; 3] = ["sh", "-c", "trap 'exit 0' TERM; sleep 2147483647 & wait"];

/// One measured step of a machine's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Step {
    /// From nothing to running.
    Up,
    /// Again, with nothing to do.
    NoOp,
    /// A list of the machines.
    Status,
    /// Back to nothing.
    Destroy,
}

impl Step {
    /// In the order in which they are done.
    pub(super) const ALL: [Self; 4] = [Self::Up, Self::NoOp, Self::Status, Self::Destroy];

    /// As headings have it.
    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::NoOp => "up, nothing to do",
            Self::Status => "status",
            Self::Destroy => "destroy",
        }
    }
}

/// What contenders need to know.
#[derive(Clone, Debug)]
pub(super) struct Setting {
    /// The engine's socket.
    pub(super) socket: PathBuf,
    /// The image of trivial machines.
    pub(super) image: String,
    /// A folder for files; every contender makes its own in it.
    pub(super) folder: PathBuf,
}

impl Setting {
    /// The engine as programs want to have it named.
    pub(super) fn docker_host(&self) -> String {
        format!("unix://{}", self.socket.display())
    }
}

/// Something that brings machines up.
pub(super) trait Contender {
    /// As tables have it; also in the names of its containers: `rigbench-NAME…`.
    fn name(&self) -> &'static str;

    /// The version that is measured.
    fn version(&self) -> &str;

    /// Gets ready for a round with this many machines; not measured.
    ///
    /// # Errors
    /// When its files cannot be written.
    fn prepare(&mut self, count: usize) -> Result;

    /// Does one step; measured.
    ///
    /// # Errors
    /// When it fails.
    fn step(&mut self, step: Step) -> Result;
}
