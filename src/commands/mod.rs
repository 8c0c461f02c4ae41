//! One file per command.

mod boxes;
mod check;
mod compare;
mod confirm;
mod destroy;
mod doctor;
mod drift;
mod engine;
mod exec;
mod global_status;
mod halt;
mod init;
mod logs;
mod plan;
mod port;
mod provision;
mod scale;
mod settle;
mod snapshot;
mod ssh;
mod ssh_config;
mod status;
mod suspend;
mod sync;
pub(crate) mod up;
mod upload;
mod validate;

use crate::{app::App, cli::Command, failure::Failure};

/// Runs the command.
pub(crate) async fn run(app: &App, command: Command) -> Result<(), Failure> {
    match command {
        Command::Init(arguments) => init::run(app, &arguments),
        Command::Validate => validate::run(app),
        Command::Plan(arguments) => plan::run(app, &arguments).await,
        Command::Up(arguments) => up::run(app, &arguments).await,
        Command::Status(arguments) => status::run(app, &arguments).await,
        Command::Check(arguments) => check::run(app, &arguments).await,
        Command::Exec(arguments) => exec::run(app, arguments).await,
        Command::Ssh(arguments) => ssh::run(app, arguments).await,
        Command::SshConfig(arguments) => ssh_config::run(app, &arguments).await,
        Command::GlobalStatus => global_status::run(app).await,
        Command::Sync(arguments) => sync::run(app, &arguments).await,
        Command::Upload(arguments) => upload::run(app, &arguments).await,
        Command::Provision(arguments) => provision::run(app, &arguments).await,
        Command::Logs(arguments) => logs::run(app, &arguments).await,
        Command::Port(arguments) => port::run(app, &arguments).await,
        Command::Scale(arguments) => scale::run(app, &arguments).await,
        Command::Drift(arguments) => drift::run(app, &arguments).await,
        Command::Compare(arguments) => compare::run(app, &arguments).await,
        Command::Snapshot(arguments) => snapshot::run(app, &arguments).await,
        Command::Reset(arguments) => snapshot::reset(app, &arguments).await,
        Command::Reload(arguments) => up::reload(app, &arguments).await,
        Command::Suspend(arguments) => suspend::run(app, &arguments).await,
        Command::Resume(arguments) => suspend::resume(app, &arguments).await,
        Command::Halt(arguments) => halt::run(app, &arguments).await,
        Command::Destroy(arguments) => destroy::run(app, &arguments).await,
        Command::Box(arguments) => boxes::run(app, arguments).await,
        Command::Package(arguments) => boxes::package::run(app, &arguments).await,
        Command::Engine(arguments) => engine::run(app, &arguments).await,
        Command::Doctor(arguments) => doctor::run(app, &arguments).await,
        Command::Completions { shell } => {
            let mut command = <crate::cli::Cli as clap::CommandFactory>::command();
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut command, "rig", &mut script);
            app.ui.result(String::from_utf8_lossy(&script).trim_end());
            Ok(())
        }
    }
}
