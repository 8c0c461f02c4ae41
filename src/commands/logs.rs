//! `rig logs`

use crate::{
    app::App,
    cli::Logs,
    engine_choice::Start,
    failure::{ExitCode, Failure},
    render::{self, Mode},
};
use futures_util::{StreamExt, stream};
use rig_engine::{EngineError, Selection};
use rig_model::{Event, LogLine, MachineId, Stream};
use rig_provider_api::{LogEvent, LogRequest, MachineRef, ObserveScope};
use std::time::Duration;

/// The longest line that is kept together, in bytes; longer ones are cut into pieces.
const LINE: usize = 64 << 10;

/// Shows the output of machines, each line with its machine's name where there are several.
pub(crate) async fn run(app: &App, arguments: &Logs) -> Result<(), Failure> {
    let opened = app.open()?;
    let session = app.session(&opened, Start::Never).await?;
    let cx = app.context(Duration::from_secs(10 * 24 * 3600));
    let observed = session.observe(&cx, ObserveScope::MACHINES).await?;
    let selection = Selection::resolve(&arguments.targets.targets, &session.workspace, &observed)?;
    let logs = session.provider.logs().ok_or_else(|| EngineError::Capability {
        provider: session.provider.id().to_string(),
        capability: "logs",
        wanted_for: "rig logs".to_owned(),
    })?;
    let machines: Vec<MachineId> =
        observed.machines.iter().map(|machine| machine.id.clone()).filter(|id| selection.contains(id)).collect();
    let request = LogRequest {
        follow: arguments.follow,
        tail: arguments.tail,
        timestamps: arguments.timestamps,
        ..LogRequest::default()
    };
    let several = machines.len() > 1;
    let width = machines.iter().map(|id| id.to_string().len()).max().unwrap_or_default();
    let mut sources = Vec::new();
    for (position, id) in machines.iter().enumerate() {
        let machine = MachineRef { workspace: session.workspace.name.clone(), id: id.clone() };
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
        for line in lines[position][stream as usize].push(&bytes) {
            show(position, stream, line);
        }
    }
    for (position, streams) in lines.iter_mut().enumerate() {
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

/// Puts pieces of output together to lines.
#[derive(Default)]
struct Lines(Vec<u8>);

impl Lines {
    fn push(&mut self, bytes: &[u8]) -> Vec<String> {
        self.0.extend_from_slice(bytes);
        let mut lines = Vec::new();
        while let Some(end) = self.0.iter().position(|byte| *byte == b'\n').or((self.0.len() > LINE).then_some(LINE)) {
            let line: Vec<u8> = self.0.drain(..=end).collect();
            lines.push(String::from_utf8_lossy(&line).trim_end_matches(['\n', '\r']).to_owned());
        }
        lines
    }

    fn rest(&mut self) -> Option<String> {
        (!self.0.is_empty()).then(|| String::from_utf8_lossy(&std::mem::take(&mut self.0)).into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_become_lines() {
        let mut lines = Lines::default();
        assert_eq!(lines.push(b"on"), Vec::<String>::new());
        assert_eq!(lines.push(b"e\r\ntwo\nth"), vec!["one", "two"]);
        assert_eq!(lines.rest(), Some("th".to_owned()));
        assert_eq!(lines.rest(), None);
        assert_eq!(lines.push(&vec![b'x'; LINE * 2]).len(), 1);
        assert_eq!(Lines::default().push(b"\xff\n"), vec!["\u{fffd}"]);
    }
}
