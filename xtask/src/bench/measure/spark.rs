//! From nothing to clusters that are ready: rig, and scripts of docker commands and OpenSSH.

use super::{
    cleanup::Onlooker,
    contender::{PREFIX, Setting},
    naughty::Naughty,
    options::Options,
    program, raw,
    results::Results,
    rig::Rig,
    script::{self, Cluster},
};
use crate::{
    cargo::{Result, root},
    lab::packages,
};
use bollard::query_parameters::{InspectContainerOptions, InspectNetworkOptions, ListContainersOptions};
use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};
use tokio::runtime::Builder;

/// Images that hold the service.
pub(super) const IMMUTABLE: &str = "immutable Spark, 1 + 2: up → workers registered";
/// Machines that Spark is installed in over SSH.
pub(super) const NAUGHTY: &str = "naughty Spark, 1 + 2: up → workers registered";
/// The whole topology, by rig alone.
pub(super) const EVERYTHING: &str = "immutable Spark and Cassandra: up → ready";

/// Who does it without rig.
pub(super) const SCRIPT: &str = "script";

/// What the clusters consist of; the README's own workspace, under another name.
const PARTS: [&str; 4] = ["workspace.kdl", "boxes", "recipes", "jobs"];
const WORKSPACE: &str = "rigbench-spark";

/// The machines of a row, and the machine that the others report to.
fn machines(row: &str) -> (&'static [&'static str], &'static str) {
    match row {
        IMMUTABLE => (&["immutable/spark-master", "immutable/spark-worker"], "spark-master"),
        NAUGHTY => (&["naughty/scale"], "scale1"),
        _ => (&["immutable"], "spark-master"),
    }
}

/// Does every round. What fails is a result.
pub(super) fn all(
    options: &Options,
    setting: &Setting,
    rig: &Rig,
    onlooker: &Onlooker,
    results: &mut Results,
) -> Result {
    let lab = Lab { setting, rig, onlooker, folder: setting.folder.join("spark") };
    if let Err(error) = lab.prepare() {
        results.left_out.push(format!("clusters: {error}"));
        return onlooker.remove_all(false);
    }
    for round in 0..options.rounds {
        for row in [IMMUTABLE, NAUGHTY, EVERYTHING] {
            println!("{row}, round {} of {}", round + 1, options.rounds);
            let mut turns = vec!["rig"];
            if row != EVERYTHING {
                turns.push(SCRIPT);
                turns.rotate_left(round % 2);
            }
            for turn in turns {
                let mut command = if turn == "rig" { lab.up(row) } else { lab.script(row) };
                let series = results.spark.entry((row, turn)).or_default();
                match program::run(&format!("{row} by {turn}"), &mut command, &lab.folder) {
                    Ok(took) => {
                        println!("  {turn:8}  {:.2} s", took.as_secs_f64());
                        series.add(took);
                    }
                    Err(error) => {
                        println!("  {turn:8}  failed: {error}");
                        series.fail(&error);
                    }
                }
                lab.clear()?;
            }
        }
    }
    Ok(())
}

/// The root workspace in a folder of its own.
struct Lab<'a> {
    setting: &'a Setting,
    rig: &'a Rig,
    onlooker: &'a Onlooker,
    folder: PathBuf,
}

impl Lab<'_> {
    /// Builds the boxes, brings the clusters up once, and writes the scripts from what the engine says about them.
    fn prepare(&self) -> Result {
        packages::install(&["curl", "docker.io", "openssh-client"])?;
        fs::create_dir_all(&self.folder).map_err(|error| format!("creating {}: {error}", self.folder.display()))?;
        for part in PARTS {
            let status = Command::new("cp").arg("-r").arg(root().join(part)).arg(&self.folder).status();
            if !status.map_err(|error| format!("copying {part}: {error}"))?.success() {
                return Err(format!("copying {part} failed"));
            }
        }
        rename(&self.folder.join("workspace.kdl"))?;
        println!("clusters: building the boxes, unless they are there");
        let mut build = self.rig.command(&self.folder, &["box", "build", "spark", "cassandra", "sshd"]);
        program::run("rig box build", &mut build, &self.folder)?;
        for row in [IMMUTABLE, NAUGHTY] {
            program::run("rig up", &mut self.up(row), &self.folder)?;
            let cluster = self.inspect(machines(row).1)?;
            let text = if row == NAUGHTY {
                Naughty::prepare(self.setting, &self.folder, &cluster)?.script()
            } else {
                script::up(&cluster)
            };
            let path = self.script_of(row);
            fs::write(&path, text).map_err(|error| format!("writing {}: {error}", path.display()))?;
            self.clear()?;
        }
        Ok(())
    }

    /// Brings everything back to nothing.
    fn clear(&self) -> Result {
        let mut destroy = self.rig.command(&self.folder, &["destroy", "-f", "--volumes"]);
        program::run("rig destroy", &mut destroy, &self.folder)?;
        self.onlooker.remove_all(false)
    }

    fn up(&self, row: &str) -> Command {
        let mut command = self.rig.command(&self.folder, &["up"]);
        command.args(machines(row).0);
        command
    }

    fn script(&self, row: &str) -> Command {
        let mut command = Command::new("sh");
        command.arg(self.script_of(row)).current_dir(&self.folder).env("DOCKER_HOST", self.setting.docker_host());
        command
    }

    fn script_of(&self, row: &str) -> PathBuf {
        self.folder.join(if row == NAUGHTY { "naughty.sh" } else { "immutable.sh" })
    }

    /// The cluster that rig made.
    fn inspect(&self, master_name: &str) -> Result<Cluster> {
        let runtime = Builder::new_current_thread().enable_all().build();
        runtime.map_err(|error| format!("starting a runtime: {error}"))?.block_on(async {
            let docker = raw::connect(self.setting).await?;
            let label = HashMap::from([("label".to_owned(), vec![format!("rig.workspace={WORKSPACE}")])]);
            let options = ListContainersOptions { filters: Some(label), ..ListContainersOptions::default() };
            let list =
                docker.list_containers(Some(options)).await.map_err(|error| format!("listing the cluster: {error}"))?;
            let (mut master, mut workers) = (None, Vec::new());
            for id in list.into_iter().filter_map(|container| container.id) {
                let container = docker.inspect_container(&id, None::<InspectContainerOptions>).await;
                let container = container.map_err(|error| format!("inspecting the cluster: {error}"))?;
                if container.name.as_deref().is_some_and(|name| name.ends_with(master_name)) {
                    master = Some(container);
                } else {
                    workers.push(container);
                }
            }
            let master = master.ok_or_else(|| format!("{PREFIX}: rig brought no master up"))?;
            let networks = master.network_settings.as_ref().and_then(|settings| settings.networks.as_ref());
            let network = networks.and_then(|networks| networks.keys().next()).ok_or("the master has no network")?;
            let network = docker.inspect_network(network, None::<InspectNetworkOptions>).await;
            let network = network.map_err(|error| format!("inspecting the cluster's network: {error}"))?;
            let subnet = network.ipam.and_then(|ipam| ipam.config?.into_iter().next()?.subnet);
            Ok(Cluster { subnet: subnet.ok_or("the cluster's network has no range")?, master, workers })
        })
    }
}

/// A name of its own, so that a cluster that somebody uses is left alone.
fn rename(file: &Path) -> Result {
    let text = fs::read_to_string(file).map_err(|error| format!("reading {}: {error}", file.display()))?;
    let mut found = false;
    let lines = text.lines().map(|line| {
        if line.starts_with("workspace ") {
            found = true;
            format!("workspace \"{WORKSPACE}\"")
        } else {
            line.to_owned()
        }
    });
    let text = lines.collect::<Vec<_>>().join("\n") + "\n";
    if !found {
        return Err("the root workspace has no line `workspace \"…\"`".to_owned());
    }
    fs::write(file, text).map_err(|error| format!("writing {}: {error}", file.display()))
}
