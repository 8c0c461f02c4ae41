//! What machines have written.

use crate::{FakeProvider, Verb, state::key};
use async_trait::async_trait;
use bytes::Bytes;
use rig_provider_api::{Changes, Context, MachineRef, PathChange, PathChangeKind, ProviderError, Result};

#[async_trait]
impl Changes for FakeProvider {
    async fn changes(&self, cx: &Context, machine: &MachineRef) -> Result<Vec<PathChange>> {
        let work = async {
            let inside = self.engine.lock();
            let there = inside.world.machines.get(&key(machine)).ok_or_else(|| ProviderError::Absent {
                doing: format!("looking for changes in machine {machine}"),
                what: format!("machine {machine}"),
            })?;
            // The boxes here are empty.
            let added = |path: &String| PathChange { path: path.clone(), kind: PathChangeKind::Added };
            Ok(there.files().map(|(path, _)| added(path)).collect())
        };
        self.engine.call(cx, Verb::Changes, &machine.to_string(), work).await
    }

    async fn original(&self, cx: &Context, machine: &MachineRef, _: &str, _: usize) -> Result<Option<Bytes>> {
        self.engine.call(cx, Verb::Changes, &machine.to_string(), async { Ok(None) }).await
    }
}
