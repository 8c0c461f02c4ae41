//! What rig takes by itself: starting, reading its file, planning, and its memory.

use super::{
    cleanup::Onlooker,
    contender::{Contender, Setting},
    options::Options,
    program,
    results::Results,
    rig::Rig,
};
use crate::{
    cargo::{Result, root},
    lab::packages,
};
use std::{fs, process::Command};

/// How many machines are planned, and brought up for the memory.
const MACHINES: usize = 100;
/// These are short: more of them in each round.
const REPEATS: usize = 5;

/// `rig --help`.
pub(super) const HELP: &str = "`rig --help`";
/// `rig validate` of the root workspace.
pub(super) const VALIDATE: &str = "`rig validate`, the root workspace";
/// `rig plan` of 100 machines.
pub(super) const PLAN: &str = "`rig plan`, 100 machines";

/// Measures all of it.
///
/// # Errors
/// When the engine cannot be brought back to nothing; what rig cannot do is a result.
pub(super) fn all(
    options: &Options,
    setting: &Setting,
    rig: &mut Rig,
    onlooker: &Onlooker,
    results: &mut Results,
) -> Result {
    println!("rig by itself");
    rig.prepare(MACHINES)?;
    for _ in 0..options.rounds * REPEATS {
        let mut help = Command::new(rig.program());
        help.arg("--help");
        let commands = [
            (HELP, help),
            (VALIDATE, rig.command(&root(), &["validate"])),
            (PLAN, rig.command(rig.folder(), &["plan"])),
        ];
        for (title, mut command) in commands {
            let series = results.own.entry(title).or_default();
            match program::run(title, &mut command, &setting.folder) {
                Ok(took) => series.add(took),
                Err(error) => series.fail(&error),
            }
        }
    }
    if !options.quick {
        match memory(setting, rig) {
            Ok(megabytes) => results.memory = Some(megabytes),
            Err(error) => results.left_out.push(format!("rig's memory at {MACHINES} machines: {error}")),
        }
        onlooker.remove_all(false)?;
    }
    Ok(())
}

/// The largest resident memory of one `rig up`, in MB of 10⁶ bytes.
fn memory(setting: &Setting, rig: &Rig) -> Result<f64> {
    packages::install(&["time"])?;
    let file = setting.folder.join("memory");
    let up = rig.command(rig.folder(), &["up"]);
    let mut time = Command::new("/usr/bin/time");
    time.args(["--format", "%M", "--output"]).arg(&file).arg(up.get_program()).args(up.get_args());
    time.env_remove("RIG_WORKSPACE").env_remove("RIG_ENGINE");
    let took = program::run("rig up", &mut time, &setting.folder)?;
    println!("  {MACHINES} machines up in {:.1} s", took.as_secs_f64());
    let text = fs::read_to_string(&file).map_err(|error| format!("reading {}: {error}", file.display()))?;
    let kib: f64 = text.trim().parse().map_err(|error| format!("time wrote {text:?}: {error}"))?;
    Ok(kib * 1024.0 / 1e6)
}
