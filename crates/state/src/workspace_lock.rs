//! One command at a time changes the machines of a workspace.

use crate::{Access, FileLock, Format, Layout, Patience, Result, StateError, format};
use camino::Utf8PathBuf;
use jiff::{Timestamp, tz::TimeZone};
use serde::{Deserialize, Serialize};
use std::fmt;

const LOCK_OWNER: Format = Format { name: "rig.lock-owner", major: 1 };

/// Who has the lock, for messages. A crash leaves the file behind: only the lock itself says whether it is held, and a
/// file beside a free lock says that its owner was killed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockOwner {
    /// The process.
    pub pid: u32,
    /// What it does (`rig up`).
    pub command: String,
    /// Since when.
    pub since: Timestamp,
}

impl fmt::Display for LockOwner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let since = self.since.to_zoned(TimeZone::system());
        write!(f, "`{}` (process {}, since {})", self.command, self.pid, since.strftime("%F %T"))
    }
}

/// The lock of a workspace. Dropping it releases it.
#[derive(Debug)]
pub struct WorkspaceLock {
    owner_file: Utf8PathBuf,
    after_crash: bool,
    // Never read: holding it is its purpose. Behind the others, so that it is released last.
    _lock: FileLock,
}

impl Drop for WorkspaceLock {
    fn drop(&mut self) {
        // A file that stays says that this process was killed, which costs the next one a second look, no more.
        let _ = fs_err::remove_file(&self.owner_file);
    }
}

impl WorkspaceLock {
    /// Takes the workspace's lock, waiting while somebody else has it. `held` is called when the wait begins, and again
    /// whenever another owner has it, with the owner where that is known.
    ///
    /// # Errors
    /// When the `.rig` folder cannot be written or is a newer rig's; [`StateError::Held`] when the deadline passes,
    /// [`StateError::Cancelled`].
    pub async fn acquire(
        layout: &Layout,
        owner: &LockOwner,
        patience: &Patience,
        mut held: impl FnMut(Option<&LockOwner>) + Send,
    ) -> Result<Self> {
        blocking(layout, Layout::prepare).await?;
        let mut last: Option<Option<LockOwner>> = None;
        let outcome = FileLock::acquire(&layout.lock(), patience, || {
            let current = Self::last_owner(layout);
            if last.as_ref() != Some(&current) {
                held(current.as_ref());
                last = Some(current);
            }
        })
        .await;
        match outcome {
            Ok(lock) => {
                let owner = owner.clone();
                blocking(layout, move |layout| Self::claim(layout, &owner, lock)).await
            }
            Err(StateError::Held { path, seconds, .. }) => {
                Err(StateError::Held { path, owner: Self::last_owner(layout), seconds })
            }
            Err(error) => Err(error),
        }
    }

    /// Takes the workspace's lock if nobody has it; `None` when somebody does, whom [`WorkspaceLock::last_owner`] names.
    ///
    /// # Errors
    /// When the `.rig` folder cannot be written or is a newer rig's.
    pub fn try_acquire(layout: &Layout, owner: &LockOwner) -> Result<Option<Self>> {
        layout.prepare()?;
        FileLock::try_acquire(&layout.lock())?.map(|lock| Self::claim(layout, owner, lock)).transpose()
    }

    /// Who took the lock last, as far as that can be read. Only for messages about a lock that is held.
    #[must_use]
    pub fn last_owner(layout: &Layout) -> Option<LockOwner> {
        format::read_json(&layout.lock_owner(), LOCK_OWNER).ok().flatten()
    }

    /// Whether the last owner was killed before it could release the lock. What it had asked an engine for may still be
    /// going on.
    #[must_use]
    pub fn is_after_crash(&self) -> bool {
        self.after_crash
    }

    fn claim(layout: &Layout, owner: &LockOwner, lock: FileLock) -> Result<Self> {
        let owner_file = layout.lock_owner();
        let after_crash = owner_file.exists();
        format::write_json(&owner_file, LOCK_OWNER, owner, Access::Default)?;
        Ok(Self { owner_file, after_crash, _lock: lock })
    }
}

/// Runs what waits for the disk away from the runtime.
async fn blocking<T: Send + 'static>(
    layout: &Layout,
    work: impl FnOnce(&Layout) -> Result<T> + Send + 'static,
) -> Result<T> {
    let owned = layout.clone();
    match tokio::task::spawn_blocking(move || work(&owned)).await {
        Ok(outcome) => outcome,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime is being shut down.
            Err(_) => Err(StateError::Cancelled { path: layout.lock() }),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::temporary;
    use std::time::Duration;
    use tokio::time::Instant;
    use tokio_util::sync::CancellationToken;

    fn owner(command: &str) -> LockOwner {
        LockOwner { pid: 7, command: command.to_owned(), since: Timestamp::UNIX_EPOCH }
    }

    fn patience(limit: Duration) -> Patience {
        Patience { cancel: CancellationToken::new(), deadline: Instant::now() + limit }
    }

    #[tokio::test]
    async fn the_second_learns_who_the_first_is() {
        let (_guard, folder) = temporary();
        let layout = Layout::new(&folder);
        let first = WorkspaceLock::try_acquire(&layout, &owner("rig up")).unwrap().unwrap();
        let mut seen = Vec::new();
        let error =
            WorkspaceLock::acquire(&layout, &owner("rig halt"), &patience(Duration::from_millis(350)), |owner| {
                seen.push(owner.cloned());
            })
            .await
            .unwrap_err();
        assert_eq!(seen, [Some(owner("rig up"))], "told once, not at every attempt");
        assert!(error.to_string().contains("`rig up` (process 7, since 1970-01-01"), "{error}");
        drop(first);
        assert!(WorkspaceLock::try_acquire(&layout, &owner("rig halt")).unwrap().is_some());
    }

    #[tokio::test]
    async fn what_a_crash_left_behind_holds_nothing() {
        let (_guard, folder) = temporary();
        let layout = Layout::new(&folder);
        let released = WorkspaceLock::try_acquire(&layout, &owner("rig up")).unwrap().unwrap();
        assert!(!released.is_after_crash());
        drop(released);
        assert_eq!(WorkspaceLock::last_owner(&layout), None);
        // A killed process leaves its name and no lock.
        format::write_json(&layout.lock_owner(), LOCK_OWNER, &owner("rig up"), Access::Default).unwrap();
        let mut told = false;
        let lock =
            WorkspaceLock::acquire(&layout, &owner("rig halt"), &patience(Duration::from_secs(5)), |_| told = true)
                .await
                .unwrap();
        assert!(!told);
        assert!(lock.is_after_crash());
    }

    #[tokio::test]
    async fn an_unreadable_owner_is_no_obstacle() {
        let (_guard, folder) = temporary();
        let layout = Layout::new(&folder);
        layout.prepare().unwrap();
        fs_err::write(layout.lock_owner(), "{").unwrap();
        let _first = FileLock::try_acquire(&layout.lock()).unwrap().unwrap();
        let mut seen = Vec::new();
        WorkspaceLock::acquire(&layout, &owner("rig up"), &patience(Duration::from_millis(50)), |o| {
            seen.push(o.cloned());
        })
        .await
        .unwrap_err();
        assert_eq!(seen, [None]);
    }
}
