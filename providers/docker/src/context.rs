//! The docker program's contexts: named engines in the user's configuration folder.
//!
//! Layout (docker/cli, `cli/context/store`): `config.json` names the current context; `contexts/meta/<id>/meta.json`
//! holds its address and `contexts/tls/<id>/docker/*.pem` its certificates, where `<id>` is the SHA-256 of its name.

use crate::{AddressError, EngineAddress, Tls};
use rig_model::Digest;
use serde::Deserialize;
use std::path::Path;

/// Why a context could not be used.
#[derive(Debug, thiserror::Error)]
pub enum ContextError {
    /// A file of the configuration could not be read.
    #[error("reading docker context {name:?}: {source}")]
    Read {
        /// The context.
        name: String,
        /// The failure; it names the file.
        source: std::io::Error,
    },
    /// A file of the configuration is not what it should be.
    #[error("docker context {name:?} is unreadable: {source}")]
    Format {
        /// The context.
        name: String,
        /// The place.
        source: serde_json::Error,
    },
    /// The context leads to something that is no Docker engine.
    #[error("docker context {name:?} names no docker endpoint")]
    NoEndpoint {
        /// The context.
        name: String,
    },
    /// Its address is of no use.
    #[error("docker context {name:?}: {source}")]
    Address {
        /// The context.
        name: String,
        /// What is wrong.
        source: AddressError,
    },
}

#[derive(Deserialize)]
struct Configuration {
    #[serde(rename = "currentContext")]
    current: Option<String>,
}

#[derive(Deserialize)]
struct Meta {
    #[serde(rename = "Endpoints")]
    endpoints: std::collections::HashMap<String, MetaEndpoint>,
}

#[derive(Deserialize)]
struct MetaEndpoint {
    #[serde(rename = "Host")]
    host: Option<String>,
}

/// The engine of the context `wanted`, or of the current one in `folder` (`~/.docker`). `None` when the context is the
/// default one, which names no engine.
///
/// # Errors
/// When a context is named and cannot be read or used.
pub fn docker_context(folder: &Path, wanted: Option<&str>) -> Result<Option<EngineAddress>, ContextError> {
    let name = match wanted {
        Some(name) => name.to_owned(),
        None => match current(folder)? {
            Some(name) => name,
            None => return Ok(None),
        },
    };
    if name == "default" {
        return Ok(None);
    }
    let id = Digest::of(name.as_bytes());
    let path = folder.join("contexts").join("meta").join(id.as_str()).join("meta.json");
    let text = fs_err::read(path).map_err(|source| ContextError::Read { name: name.clone(), source })?;
    let meta: Meta =
        serde_json::from_slice(&text).map_err(|source| ContextError::Format { name: name.clone(), source })?;
    let host = meta
        .endpoints
        .get("docker")
        .and_then(|endpoint| endpoint.host.as_deref())
        .ok_or_else(|| ContextError::NoEndpoint { name: name.clone() })?;
    let certificates = folder.join("contexts").join("tls").join(id.as_str()).join("docker");
    let tls = certificates.is_dir().then(|| Tls::in_folder(&certificates));
    EngineAddress::parse(host, tls, format!("docker context {name}"))
        .map(Some)
        .map_err(|source| ContextError::Address { name, source })
}

fn current(folder: &Path) -> Result<Option<String>, ContextError> {
    let name = || "current".to_owned();
    match fs_err::read(folder.join("config.json")) {
        Ok(text) => {
            let configuration: Configuration =
                serde_json::from_slice(&text).map_err(|source| ContextError::Format { name: name(), source })?;
            Ok(configuration.current.filter(|name| !name.is_empty()))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(ContextError::Read { name: name(), source }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(host: &str, tls: bool) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let id = Digest::of(b"lab");
        let meta = folder.path().join("contexts/meta").join(id.as_str());
        fs_err::create_dir_all(&meta).unwrap();
        fs_err::write(
            meta.join("meta.json"),
            format!(
                r#"{{"Name":"lab","Metadata":{{}},"Endpoints":{{"docker":{{"Host":"{host}","SkipTLSVerify":false}}}}}}"#
            ),
        )
        .unwrap();
        if tls {
            fs_err::create_dir_all(folder.path().join("contexts/tls").join(id.as_str()).join("docker")).unwrap();
        }
        fs_err::write(folder.path().join("config.json"), r#"{"currentContext":"lab","auths":{}}"#).unwrap();
        folder
    }

    #[test]
    fn the_current_context_is_found() {
        let folder = folder("tcp://10.0.0.5:2376", true);
        let address = docker_context(folder.path(), None).unwrap().unwrap();
        assert_eq!(address.uri(), "tcp://10.0.0.5:2376");
        assert!(matches!(address.transport, crate::Transport::Tcp { tls: Some(_), .. }));
        assert_eq!(address.chosen_by, "docker context lab");
    }

    #[test]
    fn default_and_absent_name_no_engine() {
        let empty = tempfile::tempdir().unwrap();
        assert_eq!(docker_context(empty.path(), None).unwrap(), None);
        assert_eq!(docker_context(empty.path(), Some("default")).unwrap(), None);
    }

    #[test]
    fn a_context_that_is_not_there_is_an_error() {
        let folder = folder("unix:///x", false);
        let error = docker_context(folder.path(), Some("nowhere")).unwrap_err();
        assert!(matches!(error, ContextError::Read { .. }), "{error}");
        fs_err::write(folder.path().join("config.json"), "{").unwrap();
        assert!(matches!(docker_context(folder.path(), None), Err(ContextError::Format { .. })));
    }
}
