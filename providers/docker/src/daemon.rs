//! A dockerd of rig's own, for Linux hosts where root works and no engine runs.
//!
//! It has its own data folder and socket, so that it meets no engine that is installed later, and it is started only
//! while no other dockerd runs: two of them would fight over the bridge and the packet filter.

use rig_model::Progress;
use rig_provider_api::{Context, ProviderError, Result};
use std::{path::PathBuf, time::Duration};

/// How long a dockerd may take until it answers. The first start on a slow disk takes the longest.
const START: Duration = Duration::from_secs(60);
/// How long it may take to stop its containers and end.
const STOP: Duration = Duration::from_secs(60);
/// Pause between two looks.
const LOOK: Duration = Duration::from_millis(100);

/// Where a private dockerd keeps what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrivateEngine {
    /// The program.
    pub program: PathBuf,
    /// Its socket.
    pub socket: PathBuf,
    /// The file with its process id.
    pub pid_file: PathBuf,
    /// Its output.
    pub log: PathBuf,
    /// Images, containers, volumes.
    pub data_root: PathBuf,
    /// What it keeps only while it runs.
    pub exec_root: PathBuf,
}

impl PrivateEngine {
    /// The process id, when it runs. A process of another program that has the same number is not taken for it.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        let text = fs_err::read_to_string(&self.pid_file).ok()?;
        let pid: u32 = text.trim().parse().ok()?;
        let command = fs_err::read(format!("/proc/{pid}/cmdline")).ok()?;
        let socket = self.socket.to_string_lossy();
        String::from_utf8_lossy(&command).contains(socket.as_ref()).then_some(pid)
    }

    /// Starts it and waits until its socket accepts connections. Success when it runs already.
    ///
    /// # Errors
    /// When another dockerd runs, the program is missing, it ends at once, or it does not answer in time.
    pub async fn start(&self, cx: &Context) -> Result<()> {
        let doing = "starting a private dockerd";
        if self.pid().is_none() {
            if let Some(other) = other_dockerd() {
                return Err(ProviderError::failed(doing, format!("another dockerd runs already (process {other})"))
                    .hinted("use that one: `--engine unix:///var/run/docker.sock`, or stop it first"));
            }
            self.spawn(doing)?;
        }
        let cx = cx.within(START);
        cx.progress(Progress::step("waiting for dockerd to answer"));
        cx.run("waiting for the private dockerd to answer", async {
            loop {
                #[cfg(unix)]
                if tokio::net::UnixStream::connect(&self.socket).await.is_ok() {
                    return Ok(());
                }
                tokio::time::sleep(LOOK).await;
                if self.pid().is_none() && self.has_ended() {
                    return Err(ProviderError::Failed {
                        doing: doing.to_owned(),
                        why: "it ended at once".to_owned(),
                        tail: self.tail(),
                        hint: Some(format!("its whole log is {}", self.log.display())),
                    });
                }
            }
        })
        .await
    }

    /// Stops it with all its containers. Success when it does not run.
    ///
    /// # Errors
    /// When it cannot be asked to end, or does not end in time.
    pub async fn stop(&self, cx: &Context) -> Result<()> {
        let Some(pid) = self.pid() else { return Ok(()) };
        terminate(pid)?;
        cx.within(STOP)
            .run("stopping the private dockerd", async {
                while self.pid().is_some() {
                    tokio::time::sleep(LOOK).await;
                }
                Ok(())
            })
            .await
    }

    fn spawn(&self, doing: &str) -> Result<()> {
        let failed = |error: std::io::Error| ProviderError::failed(doing, error);
        for folder in
            [self.socket.parent(), Some(self.data_root.as_path()), Some(self.exec_root.as_path())].into_iter().flatten()
        {
            fs_err::create_dir_all(folder).map_err(failed)?;
        }
        let log = fs_err::File::create(&self.log).map_err(failed)?.into_parts().0;
        let errors = log.try_clone().map_err(failed)?;
        let mut command = std::process::Command::new(&self.program);
        command
            .arg("--host")
            .arg(format!("unix://{}", self.socket.display()))
            .arg("--data-root")
            .arg(&self.data_root)
            .arg("--exec-root")
            .arg(&self.exec_root)
            .arg("--pidfile")
            .arg(&self.pid_file)
            .stdin(std::process::Stdio::null())
            .stdout(log)
            .stderr(errors);
        // A group of its own: Ctrl-C in the terminal that started it is not meant for it.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        command.spawn().map(drop).map_err(|error| {
            ProviderError::failed(doing, format!("{}: {error}", self.program.display()))
                .hinted("`rig doctor --fix` installs what is missing")
        })
    }

    /// Whether it said why it ended.
    fn has_ended(&self) -> bool {
        self.tail().iter().any(|line| line.starts_with("failed to start daemon") || line.contains("level=fatal"))
    }

    fn tail(&self) -> Vec<String> {
        let text = fs_err::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(10)..].iter().map(|line| (*line).to_owned()).collect()
    }
}

/// The process id of any dockerd on this host.
#[must_use]
pub fn other_dockerd() -> Option<u32> {
    running("dockerd")
}

/// The process id of a program that runs under this name. One that has ended and that nobody has waited for is still listed,
/// but has no command line any more.
fn running(program: &str) -> Option<u32> {
    fs_err::read_dir("/proc").ok()?.flatten().find_map(|entry| {
        let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
        let name = fs_err::read_to_string(format!("/proc/{pid}/comm")).ok()?;
        let has_command = || fs_err::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| !line.is_empty());
        (name.trim() == program && has_command()).then_some(pid)
    })
}

#[cfg(unix)]
fn terminate(pid: u32) -> Result<()> {
    let doing = "stopping the private dockerd";
    let pid = i32::try_from(pid)
        .ok()
        .and_then(rustix::process::Pid::from_raw)
        .ok_or_else(|| ProviderError::failed(doing, format!("{pid} is no process id")))?;
    rustix::process::kill_process(pid, rustix::process::Signal::TERM)
        .map_err(|error| ProviderError::failed(doing, error))
}

#[cfg(not(unix))]
fn terminate(_: u32) -> Result<()> {
    Err(ProviderError::failed("stopping the private dockerd", "this platform has none"))
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use std::{process::Command, time::Duration};

    #[test]
    fn a_process_that_has_ended_does_not_run() {
        let folder = tempfile::tempdir().unwrap();
        let program = |name: &str| {
            let path = folder.path().join(name);
            fs_err::copy("/bin/sleep", &path).unwrap();
            path
        };
        let mut alive = Command::new(program("rig-alive")).arg("60").spawn().unwrap();
        let mut ended = Command::new(program("rig-ended")).arg("0").spawn().unwrap();
        std::thread::sleep(Duration::from_millis(500));
        assert_eq!(running("rig-alive"), Some(alive.id()));
        // Nobody has waited for it yet.
        assert_eq!(running("rig-ended"), None);
        alive.kill().unwrap();
        alive.wait().unwrap();
        ended.wait().unwrap();
    }
}
