//! `rig exec`

use crate::{
    app::App,
    cli::Exec,
    engine_choice::Start,
    failure::{ExitCode, Failure},
    terminal,
};
use futures_util::StreamExt;
use rig_engine::{EngineError, one_machine};
use rig_model::Stream;
use rig_provider_api::{ExecEvent, ExecRequest, MachineRef, ObserveScope};
use std::{io::IsTerminal, time::Duration};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Runs a command inside a machine and passes its exit code on.
pub(crate) async fn run(app: &App, arguments: Exec) -> Result<(), Failure> {
    let limit = match &arguments.timeout {
        Some(text) => rig_model::parse_duration(text).map_err(|error| Failure::usage(format!("--timeout: {error}")))?,
        None => Duration::from_secs(10 * 24 * 3600),
    };
    let opened = app.open()?;
    let session = app.session(&opened, Start::Never).await?;
    let cx = app.context(limit);
    let observed = session.observe(&cx, ObserveScope::MACHINES).await?;
    let id = one_machine(&arguments.machine, &session.workspace, &observed)?;
    let machine = MachineRef { workspace: session.workspace.name.clone(), id };
    let exec = session.provider.exec().ok_or_else(|| EngineError::Capability {
        provider: session.provider.id().to_string(),
        capability: "exec",
        wanted_for: "rig exec".to_owned(),
    })?;
    let terminal = (std::io::stdin().is_terminal() && std::io::stdout().is_terminal()).then(terminal::size).flatten();
    let request = ExecRequest {
        command: arguments.command,
        env: arguments.env,
        user: arguments.user,
        workdir: None,
        stdin: true,
        terminal,
    };
    let mut running = exec.exec(&cx, &machine, &request).await?;
    let raw = terminal
        .is_some()
        .then(terminal::Raw::enter)
        .transpose()
        .map_err(|error| Failure::host(format!("terminal: {error}")))?;
    let input = running.stdin.take().map(|mut writer| {
        tokio::spawn(async move {
            // Standard input has no readiness on every platform; the runtime reads it on a thread of its own.
            let mut stdin = tokio::io::stdin();
            let mut buffer = vec![0; 64 << 10];
            loop {
                match stdin.read(&mut buffer).await {
                    Ok(0) | Err(_) => break,
                    Ok(count) => {
                        if writer.write_all(&buffer[..count]).await.is_err() || writer.flush().await.is_err() {
                            return;
                        }
                    }
                }
            }
            // The end of the input is the command's end of file.
            let _ = writer.shutdown().await;
        })
    });
    let code = cx
        .run("running the command", async {
            let (mut stdout, mut stderr) = (tokio::io::stdout(), tokio::io::stderr());
            let mut code = None;
            while let Some(event) = running.events.next().await {
                match event? {
                    // A reader that went away takes the rest of the output with it, not the command.
                    ExecEvent::Output(Stream::Stdout, bytes) => {
                        let _ = stdout.write_all(&bytes).await;
                        let _ = stdout.flush().await;
                    }
                    ExecEvent::Output(Stream::Stderr, bytes) => {
                        let _ = stderr.write_all(&bytes).await;
                        let _ = stderr.flush().await;
                    }
                    ExecEvent::Exit(exit) => code = Some(exit),
                }
            }
            Ok(code)
        })
        .await;
    if let Some(input) = input {
        input.abort();
    }
    drop(raw);
    match code? {
        Some(0) => Ok(()),
        Some(code) => {
            // The command's own code, which is not one of rig's.
            std::process::exit(i32::try_from(code).unwrap_or(ExitCode::Failed as i32));
        }
        None => Err(Failure::host("the connection was cut before the command ended")),
    }
}
