//! QEMU's own command line, started by hand, and OpenSSH that tries until it is let in.
//!
//! The arguments are those with which rig starts the machine, taken from the running process, with files of this contender's own: what
//! rig does around QEMU is what is compared, and not a choice of devices.

use super::{
    super::{contender::PREFIX, program},
    Setting,
};
use crate::cargo::Result;
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

/// How long a login may take.
const LIMIT: Duration = Duration::from_secs(300);

/// Between two tries to get in.
const PAUSE: Duration = Duration::from_millis(50);

/// A machine that is started by hand.
pub(super) struct Plain {
    folder: PathBuf,
    words: Vec<String>,
    /// The disk that its own one is laid over.
    base: String,
}

impl Plain {
    /// Takes over what a machine of rig's that runs is started with: the arguments, the seed with its keys, the way to log in.
    ///
    /// # Errors
    /// When its process is not found, or a file cannot be copied.
    pub(super) fn of(setting: &Setting, workspace: &Path, name: &str) -> Result<Self> {
        let folder = setting.folder.join(format!("{name}-plain"));
        fs::create_dir_all(&folder).map_err(|error| format!("creating {}: {error}", folder.display()))?;
        let data = setting.folder.join("data");
        let words = words_of(&data.join("rig").join("qemu").join("machines").join(format!("{PREFIX}-{name}.t.m")))?;
        let disk = file_of(&words, "id=disk0")?;
        let seed = file_of(&words, "id=seed")?;
        let base = base_of(&disk)?;
        let own = |file: &str| folder.join(file).display().to_string();
        fs::copy(&seed, own("seed")).map_err(|error| format!("copying {seed}: {error}"))?;
        let config =
            setting.rig(workspace, &["ssh-config"]).output().map_err(|error| format!("rig ssh-config: {error}"))?;
        if !config.status.success() {
            return Err(format!("rig ssh-config: {}", config.status));
        }
        // rig forgets this machine's key when the next one has another.
        let known = workspace.join(".rig").join("known_hosts");
        fs::copy(&known, own("known_hosts")).map_err(|error| format!("copying {}: {error}", known.display()))?;
        let config = String::from_utf8_lossy(&config.stdout).replace(&known.display().to_string(), &own("known_hosts"));
        fs::write(own("config"), config).map_err(|error| format!("writing {}: {error}", own("config")))?;
        let mut last = String::new();
        let words = words
            .into_iter()
            .map(|word| {
                let option = std::mem::replace(&mut last, word.clone());
                match option.as_str() {
                    "-pidfile" => own("pid"),
                    "-qmp" => format!("unix:{},server=on,wait=off", own("monitor")),
                    "-chardev" => format!("file,id=con,path={},append=on", own("console")),
                    _ => word.replace(&disk, &own("disk")).replace(&seed, &own("seed")),
                }
            })
            .collect();
        Ok(Self { folder, words, base })
    }

    /// From nothing to a login.
    ///
    /// # Errors
    /// When QEMU does not start or nobody is let in.
    pub(super) fn login(&self) -> Result<Duration> {
        let began = Instant::now();
        let disk = self.folder.join("disk");
        let mut image = Command::new("qemu-img");
        image.args(["create", "-q", "-f", "qcow2", "-F", "raw", "-b", &self.base]).arg(disk);
        program::run("qemu-img create", &mut image, &self.folder)?;
        program::run("qemu-system", Command::new(&self.words[0]).args(&self.words[1..]), &self.folder)?;
        loop {
            let mut ssh = Command::new("ssh");
            // What QEMU accepts before the machine answers stays silent: a second is what ssh knows as the least.
            ssh.arg("-F").arg(self.folder.join("config")).args(["-o", "ConnectTimeout=1", "m", "true"]);
            match program::run("ssh", &mut ssh, &self.folder) {
                Ok(_) => return Ok(began.elapsed()),
                Err(error) if began.elapsed() > LIMIT => return Err(error),
                Err(_) => thread::sleep(PAUSE),
            }
        }
    }

    /// Ends it, and removes its disk.
    ///
    /// # Errors
    /// When it does not end.
    pub(super) fn end(&self) -> Result {
        let path = self.folder.join("pid");
        if !path.exists() {
            // It never began.
            return Ok(());
        }
        let pid = fs::read_to_string(&path).map_err(|error| format!("reading {}: {error}", path.display()))?;
        program::run("kill", Command::new("kill").arg(pid.trim()), &self.folder)?;
        let began = Instant::now();
        while path.exists() {
            if began.elapsed() > LIMIT {
                return Err("QEMU does not end".to_owned());
            }
            thread::sleep(PAUSE);
        }
        let disk = self.folder.join("disk");
        fs::remove_file(&disk).map_err(|error| format!("removing {}: {error}", disk.display()))
    }
}

/// The command line of the QEMU whose files are in a folder.
fn words_of(machine: &Path) -> Result<Vec<String>> {
    let data = machine.display().to_string();
    let processes = fs::read_dir("/proc").map_err(|error| format!("reading /proc: {error}"))?;
    let lines = processes.flatten().filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
    let mut found = lines.filter_map(|line| {
        let line = String::from_utf8(line).ok()?;
        let words: Vec<String> = line.trim_end_matches('\0').split('\0').map(str::to_owned).collect();
        (words[0].contains("qemu-system") && line.contains(&data)).then_some(words)
    });
    found.next().ok_or_else(|| format!("no QEMU runs with a disk in {data}"))
}

/// The file of the drive with this identity.
fn file_of(words: &[String], identity: &str) -> Result<String> {
    let mut drives = words.iter().filter(|word| word.split(',').any(|part| part == identity));
    let file = drives.find_map(|word| word.split(',').find_map(|part| part.strip_prefix("file=")));
    file.map(str::to_owned).ok_or_else(|| format!("QEMU's command line has no drive with {identity}"))
}

/// The file that a disk is laid over.
fn base_of(disk: &str) -> Result<String> {
    // The disk is in use, and nothing is written.
    let output = Command::new("qemu-img").args(["info", "--force-share", "--output=json", disk]).output();
    let output = output.map_err(|error| format!("qemu-img info: {error}"))?;
    let info: serde_json::Value =
        serde_json::from_slice(&output.stdout).map_err(|error| format!("qemu-img info {disk}: {error}"))?;
    let base = info["full-backing-filename"].as_str();
    base.map(str::to_owned).ok_or_else(|| format!("{disk} is laid over no other disk"))
}
