//! The same machines on the same VirtualBox, by rig and by Vagrant: how many of its programs that takes, and how long.

use super::{
    super::{contender::PREFIX, options::Options, program, results::Series},
    RIG, Results, Setting,
};
use crate::{
    cargo::Result,
    lab::{
        packages,
        virtualbox::{self, Lab},
    },
};
use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

/// Who is beside rig.
pub(super) const VAGRANT: &str = "vagrant";

/// Machines of each.
pub(super) const MACHINES: usize = 2;

/// The newest VirtualBox that Vagrant 2.3.4 knows; it refuses every later one. The calls that it makes are the same in later ones.
const KNOWN: &str = "7.0.26r168464";

/// What the program in the place of `VBoxManage` does for Vagrant beside counting: it tells that version.
const VAGRANTS: &str = r#"if [ "$1" = --version ]; then
    echo "$1" >>"$log"
    echo KNOWN
    exit
fi
"#;

/// One step of the machines' life, in the order in which they are done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Step {
    /// From an imported box to a login.
    Up,
    /// Again, with nothing to do.
    NoOp,
    /// A list of the machines.
    Status,
    /// The power button, or what stands for it.
    Halt,
    /// From a machine that is off to a login.
    Start,
    /// Back to nothing.
    Destroy,
}

impl Step {
    pub(super) const ALL: [Self; 6] = [Self::Up, Self::NoOp, Self::Status, Self::Halt, Self::Start, Self::Destroy];

    /// As headings have it.
    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::NoOp => "up, nothing to do",
            Self::Status => "status",
            Self::Halt => "halt",
            Self::Start => "up of machines that are off",
            Self::Destroy => "destroy",
        }
    }

    fn arguments(self) -> &'static [&'static str] {
        match self {
            Self::Up | Self::NoOp | Self::Start => &["up"],
            Self::Status => &["status"],
            Self::Halt => &["halt"],
            Self::Destroy => &["destroy", "-f"],
        }
    }
}

/// What a step takes.
#[derive(Default)]
pub(super) struct Cost {
    /// How long.
    pub(super) time: Series,
    /// Programs of VirtualBox that were run, the most of all rounds.
    pub(super) programs: usize,
}

/// Does every round. What fails is a result.
///
/// # Errors
/// When there is no lab.
pub(super) fn all(options: &Options, setting: &Setting, results: &mut Results) -> Result {
    let lab = virtualbox::prepare()?;
    let mut contenders = vec![Contender::rig(setting, &lab)?];
    let version = Command::new(lab.programs().join("VBoxManage")).arg("--version").output();
    let version = version.map_err(|error| format!("VBoxManage --version: {error}"))?;
    let version = String::from_utf8_lossy(&version.stdout);
    // Debian's addition says nothing about speed.
    results.versions.push(("VirtualBox", version.trim().split('_').next().unwrap_or_default().to_owned()));
    match Contender::vagrant(setting, &lab) {
        Ok((vagrant, version)) => {
            contenders.push(vagrant);
            results.versions.push((VAGRANT, version));
        }
        Err(error) => results.left_out.push(format!("{VAGRANT}: {error}")),
    }
    for round in 0..options.rounds {
        println!("VirtualBox, round {} of {}", round + 1, options.rounds);
        for turn in 0..contenders.len() {
            contenders[(round + turn) % contenders.len()].round(setting, results);
        }
    }
    remove_all(setting, &lab)
}

/// Somebody who brings machines up on VirtualBox.
struct Contender {
    name: &'static str,
    /// Where its file is.
    folder: PathBuf,
    /// What notes every call of `VBoxManage`, in the place of it.
    counter: Counter,
    command: fn(&Setting, &Path, &[&str]) -> Command,
}

impl Contender {
    fn rig(setting: &Setting, lab: &Lab) -> Result<Self> {
        let text = format!(
            r#"workspace "{PREFIX}-vbox"
box "tiny" {{ stored "lab/tiny"; }}
topology "t" idiom="mutable" {{
    machine "m" count={MACHINES} {{
        provider "virtualbox"
        box "tiny"
        limits memory="128MiB" cpus=1
    }}
}}
"#
        );
        let folder = setting.workspace("vbox-rig", &text)?;
        let file = lab.box_file().display().to_string();
        let mut add = setting.rig(&folder, &["box", "add", &file, "--name", "lab/tiny", "--version", "1.0"]);
        program::run("rig box add", &mut add, &setting.folder)?;
        Ok(Self {
            name: RIG,
            folder,
            counter: Counter::new(setting, lab, RIG, "")?,
            command: |setting, folder, arguments| setting.rig(folder, arguments),
        })
    }

    fn vagrant(setting: &Setting, lab: &Lab) -> Result<(Self, String)> {
        packages::install(&["vagrant"])?;
        let version = program::first_line(Command::new("vagrant").arg("--version"))?.replace("Vagrant ", "");
        let folder = setting.folder.join("vbox-vagrant");
        fs::create_dir_all(&folder).map_err(|error| format!("creating {}: {error}", folder.display()))?;
        let text = format!(
            r#"Vagrant.configure("2") do |config|
  config.vm.box = "{PREFIX}-tiny"
  config.vm.box_check_update = false
  config.vm.boot_timeout = 600
  config.vm.guest = :linux
  config.vm.synced_folder ".", "/vagrant", disabled: true
  config.vm.allow_fstab_modification = false
  config.ssh.shell = "sh"
  config.ssh.insert_key = false
  config.vm.provider "virtualbox" do |machine|
    machine.memory = 128
    machine.cpus = 1
  end
  (1..{MACHINES}).each {{ |number| config.vm.define "m#{{number}}" }}
end
"#
        );
        fs::write(folder.join("Vagrantfile"), text).map_err(|error| format!("writing Vagrant's file: {error}"))?;
        let told = VAGRANTS.replace("KNOWN", KNOWN);
        let contender = Self {
            name: VAGRANT,
            counter: Counter::new(setting, lab, VAGRANT, &told)?,
            folder,
            command: |setting, folder, arguments| {
                let mut command = Command::new("vagrant");
                // The small guest has no program by which Vagrant would have it shut down.
                let force: &[&str] = if arguments == Step::Halt.arguments() { &["--force"] } else { &[] };
                command
                    .args(arguments)
                    .args(force)
                    .current_dir(folder)
                    .env("VAGRANT_HOME", setting.folder.join("vagrant-home"));
                // No question to a server whether there is a newer one.
                command.env("VAGRANT_CHECKPOINT_DISABLE", "1").env("VAGRANT_DEFAULT_PROVIDER", "virtualbox");
                command
            },
        };
        let file = lab.box_file().display().to_string();
        let mut add = contender.counted(setting, &["box", "add", &file, "--name", &format!("{PREFIX}-tiny")])?;
        program::run("vagrant box add", &mut add, &setting.folder)?;
        Ok((contender, version))
    }

    /// A command whose calls of VirtualBox's program are counted.
    fn counted(&self, setting: &Setting, arguments: &[&str]) -> Result<Command> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folders = std::iter::once(self.counter.folder.clone()).chain(std::env::split_paths(&path));
        let path = std::env::join_paths(folders).map_err(|error| format!("the search path: {error}"))?;
        let mut command = (self.command)(setting, &self.folder, arguments);
        command.env("PATH", path);
        Ok(command)
    }

    /// From nothing to nothing.
    fn round(&self, setting: &Setting, results: &mut Results) {
        for step in Step::ALL {
            self.counter.take();
            let title = format!("{} {}", self.name, step.arguments()[0]);
            let done = self
                .counted(setting, step.arguments())
                .and_then(|mut command| program::run(&title, &mut command, &setting.folder));
            let cost = results.steps.entry((step, self.name)).or_default();
            let programs = self.counter.take();
            match done {
                Ok(took) => {
                    println!("  {}, {}: {:.2} s, {programs} programs", self.name, step.title(), took.as_secs_f64());
                    cost.time.add(took);
                    cost.programs = cost.programs.max(programs);
                }
                Err(error) => {
                    println!("  {}, {}: {error}", self.name, step.title());
                    cost.time.fail(&error);
                }
            }
        }
    }
}

/// A program that is found in the place of `VBoxManage`, and notes every call.
struct Counter {
    folder: PathBuf,
}

impl Counter {
    /// `first` is what it does before anything else.
    fn new(setting: &Setting, lab: &Lab, name: &str, first: &str) -> Result<Self> {
        let counter = Self { folder: setting.folder.join(format!("counted-{name}")) };
        let program = counter.folder.join("VBoxManage");
        let (log, real) = (counter.log(), lab.programs().join("VBoxManage"));
        let (log, real) = (log.display(), real.display());
        let text =
            format!("#!/bin/sh\nlog='{log}'\nreal='{real}'\n{first}echo \"$1\" >>\"$log\"\nexec \"$real\" \"$@\"\n");
        fs::create_dir_all(&counter.folder)
            .and_then(|()| fs::write(&program, text))
            .and_then(|()| fs::set_permissions(&program, fs::Permissions::from_mode(0o755)))
            .map_err(|error| format!("writing {}: {error}", program.display()))?;
        Ok(counter)
    }

    fn log(&self) -> PathBuf {
        self.folder.join("log")
    }

    /// The calls since the last time.
    fn take(&self) -> usize {
        let text = fs::read_to_string(self.log()).unwrap_or_default();
        // Where nothing was called, there is none.
        let _ = fs::remove_file(self.log());
        text.lines().count()
    }
}

/// Removes machines whose files are the measurement's: what failed half way, and the masters of clones.
fn remove_all(setting: &Setting, lab: &Lab) -> Result {
    let manage = |arguments: &[&str]| {
        let output = Command::new(lab.programs().join("VBoxManage")).args(arguments).output();
        let output = output.map_err(|error| format!("VBoxManage {}: {error}", arguments[0]))?;
        Ok::<_, String>(String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let ours = setting.folder.display().to_string();
    // Clones stand behind what they are made of.
    for line in manage(&["list", "vms"])?.lines().rev() {
        let Some(identity) = line.rsplit_once('{').map(|(_, rest)| rest.trim_end_matches('}')) else { continue };
        if manage(&["showvminfo", identity, "--machinereadable"])?.contains(&ours) {
            // One that is off says so, which is no reason to keep it.
            manage(&["controlvm", identity, "poweroff"])?;
            manage(&["unregistervm", identity, "--delete"])?;
        }
    }
    Ok(())
}
