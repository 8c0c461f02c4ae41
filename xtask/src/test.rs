//! `cargo xtask test`: everything that says that the project is sound, the fast part first.

use crate::cargo::{self, Result, cargo, release, rig};
use std::time::Instant;

/// The features that turn on tests with real engines.
const ENGINE_TESTS: &str = "rig/engine-tests,rig-provider-docker/engine-tests";

/// Runs the fast part, then, unless told otherwise, the slow one.
pub(crate) fn run(fast_only: bool) -> Result {
    let began = Instant::now();
    fast()?;
    println!("fast part: {:.0} s", began.elapsed().as_secs_f64());
    if !fast_only {
        slow()?;
    }
    println!("everything passed in {:.0} s", began.elapsed().as_secs_f64());
    Ok(())
}

/// Format, lints, unit tests, golden plans, the fake provider.
fn fast() -> Result {
    cargo::run("format", &mut cargo(&["fmt", "--all", "--check"]))?;
    cargo::run("test", &mut cargo(&["test", "--workspace", "--locked", "--quiet"]))?;
    let lints =
        ["clippy", "--workspace", "--locked", "--all-targets", "--features", ENGINE_TESTS, "--", "--deny", "warnings"];
    cargo::run("lints", &mut cargo(&lints))
}

/// Real engines and clusters.
fn slow() -> Result {
    let program = release()?;
    cargo::run("rig doctor --fix", &mut rig(&program, &["doctor", "--fix"]))?;
    let conformance =
        ["test", "--locked", "--package", "rig-provider-docker", "--features", "engine-tests", "--test", "conformance"];
    cargo::run("provider conformance on the engine", &mut cargo(&conformance))?;
    let scenarios = [
        "test",
        "--locked",
        "--package",
        "rig",
        "--features",
        "engine-tests",
        "--test",
        "scenarios",
        "--",
        "--test-threads=1",
    ];
    cargo::run("scenarios on the engine", cargo(&scenarios).env("RIG_PROGRAM", &program))
}
