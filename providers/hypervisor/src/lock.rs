//! Locks between processes: machines and boxes are shared by everything of this user that is called rig.

use crate::files;
use camino::Utf8PathBuf;
use rig_provider_api::{Context, ProviderError, Result};
use std::{fs::TryLockError, process::Stdio, sync::Arc, time::Duration};

/// The pause between two tries.
const PAUSE: Duration = Duration::from_millis(20);

/// A lock that is held until all of its copies are dropped, or its process ends. Work on files that goes on when its call is cut
/// has a copy: what comes next must not be overtaken by it.
#[derive(Clone)]
pub struct Lock {
    // Never read: closing it opens the lock.
    file: Arc<fs_err::File>,
}

impl Lock {
    /// Waits for the lock of a file in a folder that is there.
    ///
    /// # Errors
    /// When the file cannot be opened, or the context ends first.
    pub async fn take(cx: &Context, doing: &str, path: Utf8PathBuf) -> Result<Self> {
        let open = files::blocking(doing, move || {
            let file = fs_err::OpenOptions::new().create(true).read(true).append(true).open(&path);
            file.map_err(|error| ProviderError::failed(format!("opening {path}"), error))
        });
        let file = cx.run(doing, open).await?;
        let wait = async {
            loop {
                match file.file().try_lock() {
                    Ok(()) => return Ok(()),
                    Err(TryLockError::WouldBlock) => tokio::time::sleep(PAUSE).await,
                    Err(TryLockError::Error(error)) => return Err(ProviderError::failed(doing, error)),
                }
            }
        };
        cx.run(doing, wait).await?;
        Ok(Self { file: Arc::new(file) })
    }

    /// The lock as the standard input of a program, which finds nothing in it: on Unix the lock is held until that program has ended
    /// as well, also when this process is killed.
    ///
    /// # Errors
    /// When the system gives no second handle.
    pub fn stdin(&self) -> std::io::Result<Stdio> {
        Ok(Stdio::from(self.file.file().try_clone()?))
    }
}
