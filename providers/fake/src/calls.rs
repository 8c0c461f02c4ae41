//! The record of what was called.

use std::fmt;

/// A call of the seam.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "each is named after the method of the seam")]
pub enum Verb {
    Probe,
    Observe,
    Inspect,
    Create,
    Start,
    Stop,
    Destroy,
    Endpoint,
    ListBoxes,
    Import,
    Build,
    Pull,
    RemoveBox,
    Exec,
    Logs,
    CreateNetwork,
    RemoveNetwork,
    RemoveVolume,
    Dial,
    Changes,
    Used,
    Disk,
    SaveSnapshot,
    RestoreSnapshot,
    ListSnapshots,
    DeleteSnapshot,
    Suspend,
    Resume,
    Watch,
}

impl Verb {
    /// Whether the call changes machines, networks, volumes, boxes or snapshots.
    #[must_use]
    pub fn changes(self) -> bool {
        match self {
            Self::Create
            | Self::Start
            | Self::Stop
            | Self::Destroy
            | Self::Import
            | Self::Build
            | Self::Pull
            | Self::RemoveBox
            | Self::CreateNetwork
            | Self::RemoveNetwork
            | Self::RemoveVolume
            | Self::SaveSnapshot
            | Self::RestoreSnapshot
            | Self::DeleteSnapshot
            | Self::Suspend
            | Self::Resume => true,
            Self::Probe
            | Self::Observe
            | Self::Inspect
            | Self::Endpoint
            | Self::ListBoxes
            | Self::ListSnapshots
            | Self::Changes
            | Self::Used
            | Self::Disk
            | Self::Exec
            | Self::Logs
            | Self::Dial
            | Self::Watch => false,
        }
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Probe => "probe",
            Self::Observe => "observe",
            Self::Inspect => "inspect",
            Self::Create => "create",
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Destroy => "destroy",
            Self::Endpoint => "endpoint",
            Self::ListBoxes => "list-boxes",
            Self::Import => "import",
            Self::Build => "build",
            Self::Pull => "pull",
            Self::RemoveBox => "remove-box",
            Self::Exec => "exec",
            Self::Logs => "logs",
            Self::CreateNetwork => "create-network",
            Self::RemoveNetwork => "remove-network",
            Self::RemoveVolume => "remove-volume",
            Self::Dial => "dial",
            Self::Changes => "changes",
            Self::Used => "used",
            Self::Disk => "disk",
            Self::SaveSnapshot => "save-snapshot",
            Self::RestoreSnapshot => "restore-snapshot",
            Self::ListSnapshots => "list-snapshots",
            Self::DeleteSnapshot => "delete-snapshot",
            Self::Suspend => "suspend",
            Self::Resume => "resume",
            Self::Watch => "watch",
        })
    }
}

/// One recorded call. Shown as `create naughty/scale1`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// What was called.
    pub verb: Verb,
    /// What it was about: a machine, `topology/network`, an image reference, a workspace, a native identifier.
    pub subject: String,
    /// Its place among all beginnings and ends of calls, from 1.
    pub began: u64,
    /// The place of its end; absent while it goes on, and for a call that was dropped.
    pub ended: Option<u64>,
    /// Whether it succeeded, once it has ended.
    pub succeeded: Option<bool>,
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.subject.is_empty() { self.verb.fmt(f) } else { write!(f, "{} {}", self.verb, self.subject) }
    }
}

/// All calls so far.
#[derive(Default)]
pub(crate) struct Record {
    calls: Vec<Call>,
    clock: u64,
    changing: usize,
    most_changing: usize,
}

impl Record {
    /// Writes the beginning of a call down and gives it a number.
    pub(crate) fn begin(&mut self, verb: Verb, subject: &str) -> usize {
        self.clock += 1;
        if verb.changes() {
            self.changing += 1;
            self.most_changing = self.most_changing.max(self.changing);
        }
        self.calls.push(Call { verb, subject: subject.to_owned(), began: self.clock, ended: None, succeeded: None });
        self.calls.len() - 1
    }

    /// Writes the end of a call down.
    pub(crate) fn end(&mut self, number: usize, succeeded: bool) {
        self.clock += 1;
        if let Some(call) = self.calls.get_mut(number) {
            call.ended = Some(self.clock);
            call.succeeded = Some(succeeded);
        }
    }

    /// A call that changes something is over, by its end or because its future was dropped.
    pub(crate) fn leave(&mut self, verb: Verb) {
        if verb.changes() {
            // Saturating: the record may have been begun anew meanwhile.
            self.changing = self.changing.saturating_sub(1);
        }
    }

    pub(crate) fn calls(&self) -> &[Call] {
        &self.calls
    }

    pub(crate) fn most_changing(&self) -> usize {
        self.most_changing
    }
}
