//! What file systems do differently.

#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

#[cfg(unix)]
pub(crate) use unix::{RENAME_ATTEMPTS, permissions, sync_folder};
#[cfg(windows)]
pub(crate) use windows::{RENAME_ATTEMPTS, permissions, sync_folder};
