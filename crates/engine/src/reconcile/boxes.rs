//! Making boxes, with the parents and artifacts that they need, each once.

use super::Graph;
use crate::BoxTable;
use rig_model::{Action, BoxName, Cause, Name, OpId, Plan, ProviderId, Workspace};
use std::collections::BTreeMap;

/// The operations of a plan that make boxes and fetch artifacts.
pub(crate) struct BoxOps<'a> {
    workspace: &'a Workspace,
    table: &'a BoxTable,
    made: BTreeMap<(ProviderId, BoxName), OpId>,
    fetched: BTreeMap<Name, OpId>,
}

impl<'a> BoxOps<'a> {
    pub(crate) fn new(workspace: &'a Workspace, table: &'a BoxTable) -> Self {
        Self { workspace, table, made: BTreeMap::new(), fetched: BTreeMap::new() }
    }

    /// The operation that makes a box of a provider; nothing when it is there. Of two causes the first counts.
    pub(crate) fn make(
        &mut self,
        graph: &mut Graph,
        (provider, name): (&ProviderId, &BoxName),
        cause: Cause,
    ) -> Option<OpId> {
        let key = (provider.clone(), name.clone());
        if let Some(op) = self.made.get(&key) {
            return Some(*op);
        }
        let choice = self.table.get(&key).filter(|choice| !choice.present)?;
        let needed = || Cause::NeededBy { what: format!("box {name}") };
        let parent = choice.parent.as_ref().and_then(|parent| self.make(graph, (provider, parent), needed()));
        let mut after: Vec<OpId> = parent.into_iter().collect();
        after.extend(choice.artifacts.iter().filter_map(|artifact| self.fetch(graph, artifact, needed())));
        let action = Action::BuildBox {
            name: name.clone(),
            image: choice.image.clone(),
            digest: choice.digest.clone(),
            no_cache: choice.no_cache,
        };
        let op = graph.ask(provider, action, cause, after);
        self.made.insert(key, op);
        Some(op)
    }

    /// The operation that brings an artifact into the cache. Of two causes the first counts.
    pub(crate) fn fetch(&mut self, graph: &mut Graph, name: &Name, cause: Cause) -> Option<OpId> {
        if let Some(op) = self.fetched.get(name) {
            return Some(*op);
        }
        let artifact = self.workspace.artifacts.get(name)?;
        let op = graph.for_all(Action::FetchArtifact { artifact: Box::new(artifact.clone()) }, cause, []);
        self.fetched.insert(name.clone(), op);
        Some(op)
    }
}

/// The plan that makes the boxes of the table that are not there, and nothing else.
#[must_use]
pub fn build_boxes(workspace: &Workspace, boxes: &BoxTable) -> Plan {
    let mut graph = Graph::default();
    let mut ops = BoxOps::new(workspace, boxes);
    // Parents stand before children in the table.
    for ((provider, name), choice) in boxes {
        let cause = if choice.no_cache { Cause::Requested } else { Cause::Missing };
        ops.make(&mut graph, (provider, name), cause);
    }
    graph.finish(workspace)
}
