//! Boxes that are zip archives.

use super::tree::Tree;
use crate::Result;
use std::io::{BufReader, Read};
use zip::ZipArchive;

/// The longest target of a symbolic link, in bytes.
const LINK: u64 = 4096;

/// The kind of a file in its Unix mode, and the two kinds that are unpacked as what they hold.
const KIND: u32 = 0o170_000;
const REGULAR: u32 = 0o100_000;

/// Puts everything that is in an archive into the tree.
///
/// # Errors
/// When the archive is damaged or encrypted, or something in it would do harm.
pub(super) fn unpack(file: &mut fs_err::File, most: u64, tree: &mut Tree<'_>) -> Result<()> {
    let mut archive = ZipArchive::new(BufReader::new(file)).map_err(|error| tree.broken(error.to_string()))?;
    if archive.len() as u64 > most {
        return Err(tree.too_many());
    }
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index).map_err(|error| tree.broken(error.to_string()))?;
        let name = entry.name().map_err(|error| tree.broken(error.to_string()))?.into_owned();
        let kind = entry.unix_mode().unwrap_or_default() & KIND;
        if entry.is_symlink() {
            let mut target = String::new();
            entry
                .by_ref()
                .take(LINK)
                .read_to_string(&mut target)
                .map_err(|error| tree.broken(format!("{name:?}: {error}")))?;
            tree.symbolic_link(&name, &target)?;
        } else if entry.is_dir() {
            tree.folder(&name)?;
        } else if kind == 0 || kind == REGULAR {
            let size = entry.size();
            tree.file(&name, size, entry)?;
        } else {
            return Err(tree.special(&name));
        }
    }
    Ok(())
}
