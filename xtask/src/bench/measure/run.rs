//! The whole run: engine, contenders, rounds, report.

use super::{
    cleanup::Onlooker,
    compose::Compose,
    contender::{Contender, Setting},
    engine::Engine,
    machine,
    options::{Options, Part},
    own,
    raw::{self, Raw},
    report::{self, Subject},
    results::Results,
    rig::Rig,
    rounds, spark, ssh,
    vagrant::Vagrant,
    vms,
};
use crate::{cargo::Result, lab::packages};
use std::{fs, path::PathBuf, time::Instant};

/// Why contenders are left out that talk to their machines.
const UNREACHABLE: &str = "the host does not reach this engine's containers";

/// Measures with these arguments.
///
/// # Errors
/// When there is no engine or no rig, or the engine cannot be brought back to nothing.
pub(crate) fn run(arguments: &[String]) -> Result {
    let options = Options::parse(arguments)?;
    if cfg!(debug_assertions) {
        return Err("this program was built without optimization; its API client would look slow".to_owned());
    }
    if options.vms {
        return vms::run(&options);
    }
    packages::install(&["busybox-static"])?;
    let engine = Engine::get(&options.engine)?;
    let folder = std::env::temp_dir().join(format!("rigbench-{}", std::process::id()));
    let measured = on(&engine, &options, folder.clone());
    let stopped = engine.stop();
    let removed = match fs::remove_dir_all(&folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(format!("removing {}: {error}", folder.display()))
        }
        _ => Ok(()),
    };
    measured.and(stopped).and(removed)
}

/// Measures on an engine that answers.
fn on(engine: &Engine, options: &Options, folder: PathBuf) -> Result {
    let began = Instant::now();
    let mut setting = Setting { socket: engine.socket.clone(), image: String::new(), folder };
    let onlooker = Onlooker::new(&setting)?;
    onlooker.remove_all(true)?;
    let mut rig = Rig::new(&setting)?;
    rig.build_box()?;
    setting.image = onlooker.image()?;

    let mut results = Results::default();
    let mut contenders: Vec<Box<dyn Contender>> = vec![Box::new(Rig::new(&setting)?), Box::new(Raw::new(&setting)?)];
    match Compose::new(&setting) {
        Ok(compose) => contenders.push(Box::new(compose)),
        Err(error) => results.left_out.push(format!("compose: {error}")),
    }
    // Vagrant tries to log in for 16 s when it gets no answer at all, not even a refusal.
    let vagrant = if engine.reachable { Vagrant::new(&setting) } else { Err(UNREACHABLE.to_owned()) };
    match vagrant {
        Ok(vagrant) => contenders.push(Box::new(vagrant)),
        Err(error) => results.left_out.push(format!("vagrant: {error}")),
    }
    let names = contenders.iter().map(|contender| (contender.name(), contender.version().to_owned())).collect();
    let (version, engine_details) = engine_version(&setting)?;
    println!("engine {version}; {engine_details}; {}", machine::description());

    if options.wants(Part::Machines) {
        rounds::all(options, &mut contenders, &onlooker, &mut results)?;
    }
    if engine.reachable {
        if options.wants(Part::Spark) {
            spark::all(options, &setting, &rig, &onlooker, &mut results)?;
        }
        if options.wants(Part::Ssh) {
            ssh::all(options, &setting, &rig, &onlooker, &mut results)?;
        }
    } else {
        results.left_out.push(format!("Spark, SSH: {UNREACHABLE}"));
    }
    if options.wants(Part::Own) {
        own::all(options, &setting, &mut rig, &onlooker, &mut results)?;
    }
    onlooker.remove_all(true)?;

    let subject = Subject {
        engine: version,
        engine_details,
        machine: machine::description(),
        rounds: options.rounds,
        counts: options.counts(),
        contenders: names,
    };
    let section = report::section(&subject, &results);
    println!("\n{section}\nmeasured in {:.0} s", began.elapsed().as_secs_f64());
    if options.is_whole() { report::write(&section) } else { Ok(()) }
}

/// The engine's version, and what else matters for its speed.
fn engine_version(setting: &Setting) -> Result<(String, String)> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| format!("starting a runtime: {error}"))?.block_on(async {
        let docker = raw::connect(setting).await?;
        let version = docker.version().await.map_err(|error| format!("asking for the engine's version: {error}"))?;
        let info = docker.info().await.map_err(|error| format!("asking for the engine's storage: {error}"))?;
        let details = format!("API {}, {}", version.api_version.unwrap_or_default(), info.driver.unwrap_or_default());
        // Debian's addition says nothing about speed.
        let version = version.version.unwrap_or_default();
        Ok((version.split('+').next().unwrap_or_default().to_owned(), details))
    })
}
