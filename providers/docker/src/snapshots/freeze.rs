//! Keeping a machine still while it is copied.

use crate::{error, provider::PAUSE};
use bollard::Docker;
use rig_provider_api::{Context, Result};
use std::time::Duration;

/// How often a machine is tried to be frozen: the kernel does not catch processes in the middle of a `fork`, and a machine
/// that starts makes many.
const TRIES: u32 = 20;

/// How long an engine may take to let a machine go on.
const THAW: Duration = Duration::from_secs(60);

/// A machine whose processes do not run for a while. They go on when it is thawed, and also when this is dropped because the
/// caller has given up.
pub(super) struct Frozen {
    docker: Docker,
    container: String,
    is_frozen: bool,
}

impl Frozen {
    /// A machine that is not frozen yet, or was left so by a call that was cut.
    pub(super) fn new(docker: &Docker, container: &str, is_frozen: bool) -> Self {
        Self { docker: docker.clone(), container: container.to_owned(), is_frozen }
    }

    /// Stops its processes where they are.
    pub(super) async fn freeze(&mut self, doing: &str) -> Result<()> {
        if self.is_frozen {
            return Ok(());
        }
        // Before the call: it may be cut when the engine has done its part.
        self.is_frozen = true;
        let mut tries = 0;
        loop {
            match self.docker.pause_container(&self.container).await {
                Ok(()) => return Ok(()),
                Err(error) if error::is_unfrozen(&error) && tries < TRIES => {
                    tries += 1;
                    tokio::time::sleep(PAUSE).await;
                }
                Err(error) => return Err(error::failure(doing, &self.container, error)),
            }
        }
    }

    /// Lets its processes go on, also when the call that froze them was interrupted.
    pub(super) async fn thaw(mut self, doing: &str) -> Result<()> {
        if !std::mem::take(&mut self.is_frozen) {
            return Ok(());
        }
        let thawed = async {
            match self.docker.unpause_container(&self.container).await {
                // It was removed, ended, or somebody else was quicker.
                Err(error) if error::is_absent(&error) || error::is_not_paused(&error) => Ok(()),
                result => result.map_err(|error| error::failure(doing, &self.container, error)),
            }
        };
        Context::alone(THAW).run(doing, thawed).await
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        if let (true, Ok(runtime)) = (self.is_frozen, tokio::runtime::Handle::try_current()) {
            let (docker, container) = (self.docker.clone(), self.container.clone());
            runtime.spawn(async move {
                // Nobody is left to be told of a failure; the next save, or `up`, brings the machine back.
                let _ = docker.unpause_container(&container).await;
            });
        }
    }
}
