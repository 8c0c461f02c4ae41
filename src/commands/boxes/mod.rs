//! `rig box`: the file's boxes are images of its engine, stored ones are folders that virtual machines are made of.

mod add;
mod build;
mod images;
mod list;
pub(super) mod package;
mod prune;
mod stored;
mod update;
mod verify;
mod work;

use crate::{app::App, cli::Boxes, failure::Failure};

/// Runs a command about boxes.
pub(crate) async fn run(app: &App, command: Boxes) -> Result<(), Failure> {
    match command {
        Boxes::List(arguments) => list::run(app, &arguments).await,
        Boxes::Build { boxes, no_cache, execution } => build::run(app, &boxes, no_cache, &execution).await,
        Boxes::Add(arguments) => add::run(app, arguments).await,
        Boxes::Remove(arguments) => stored::remove(app, &arguments).await,
        Boxes::Outdated(arguments) => update::outdated(app, &arguments).await,
        Boxes::Update(arguments) => update::run(app, &arguments).await,
        Boxes::Prune(arguments) => prune::run(app, &arguments).await,
        Boxes::Repackage(arguments) => stored::repackage(app, arguments).await,
        Boxes::Verify(arguments) => verify::run(app, &arguments).await,
    }
}
