//! Where an engine is reached.

use crate::hosted;
use rig_provider_api::{EngineHost, ProviderError, Result};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

/// An engine's address and why it was chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineAddress {
    /// How it is reached.
    pub transport: Transport,
    /// Why this engine was taken, in words.
    pub chosen_by: String,
}

/// The ways to an engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Transport {
    /// A Unix socket.
    Unix(PathBuf),
    /// A Windows named pipe (`//./pipe/docker_engine`).
    NamedPipe(String),
    /// TCP, `host:port`.
    Tcp {
        /// Host and port.
        address: String,
        /// Certificates; absent means plain HTTP.
        tls: Option<Tls>,
    },
    /// Inside a machine that this host has for it.
    Hosted(Hosted),
}

/// An engine in a machine of its own.
#[derive(Clone)]
pub struct Hosted(pub Arc<dyn EngineHost>);

impl std::fmt::Debug for Hosted {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_tuple("Hosted").field(&self.0.name()).finish()
    }
}

impl PartialEq for Hosted {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Hosted {}

/// Files for mutual TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// The authority that signed the engine's certificate.
    pub ca: PathBuf,
    /// The client's certificate.
    pub certificate: PathBuf,
    /// The client's key.
    pub key: PathBuf,
}

impl Tls {
    /// The three files under the names that the docker program gives them.
    #[must_use]
    pub fn in_folder(folder: &Path) -> Self {
        Self { ca: folder.join("ca.pem"), certificate: folder.join("cert.pem"), key: folder.join("key.pem") }
    }
}

/// Why a text is no engine address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// `ssh://`, which rig does not reach through another program.
    #[error("engine address {0:?}: ssh:// is not supported; use unix://, npipe:// or tcp://")]
    Ssh(String),
    /// Any other scheme.
    #[error("engine address {0:?} must begin with unix://, npipe:// or tcp://, or be `vm`")]
    Scheme(String),
    /// `https://` without anything to check the engine with.
    #[error(
        "engine address {0:?}: https needs certificates: DOCKER_TLS_VERIFY and DOCKER_CERT_PATH, or a docker context"
    )]
    NoCertificates(String),
    /// A scheme and nothing else.
    #[error("engine address {0:?} names no place")]
    Empty(String),
}

impl EngineAddress {
    /// Reads `unix:///path`, `npipe:////./pipe/name`, `tcp://host:port`, or a path to a socket.
    ///
    /// # Errors
    /// When the scheme is unknown or nothing follows it.
    pub fn parse(
        text: &str,
        tls: Option<Tls>,
        chosen_by: impl Into<String>,
    ) -> std::result::Result<Self, AddressError> {
        let transport = if text.starts_with('/') {
            Transport::Unix(text.into())
        } else {
            let (scheme, rest) = text.split_once("://").ok_or_else(|| AddressError::Scheme(text.to_owned()))?;
            if rest.is_empty() {
                return Err(AddressError::Empty(text.to_owned()));
            }
            match scheme {
                "unix" => Transport::Unix(rest.into()),
                "npipe" => Transport::NamedPipe(rest.to_owned()),
                "https" if tls.is_none() => return Err(AddressError::NoCertificates(text.to_owned())),
                "tcp" | "http" | "https" => Transport::Tcp { address: rest.trim_end_matches('/').to_owned(), tls },
                "ssh" => return Err(AddressError::Ssh(text.to_owned())),
                _ => return Err(AddressError::Scheme(text.to_owned())),
            }
        };
        Ok(Self { transport, chosen_by: chosen_by.into() })
    }

    /// The address as the docker program writes it.
    #[must_use]
    pub fn uri(&self) -> String {
        match &self.transport {
            Transport::Unix(path) => format!("unix://{}", path.display()),
            Transport::NamedPipe(path) => format!("npipe://{path}"),
            Transport::Tcp { address, .. } => format!("tcp://{address}"),
            Transport::Hosted(hosted) => hosted.0.name(),
        }
    }

    /// Whether the engine shares this host's files and addresses.
    #[must_use]
    pub fn is_local(&self) -> bool {
        match &self.transport {
            Transport::Unix(_) | Transport::NamedPipe(_) => true,
            Transport::Hosted(_) => false,
            Transport::Tcp { address, .. } => {
                let host = address.rsplit_once(':').map_or(address.as_str(), |(host, _)| host);
                matches!(host, "localhost" | "127.0.0.1" | "[::1]")
            }
        }
    }

    /// The machine that this host has for the engine, where it is in one.
    #[must_use]
    pub fn host(&self) -> Option<&Arc<dyn EngineHost>> {
        match &self.transport {
            Transport::Hosted(hosted) => Some(&hosted.0),
            Transport::Unix(_) | Transport::NamedPipe(_) | Transport::Tcp { .. } => None,
        }
    }

    /// A client for this address. Nothing is sent yet.
    pub(crate) fn client(&self) -> Result<bollard::Docker> {
        // Every call has a deadline of its own; the client's limit must only lie behind all of them.
        const LIMIT: u64 = 24 * 3600;
        let version = bollard::API_DEFAULT_VERSION;
        let client = match &self.transport {
            #[cfg(unix)]
            Transport::Unix(path) => bollard::Docker::connect_with_unix(&path.to_string_lossy(), LIMIT, version),
            #[cfg(not(unix))]
            Transport::Unix(_) => return Err(self.unreachable("this platform has no Unix sockets")),
            #[cfg(windows)]
            Transport::NamedPipe(path) => bollard::Docker::connect_with_named_pipe(path, LIMIT, version),
            #[cfg(not(windows))]
            Transport::NamedPipe(_) => return Err(self.unreachable("named pipes exist on Windows only")),
            Transport::Tcp { address, tls: None } => bollard::Docker::connect_with_http(address, LIMIT, version),
            Transport::Tcp { address, tls: Some(tls) } => {
                // The process may have chosen a crypto provider already; that choice stands.
                let _ = rustls::crypto::ring::default_provider().install_default();
                bollard::Docker::connect_with_ssl(address, &tls.key, &tls.certificate, &tls.ca, LIMIT, version)
            }
            Transport::Hosted(hosted) => bollard::Docker::connect_with_custom_transport(
                hosted::transport(hosted.0.clone()),
                Some(hosted::AUTHORITY),
                LIMIT,
                version,
            ),
        };
        client.map_err(|error| self.unreachable(error))
    }

    /// The error for an engine that does not answer.
    pub(crate) fn unreachable(&self, why: impl std::fmt::Display) -> ProviderError {
        ProviderError::Unreachable {
            endpoint: format!("the engine at {} ({})", self.uri(), self.chosen_by),
            why: why.to_string(),
            hint: "start it, or run `rig doctor` to see what is missing; `rig doctor --fix` mends what it can"
                .to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_written_alike() {
        for text in ["unix:///var/run/docker.sock", "tcp://10.0.0.1:2376", "npipe:////./pipe/docker_engine"] {
            assert_eq!(EngineAddress::parse(text, None, "test").unwrap().uri(), text);
        }
        assert_eq!(EngineAddress::parse("/run/d.sock", None, "test").unwrap().uri(), "unix:///run/d.sock");
        assert!(matches!(EngineAddress::parse("ssh://me@there", None, ""), Err(AddressError::Ssh(_))));
        assert!(matches!(EngineAddress::parse("https://there:2376", None, ""), Err(AddressError::NoCertificates(_))));
        assert!(matches!(EngineAddress::parse("docker", None, ""), Err(AddressError::Scheme(_))));
        assert!(matches!(EngineAddress::parse("unix://", None, ""), Err(AddressError::Empty(_))));
    }

    #[test]
    fn loopback_is_local() {
        let local = |text| EngineAddress::parse(text, None, "").unwrap().is_local();
        assert!(local("tcp://127.0.0.1:2375"));
        assert!(local("unix:///x"));
        assert!(!local("tcp://10.0.0.7:2375"));
    }
}
