//! Permissions are mode bits, and a rename lasts when its folder was synced.

use crate::Access;
use camino::Utf8Path;
use std::{fs::Permissions, io, os::unix::fs::PermissionsExt};

/// A rename works or it does not.
pub(crate) const RENAME_ATTEMPTS: u32 = 1;

/// The mode of a new file, before the user's mask.
#[expect(clippy::unnecessary_wraps, reason = "the other platform has no mode bits")]
pub(crate) fn permissions(access: Access) -> Option<Permissions> {
    Some(Permissions::from_mode(match access {
        Access::Default => 0o666,
        Access::OwnerOnly => 0o600,
    }))
}

/// Makes a rename inside the folder last through a power cut.
pub(crate) fn sync_folder(folder: &Utf8Path) -> io::Result<()> {
    fs_err::File::open(folder)?.sync_all()
}
