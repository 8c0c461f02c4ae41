//! Which sources of a box can be used here.

use crate::tools::MMDEBSTRAP;
use camino::Utf8PathBuf;
use rig_model::BoxSource;

/// What decides which of a box's sources can be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BoxHost {
    /// This host, as `os/processor` in Docker's words (`linux/amd64`).
    pub platform: String,
    /// The machine that the engine runs on, likewise.
    pub engine: String,
    /// Where `mmdebstrap` is, if it is there.
    pub mmdebstrap: Option<Utf8PathBuf>,
}

impl BoxHost {
    /// This host, an engine on `engine` ([`rig_model::EngineFacts::platform`]), and what
    /// [`find_mmdebstrap`](crate::find_mmdebstrap) found.
    #[must_use]
    pub fn new(engine: &str, mmdebstrap: Option<Utf8PathBuf>) -> Self {
        let system = if std::env::consts::OS == "macos" { "darwin" } else { std::env::consts::OS };
        Self {
            platform: in_dockers_words(&format!("{system}/{}", std::env::consts::ARCH)),
            engine: in_dockers_words(engine),
            mmdebstrap,
        }
    }

    /// Why a source cannot be used here, and what to do about it; `None` when it can.
    pub(crate) fn obstacle(&self, source: &BoxSource) -> Option<Obstacle> {
        let BoxSource::Bootstrap(bootstrap) = source else {
            return None;
        };
        if !self.platform.starts_with("linux/") {
            let why = format!("bootstrap {:?} needs a Linux host, this one is {}", bootstrap.suite, self.platform);
            Some(Obstacle { why, hint: None })
        } else if self.platform != self.engine {
            let why = format!(
                "bootstrap {:?} makes a root file system for {}, the engine runs on {}",
                bootstrap.suite, self.platform, self.engine
            );
            Some(Obstacle { why, hint: None })
        } else if self.mmdebstrap.is_none() {
            let why = format!("bootstrap {:?} needs {MMDEBSTRAP}, which is not on the PATH", bootstrap.suite);
            Some(Obstacle { why, hint: Some(format!("`rig doctor --fix` installs {MMDEBSTRAP}")) })
        } else {
            None
        }
    }
}

/// Engines and compilers name the same processor differently.
fn in_dockers_words(platform: &str) -> String {
    match platform.split_once('/') {
        Some((system, "x86_64")) => format!("{system}/amd64"),
        Some((system, "aarch64")) => format!("{system}/arm64"),
        _ => platform.to_owned(),
    }
}

/// Why a source cannot be used.
pub(crate) struct Obstacle {
    /// Why, naming the source.
    pub(crate) why: String,
    /// What to do, where something can be done.
    pub(crate) hint: Option<String>,
}

/// A source as a message names it.
pub(crate) fn words(source: &BoxSource) -> String {
    match source {
        BoxSource::Build(build) => format!("build {:?}", build.folder),
        BoxSource::Bootstrap(bootstrap) => format!("bootstrap {:?}", bootstrap.suite),
        BoxSource::Image(reference) => format!("image {reference:?}"),
        BoxSource::CloudImage(artifact) => format!("cloud-image {:?}", artifact.as_str()),
        BoxSource::Stored(stored) => format!("stored {:?}", stored.name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processors_have_one_name() {
        let host = BoxHost::new("linux/x86_64", None);
        assert_eq!(host.engine, "linux/amd64");
        assert_eq!(BoxHost::new("linux/arm64", None).engine, "linux/arm64");
        assert!(!host.platform.contains("x86_64") && !host.platform.contains("aarch64"));
    }
}
