//! A Docker engine that is started and stopped by hand, as on a host without systemd.

use crate::cargo::Result;
use std::{
    fs::{self, File},
    os::unix::{net::UnixStream, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// How long an engine may take until it answers, and until it has stopped its containers and itself.
const PATIENCE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(50);

/// Where containers' networks are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Network {
    /// In the host's network, as users have it. Never beside another engine: two of them fight for bridges and rules.
    Host,
    /// In a network namespace of the engine's own: beside any other engine, without a way in or out.
    Own,
}

/// An engine with folders of its own.
#[derive(Debug)]
pub(crate) struct Dockerd {
    /// Images, containers and volumes.
    pub(crate) data: PathBuf,
    /// What is kept only while it runs. Short: a socket's path may have 107 bytes.
    pub(crate) run: PathBuf,
    /// A file system whose programs and libraries it uses instead of the host's.
    pub(crate) programs: Option<PathBuf>,
    /// Where its containers' networks are.
    pub(crate) network: Network,
}

impl Dockerd {
    /// Its socket.
    pub(crate) fn socket(&self) -> PathBuf {
        self.run.join("docker.sock")
    }

    fn pid_file(&self) -> PathBuf {
        self.run.join("docker.pid")
    }

    fn log(&self) -> PathBuf {
        self.run.join("docker.log")
    }

    /// Its process, when it runs.
    pub(crate) fn pid(&self) -> Option<u32> {
        let pid = fs::read_to_string(self.pid_file()).ok()?.trim().parse().ok()?;
        is_dockerd(pid).then_some(pid)
    }

    /// Starts it, and waits until it answers; one that runs already is left alone. It goes on when this program ends.
    ///
    /// # Errors
    /// When another engine runs in the same network, or this one does not come up.
    pub(crate) fn start(&self) -> Result<PathBuf> {
        if self.pid().is_some() {
            return Ok(self.socket());
        }
        if self.network == Network::Host
            && let Some(other) = running()
        {
            return Err(format!("starting a dockerd: another one runs (process {other}); stop it first"));
        }
        for folder in [&self.data, &self.run] {
            fs::create_dir_all(folder).map_err(|error| format!("creating {}: {error}", folder.display()))?;
        }
        // What a killed engine left would look like an answer.
        for file in [self.socket(), self.pid_file()] {
            if file.exists() {
                fs::remove_file(&file).map_err(|error| format!("removing {}: {error}", file.display()))?;
            }
        }
        let began = Instant::now();
        let mut child = self.spawn()?;
        while !self.answers() {
            let ended = child.try_wait().map_err(|error| format!("waiting for dockerd: {error}"))?;
            if let Some(status) = ended {
                return Err(format!("dockerd ended while starting ({status}):\n{}", self.log_tail()));
            }
            if began.elapsed() > PATIENCE {
                let late = format!("dockerd did not answer in {} s:\n{}", PATIENCE.as_secs(), self.log_tail());
                child.kill().map_err(|error| format!("{late}\nand could not be killed: {error}"))?;
                return Err(late);
            }
            thread::sleep(POLL);
        }
        println!("dockerd answers after {:.1} s", began.elapsed().as_secs_f64());
        Ok(self.socket())
    }

    /// Starts the process in a mount namespace of its own, so that its mounts end with it.
    fn spawn(&self) -> Result<Child> {
        /// `$1` file system with the programs or nothing, `$2` whether the network is its own, then dockerd's arguments.
        const SCRIPT: &str = r#"
programs=$1 own=$2; shift 2
if [ "$own" = yes ]; then
    # The kernel shows the network's devices in /sys as of the moment of mounting; the cgroups below it stay.
    mkdir -p /run/rig-lab/cgroup
    mount --rbind /sys/fs/cgroup /run/rig-lab/cgroup
    mount -t sysfs sysfs /sys
    mount --rbind /run/rig-lab/cgroup /sys/fs/cgroup
fi
if [ -n "$programs" ]; then
    # Everything but programs and libraries is the host's, so that folders that containers bind have the host's paths.
    mount --bind "$programs/usr" /usr
    mount --bind "$programs/etc/alternatives" /etc/alternatives
    mount --bind "$programs/etc/ld.so.cache" /etc/ld.so.cache
fi
exec dockerd "$@"
"#;
        let log = File::create(self.log()).map_err(|error| format!("creating dockerd's log: {error}"))?;
        let copy = log.try_clone().map_err(|error| format!("sharing dockerd's log: {error}"))?;
        let mut command = Command::new("unshare");
        command.args(["--mount", "--propagation", "private"]);
        if self.network == Network::Own {
            command.arg("--net");
        }
        command
            .args(["sh", "-euc", SCRIPT, "dockerd"])
            .arg(self.programs.as_deref().unwrap_or(Path::new("")))
            .arg(if self.network == Network::Own { "yes" } else { "no" })
            .arg("--data-root")
            .arg(&self.data)
            .arg("--exec-root")
            .arg(self.run.join("exec"))
            .arg("--pidfile")
            .arg(self.pid_file())
            .arg("--host")
            .arg(format!("unix://{}", self.socket().display()))
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .current_dir("/")
            // Ctrl-C at the terminal is not meant for it.
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(copy);
        command.spawn().map_err(|error| format!("starting dockerd with unshare: {error}"))
    }

    /// Whether it takes connections and says so itself: the socket is there before the engine is.
    fn answers(&self) -> bool {
        let log = fs::read_to_string(self.log()).unwrap_or_default();
        log.contains("API listen on") && UnixStream::connect(self.socket()).is_ok()
    }

    fn log_tail(&self) -> String {
        let log = fs::read_to_string(self.log()).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(10)..].join("\n")
    }

    /// Stops it with all its containers, and waits until it has ended. Nothing happens when it does not run.
    ///
    /// # Errors
    /// When it does not end in time.
    pub(crate) fn stop(&self) -> Result {
        let Some(pid) = self.pid() else { return Ok(()) };
        let status = Command::new("kill").arg(pid.to_string()).status();
        let status = status.map_err(|error| format!("stopping dockerd (process {pid}): {error}"))?;
        if !status.success() {
            return Err(format!("stopping dockerd (process {pid}): kill: {status}"));
        }
        let began = Instant::now();
        while is_dockerd(pid) {
            if began.elapsed() > PATIENCE {
                return Err(format!("dockerd (process {pid}) did not stop in {} s", PATIENCE.as_secs()));
            }
            thread::sleep(POLL);
        }
        Ok(())
    }
}

/// Whether a process is a dockerd that has not ended.
fn is_dockerd(pid: u32) -> bool {
    // "PID (NAME) STATE …": an ended process stays, as a zombie, until its parent asks for it.
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.contains("(dockerd)") && !stat.contains("(dockerd) Z")
}

/// A dockerd in this network namespace; those inside containers do not count.
pub(crate) fn running() -> Option<u32> {
    let ours = fs::read_link("/proc/self/ns/net").ok();
    let pids = fs::read_dir("/proc").ok()?.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    let mut dockerds = pids.filter(|pid| is_dockerd(*pid));
    dockerds.find(|pid| fs::read_link(format!("/proc/{pid}/ns/net")).ok() == ours)
}
