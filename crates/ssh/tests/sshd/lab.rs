//! An `sshd` of the test's own, on a free port, with keys that exist only for it.

use rig_ssh::{Credentials, HostKey, KeyPair, Patience, Session, SshError, Tcp, Trust, connect};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub(crate) struct Lab {
    server: Child,
    pub(crate) port: u16,
    pub(crate) user: String,
    pub(crate) key: KeyPair,
    pub(crate) host_key: HostKey,
    folder: TempDir,
}

impl Lab {
    pub(crate) fn start() -> Self {
        Self::with("")
    }

    /// With more lines for the server's configuration; of two for the same, the first counts.
    pub(crate) fn with(lines: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let [host, key] = [(); 2].map(|()| KeyPair::generate("lab").unwrap());
        let user = output(Command::new("id").arg("-un"));
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        write_private(&folder.path().join("host"), &host.to_openssh().unwrap());
        fs_err::write(folder.path().join("authorized"), key.public_line().unwrap()).unwrap();
        if user == "root" {
            fs_err::create_dir_all("/run/sshd").unwrap();
        }
        let config = format!(
            "{lines}\nListenAddress 127.0.0.1:{port}\nHostKey {0}/host\nAuthorizedKeysFile {0}/authorized\nPidFile none\n\
             StrictModes no\nUsePAM no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n\
             PermitRootLogin yes\nMaxStartups 100\nAcceptEnv LC_*\nLogLevel VERBOSE\nSubsystem sftp internal-sftp\n",
            folder.path().display()
        );
        fs_err::write(folder.path().join("config"), config).unwrap();
        let server = Command::new(sshd())
            .args(["-D", "-e", "-f"])
            .arg(folder.path().join("config"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs_err::File::create(folder.path().join("log")).unwrap().into_parts().0)
            .spawn()
            .unwrap();
        Self { server, port, user, key, host_key: host.host_key(), folder }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn utf8(&self, name: &str) -> camino::Utf8PathBuf {
        self.path(name).try_into().unwrap()
    }

    pub(crate) fn dialer(&self) -> Arc<Tcp> {
        tcp(self.port)
    }

    pub(crate) fn credentials(&self) -> Credentials {
        Credentials::key(&self.user, self.key.clone())
    }

    pub(crate) fn trust(&self) -> Trust {
        Trust::Pinned(vec![self.host_key.clone()])
    }

    pub(crate) async fn try_connect(&self) -> Result<Session, SshError> {
        connect(self.dialer(), self.credentials(), self.trust(), &seconds(20), &|_| {}).await
    }

    pub(crate) async fn connect(&self) -> Session {
        self.try_connect().await.unwrap_or_else(|error| panic!("{error}\n{}", self.log()))
    }

    pub(crate) fn log(&self) -> String {
        fs_err::read_to_string(self.path("log")).unwrap()
    }

    /// Kills the processes that serve the connections, as a machine that loses power does.
    pub(crate) fn kill_connections(&self) {
        for pid in children(self.server.id()) {
            for pid in
                std::iter::once(pid).chain(children(pid).into_iter().filter(|pid| name(*pid).starts_with("sshd")))
            {
                let _ = Command::new("kill").args(["-9", &pid.to_string()]).stderr(Stdio::null()).status();
            }
        }
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        self.kill_connections();
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

pub(crate) fn tcp(port: u16) -> Arc<Tcp> {
    Arc::new(Tcp { host: "127.0.0.1".to_owned(), port })
}

pub(crate) fn seconds(seconds: u64) -> Patience {
    Patience { deadline: Instant::now() + Duration::from_secs(seconds), cancel: CancellationToken::new() }
}

fn sshd() -> PathBuf {
    let places = ["/usr/sbin/sshd", "/usr/local/sbin/sshd", "/usr/bin/sshd"];
    places.iter().map(PathBuf::from).find(|path| path.exists()).expect("these tests need sshd (openssh-server)")
}

pub(crate) fn write_private(path: &Path, text: &str) {
    fs_err::write(path, text).unwrap();
    fs_err::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

pub(crate) fn output(command: &mut Command) -> String {
    String::from_utf8(command.output().unwrap().stdout).unwrap().trim().to_owned()
}

/// The processes whose parent this one is. (`/proc/PID/task/PID/children` leaves some out while others end.)
fn children(parent: u32) -> Vec<u32> {
    let processes =
        fs_err::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let is_child = |pid: &u32| {
        let stat = fs_err::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        // The name, in brackets, may hold anything; state and parent follow.
        let after = stat.rsplit_once(')').map_or("", |(_, after)| after);
        after.split_whitespace().nth(1) == Some(&parent.to_string())
    };
    processes.filter(is_child).collect()
}

fn name(pid: u32) -> String {
    fs_err::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default()
}
