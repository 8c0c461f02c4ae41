//! Boxes that are tar archives.

use super::tree::Tree;
use crate::Result;
use std::{
    cell::Cell,
    io::{self, Read},
    rc::Rc,
};
use tar::EntryType;

/// How long the headers of one entry may be, in bytes. Long names and attributes are kept in memory.
const HEADERS: u64 = 1 << 20;

/// How much may follow behind the end, in bytes: archives are filled up to whole blocks of tapes.
const PADDING: u64 = 16 << 20;

/// A reader that gives only so much as is allowed at the moment.
struct Metered<R> {
    from: R,
    allowed: Rc<Cell<u64>>,
}

impl<R: Read> Read for Metered<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let allowed = self.allowed.get();
        if allowed == 0 && !buffer.is_empty() {
            return Err(io::Error::other("it has more around its files than an archive needs"));
        }
        let most = buffer.len().min(usize::try_from(allowed).unwrap_or(usize::MAX));
        let count = self.from.read(&mut buffer[..most])?;
        self.allowed.set(allowed - count as u64);
        Ok(count)
    }
}

/// Puts everything that is in an archive into the tree, and reads it to its end, where its own checksum is.
///
/// # Errors
/// When the archive is damaged, or something in it would do harm.
pub(super) fn unpack(from: impl Read, tree: &mut Tree<'_>) -> Result<()> {
    let allowed = Rc::new(Cell::new(0));
    let mut archive = tar::Archive::new(Metered { from, allowed: Rc::clone(&allowed) });
    {
        let mut entries = archive.entries().map_err(|error| tree.broken(error.to_string()))?;
        loop {
            allowed.set(HEADERS);
            let Some(entry) = entries.next() else { break };
            let entry = entry.map_err(|error| tree.broken(error.to_string()))?;
            let kind = entry.header().entry_type();
            if kind == EntryType::XGlobalHeader {
                continue;
            }
            let path = text(&entry.path_bytes()).map_err(|why| tree.broken(why))?;
            match kind {
                EntryType::Directory => tree.folder(&path)?,
                EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
                    // The tree has a limit of its own for what files hold.
                    allowed.set(u64::MAX);
                    let size = entry.size();
                    tree.file(&path, size, entry)?;
                }
                EntryType::Symlink | EntryType::Link => {
                    let target = entry.link_name_bytes().unwrap_or_default();
                    let target = text(&target).map_err(|why| tree.broken(why))?;
                    if kind == EntryType::Link {
                        tree.hard_link(&path, &target)?;
                    } else {
                        tree.symbolic_link(&path, &target)?;
                    }
                }
                _ => return Err(tree.special(&path)),
            }
        }
    }
    allowed.set(PADDING);
    io::copy(&mut archive.into_inner(), &mut io::sink()).map_err(|error| tree.broken(error.to_string()))?;
    Ok(())
}

fn text(bytes: &[u8]) -> std::result::Result<String, String> {
    String::from_utf8(bytes.to_vec()).map_err(|_| format!("the name {:?} is not UTF-8", String::from_utf8_lossy(bytes)))
}
