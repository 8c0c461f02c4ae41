//! Building a plan: operations numbered in an order in which predecessors come first.

use rig_model::{Action, Cause, OpId, Operation, Plan, PlanNote, ProviderId, Workspace};

/// A plan in the making.
#[derive(Default)]
pub(crate) struct Graph {
    operations: Vec<Operation>,
    notes: Vec<PlanNote>,
}

impl Graph {
    /// Adds what is asked of a provider, behind the operations in `after`, and says its number.
    pub(crate) fn ask(
        &mut self,
        provider: &ProviderId,
        action: Action,
        cause: Cause,
        after: impl IntoIterator<Item = OpId>,
    ) -> OpId {
        self.add(Some(provider.clone()), action, cause, after)
    }

    /// Adds what is done for all providers, behind the operations in `after`, and says its number.
    pub(crate) fn for_all(&mut self, action: Action, cause: Cause, after: impl IntoIterator<Item = OpId>) -> OpId {
        self.add(None, action, cause, after)
    }

    fn add(
        &mut self,
        provider: Option<ProviderId>,
        action: Action,
        cause: Cause,
        after: impl IntoIterator<Item = OpId>,
    ) -> OpId {
        let id = OpId(u32::try_from(self.operations.len()).unwrap_or(u32::MAX) + 1);
        let mut after: Vec<OpId> = after.into_iter().collect();
        after.sort();
        after.dedup();
        self.operations.push(Operation { id, provider, action, cause, after });
        id
    }

    /// Adds a remark.
    pub(crate) fn note(&mut self, note: PlanNote) {
        self.notes.push(note);
    }

    /// The finished plan.
    pub(crate) fn finish(self, workspace: &Workspace) -> Plan {
        Plan { workspace: Some(workspace.name.clone()), operations: self.operations, notes: self.notes }
    }
}
