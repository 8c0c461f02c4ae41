//! Permissions are inherited from the user's own folders, and a file that somebody reads cannot be replaced at once.

use crate::Access;
use camino::Utf8Path;
use std::{fs::Permissions, io};

/// Virus scanners and indexers hold a new file open for some tens of milliseconds.
pub(crate) const RENAME_ATTEMPTS: u32 = 10;

/// There are no mode bits: files in a user's folders are the user's alone.
pub(crate) fn permissions(_: Access) -> Option<Permissions> {
    None
}

/// Folders cannot be synced here.
#[expect(clippy::unnecessary_wraps, reason = "the other platform can fail")]
pub(crate) fn sync_folder(_: &Utf8Path) -> io::Result<()> {
    Ok(())
}
