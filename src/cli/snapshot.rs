//! The arguments of `rig snapshot` and `rig reset`.

use super::{Act, Targets};
use clap::{Args, Subcommand};
use rig_model::Name;

#[derive(Debug, Subcommand)]
pub(crate) enum Snapshot {
    /// Keeps what machines are now: their files and their volumes
    Save {
        #[command(flatten)]
        at: At,
        /// Replaces snapshots of that name
        #[arg(short, long)]
        force: bool,
    },
    /// Makes machines what they were; what they are now is lost
    Restore {
        #[command(flatten)]
        at: At,
        /// Does not ask
        #[arg(short, long)]
        force: bool,
    },
    /// Lists snapshots
    List(Targets),
    /// Removes snapshots
    Delete(At),
}

/// A snapshot of machines.
#[derive(Debug, Args)]
pub(crate) struct At {
    /// The snapshot's name
    #[arg(value_parser = snapshot)]
    pub(crate) name: Name,
    #[command(flatten)]
    pub(crate) act: Act,
}

#[derive(Debug, Args)]
pub(crate) struct Reset {
    #[command(flatten)]
    pub(crate) act: Act,
    /// The snapshot [default: the newest one]
    #[arg(long, value_name = "NAME", value_parser = snapshot)]
    pub(crate) to: Option<Name>,
    /// Does not ask
    #[arg(short, long)]
    pub(crate) force: bool,
}

/// The name of a snapshot.
fn snapshot(text: &str) -> Result<Name, String> {
    match text {
        "up" | "box" => Err("`rig drift --since` means something else by it".to_owned()),
        name => Name::new(name).map_err(|error| error.to_string()),
    }
}
