//! Running programs, with their times.

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

/// The result of a task: why it failed, in words.
pub(crate) type Result<T = ()> = std::result::Result<T, String>;

/// The root of the workspace.
pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_owned()
}

/// Runs a program in the root, shows its output, and says how long it took.
pub(crate) fn run(title: &str, command: &mut Command) -> Result {
    let began = Instant::now();
    println!("==> {title}");
    let status = command.current_dir(root()).status().map_err(|error| format!("{title}: {error}"))?;
    println!("<== {title}: {:.1} s", began.elapsed().as_secs_f64());
    if status.success() { Ok(()) } else { Err(format!("{title}: {status}")) }
}

/// Cargo with arguments.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments);
    command
}

/// Builds the program as users have it, and says where it is.
pub(crate) fn release() -> Result<PathBuf> {
    run("build rig", &mut cargo(&["build", "--release", "--package", "rig"]))?;
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    Ok(root().join(target).join("release").join(format!("rig{}", std::env::consts::EXE_SUFFIX)))
}

/// The program with arguments.
pub(crate) fn rig(program: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments);
    command
}
