//! News of containers from the engine's event stream, so that nothing has to be polled.

use crate::{DockerProvider, error, labels};
use async_trait::async_trait;
use bollard::{models::EventMessage, query_parameters::EventsOptions};
use futures_util::{StreamExt, stream::BoxStream};
use jiff::Timestamp;
use rig_model::{Exit, Name};
use rig_provider_api::{Context, MachineEvent, MachineEventKind, Result, Watch};
use std::collections::{HashMap, HashSet};

#[async_trait]
impl Watch for DockerProvider {
    async fn watch(&self, cx: &Context, workspace: &Name) -> Result<BoxStream<'static, Result<MachineEvent>>> {
        let doing = "watching the engine";
        // The request is sent when the stream is first read. What happens from now on, by the engine's own clock, is told
        // all the same: the engine keeps its last 256 events.
        let facts =
            cx.run(doing, async { self.docker.info().await.map_err(|error| error::failure(doing, "", error)) }).await?;
        let now = facts.system_time.as_deref().and_then(|text| text.parse().ok()).map(since);
        let filters = HashMap::from([
            ("type".to_owned(), vec!["container".to_owned()]),
            ("label".to_owned(), vec![format!("{}={workspace}", labels::WORKSPACE)]),
            ("event".to_owned(), ["start", "die", "oom", "destroy"].map(str::to_owned).to_vec()),
        ]);
        let events =
            self.docker.events(Some(EventsOptions { since: now, filters: Some(filters), ..Default::default() }));
        // The engine tells of an out-of-memory kill before the end it leads to.
        let mut out_of_memory = HashSet::new();
        Ok(events
            .filter_map(move |event| {
                let event = match event {
                    Ok(event) => decode(event, &mut out_of_memory).map(Ok),
                    Err(error) => Some(Err(error::failure(doing, "", error))),
                };
                std::future::ready(event)
            })
            .boxed())
    }
}

/// A time as the engine's `since` takes it: seconds, a dot, and nine digits of nanoseconds.
fn since(time: Timestamp) -> String {
    format!("{}.{:09}", time.as_second(), time.subsec_nanosecond())
}

fn decode(event: EventMessage, out_of_memory: &mut HashSet<String>) -> Option<MachineEvent> {
    let actor = event.actor?;
    let attributes = actor.attributes?;
    let id = labels::machine(&attributes)?;
    let native = actor.id.unwrap_or_default();
    let kind = match event.action?.as_str() {
        "start" => MachineEventKind::Started,
        "destroy" => MachineEventKind::Destroyed,
        "oom" => {
            out_of_memory.insert(native);
            return None;
        }
        "die" => MachineEventKind::Died(Exit {
            code: attributes.get("exitCode").and_then(|code| code.parse().ok()).unwrap_or(-1),
            out_of_memory: out_of_memory.remove(&native),
        }),
        _ => return None,
    };
    Some(MachineEvent { id, kind })
}
