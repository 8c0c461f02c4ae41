//! `cargo xtask demo`: from a bare machine to a cluster that has run its jobs.

use crate::cargo::{self, Result, release, rig};
use std::time::Instant;

/// Installs what is missing, brings the root workspace up, runs its checks.
pub(crate) fn run() -> Result {
    let began = Instant::now();
    let program = release()?;
    cargo::run("rig doctor --fix", &mut rig(&program, &["doctor", "--fix"]))?;
    cargo::run("rig up", &mut rig(&program, &["up", "--timings"]))?;
    cargo::run("rig status", &mut rig(&program, &["status"]))?;
    cargo::run("rig check", &mut rig(&program, &["check"]))?;
    println!("\nFrom nothing to checked clusters in {:.0} s.", began.elapsed().as_secs_f64());
    println!("They go on running. To use them:   {} status | logs | ssh | exec | scale | halt", program.display());
    println!("To remove them:                    {} destroy -f --volumes", program.display());
    println!("To stop the engine, if rig's own:  {} engine stop", program.display());
    Ok(())
}
