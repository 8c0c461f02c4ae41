//! `rig exec`

use crate::{
    app::App,
    attach::{Input, pass_on},
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
    let seen = observed.machines.iter().find(|seen| seen.id == machine.id);
    let provider = match seen {
        Some(seen) => session.providers.having(seen)?,
        None => session.providers.of(&machine.id)?,
    };
    let exec = provider.exec().ok_or_else(|| EngineError::Capability {
        provider: provider.id().to_string(),
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
    let input = running.stdin.take().map(Input::to);
    let mut sizes = terminal::Sizes::listen();
    let code = cx
        .run("running the command", async {
            let mut code = None;
            loop {
                let event = tokio::select! {
                    event = running.events.next() => event,
                    size = sizes.next(), if raw.is_some() => {
                        if let Some(resize) = &running.resize {
                            // A command that ended meanwhile has no size.
                            let _ = resize.send(size).await;
                        }
                        continue;
                    }
                };
                match event.transpose()? {
                    Some(ExecEvent::Output(Stream::Stdout, bytes)) => pass_on(tokio::io::stdout(), &bytes).await,
                    Some(ExecEvent::Output(Stream::Stderr, bytes)) => pass_on(tokio::io::stderr(), &bytes).await,
                    Some(ExecEvent::Exit(exit)) => code = Some(exit),
                    None => return Ok(code),
                }
            }
        })
        .await;
    drop(input);
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
