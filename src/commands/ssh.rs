//! `rig ssh`

use crate::{
    app::App,
    attach::{Input, pass_on},
    cli::{Forward, Ssh},
    engine_choice::Start,
    failure::{ExitCode, Failure},
    terminal,
};
use futures_util::StreamExt;
use rig_engine::{EngineError, Session, one_machine};
use rig_model::{MachineId, Observed};
use rig_provider_api::ObserveScope;
use rig_ssh::{Event, ExecCommand, Output, Running, forward_local, quote};
use std::{io::IsTerminal, net::Ipv4Addr, time::Duration};

/// How long a machine may take to let rig in.
const CONNECT: Duration = Duration::from_secs(60);

/// Opens a shell, or runs a command and passes its exit code on.
pub(crate) async fn run(app: &App, arguments: Ssh) -> Result<(), Failure> {
    let opened = app.open()?;
    let session = app.session(&opened, Start::Never).await?;
    let cx = app.context(CONNECT);
    let observed = session.observe(&cx, ObserveScope::MACHINES).await?;
    let id = mutable(&session, &observed, arguments.machine.as_deref())?;
    let access = &session.access;
    let connection = access.session(&cx, &id).await?;
    let failed = |error| EngineError::Ssh { machine: id.clone(), error, tail: Vec::new() };

    // They end with the command.
    let mut forwards = Vec::new();
    for Forward { local, host, port } in &arguments.forward {
        let bind = (Ipv4Addr::LOCALHOST, *local).into();
        let bulk = connection.another(&patience(&cx), &|_| ()).await.map_err(failed)?;
        forwards.push(forward_local(&bulk, bind, host, *port).await.map_err(failed)?);
    }
    let line = match (arguments.command, arguments.words.as_slice()) {
        (Some(line), _) => Some(line),
        (None, []) => None,
        (None, words) => Some(words.iter().map(|word| quote(word)).collect::<Vec<_>>().join(" ")),
    };
    let here = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    let size = (arguments.terminal || (line.is_none() && here)).then(terminal::size).flatten();
    let size = size.map(|size| rig_ssh::Terminal {
        term: app.settings.term.clone(),
        columns: size.columns.into(),
        rows: size.rows.into(),
    });
    let running = match (&line, &size) {
        (None, Some(size)) => connection.shell(size).await,
        (line, size) => {
            // Without a terminal a shell reads what it is to do from its input.
            let line = line.clone().unwrap_or_else(|| "exec \"${SHELL:-/bin/sh}\"".to_owned());
            connection.exec(&ExecCommand { line, stdin: true, terminal: size.clone(), env: Vec::new() }).await
        }
    };
    let code = attach(app, running.map_err(failed)?, size.is_some()).await.map_err(|error| match error {
        Attach::Ssh(error) => failed(error).into(),
        Attach::Failure(failure) => failure,
    })?;
    drop(forwards);
    match code {
        0 => Ok(()),
        // The command's own code, which is not one of rig's.
        code => std::process::exit(code),
    }
}

enum Attach {
    Ssh(rig_ssh::SshError),
    Failure(Failure),
}

/// Connects this program's streams with the command's until it ends; gives its exit code.
async fn attach(app: &App, mut running: Running, is_terminal: bool) -> Result<i32, Attach> {
    let raw = is_terminal
        .then(terminal::Raw::enter)
        .transpose()
        .map_err(|error| Attach::Failure(Failure::host(format!("terminal: {error}"))))?;
    let input = running.stdin.take().map(Input::to);
    let mut sizes = terminal::Sizes::listen();
    let code = loop {
        let event = tokio::select! {
            event = running.events.next() => event,
            size = sizes.next(), if is_terminal => {
                // A connection that is lost says so among the events.
                let _ = running.control.resize(size.columns.into(), size.rows.into()).await;
                continue;
            }
            () = app.interrupt.stop.cancelled() => return Err(Attach::Failure(Failure::Said(ExitCode::Interrupted))),
        };
        match event {
            Some(Ok(Event::Output(Output::Stdout, bytes))) => pass_on(tokio::io::stdout(), &bytes).await,
            Some(Ok(Event::Output(Output::Stderr, bytes))) => pass_on(tokio::io::stderr(), &bytes).await,
            Some(Ok(Event::Exited(code))) => break code,
            // As shells tell the end by a signal; OpenSSH has 255.
            Some(Ok(Event::Signalled { .. })) | None => break 255,
            Some(Err(error)) => return Err(Attach::Ssh(error)),
        }
    };
    drop(input);
    drop(raw);
    Ok(code)
}

/// The machine that is meant: the named one, or the only one that SSH leads into.
pub(super) fn mutable(session: &Session, observed: &Observed, name: Option<&str>) -> Result<MachineId, Failure> {
    if let Some(name) = name {
        return Ok(one_machine(name, &session.workspace, observed)?);
    }
    let all: Vec<&MachineId> =
        session.workspace.machines().filter(|machine| machine.ssh.is_some()).map(|machine| &machine.id).collect();
    match all.as_slice() {
        [only] => Ok((*only).clone()),
        [] => Err(Failure::usage("the file has no mutable machine; `rig exec` runs commands in immutable ones")),
        several => Err(Failure::Usage {
            message: "which machine?".to_owned(),
            hint: Some(several.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")),
        }),
    }
}

/// How long a further connection may take.
pub(super) fn patience(cx: &rig_provider_api::Context) -> rig_ssh::Patience {
    rig_ssh::Patience { deadline: cx.deadline(), cancel: cx.cancel().clone() }
}
