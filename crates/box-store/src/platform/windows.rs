//! Windows: only some users may make symbolic links, and boxes have none that matter.

use camino::Utf8Path;
use std::{fs::Permissions, io};

/// Not known here without a further library: a full volume is noticed when it is full.
pub(crate) fn free_space(_: &Utf8Path) -> Option<u64> {
    None
}

/// Boxes with symbolic links are not unpacked here.
pub(crate) fn symbolic_link(_: &Utf8Path, _: &Utf8Path) -> io::Result<()> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "symbolic links are not made on this platform"))
}

/// Files inherit theirs from their folder.
pub(crate) fn ordinary_permissions() -> Option<Permissions> {
    None
}
