//! SSH: one command and one large file by rig and by OpenSSH's programs, and provisioning with nothing to do.

use super::{
    cleanup::Onlooker,
    contender::{PREFIX, Setting},
    options::Options,
    program, raw,
    results::Results,
    rig::Rig,
};
use crate::{
    cargo::{Result, root},
    lab::packages,
};
use bollard::query_parameters::InspectContainerOptions;
use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

/// A connection, one command, the end.
pub(super) const COMMAND: &str = "one command (`true`), connection included";
/// A file of [`BYTES`].
pub(super) const UPLOAD: &str = "upload of 400 MB";
/// `rig provision` of machines whose steps were all done.
pub(super) const PROVISION: &str = "provision of 10 machines, nothing to do";

/// Who does it.
pub(super) const OPENSSH: &str = "OpenSSH";
/// Who does it, too.
pub(super) const VAGRANT: &str = "vagrant";

/// The size of the large file, in bytes.
const BYTES: u64 = 400_000_000;
/// Machines that are provisioned.
const MACHINES: usize = 10;
/// Commands are short: more of them in each round.
const REPEATS: usize = 3;

/// Does every round. What fails is a result.
pub(super) fn all(
    options: &Options,
    setting: &Setting,
    rig: &Rig,
    onlooker: &Onlooker,
    results: &mut Results,
) -> Result {
    let folder = setting.folder.as_path();
    let lab = match Lab::prepare(setting, rig) {
        Ok(lab) => lab,
        Err(error) => {
            results.left_out.push(format!("SSH: {error}"));
            return onlooker.remove_all(false);
        }
    };
    let vagrant = lab.vagrant();
    if let Err(error) = &vagrant {
        results.left_out.push(format!("SSH by Vagrant: {error}"));
    }
    for round in 0..options.rounds {
        println!("SSH, round {} of {}", round + 1, options.rounds);
        for repeat in 0..REPEATS {
            let mut turns =
                [("rig", lab.rig(&["ssh", "m1", "-c", "true"])), (OPENSSH, lab.openssh("ssh", &["m1", "true"]))];
            turns.rotate_left((round + repeat) % 2);
            for (who, mut command) in turns {
                measure(results, COMMAND, who, &mut command, folder);
            }
        }
        if let Ok(vagrant) = &vagrant {
            measure(results, COMMAND, VAGRANT, &mut lab.in_vagrant(vagrant, &["ssh", "-c", "true"]), folder);
        }
        let file = lab.file.display().to_string();
        let mut turns = [
            ("rig", lab.rig(&["upload", &file, "/tmp/by-rig", "m1"])),
            (OPENSSH, lab.openssh("scp", &["-q", &file, "m1:/tmp/by-scp"])),
        ];
        turns.rotate_left(round % 2);
        for (who, mut command) in turns {
            measure(results, UPLOAD, who, &mut command, folder);
            // Each writes a new file, and the disk has room for the next one.
            program::run("removing the file", &mut lab.rig(&["ssh", "m1", "-c", "rm -f /tmp/by-*"]), folder)?;
        }
        measure(results, PROVISION, "rig", &mut lab.rig(&["provision"]), folder);
    }
    if let Ok(vagrant) = &vagrant {
        program::run("vagrant destroy", &mut lab.in_vagrant(vagrant, &["destroy", "--force"]), folder)?;
    }
    onlooker.remove_all(false)
}

fn measure(results: &mut Results, row: &'static str, who: &'static str, command: &mut Command, folder: &Path) {
    let series = results.ssh.entry((row, who)).or_default();
    match program::run(row, command, folder) {
        Ok(took) => {
            println!("  {row}, {who}: {:.3} s", Duration::as_secs_f64(&took));
            series.add(took);
        }
        Err(error) => series.fail(&error),
    }
}

/// Machines with an SSH server, and what is sent to one of them.
struct Lab<'a> {
    setting: &'a Setting,
    rig: &'a Rig,
    folder: PathBuf,
    file: PathBuf,
}

impl<'a> Lab<'a> {
    /// Brings the machines up, with some steps done.
    fn prepare(setting: &'a Setting, rig: &'a Rig) -> Result<Self> {
        packages::install(&["openssh-client"])?;
        let folder = setting.folder.join("ssh");
        let lab = Self { setting, rig, file: folder.join("large"), folder };
        fs::create_dir_all(&lab.folder).map_err(|error| format!("creating {}: {error}", lab.folder.display()))?;
        let sshd = root().join("boxes").join("sshd");
        let status = Command::new("cp").arg("-r").arg(sshd).arg(&lab.folder).status();
        if !status.map_err(|error| format!("copying the box: {error}"))?.success() {
            return Err("copying the box failed".to_owned());
        }
        let text = format!(
            r#"workspace "{PREFIX}-ssh"
box "debian" {{ bootstrap "bookworm" {{ package "ca-certificates" }} }}
box "sshd" {{ build "sshd" from="debian" }}
topology "t" idiom="mutable" {{
    machine "m" count={MACHINES} {{
        box "sshd"
        cap add="AUDIT_WRITE"
        new-privileges
        shell "one" inline="true"
        shell "two" inline="true"
        file "sshd" "/opt/sshd"
    }}
}}
"#
        );
        let write = |path: &Path, bytes: &[u8]| {
            fs::write(path, bytes).map_err(|error| format!("writing {}: {error}", path.display()))
        };
        write(&lab.folder.join("workspace.kdl"), text.as_bytes())?;
        lab.large()?;
        println!("SSH: bringing {MACHINES} machines up");
        program::run("rig up", &mut lab.rig(&["up"]), &lab.folder)?;
        let config = lab.rig(&["ssh-config"]).output().map_err(|error| format!("rig ssh-config: {error}"))?;
        if !config.status.success() {
            return Err(format!("rig ssh-config: {}", config.status));
        }
        write(&lab.folder.join("config"), &config.stdout)?;
        Ok(lab)
    }

    /// A machine of the same image by Vagrant, with the same key; gives its folder.
    fn vagrant(&self) -> Result<PathBuf> {
        packages::install(&["vagrant", "docker.io"])?;
        let folder = self.folder.join("vagrant");
        fs::create_dir_all(&folder).map_err(|error| format!("creating {}: {error}", folder.display()))?;
        let (image, keys) = (self.image()?, self.folder.join(".rig").join("keys"));
        let (private, public) = (keys.join("ssh"), keys.join("ssh.pub"));
        let text = format!(
            r#"Vagrant.configure("2") do |config|
  config.vm.synced_folder ".", "/vagrant", disabled: true
  config.ssh.username = "rig"
  config.ssh.private_key_path = {private:?}
  config.ssh.insert_key = false
  config.vm.provider "docker" do |docker|
    docker.name = "{PREFIX}-vagrant-ssh"
    docker.image = {image:?}
    docker.has_ssh = true
    docker.create_args = ["--cap-add=AUDIT_WRITE"]
    docker.volumes = ["{}:/home/rig/.ssh/authorized_keys:ro"]
  end
end
"#,
            public.display()
        );
        fs::write(folder.join("Vagrantfile"), text).map_err(|error| format!("writing Vagrant's file: {error}"))?;
        println!("SSH: bringing a machine up by Vagrant");
        program::run("vagrant up", &mut self.in_vagrant(&folder, &["up", "--provider", "docker"]), &self.folder)?;
        Ok(folder)
    }

    fn in_vagrant(&self, folder: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new("vagrant");
        command.args(arguments).current_dir(folder).env("DOCKER_HOST", self.setting.docker_host());
        command.env("VAGRANT_CHECKPOINT_DISABLE", "1").env("VAGRANT_HOME", folder.join("home"));
        command
    }

    /// The image of rig's machines.
    fn image(&self) -> Result<String> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.map_err(|error| format!("starting a runtime: {error}"))?.block_on(async {
            let docker = raw::connect(self.setting).await?;
            let name = format!("{PREFIX}-ssh.t.m1");
            let machine = docker.inspect_container(&name, None::<InspectContainerOptions>).await;
            let machine = machine.map_err(|error| format!("inspecting {name}: {error}"))?;
            machine.config.and_then(|config| config.image).ok_or_else(|| format!("{name} has no image"))
        })
    }

    /// Bytes that do not compress: a counter, multiplied.
    fn large(&self) -> Result {
        let failed = |error: std::io::Error| format!("writing {}: {error}", self.file.display());
        let mut file = std::io::BufWriter::new(fs::File::create(&self.file).map_err(failed)?);
        for number in 0..BYTES / 8 {
            let word = number.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            file.write_all(&word.to_le_bytes()).map_err(failed)?;
        }
        file.flush().map_err(failed)
    }

    fn rig(&self, arguments: &[&str]) -> Command {
        self.rig.command(&self.folder, arguments)
    }

    fn openssh(&self, name: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(name);
        command.arg("-F").arg(self.folder.join("config")).args(arguments);
        command
    }
}
