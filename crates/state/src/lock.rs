//! Advisory locks on files. The lock ends with the handle, so with the process too, however that ends.

use crate::{Result, StateError, atomic, layout};
use camino::{Utf8Path, Utf8PathBuf};
use std::{
    fs::{File, TryLockError},
    time::Duration,
};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How often a held lock is tried again. There is no call that waits for a lock and can be cancelled.
const POLL: Duration = Duration::from_millis(100);

/// How long to wait for what somebody else has.
#[derive(Clone, Debug)]
pub struct Patience {
    /// Ends the wait early.
    pub cancel: CancellationToken,
    /// When the wait ends at the latest.
    pub deadline: Instant,
}

/// A lock that this process holds. Dropping it releases it.
#[derive(Debug)]
pub struct FileLock {
    path: Utf8PathBuf,
    // Never read: the open handle is the lock.
    _file: File,
}

impl FileLock {
    /// Takes the lock if nobody has it. The file and its folder are made when they are not there. Does not wait.
    ///
    /// # Errors
    /// When the file cannot be opened, or its file system has no locks.
    pub fn try_acquire(path: &Utf8Path) -> Result<Option<Self>> {
        if let Some(folder) = path.parent() {
            layout::create_folder(folder)?;
        }
        // Not truncated, and never removed: whoever waits has opened this very file.
        let file = fs_err::OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(|error| StateError::Io { doing: "opening", path: path.to_owned(), reason: atomic::bare(error) })?
            .into_parts()
            .0;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { path: path.to_owned(), _file: file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(reason)) => Err(StateError::Io { doing: "locking", path: path.to_owned(), reason }),
        }
    }

    /// Takes the lock, waiting without blocking the runtime while somebody else has it. `held` is called at each
    /// unsuccessful attempt, ten times a second.
    ///
    /// # Errors
    /// Those of [`FileLock::try_acquire`]; [`StateError::Held`] when the deadline passes, [`StateError::Cancelled`].
    pub async fn acquire(path: &Utf8Path, patience: &Patience, mut held: impl FnMut() + Send) -> Result<Self> {
        let began = Instant::now();
        loop {
            if let Some(lock) = Self::try_acquire(path)? {
                return Ok(lock);
            }
            held();
            tokio::select! {
                biased;
                () = patience.cancel.cancelled() => return Err(StateError::Cancelled { path: path.to_owned() }),
                () = tokio::time::sleep_until(patience.deadline), if patience.deadline <= Instant::now() + POLL => {
                    let seconds = began.elapsed().as_secs_f64();
                    return Err(StateError::Held { path: path.to_owned(), owner: None, seconds });
                }
                () = tokio::time::sleep(POLL) => {}
            }
        }
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Utf8Path {
        &self.path
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::temporary;

    fn patience(limit: Duration) -> Patience {
        Patience { cancel: CancellationToken::new(), deadline: Instant::now() + limit }
    }

    #[tokio::test]
    async fn a_lock_is_held_once_and_released_by_dropping() {
        let (_guard, folder) = temporary();
        let path = folder.join("locks").join("a");
        let lock = FileLock::try_acquire(&path).unwrap().unwrap();
        assert!(FileLock::try_acquire(&path).unwrap().is_none());
        let error = FileLock::acquire(&path, &patience(Duration::from_millis(150)), || {}).await.unwrap_err();
        assert!(matches!(error, StateError::Held { .. }), "{error}");
        drop(lock);
        assert!(FileLock::try_acquire(&path).unwrap().is_some());
    }

    #[tokio::test]
    async fn waiting_ends_when_the_lock_is_free_or_the_caller_gives_up() {
        let (_guard, folder) = temporary();
        let path = folder.join("a");
        let lock = FileLock::try_acquire(&path).unwrap().unwrap();
        let long = patience(Duration::from_secs(60));
        let cancel = long.cancel.clone();
        let given_up = tokio::spawn({
            let path = path.clone();
            async move { FileLock::acquire(&path, &long, || {}).await }
        });
        cancel.cancel();
        assert!(given_up.await.unwrap().unwrap_err().is_cancelled());

        let waiting = tokio::spawn({
            let path = path.clone();
            async move {
                let mut attempts = 0;
                FileLock::acquire(&path, &patience(Duration::from_secs(60)), || attempts += 1).await.unwrap();
                attempts
            }
        });
        tokio::time::sleep(Duration::from_millis(50)).await;
        drop(lock);
        assert!(waiting.await.unwrap() >= 1);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn many_tasks_take_turns() {
        let (_guard, folder) = temporary();
        let path = folder.join("a");
        let counter = folder.join("counter");
        fs_err::write(&counter, "0").unwrap();
        let tasks: Vec<_> = (0..8)
            .map(|_| {
                let (path, counter) = (path.clone(), counter.clone());
                tokio::spawn(async move {
                    let _lock = FileLock::acquire(&path, &patience(Duration::from_secs(60)), || {}).await.unwrap();
                    let count: u32 = fs_err::read_to_string(&counter).unwrap().parse().unwrap();
                    tokio::task::yield_now().await;
                    fs_err::write(&counter, (count + 1).to_string()).unwrap();
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(fs_err::read_to_string(&counter).unwrap(), "8");
    }
}
