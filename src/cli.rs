//! The command line: arguments and their help.

mod boxes;
mod compare;
mod snapshot;

pub(crate) use boxes::{
    AddBox, BoxList, Boxes, OutdatedBoxes, PruneBoxes, RemoveBox, RepackageBox, UpdateBoxes, VerifyBoxes,
};
pub(crate) use compare::Compare;
pub(crate) use snapshot::{At, Reset, Snapshot};

use camino::Utf8PathBuf;
use clap::{Args, Parser, Subcommand, ValueEnum};
use rig_engine::Since;
use rig_model::Name;

/// Brings machines and topologies of one KDL file up, mutable and immutable side by side.
#[derive(Debug, Parser)]
#[command(name = "rig", version, max_term_width = 100, propagate_version = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Arguments of every command.
#[derive(Debug, Clone, Args)]
pub(crate) struct Global {
    /// The workspace file, or the folder that holds it [default: workspace.kdl here or in a folder above]
    #[arg(short, long, global = true, value_name = "PATH", env = "RIG_WORKSPACE")]
    pub(crate) workspace: Option<Utf8PathBuf>,
    /// Sets a variable of the file
    #[arg(long = "var", global = true, value_name = "NAME=VALUE", value_parser = assignment)]
    pub(crate) variables: Vec<(String, String)>,
    /// The engine to use (unix://…, npipe://…, tcp://…, or vm: in a virtual machine) [default: the first of the file, DOCKER_HOST, docker context, default socket, own, vm]
    #[arg(long, global = true, value_name = "ADDRESS", env = "RIG_ENGINE")]
    pub(crate) engine: Option<String>,
    /// Writes results as JSON, and events as JSON lines
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Says only what went wrong
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
    /// Says more
    #[arg(short, long, global = true, conflicts_with = "quiet")]
    pub(crate) verbose: bool,
    /// When to use colours
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub(crate) color: Color,
    /// Keeps the host's certificates and proxies out of boxes and machines
    #[arg(long, global = true)]
    pub(crate) no_host_trust: bool,
}

/// When to use colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    /// On a terminal, unless NO_COLOR is set
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

fn assignment(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or_else(|| format!("{text:?} is not NAME=VALUE"))?;
    Ok((name.to_owned(), value.to_owned()))
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Writes a workspace file to start from
    Init(Init),
    /// Checks the workspace file
    Validate,
    /// Shows what `up` would do
    Plan(Plan),
    /// Brings machines up
    Up(Up),
    /// Lists machines
    #[command(visible_alias = "ps")]
    Status(Targets),
    /// Lists the machines of all workspaces
    GlobalStatus,
    /// Runs the file's checks
    Check(Check),
    /// Runs a command inside a machine
    Exec(Exec),
    /// Opens a shell in a mutable machine over SSH, or runs a command there
    Ssh(Ssh),
    /// Writes an OpenSSH configuration for the running mutable machines
    SshConfig(Targets),
    /// Brings copies of synced folders up to date in machines that run
    Sync(Sync),
    /// Copies a file or folder into a mutable machine
    Upload(Upload),
    /// Runs provisioning steps that are new or changed, in machines that run
    Provision(Provision),
    /// Shows the output of machines
    Logs(Logs),
    /// Shows published ports
    Port(Targets),
    /// Changes how many machines a group has
    Scale(Scale),
    /// Shows what is different in machines from what the file describes
    Drift(Drift),
    /// Measures topologies side by side, on machines of their own
    Compare(Compare),
    /// Takes snapshots of machines and goes back to them
    #[command(subcommand)]
    Snapshot(Snapshot),
    /// Brings machines back to their newest snapshot
    Reset(Reset),
    /// Stops and starts machines, with what changed in the file
    Reload(Act),
    /// Stops machines in the middle of what they do, with all that they hold in memory
    Suspend(Act),
    /// Lets suspended machines go on
    Resume(Act),
    /// Stops machines
    #[command(visible_alias = "stop")]
    Halt(Act),
    /// Removes machines
    #[command(visible_alias = "down")]
    Destroy(Destroy),
    /// Boxes: those of the file, and the stored ones that virtual machines are made of
    #[command(subcommand)]
    Box(Boxes),
    /// Makes a box file of a virtual machine
    Package(PackageMachine),
    /// The engine that containers run in
    #[command(subcommand)]
    Engine(Engine),
    /// Checks everything that `up` needs
    Doctor(Doctor),
    /// Writes a completion script for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Targets {
    /// Machines, groups, topologies or /regular expressions/ [default: all]
    #[arg(value_name = "TARGET")]
    pub(crate) targets: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Drift {
    #[command(flatten)]
    pub(crate) targets: Targets,
    /// What machines are compared with: "up", what they were after their last provisioning, immutable ones their box; "box";
    /// or the name of a snapshot
    #[arg(long, value_name = "WHEN", default_value = "up", value_parser = since)]
    pub(crate) since: Since,
    /// Shows how this text file of one machine differs
    #[arg(long, value_name = "PATH")]
    pub(crate) diff: Option<String>,
    /// Lists all paths, also logs, caches and temporary files
    #[arg(long)]
    pub(crate) all: bool,
}

/// What machines are compared with.
fn since(text: &str) -> Result<Since, String> {
    match text {
        "up" => Ok(Since::Up),
        "box" => Ok(Since::Box),
        name => Name::new(name)
            .map(Since::Snapshot)
            .map_err(|error| format!("it is neither \"up\" nor \"box\", nor the name of a snapshot: {error}")),
    }
}

#[derive(Debug, Args)]
pub(crate) struct Init {
    /// What to start from
    #[arg(long, default_value = "spark")]
    pub(crate) template: Template,
    /// The workspace's name [default: the folder's]
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// Overwrites files that are there
    #[arg(short, long)]
    pub(crate) force: bool,
}

/// A starter file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Template {
    /// Spark and Cassandra in both idioms, with boxes, recipes and jobs
    Spark,
    /// One machine, with comments on what else there is
    Empty,
}

#[derive(Debug, Args)]
pub(crate) struct Plan {
    #[command(flatten)]
    pub(crate) targets: Targets,
    /// Plans the removal of machines that the file does not declare
    #[arg(long)]
    pub(crate) remove_orphans: bool,
    /// Exits with 4 when changes are pending
    #[arg(long)]
    pub(crate) exit_code: bool,
}

/// How a plan is carried out.
#[derive(Debug, Clone, Args)]
pub(crate) struct Execution {
    /// One operation after the other
    #[arg(long, conflicts_with = "jobs")]
    pub(crate) no_parallel: bool,
    /// How many operations at the same time
    #[arg(short, long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(crate) jobs: u16,
    /// Shows the plan and does nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Act {
    #[command(flatten)]
    pub(crate) targets: Targets,
    #[command(flatten)]
    pub(crate) execution: Execution,
}

#[derive(Debug, Args)]
pub(crate) struct Up {
    #[command(flatten)]
    pub(crate) act: Act,
    /// Removes machines that the file does not declare
    #[arg(long)]
    pub(crate) remove_orphans: bool,
    /// Prints how long each phase took
    #[arg(long)]
    pub(crate) timings: bool,
    /// Runs provisioning steps that were done again
    #[arg(long)]
    pub(crate) provision: bool,
    /// Runs no provisioning steps
    #[arg(long, conflicts_with_all = ["provision", "provision_with"])]
    pub(crate) no_provision: bool,
    /// Runs only provisioning steps with these names, or of recipes with these names
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub(crate) provision_with: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Ssh {
    /// The machine [default: the only mutable one]
    pub(crate) machine: Option<String>,
    /// Runs this shell line instead of a shell
    #[arg(short, long, value_name = "LINE", conflicts_with = "words")]
    pub(crate) command: Option<String>,
    /// Gives the command a terminal
    #[arg(short, long)]
    pub(crate) terminal: bool,
    /// Leads connections to a port of this host to a port behind the machine, until the command ends
    #[arg(short = 'L', long, value_name = "PORT:HOST:PORT", value_parser = forward)]
    pub(crate) forward: Vec<Forward>,
    /// A command and its arguments, which arrive as they are given
    #[arg(last = true)]
    pub(crate) words: Vec<String>,
}

/// A forwarded port of this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Forward {
    pub(crate) local: u16,
    pub(crate) host: String,
    pub(crate) port: u16,
}

fn forward(text: &str) -> Result<Forward, String> {
    let wrong = || format!("{text:?} is not PORT:HOST:PORT");
    let (local, rest) = text.split_once(':').ok_or_else(wrong)?;
    let (host, port) = rest.rsplit_once(':').ok_or_else(wrong)?;
    let number = |text: &str| text.parse().map_err(|_| wrong());
    Ok(Forward { local: number(local)?, host: host.to_owned(), port: number(port)? })
}

#[derive(Debug, Args)]
pub(crate) struct Sync {
    #[command(flatten)]
    pub(crate) targets: Targets,
    /// Goes on until Ctrl-C, and copies whenever something changes
    #[arg(long)]
    pub(crate) watch: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Upload {
    /// A file or folder of this host
    pub(crate) source: Utf8PathBuf,
    /// Where it goes in the machine; relative to the user's home
    pub(crate) destination: String,
    /// The machine [default: the only mutable one]
    pub(crate) machine: Option<String>,
    /// Writes as root
    #[arg(long)]
    pub(crate) sudo: bool,
}

#[derive(Debug, Args)]
pub(crate) struct PackageMachine {
    /// The machine [default: the only mutable one]
    pub(crate) machine: Option<String>,
    /// Where the box file goes
    #[arg(short, long, value_name = "FILE", default_value = "package.box")]
    pub(crate) output: Utf8PathBuf,
    /// Overwrites a file that is there
    #[arg(short, long)]
    pub(crate) force: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Provision {
    #[command(flatten)]
    pub(crate) act: Act,
    /// Runs only steps with this name, or of a recipe with this name
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub(crate) with: Vec<String>,
    /// Also runs steps that were done
    #[arg(short, long)]
    pub(crate) force: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Check {
    /// Checks to run [default: all]
    #[arg(value_name = "CHECK")]
    pub(crate) checks: Vec<String>,
    /// Only those of this topology
    #[arg(long)]
    pub(crate) topology: Option<String>,
    /// Writes the results as JUnit XML
    #[arg(long, value_name = "FILE")]
    pub(crate) junit: Option<Utf8PathBuf>,
    /// Shows the output of checks that hold as well
    #[arg(long)]
    pub(crate) show_output: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Exec {
    /// The machine
    pub(crate) machine: String,
    /// The command and its arguments
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    pub(crate) command: Vec<String>,
    /// Runs as this user
    #[arg(short, long)]
    pub(crate) user: Option<String>,
    /// Sets a variable of the command's environment
    #[arg(short, long, value_name = "NAME=VALUE", value_parser = assignment)]
    pub(crate) env: Vec<(String, String)>,
    /// Gives the command up after this time ("30s", "5m")
    #[arg(long, value_name = "TIME")]
    pub(crate) timeout: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Logs {
    #[command(flatten)]
    pub(crate) targets: Targets,
    /// Goes on with what is written from now on
    #[arg(short, long)]
    pub(crate) follow: bool,
    /// Only the last lines of each machine
    #[arg(short = 'n', long, value_name = "N")]
    pub(crate) tail: Option<u32>,
    /// Begins each line with its time
    #[arg(short, long)]
    pub(crate) timestamps: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Scale {
    /// Groups with their new counts (spark-worker=4)
    #[arg(required = true, value_name = "GROUP=COUNT", value_parser = assignment)]
    pub(crate) counts: Vec<(String, String)>,
    /// Removes machines although they cannot hand over what they have
    #[arg(short, long)]
    pub(crate) force: bool,
    #[command(flatten)]
    pub(crate) execution: Execution,
}

#[derive(Debug, Args)]
pub(crate) struct Destroy {
    #[command(flatten)]
    pub(crate) act: Act,
    /// Does not ask
    #[arg(short, long)]
    pub(crate) force: bool,
    /// Removes volumes with their data as well
    #[arg(long)]
    pub(crate) volumes: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Engine {
    /// Starts rig's own engine: on this host (Linux, root), else in a virtual machine; `--engine vm` always there
    Start,
    /// Stops rig's own engine, with all that runs in it
    Stop,
    /// Says which engine is used and what it has
    Status,
    /// Removes the virtual machine of rig's own engine, with all that is in it
    Destroy {
        /// Does not ask
        #[arg(short, long)]
        force: bool,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Doctor {
    /// Mends what it can: installs packages on Debian and Ubuntu, starts the engine
    #[arg(long)]
    pub(crate) fix: bool,
}
