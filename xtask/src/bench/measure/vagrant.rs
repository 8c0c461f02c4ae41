//! Vagrant as a contender, with its Docker provider.

use super::{
    contender::{COMMAND, Contender, PREFIX, Setting, Step},
    program,
};
use crate::{cargo::Result, lab::packages};
use std::{fs, path::PathBuf, process::Command};

/// Vagrant from Debian, with a file of trivial machines.
pub(super) struct Vagrant {
    setting: Setting,
    folder: PathBuf,
    version: String,
}

impl Vagrant {
    /// Gets the program, and the docker program that it calls.
    ///
    /// # Errors
    /// When they cannot be installed, or its folder cannot be made.
    pub(super) fn new(setting: &Setting) -> Result<Self> {
        packages::install(&["vagrant", "docker.io"])?;
        let version = program::first_line(Command::new("vagrant").arg("--version"))?.replace("Vagrant ", "");
        let folder = setting.folder.join("vagrant");
        fs::create_dir_all(&folder).map_err(|error| format!("creating {}: {error}", folder.display()))?;
        Ok(Self { setting: setting.clone(), folder, version })
    }
}

impl Contender for Vagrant {
    fn name(&self) -> &'static str {
        "vagrant"
    }

    fn version(&self) -> &str {
        &self.version
    }

    fn prepare(&mut self, count: usize) -> Result {
        // After a round that failed, it would look for machines that are gone.
        let state = self.folder.join(".vagrant");
        if let Err(error) = fs::remove_dir_all(&state)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            return Err(format!("removing {}: {error}", state.display()));
        }
        let image = &self.setting.image;
        let text = format!(
            r#"Vagrant.configure("2") do |config|
  config.vm.synced_folder ".", "/vagrant", disabled: true
  (1..{count}).each do |number|
    config.vm.define "m#{{number}}" do |machine|
      machine.vm.provider "docker" do |docker|
        docker.name = "{PREFIX}-vagrant-m#{{number}}"
        docker.image = "{image}"
        docker.cmd = {COMMAND:?}
        docker.has_ssh = false
      end
    end
  end
end
"#
        );
        fs::write(self.folder.join("Vagrantfile"), text).map_err(|error| format!("writing Vagrant's file: {error}"))
    }

    fn step(&mut self, step: Step) -> Result {
        let arguments: &[&str] = match step {
            Step::Up | Step::NoOp => &["up", "--provider", "docker"],
            Step::Status => &["status"],
            Step::Destroy => &["destroy", "--force"],
        };
        let mut command = Command::new("vagrant");
        command
            .args(arguments)
            .current_dir(&self.folder)
            .env("DOCKER_HOST", self.setting.docker_host())
            .env("VAGRANT_HOME", self.folder.join("home"))
            // No question to a server whether there is a newer one.
            .env("VAGRANT_CHECKPOINT_DISABLE", "1");
        program::run(&format!("vagrant {}", arguments[0]), &mut command, &self.folder)?;
        Ok(())
    }
}
