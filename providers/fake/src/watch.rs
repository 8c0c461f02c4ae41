//! News of machines.

use crate::{FakeProvider, Verb, engine::gone};
use async_trait::async_trait;
use futures_util::{
    StreamExt,
    stream::{self, BoxStream},
};
use rig_model::Name;
use rig_provider_api::{Context, MachineEvent, ProviderError, Result, Watch};
use tokio::sync::broadcast::error::RecvError;

#[async_trait]
impl Watch for FakeProvider {
    async fn watch(&self, cx: &Context, workspace: &Name) -> Result<BoxStream<'static, Result<MachineEvent>>> {
        let work = async {
            let state = Some((self.engine.news.subscribe(), workspace.clone()));
            let events = stream::unfold(state, async |state| {
                let (mut news, workspace) = state?;
                loop {
                    let error = match news.recv().await {
                        Ok(Some((of, event))) if of == workspace => return Some((Ok(event), Some((news, workspace)))),
                        Ok(Some(_)) => continue,
                        Ok(None) => gone(),
                        Err(RecvError::Lagged(missed)) => {
                            ProviderError::failed("watching the engine", format!("{missed} events were missed"))
                        }
                        Err(RecvError::Closed) => return None,
                    };
                    // An error is the last thing that a watch says.
                    return Some((Err(error), None));
                }
            });
            Ok(events.boxed())
        };
        self.engine.call(cx, Verb::Watch, workspace.as_str(), work).await
    }
}
