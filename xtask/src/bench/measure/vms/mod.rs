//! Virtual machines: how long they take until somebody is let in, and how many programs of VirtualBox that takes.

mod plain;
mod qemu;
mod report;
mod virtualbox;

use super::{machine, options::Options, program, report as file, results::Series, rig};
use crate::{cargo::Result, lab::packages};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

/// What the others are measured against.
const RIG: &str = "rig";

/// Everything that is measured of virtual machines.
#[derive(Default)]
struct Results {
    /// From nothing to a login, by box and contender.
    login: BTreeMap<(&'static str, &'static str), Series>,
    /// Steps in a life on VirtualBox, by their place in it and contender.
    steps: BTreeMap<(virtualbox::Step, &'static str), virtualbox::Cost>,
    /// Names and versions.
    versions: Vec<(&'static str, String)>,
    /// What was left out, and why.
    left_out: Vec<String>,
}

/// A folder for everything that is made, and the program that is measured.
struct Setting {
    folder: PathBuf,
    program: PathBuf,
}

impl Setting {
    /// rig in a workspace, with boxes and machines of its own.
    fn rig(&self, workspace: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.arg("--workspace").arg(workspace).args(arguments);
        command.env_remove("RIG_WORKSPACE").env_remove("RIG_ENGINE").env("XDG_DATA_HOME", self.folder.join("data"));
        command
    }

    /// A folder with rig's file.
    fn workspace(&self, name: &str, text: &str) -> Result<PathBuf> {
        let folder = self.folder.join(name);
        fs::create_dir_all(&folder).map_err(|error| format!("creating {}: {error}", folder.display()))?;
        let path = folder.join("workspace.kdl");
        fs::write(&path, text).map_err(|error| format!("writing {}: {error}", path.display()))?;
        Ok(folder)
    }
}

/// Measures, and writes the section about virtual machines.
///
/// # Errors
/// When nothing can be measured at all; what a contender cannot do is a result.
pub(super) fn run(options: &Options) -> Result {
    let began = Instant::now();
    packages::install(&["qemu-system-x86", "qemu-utils", "mmdebstrap", "openssh-client"])?;
    let folder = std::env::temp_dir().join(format!("rigbench-{}", std::process::id()));
    let setting = Setting { program: rig::program()?, folder };
    let mut results = Results::default();
    results.versions.push((RIG, program::first_line(Command::new(&setting.program).arg("--version"))?));
    let measured = qemu::all(options, &setting, &mut results).and_then(|()| {
        virtualbox::all(options, &setting, &mut results).or_else(|error| {
            results.left_out.push(format!("VirtualBox: {error}"));
            Ok(())
        })
    });
    let removed = match fs::remove_dir_all(&setting.folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(format!("removing {}: {error}", setting.folder.display()))
        }
        _ => Ok(()),
    };
    measured.and(removed)?;
    let section = report::section(&machine::description(), options.rounds, &results);
    println!("\n{section}\nmeasured in {:.0} s", began.elapsed().as_secs_f64());
    if options.quick { Ok(()) } else { file::write(&section) }
}
