//! Commands inside containers.

use crate::{DockerProvider, error};
use async_trait::async_trait;
use bollard::{
    Docker,
    container::LogOutput,
    exec::{CreateExecOptions, ResizeExecOptions, StartExecOptions, StartExecResults},
};
use futures_util::{StreamExt, stream};
use rig_model::Stream;
use rig_provider_api::{
    Context, Exec, ExecEvent, ExecRequest, ExecSession, MachineRef, ProviderError, Result, Terminal,
};
use std::{pin::Pin, time::Duration};
use tokio::io::{AsyncWrite, AsyncWriteExt};

#[async_trait]
impl Exec for DockerProvider {
    async fn exec(&self, cx: &Context, machine: &MachineRef, request: &ExecRequest) -> Result<ExecSession> {
        let program = request.command.first().map_or("", String::as_str);
        let doing = format!("running {program} in machine {machine}");
        let name = Self::container(machine);
        cx.run(&doing, async {
            let options = CreateExecOptions {
                attach_stdin: Some(request.stdin),
                attach_stdout: Some(true),
                attach_stderr: Some(true),
                tty: Some(request.terminal.is_some()),
                env: Some(request.env.iter().map(|(name, value)| format!("{name}={value}")).collect()),
                cmd: Some(request.command.clone()),
                user: request.user.clone(),
                working_dir: request.workdir.clone(),
                ..CreateExecOptions::<String>::default()
            };
            let failed = |error| error::failure(&doing, &name, error);
            let created = self.docker.create_exec(&name, options).await.map_err(failed)?;
            let start = StartExecOptions { tty: request.terminal.is_some(), ..Default::default() };
            let started = self.docker.start_exec(&created.id, Some(start)).await.map_err(failed)?;
            let StartExecResults::Attached { output, input } = started else {
                return Err(ProviderError::failed(&doing, "the engine ran the command without its output"));
            };
            let resize = match request.terminal {
                Some(size) => Some(self.resizer(&created.id, size).await),
                None => None,
            };
            Ok(ExecSession {
                stdin: request.stdin.then(|| self.closing(created.id.clone(), input)),
                events: self.events(doing.clone(), created.id, output),
                resize,
            })
        })
        .await
    }
}

/// How much input waits for a command that does not read it.
const PIPE: usize = 64 * 1024;

/// How long an engine may take to begin a command whose input is at its end already.
const BEGIN: Duration = Duration::from_secs(30);

/// The pause between two looks at a command.
const LOOK: Duration = Duration::from_millis(20);

impl DockerProvider {
    /// An input that is closed when it is dropped. The engine's connection is shared with the output: dropping its writing
    /// half would leave it open, and a command that reads to the end of its input would never end.
    fn closing(&self, id: String, mut input: Pin<Box<dyn AsyncWrite + Send>>) -> Pin<Box<dyn AsyncWrite + Send>> {
        let (near, mut far) = tokio::io::duplex(PIPE);
        let docker = self.docker.clone();
        // Ends with the input, or with the command: then writing fails.
        tokio::spawn(async move {
            if tokio::io::copy(&mut far, &mut input).await.is_ok() {
                // What does not begin has nothing to close.
                let _ = tokio::time::timeout(BEGIN, begun(&docker, &id)).await;
                // The command may have ended meanwhile; then there is nothing to close.
                let _ = input.shutdown().await;
            }
        });
        Box::pin(near)
    }

    /// The output, then the exit code once the output has ended.
    fn events(
        &self,
        doing: String,
        id: String,
        output: stream::BoxStream<'static, std::result::Result<LogOutput, bollard::errors::Error>>,
    ) -> stream::BoxStream<'static, Result<ExecEvent>> {
        let docker = self.docker.clone();
        let said = doing.clone();
        let output = output.filter_map(move |piece| {
            let event = match piece {
                Ok(LogOutput::StdErr { message }) => Some(Ok(ExecEvent::Output(Stream::Stderr, message))),
                Ok(LogOutput::StdOut { message } | LogOutput::Console { message }) => {
                    Some(Ok(ExecEvent::Output(Stream::Stdout, message)))
                }
                Ok(LogOutput::StdIn { .. }) => None,
                Err(error) => Some(Err(error::failure(&said, "", error))),
            };
            std::future::ready(event)
        });
        let exit = stream::once(async move {
            // The output may end before the command does, and before the engine has noticed its end. Whoever reads the
            // events has the deadline.
            loop {
                let state = docker.inspect_exec(&id).await.map_err(|error| error::failure(&doing, "", error))?;
                match state.exit_code {
                    Some(code) if state.running != Some(true) => return Ok(ExecEvent::Exit(code)),
                    None if state.running != Some(true) => {
                        return Err(ProviderError::failed(&doing, "the engine knows no exit code"));
                    }
                    _ => tokio::time::sleep(LOOK).await,
                }
            }
        });
        output.chain(exit).boxed()
    }

    /// Takes sizes for as long as the sender lives.
    async fn resizer(&self, id: &str, first: Terminal) -> tokio::sync::mpsc::Sender<Terminal> {
        let (sender, mut receiver) = tokio::sync::mpsc::channel::<Terminal>(4);
        let docker = self.docker.clone();
        let id = id.to_owned();
        // The channel is empty and has room.
        let _ = sender.try_send(first);
        // Ends with the session: the session owns the only sender.
        tokio::spawn(async move {
            while let Some(size) = receiver.recv().await {
                let options = ResizeExecOptions { height: size.rows, width: size.columns };
                // A size that arrives after the command's end changes nothing.
                let _ = docker.resize_exec(&id, options).await;
            }
        });
        sender
    }
}

/// Waits until a command has a process, or had one. An engine that is told before that its input has ended forgets it: seen with
/// Engine 20.10 under load, where a `cat` without input then ran for ever.
async fn begun(docker: &Docker, id: &str) {
    while let Ok(state) = docker.inspect_exec(id).await {
        if state.pid.is_some_and(|pid| pid > 0) || state.exit_code.is_some() {
            return;
        }
        tokio::time::sleep(LOOK).await;
    }
}
