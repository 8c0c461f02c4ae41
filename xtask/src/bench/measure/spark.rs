//! From nothing to an immutable Spark cluster whose workers have registered: rig, and a script of docker commands.

use super::{
    cleanup::Onlooker,
    contender::{PREFIX, Setting},
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

/// What the cluster consists of; the README's own workspace, under another name.
const PARTS: [&str; 4] = ["workspace.kdl", "boxes", "recipes", "jobs"];
/// The machines that are brought up.
const MACHINES: [&str; 2] = ["immutable/spark-master", "immutable/spark-worker"];
const WORKSPACE: &str = "rigbench-spark";

/// Does every round. What fails is a result.
pub(super) fn all(
    options: &Options,
    setting: &Setting,
    rig: &Rig,
    onlooker: &Onlooker,
    results: &mut Results,
) -> Result {
    let folder = match prepare(setting, rig) {
        Ok(folder) => folder,
        Err(error) => {
            results.spark.entry("rig").or_default().fail(&error);
            return onlooker.remove_all(false);
        }
    };
    for round in 0..options.rounds {
        println!("Spark, round {} of {}", round + 1, options.rounds);
        let mut turns = ["rig", "script"];
        turns.rotate_left(round % 2);
        for turn in turns {
            let mut command = match turn {
                "rig" => up(rig, &folder),
                _ => shell(setting, &folder),
            };
            let series = results.spark.entry(turn).or_default();
            match program::run(&format!("Spark by {turn}"), &mut command, &folder) {
                Ok(took) => {
                    println!("  {turn:8}  {:.2} s", took.as_secs_f64());
                    series.add(took);
                }
                Err(error) => {
                    println!("  {turn:8}  failed: {error}");
                    series.fail(&error);
                }
            }
            onlooker.remove_all(false)?;
        }
    }
    Ok(())
}

/// Builds the boxes, brings the cluster up once, and writes the script from what the engine says about it.
fn prepare(setting: &Setting, rig: &Rig) -> Result<PathBuf> {
    packages::install(&["curl", "docker.io"])?;
    let folder = setting.folder.join("spark");
    fs::create_dir_all(&folder).map_err(|error| format!("creating {}: {error}", folder.display()))?;
    for part in PARTS {
        let status = Command::new("cp").arg("-r").arg(root().join(part)).arg(&folder).status();
        if !status.map_err(|error| format!("copying {part}: {error}"))?.success() {
            return Err(format!("copying {part} failed"));
        }
    }
    rename(&folder.join("workspace.kdl"))?;
    println!("Spark: building the boxes, unless they are there");
    program::run("rig box build", &mut rig.command(&folder, &["box", "build", "spark"]), &folder)?;
    program::run("rig up", &mut up(rig, &folder), &folder)?;
    let script = script::up(&inspect(setting)?);
    fs::write(folder.join("up.sh"), script).map_err(|error| format!("writing the script: {error}"))?;
    program::run("rig destroy", &mut rig.command(&folder, &["destroy", "-f"]), &folder)?;
    Ok(folder)
}

fn up(rig: &Rig, folder: &Path) -> Command {
    let mut command = rig.command(folder, &["up"]);
    command.args(MACHINES);
    command
}

fn shell(setting: &Setting, folder: &Path) -> Command {
    let mut command = Command::new("sh");
    command.arg("up.sh").current_dir(folder).env("DOCKER_HOST", setting.docker_host());
    command
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

/// The cluster that rig made.
fn inspect(setting: &Setting) -> Result<Cluster> {
    let runtime =
        Builder::new_current_thread().enable_all().build().map_err(|error| format!("starting a runtime: {error}"))?;
    runtime.block_on(async {
        let docker = raw::connect(setting).await?;
        let label = HashMap::from([("label".to_owned(), vec![format!("rig.workspace={WORKSPACE}")])]);
        let options = ListContainersOptions { filters: Some(label), ..ListContainersOptions::default() };
        let list =
            docker.list_containers(Some(options)).await.map_err(|error| format!("listing the cluster: {error}"))?;
        let (mut master, mut workers) = (None, Vec::new());
        for id in list.into_iter().filter_map(|container| container.id) {
            let container = docker.inspect_container(&id, None::<InspectContainerOptions>).await;
            let container = container.map_err(|error| format!("inspecting the cluster: {error}"))?;
            if container.name.as_deref().is_some_and(|name| name.ends_with("master")) {
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
