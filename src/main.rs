//! The `rig` program: arguments in, results and progress out. What it does is in the libraries.

mod app;
mod attach;
mod cli;
mod commands;
mod engine_choice;
mod engine_vm;
mod failure;
mod lab;
mod makes;
mod packages;
mod providers;
mod render;
mod settings;
mod terminal;

use crate::{app::App, cli::Cli, failure::Failure, render::Ui, settings::Settings};
use clap::Parser;
use rig_engine::Interrupt;

fn main() -> std::process::ExitCode {
    let cli = Cli::try_parse().unwrap_or_else(|error| harmless(error).exit()).settled();
    let settings = match Settings::read() {
        Ok(settings) => settings,
        Err(message) => {
            render::failure(&Ui::new(&cli.global, false), &Failure::host(message));
            return exit(failure::ExitCode::Failed);
        }
    };
    let ui = Ui::new(&cli.global, settings.interactive);
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            render::failure(&ui, &Failure::host(format!("starting the runtime: {error}")));
            return exit(failure::ExitCode::Failed);
        }
    };
    let app =
        App { global: cli.global, settings, ui, interrupt: Interrupt::default(), no_cache: false, once_more: false };
    let code = runtime.block_on(async {
        let listener = tokio::spawn(listen(app.interrupt.clone()));
        let result = Box::pin(commands::run(&app, cli.command)).await;
        listener.abort();
        match result {
            Ok(()) => failure::ExitCode::Done,
            Err(failure) => {
                render::failure(&app.ui, &failure);
                failure.exit_code()
            }
        }
    });
    // A read of standard input that nobody waits for any more must not keep the program alive.
    runtime.shutdown_background();
    exit(code)
}

/// A word that is no command is often near one that removes machines: that one is not recommended.
fn harmless(mut error: clap::Error) -> clap::Error {
    use clap::error::{ContextKind, ContextValue};
    if let Some(ContextValue::Strings(commands)) = error.get(ContextKind::SuggestedSubcommand)
        && commands.iter().any(|command| command == "destroy")
    {
        error.remove(ContextKind::SuggestedSubcommand);
    }
    error
}

fn exit(code: failure::ExitCode) -> std::process::ExitCode {
    std::process::ExitCode::from(code as u8)
}

/// The first Ctrl-C or TERM stops in order, the second gives up, the third ends the program.
async fn listen(interrupt: Interrupt) {
    for count in 1.. {
        signal().await;
        match count {
            1 => interrupt.stop.cancel(),
            2 => interrupt.abort.cancel(),
            _ => std::process::exit(failure::ExitCode::Interrupted as i32),
        }
    }
}

#[cfg(unix)]
async fn signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        let _ = tokio::signal::ctrl_c().await;
        return;
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
}

#[cfg(not(unix))]
async fn signal() {
    // Without a handler the system ends the program, which is what Ctrl-C means then.
    let _ = tokio::signal::ctrl_c().await;
}
