//! `rig logs`

use crate::{
    app::App,
    cli::Logs,
    engine_choice::Start,
    failure::{ExitCode, Failure},
    render::{self, Mode},
};
use futures_util::{StreamExt, stream};
use rig_engine::{EngineError, Lines, Selection};
use rig_model::{Event, LogLine, MachineId, ObservedMachine, Stream};
use rig_provider_api::{LogEvent, LogRequest, MachineRef, ObserveScope};
use std::time::Duration;

/// Shows the output of machines, each line with its machine's name where there are several.
pub(crate) async fn run(app: &App, arguments: &Logs) -> Result<(), Failure> {
    let opened = app.open()?;
    let session = app.session(&opened, Start::Never).await?;
    let cx = app.context(Duration::from_secs(10 * 24 * 3600));
    let observed = session.observe(&cx, ObserveScope::MACHINES).await?;
    let selection = Selection::resolve(&arguments.targets.targets, &session.workspace, &observed)?;
    let there: Vec<&ObservedMachine> = observed.machines.iter().filter(|seen| selection.contains(&seen.id)).collect();
    let machines: Vec<MachineId> = there.iter().map(|seen| seen.id.clone()).collect();
    if machines.is_empty() {
        app.ui.say("no machine is there: `rig up` makes them");
    }
    let request = LogRequest {
        follow: arguments.follow,
        tail: arguments.tail,
        timestamps: arguments.timestamps,
        ..LogRequest::default()
    };
    let several = machines.len() > 1;
    let width = machines.iter().map(|id| id.to_string().len()).max().unwrap_or_default();
    let mut sources = Vec::new();
    for (position, seen) in there.into_iter().enumerate() {
        let machine = MachineRef { workspace: session.workspace.name.clone(), id: seen.id.clone() };
        let provider = session.providers.having(seen)?;
        let logs = provider.logs().ok_or_else(|| EngineError::Capability {
            provider: provider.id().to_string(),
            capability: "logs",
            wanted_for: format!("showing the output of machine {}", seen.id),
        })?;
        let source = logs.logs(&cx, &machine, &request).await?;
        sources.push(source.map(move |event| (position, event)).boxed());
    }
    // Without following, one machine after the other; with it, as lines come.
    let mut all =
        if arguments.follow { stream::select_all(sources).boxed() } else { stream::iter(sources).flatten().boxed() };
    let mut lines: Vec<[Lines; 2]> = machines.iter().map(|_| Default::default()).collect();
    let show = |position: usize, stream: Stream, line: String| {
        let Some(id) = machines.get(position) else { return };
        if app.ui.mode == Mode::Json {
            app.ui.sink().emit(Event::Log(LogLine { machine: id.clone(), stream, line }));
        } else if several {
            let name = render::machine_color(position, &format!("{:width$}", id.to_string()));
            app.ui.result(format!("{name} | {line}"));
        } else {
            app.ui.result(line);
        }
    };
    loop {
        let next = tokio::select! {
            next = all.next() => next,
            () = cx.cancel().cancelled() => None,
        };
        let Some((position, event)) = next else { break };
        let LogEvent { stream, bytes } = event?;
        for line in lines[position][stream as usize].take(&bytes) {
            show(position, stream, line);
        }
    }
    for (position, streams) in lines.into_iter().enumerate() {
        for (stream, rest) in [Stream::Stdout, Stream::Stderr].into_iter().zip(streams) {
            if let Some(line) = rest.rest() {
                show(position, stream, line);
            }
        }
    }
    if cx.cancel().is_cancelled() {
        return Err(Failure::Said(ExitCode::Interrupted));
    }
    Ok(())
}
