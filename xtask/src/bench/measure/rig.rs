//! rig as a contender.

use super::{
    contender::{COMMAND, Contender, PREFIX, Setting, Step},
    program,
};
use crate::cargo::Result;
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// The box of trivial machines.
pub(super) const BOX: &str = "rigbench";

/// The program, and a workspace of trivial machines.
pub(super) struct Rig {
    program: PathBuf,
    engine: String,
    folder: PathBuf,
    version: String,
}

impl Rig {
    /// Finds the program.
    ///
    /// # Errors
    /// When it is not there, or its folder cannot be made.
    pub(super) fn new(setting: &Setting) -> Result<Self> {
        let program = program()?;
        let version = program::first_line(Command::new(&program).arg("--version"))?;
        let folder = setting.folder.join("rig");
        let files = folder.join("box");
        fs::create_dir_all(&files).map_err(|error| format!("creating {}: {error}", files.display()))?;
        Ok(Self { program, engine: setting.docker_host(), folder, version })
    }

    /// The program in a workspace.
    pub(super) fn command(&self, workspace: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(["--engine", &self.engine, "--workspace"]).arg(workspace).args(arguments);
        command.env_remove("RIG_WORKSPACE").env_remove("RIG_ENGINE");
        command
    }

    /// Builds the box that all contenders use. It holds one program, the host's static busybox.
    ///
    /// # Errors
    /// When it cannot be built.
    pub(super) fn build_box(&mut self) -> Result {
        let files = self.folder.join("box");
        fs::copy("/bin/busybox", files.join("busybox"))
            .map_err(|error| format!("copying the host's busybox: {error}"))?;
        let text = "FROM scratch\nCOPY busybox /bin/busybox\nCOPY busybox /bin/sh\nENV PATH=/bin\nENTRYPOINT [\"/bin/busybox\"]\n";
        fs::write(files.join("Dockerfile"), text).map_err(|error| format!("writing the box's Dockerfile: {error}"))?;
        self.prepare(1)?;
        program::run("rig box build", &mut self.command(&self.folder, &["box", "build"]), &self.folder)?;
        Ok(())
    }

    /// The workspace of trivial machines.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The program itself.
    pub(super) fn program(&self) -> &Path {
        &self.program
    }
}

/// The program that is measured: `RIG_PROGRAM`, or the one beside this program.
///
/// # Errors
/// When nobody knows where this program is.
pub(super) fn program() -> Result<PathBuf> {
    let beside = || std::env::current_exe().map(|path| path.with_file_name("rig"));
    let program = std::env::var_os("RIG_PROGRAM").map_or_else(beside, |path| Ok(path.into()));
    program.map_err(|error| format!("finding rig: {error}"))
}

impl Contender for Rig {
    fn name(&self) -> &'static str {
        "rig"
    }

    fn version(&self) -> &str {
        &self.version
    }

    fn prepare(&mut self, count: usize) -> Result {
        let [shell, option, script] = COMMAND;
        let text = format!(
            r#"workspace "{PREFIX}-rig"
box "{BOX}" {{
    build "box"
    host-trust #false
}}
topology "t" idiom="immutable" {{
    machine "m" count={count} {{
        box "{BOX}"
        command "{shell}" "{option}" "{script}"
    }}
}}
"#
        );
        fs::write(self.folder.join("workspace.kdl"), text).map_err(|error| format!("writing rig's workspace: {error}"))
    }

    fn step(&mut self, step: Step) -> Result {
        let arguments: &[&str] = match step {
            Step::Up | Step::NoOp => &["up"],
            Step::Status => &["status"],
            Step::Destroy => &["destroy", "-f"],
        };
        program::run(&format!("rig {}", arguments[0]), &mut self.command(&self.folder, arguments), &self.folder)?;
        Ok(())
    }
}
