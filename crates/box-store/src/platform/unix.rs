//! Unix: free space by `statvfs`, symbolic links for everybody.

use camino::Utf8Path;
use std::{fs::Permissions, io, os::unix::fs::PermissionsExt};

/// Bytes that this user may still write to the volume of a folder; `None` where nobody knows.
pub(crate) fn free_space(folder: &Utf8Path) -> Option<u64> {
    let volume = rustix::fs::statvfs(folder.as_std_path()).ok()?;
    volume.f_bavail.checked_mul(volume.f_frsize)
}

/// Makes a symbolic link.
pub(crate) fn symbolic_link(target: &Utf8Path, link: &Utf8Path) -> io::Result<()> {
    fs_err::os::unix::fs::symlink(target, link)
}

/// Those of a file that is made without wishes; the user's mask takes some away.
pub(crate) fn ordinary_permissions() -> Option<Permissions> {
    Some(Permissions::from_mode(0o666))
}
