//! `cargo xtask demo`: from a bare machine to a cluster that has run its jobs.

use crate::cargo::{self, Result, release, rig};
use std::time::Instant;

/// Where the comparison's page goes.
const PAGE: &str = "target/comparison.html";

/// Installs what is missing, brings the root workspace up, runs its checks, compares its idioms.
pub(crate) fn run() -> Result {
    let began = Instant::now();
    let program = release()?;
    cargo::run("rig doctor --fix", &mut rig(&program, &["doctor", "--fix"]))?;
    cargo::run("rig up", &mut rig(&program, &["up", "--timings"]))?;
    cargo::run("rig status", &mut rig(&program, &["status"]))?;
    cargo::run("rig check", &mut rig(&program, &["check"]))?;
    let checked = began.elapsed();
    // Machines that run would take processors from those that are measured.
    cargo::run("rig halt", &mut rig(&program, &["halt"]))?;
    let page = cargo::root().join(PAGE).to_string_lossy().into_owned();
    cargo::run("rig compare --quick", &mut rig(&program, &["compare", "--quick", "--html", &page]))?;
    cargo::run("rig up", &mut rig(&program, &["up"]))?;
    println!("\nFrom nothing to checked clusters in {:.0} s.", checked.as_secs_f64());
    println!("The comparison as a page:          {page}");
    println!("They go on running. To use them:   {} status | logs | ssh | exec | scale | halt", program.display());
    println!("To remove them:                    {} destroy -f --volumes", program.display());
    println!("To stop the engine, if rig's own:  {} engine stop", program.display());
    Ok(())
}
