//! Commands inside machines: scripted answers first, then the built-in commands.

use crate::{
    FakeProvider, Verb,
    shell::{Process, Program},
    state::key,
    usage::Work,
};
use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use rig_model::Stream;
use rig_provider_api::{Context, Exec, ExecEvent, ExecRequest, ExecSession, MachineRef, ProviderError, Result};
use std::{pin::Pin, sync::Arc};
use tokio::{
    io::AsyncWrite,
    sync::mpsc::{self, UnboundedReceiver},
};

/// How much input waits for a command that does not read it.
const PIPE: usize = 64 * 1024;

#[async_trait]
impl Exec for FakeProvider {
    async fn exec(&self, cx: &Context, machine: &MachineRef, request: &ExecRequest) -> Result<ExecSession> {
        let program = request.command.first().map_or("", String::as_str);
        let doing = format!("running {program} in machine {machine}");
        let work = async {
            self.running(machine, &doing)?;
            let (sender, events) = mpsc::unbounded_channel();
            let scripted = self.engine.lock().scripts.answer(&machine.id.to_string(), &request.command);
            let (engine, key) = (Arc::clone(&self.engine), key(machine));
            if let Some(answer) = scripted {
                engine.lock().world.count(&key, Work::begin);
                tokio::spawn(async move {
                    tokio::time::sleep(answer.takes).await;
                    for (stream, text) in [(Stream::Stdout, answer.stdout), (Stream::Stderr, answer.stderr)] {
                        if !text.is_empty() {
                            // Nobody listens any more: the command's output goes nowhere, as a closed pipe's does.
                            let _ = sender.send(ExecEvent::Output(stream, text.into()));
                        }
                    }
                    engine.lock().world.count(&key, Work::end);
                    let _ = sender.send(ExecEvent::Exit(answer.exit));
                });
                return Ok(session(events, request.stdin.then(|| Box::pin(tokio::io::sink()) as _)));
            }
            let Some(program) = Program::parse_any_line(&request.command) else {
                return Err(ProviderError::failed(&doing, format!("{program}: executable file not found in $PATH"))
                    .hinted("the box does not hold this program; compare the `command` with the box"));
            };
            let output = sender.clone();
            let out = Box::new(move |stream: Stream, bytes: Bytes| {
                let _ = output.send(ExecEvent::Output(stream, bytes));
            });
            let mut process = Process::new(Arc::clone(&engine), key.clone(), out);
            process.env.extend(request.env.iter().cloned());
            if let Some(user) = &request.user {
                process.user.clone_from(user);
            }
            if let Some(folder) = &request.workdir {
                process.workdir.clone_from(folder);
            }
            let mut stdin: Option<Pin<Box<dyn AsyncWrite + Send>>> = None;
            if request.stdin {
                let (near, far) = tokio::io::duplex(PIPE);
                stdin = Some(Box::pin(near));
                process.stdin = Some(far);
            }
            engine.lock().world.count(&key, Work::begin);
            tokio::spawn(async move {
                let code = program.run(&mut process).await;
                engine.lock().world.count(&key, Work::end);
                let _ = sender.send(ExecEvent::Exit(code));
            });
            Ok(session(events, stdin))
        };
        self.engine.call(cx, Verb::Exec, &machine.to_string(), work).await
    }
}

fn session(events: UnboundedReceiver<ExecEvent>, stdin: Option<Pin<Box<dyn AsyncWrite + Send>>>) -> ExecSession {
    let events = stream::unfold(events, async |mut events| Some((Ok(events.recv().await?), events)));
    ExecSession { events: events.boxed(), stdin, resize: None }
}
