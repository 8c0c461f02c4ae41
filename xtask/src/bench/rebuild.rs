//! Builds the measuring program, with optimization, and runs it.

use crate::cargo::{self, Result, cargo, release};
use std::process::Command;

/// Measures with these arguments.
///
/// # Errors
/// When something cannot be built, or measuring fails.
pub(crate) fn run(arguments: &[String]) -> Result {
    let program = release()?;
    let features = ["build", "--release", "--package", "xtask", "--features", "bench"];
    cargo::run("build the benchmark", &mut cargo(&features))?;
    let benchmark = program.with_file_name(format!("xtask{}", std::env::consts::EXE_SUFFIX));
    cargo::run("bench", Command::new(benchmark).arg("bench").args(arguments).env("RIG_PROGRAM", program))
}
