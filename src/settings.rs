//! What the environment says. The only place that reads it.

use camino::Utf8PathBuf;
use etcetera::BaseStrategy;
use rig_model::HostTrust;
use std::{collections::BTreeSet, env, ffi::OsString, path::PathBuf};

/// Everything that comes from outside the command line and the file.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// The current folder.
    pub(crate) folder: Utf8PathBuf,
    /// Cache and data of this user.
    pub(crate) dirs: rig_state::UserDirs,
    /// `DOCKER_HOST` and its companions.
    pub(crate) docker: DockerSettings,
    /// Certificates and proxies of this host.
    pub(crate) trust: HostTrust,
    /// The Python package index, from pip's own variable.
    pub(crate) pypi_index: Option<String>,
    /// The server that knows boxes for virtual machines by their short names, from rig's own variable or Vagrant's.
    pub(crate) catalogue_server: Option<String>,
    /// Where programs are looked for.
    pub(crate) path: OsString,
    /// Where VirtualBox's installer says that it is.
    pub(crate) virtualbox: Vec<PathBuf>,
    /// What the terminal can do, for shells in machines.
    pub(crate) term: String,
    /// Whether output is for a person at a terminal: neither CI nor a dumb terminal.
    pub(crate) interactive: bool,
}

/// How the docker program would find its engine.
#[derive(Clone, Debug, Default)]
pub(crate) struct DockerSettings {
    pub(crate) host: Option<String>,
    pub(crate) context: Option<String>,
    pub(crate) tls_verify: bool,
    pub(crate) cert_path: Option<PathBuf>,
    /// The folder of its configuration.
    pub(crate) config: Option<PathBuf>,
}

impl Settings {
    /// Reads the environment.
    ///
    /// # Errors
    /// When the current folder or the home folder cannot be used.
    pub(crate) fn read() -> Result<Self, String> {
        let folder = env::current_dir().map_err(|error| format!("finding the current folder: {error}"))?;
        let folder =
            Utf8PathBuf::from_path_buf(folder).map_err(|path| format!("the current folder {path:?} is not UTF-8"))?;
        let strategy = etcetera::choose_base_strategy().map_err(|error| format!("finding the home folder: {error}"))?;
        let utf8 = |path: PathBuf| Utf8PathBuf::from_path_buf(path).map_err(|path| format!("{path:?} is not UTF-8"));
        let dirs = rig_state::UserDirs {
            cache: utf8(strategy.cache_dir())?.join("rig"),
            data: utf8(strategy.data_dir())?.join("rig"),
        };
        let docker = DockerSettings {
            host: text("DOCKER_HOST"),
            context: text("DOCKER_CONTEXT"),
            tls_verify: text("DOCKER_TLS_VERIFY").is_some(),
            cert_path: text("DOCKER_CERT_PATH").map(PathBuf::from),
            config: text("DOCKER_CONFIG").map(PathBuf::from).or_else(|| Some(strategy.home_dir().join(".docker"))),
        };
        let term = text("TERM").unwrap_or_else(|| "dumb".to_owned());
        let dumb = text("TERM").is_some() && term == "dumb";
        Ok(Self {
            folder,
            dirs,
            docker,
            trust: HostTrust { certificates: certificates(), proxies: proxies() },
            pypi_index: text("PIP_INDEX_URL"),
            catalogue_server: text("RIG_CATALOG").or_else(|| text("VAGRANT_SERVER_URL")),
            term,
            path: env::var_os("PATH").unwrap_or_default(),
            virtualbox: ["VBOX_MSI_INSTALL_PATH", "VBOX_INSTALL_PATH"]
                .into_iter()
                .filter_map(|name| text(name).map(PathBuf::from))
                .collect(),
            interactive: text("CI").is_none() && text("NO_COLOR").is_none() && !dumb,
        })
    }
}

fn text(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

/// The proxy variables in lower case; both spellings are in use.
fn proxies() -> Vec<(String, String)> {
    ["http_proxy", "https_proxy", "no_proxy"]
        .into_iter()
        .filter_map(|name| Some((name.to_owned(), text(name).or_else(|| text(&name.to_uppercase()))?)))
        .collect()
}

/// Certificates that this host trusts and its distribution does not ship: those that an administrator added.
fn certificates() -> Vec<String> {
    const ADDED: [&str; 3] = [
        "/usr/local/share/ca-certificates",
        "/etc/pki/ca-trust/source/anchors",
        "/etc/ca-certificates/trust-source/anchors",
    ];
    let mut found = BTreeSet::new();
    for folder in ADDED {
        let Ok(entries) = fs_err::read_dir(folder) else { continue };
        for entry in entries.flatten() {
            found.extend(pem(fs_err::read_to_string(entry.path()).unwrap_or_default().as_str()));
        }
    }
    found.into_iter().collect()
}

/// The certificates in a text, each with its borders.
fn pem(text: &str) -> Vec<String> {
    const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
    const END: &str = "-----END CERTIFICATE-----";
    text.split(BEGIN).skip(1).filter_map(|rest| Some(format!("{BEGIN}{}{END}\n", rest.split_once(END)?.0))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificates_are_cut_out_of_their_file() {
        let one = "-----BEGIN CERTIFICATE-----\nAAA\n-----END CERTIFICATE-----\n";
        assert_eq!(pem(&format!("# a comment\n{one}\n{one}")), vec![one.to_owned(), one.to_owned()]);
        assert!(pem("-----BEGIN CERTIFICATE-----\nAAA").is_empty());
        assert!(pem("").is_empty());
    }
}
