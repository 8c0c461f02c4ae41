//! What a backend gives to the cases.

use bytes::Bytes;
use rig_model::{BoxName, Ipv4Net, Name};
use std::time::Duration;

/// What one case is played with. The commands are those of a box with a POSIX shell; a backend whose machines are started
/// otherwise replaces them.
#[derive(Clone, Debug)]
pub struct Fixture {
    /// The workspace of everything that the case makes. Of this case and this run alone: all of it is removed at the
    /// end, and boxes whose names begin with it.
    pub workspace: Name,
    /// A box that is there.
    pub box_name: BoxName,
    /// Its reference.
    pub image: String,
    /// Whether machines are real processes on a real kernel with a real network.
    pub real: bool,
    /// Whether a machine is one service: its process 1 is the command that it was made with, and its end is the machine's. Not so
    /// where a machine has an init of its own.
    pub service: bool,
    /// Whether boxes are built from a Dockerfile.
    pub builds: bool,
    /// Whether snapshots are there without the machine that they were taken of.
    pub outlives: bool,
    /// Whether a snapshot can be removed when a machine was brought back to it and saved anew since.
    pub apart: bool,
    /// Whether boxes are made of root file systems.
    pub imports: bool,
    /// Whether networks can keep their machines from reaching the outside.
    pub internal: bool,
    /// Address ranges that nothing else uses, of at least 16 addresses each.
    pub subnets: [Ipv4Net; 2],
    /// Runs until it is stopped and ends with 0 on TERM.
    pub long_running: Vec<String>,
    /// Runs until it is killed.
    pub ignores_term: Vec<String>,
    /// Answers `GET /hello` on port 8000 with `hello`.
    pub web: Vec<String>,
    /// The effective capabilities that a machine has without being given or denied any, as the kernel's bit mask.
    pub capabilities: u64,
    /// A root file system as an uncompressed tar archive, for [`Images::import`](crate::Images::import).
    pub root: Bytes,
    /// A build context with this Dockerfile, for [`Images::build`](crate::Images::build).
    pub context: fn(dockerfile: &str) -> Bytes,
    /// How long a case may take.
    pub limit: Duration,
}

impl Fixture {
    /// A fixture for machines of a box that has `/bin/sh`, `/bin/httpd` (of BusyBox) and a file `/srv/hello`. Not
    /// [`real`](Self::real), without archives.
    #[must_use]
    pub fn posix(workspace: Name, box_name: BoxName, image: String, subnets: [Ipv4Net; 2]) -> Self {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        Self {
            workspace,
            box_name,
            image,
            real: false,
            service: true,
            builds: true,
            outlives: true,
            apart: true,
            imports: true,
            internal: true,
            subnets,
            long_running: Self::shell("trap 'exit 0' TERM; sleep 3600 & wait"),
            ignores_term: Self::shell("trap '' TERM; sleep 3600"),
            web: words(&["/bin/httpd", "-f", "-p", "8000", "-h", "/srv"]),
            capabilities: 0,
            root: Bytes::new(),
            context: |_| Bytes::new(),
            limit: Duration::from_secs(60),
        }
    }

    /// The command that runs a line in the box's shell.
    #[must_use]
    pub fn shell(line: &str) -> Vec<String> {
        vec!["/bin/sh".to_owned(), "-c".to_owned(), line.to_owned()]
    }
}
