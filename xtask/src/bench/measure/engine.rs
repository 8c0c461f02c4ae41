//! The engine that is measured on: found, or started for the time of the run.

use super::options::EngineChoice;
use crate::{
    cargo::{Result, root},
    lab::{Dockerd, Network, current_engine, packages, running},
};
use std::{
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
};

const DEFAULT_SOCKET: &str = "/var/run/docker.sock";

/// An engine that answers.
pub(super) struct Engine {
    /// Where.
    pub(super) socket: PathBuf,
    /// Whether the host reaches its containers.
    pub(super) reachable: bool,
    /// What is to be stopped in the end.
    started: Option<Dockerd>,
}

impl Engine {
    /// Finds or starts it.
    ///
    /// # Errors
    /// When none answers, or the wanted one cannot be started.
    pub(super) fn get(choice: &EngineChoice) -> Result<Self> {
        let found = |socket: PathBuf| Self { socket, reachable: true, started: None };
        match choice {
            EngineChoice::Socket(socket) => Ok(found(socket.into())),
            EngineChoice::Any => {
                let named = std::env::var("DOCKER_HOST").unwrap_or_else(|_| format!("unix://{DEFAULT_SOCKET}"));
                let socket = named
                    .strip_prefix("unix://")
                    .ok_or_else(|| format!("DOCKER_HOST is {named}, not a socket of this host"))?;
                UnixStream::connect(socket)
                    .map_err(|error| format!("no engine answers at {socket}: {error}; --engine starts one"))?;
                Ok(found(socket.into()))
            }
            EngineChoice::Current => Self::start(Network::Host),
            EngineChoice::CurrentApart => Self::start(Network::Own),
            EngineChoice::Debian if running().is_some() && UnixStream::connect(DEFAULT_SOCKET).is_ok() => {
                Ok(found(DEFAULT_SOCKET.into()))
            }
            EngineChoice::Debian => {
                packages::install(&["docker.io"])?;
                let data = root().join("target").join("lab").join("debian-engine");
                let run = Path::new("/run/rig-lab/debian").to_owned();
                Self::of(Dockerd { data, run, programs: None, network: Network::Host })
            }
        }
    }

    fn start(network: Network) -> Result<Self> {
        current_engine::prepare()?;
        Self::of(current_engine::engine(network))
    }

    /// Starts it, and remembers to stop it unless it ran already.
    fn of(dockerd: Dockerd) -> Result<Self> {
        let ran = dockerd.pid().is_some();
        let reachable = dockerd.network == Network::Host;
        Ok(Self { socket: dockerd.start()?, reachable, started: (!ran).then_some(dockerd) })
    }

    /// Stops what was started.
    ///
    /// # Errors
    /// When it does not end.
    pub(super) fn stop(self) -> Result {
        self.started.map_or(Ok(()), |dockerd| dockerd.stop())
    }
}
