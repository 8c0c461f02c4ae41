//! Where artifacts are looked for, and how patiently.

use std::time::Duration;

/// The Python package index's documented address.
pub const PYPI: &str = "https://pypi.org/simple";

/// Maven Central's documented address.
pub const MAVEN_CENTRAL: &str = "https://repo.maven.apache.org/maven2";

/// Where artifacts are looked for, and how patiently. The host's own certificates are trusted, and the system's proxy
/// settings used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchSettings {
    /// The Python package index, or a mirror: a "simple" index in JSON (PEP 691) or HTML (PEP 503).
    pub pypi_index: String,
    /// The Maven repository, or a mirror.
    pub maven_repository: String,
    /// PEM certificates that servers may be signed with beside those that the system trusts.
    pub certificates: Vec<String>,
    /// Whether a server may lead from an encrypted address to one that is not. What has a checksum may go any way.
    pub leave_https: bool,
    /// How patiently.
    pub retry: Retry,
}

impl Default for FetchSettings {
    fn default() -> Self {
        Self {
            pypi_index: PYPI.to_owned(),
            maven_repository: MAVEN_CENTRAL.to_owned(),
            certificates: Vec::new(),
            leave_https: true,
            retry: Retry::default(),
        }
    }
}

/// How often and how long a transfer that breaks off is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// Attempts in a row that may bring less than a mebibyte each before it is given up.
    pub attempts: u32,
    /// The pause before the second attempt; each further one is twice as long, up to ten seconds.
    pub pause: Duration,
    /// How long a server may send nothing.
    pub stall: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self { attempts: 5, pause: Duration::from_millis(500), stall: Duration::from_secs(30) }
    }
}

impl Retry {
    /// The pause behind the attempt with this number, counted from one.
    pub(super) fn pause_after(&self, attempt: u32) -> Duration {
        self.pause.saturating_mul(1 << attempt.saturating_sub(1).min(16)).min(Duration::from_secs(10))
    }

    /// What is said of a server that sends nothing.
    pub(super) fn stalled(&self) -> String {
        format!("the server sent nothing for {:.0} s", self.stall.as_secs_f64())
    }
}
