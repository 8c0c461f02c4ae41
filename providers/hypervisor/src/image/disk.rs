//! A disk with an ext4 file system, from the entries of a tar archive.

use super::journal;
use arcbox_ext4::{
    FileTimestamps, FormatOptions, Formatter,
    constants::{INODE_EXTRA_SIZE, file_mode, make_mode},
    error::FormatError,
    xattr::{ExtendedAttribute, XattrState},
};
use camino::{Utf8Path, Utf8PathBuf};
use rig_model::Bytes;
use std::{
    collections::HashMap,
    io::{self, Read},
};
use tar::{Entry, EntryType};

/// The size of a block in bytes.
pub(super) const BLOCK: u32 = 4096;

/// What the file system is divided into: its size is a multiple of this, in bytes.
const GROUP: u64 = 128 << 20;

/// How disks are called inside.
pub(super) const LABEL: &str = "rig-root";

/// What the names of extended attributes begin with in a tar archive.
const ATTRIBUTE: &str = "SCHILY.xattr.";

/// The longest name of a file in bytes.
const LONGEST_NAME: usize = 255;

/// A disk that is being written.
pub(super) struct Disk {
    formatter: Formatter,
    path: Utf8PathBuf,
    /// What the file has when everything fits, in bytes.
    size: u64,
    /// Names of files that have another one, with that one.
    links: HashMap<String, String>,
}

impl Disk {
    /// An empty one.
    pub(super) fn create(path: &Utf8Path, size: Bytes) -> io::Result<Self> {
        let size = size.0.div_ceil(GROUP).max(1) * GROUP;
        let options = FormatOptions::new(size).label(LABEL);
        let mut formatter = Formatter::with_options(path.as_std_path(), options).map_err(failed(path.as_str()))?;
        journal::reserve(&mut formatter).map_err(failed(path.as_str()))?;
        Ok(Self { formatter, path: path.to_owned(), size, links: HashMap::new() })
    }

    /// Puts an entry in; a file with this content when it was read already.
    pub(super) fn add<R: Read>(
        &mut self,
        path: &str,
        entry: &mut Entry<'_, R>,
        content: Option<&[u8]>,
    ) -> io::Result<()> {
        let kind = entry.header().entry_type();
        let kind = match kind {
            EntryType::Directory => file_mode::S_IFDIR,
            EntryType::Symlink => file_mode::S_IFLNK,
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => file_mode::S_IFREG,
            EntryType::Link => return self.link(path, entry),
            // Nobody can make them without being the administrator of the machine, which its kernel is.
            EntryType::Char | EntryType::Block | EntryType::Fifo => return Ok(()),
            other => return Err(wrong(path, format!("has a kind that is not known ({:?})", other.as_byte() as char))),
        };
        self.is_new(path, kind == file_mode::S_IFDIR)?;
        let attributes = attributes(path, entry)?;
        let header = entry.header();
        let number = |value: io::Result<u64>| value.and_then(|value| u32::try_from(value).map_err(io::Error::other));
        let (owner, group) = (number(header.uid())?, number(header.gid())?);
        let mode = u16::try_from(header.mode()? & 0o7777).map_err(io::Error::other)?;
        let times = times(header.mtime()?);
        let target = match entry.link_name_bytes() {
            Some(target) if kind == file_mode::S_IFLNK => Some(text(&target)?.to_owned()),
            None if kind == file_mode::S_IFLNK => return Err(wrong(path, "is a link to nothing")),
            _ => None,
        };
        let mut known = content;
        let data: Option<&mut dyn Read> = match &mut known {
            _ if kind != file_mode::S_IFREG => None,
            Some(content) => Some(content),
            None => Some(entry),
        };
        let mode = make_mode(kind, mode);
        self.formatter
            .create(path, mode, target.as_deref(), Some(times), data, Some(owner), Some(group), attributes.as_ref())
            .map_err(failed(path))
    }

    /// Another name of a file that is there.
    fn link<R: Read>(&mut self, path: &str, entry: &Entry<'_, R>) -> io::Result<()> {
        let target = entry.link_name_bytes().ok_or_else(|| wrong(path, "is a link to nothing"))?;
        let mut target = path_of(&target)?;
        // The file system wants the first name.
        if let Some(first) = self.links.get(&target) {
            target.clone_from(first);
        }
        self.is_new(path, false)?;
        self.formatter.link(path, &target).map_err(failed(path))?;
        self.links.insert(path.to_owned(), target);
        Ok(())
    }

    /// An archive with two files of one name was not made from a root file system. Folders may come up again.
    fn is_new(&self, path: &str, folder: bool) -> io::Result<()> {
        if path.rsplit('/').next().is_some_and(|name| name.len() > LONGEST_NAME) {
            return Err(wrong(path, "has a name that is too long"));
        }
        let there = if folder {
            self.formatter.exists(path) && !self.formatter.is_dir(path)
        } else {
            self.formatter.exists(path)
        };
        if there { Err(wrong(path, "is there twice")) } else { Ok(()) }
    }

    /// Writes what belongs to no single file. Only then it is a file system.
    pub(super) fn close(self) -> io::Result<()> {
        let name = self.path.as_str();
        self.formatter.close().map_err(failed(name))?;
        // The formatter makes room where there is none.
        if fs_err::metadata(&self.path)?.len() > self.size {
            let why = format!("{name}: the root file system does not fit into {}", Bytes(self.size));
            return Err(io::Error::other(why));
        }
        journal::install(&self.path)
    }
}

/// An absolute path without `.` and with no slash at the end.
pub(super) fn path_of(bytes: &[u8]) -> io::Result<String> {
    let name = text(bytes)?;
    let mut path = String::with_capacity(name.len() + 1);
    for part in name.split('/').filter(|part| !part.is_empty() && *part != ".") {
        if part == ".." {
            return Err(wrong(name, "leads out of its folder"));
        }
        path.push('/');
        path.push_str(part);
    }
    Ok(if path.is_empty() { "/".to_owned() } else { path })
}

/// Extended attributes: capabilities of programs, first of all.
fn attributes<R: Read>(path: &str, entry: &mut Entry<'_, R>) -> io::Result<Option<HashMap<String, Vec<u8>>>> {
    let mut found = HashMap::new();
    for extension in entry.pax_extensions()?.into_iter().flatten() {
        let extension = extension?;
        if let Some(name) = extension.key().ok().and_then(|key| key.strip_prefix(ATTRIBUTE)) {
            found.insert(name.to_owned(), extension.value_bytes().to_vec());
        }
    }
    if found.is_empty() {
        return Ok(None);
    }
    // What has no room in the inode gets a block of its own, which the formatter then does not count: the file system would be
    // broken. Boxes have no such attributes. The first one is the formatter's own.
    let mut room = XattrState::new(0, INODE_EXTRA_SIZE, BLOCK);
    let own = ("system.data".to_owned(), Vec::new());
    for (name, value) in std::iter::once(&own).map(|(name, value)| (name, value)).chain(&found) {
        room.add(ExtendedAttribute::new(name, value.clone())).map_err(failed(path))?;
    }
    if room.has_block() {
        return Err(wrong(path, "has extended attributes that are too long"));
    }
    Ok(Some(found))
}

/// All times are the one that an archive has. Seconds beyond 2038 have two more bits elsewhere.
fn times(seconds: u64) -> FileTimestamps {
    #[expect(clippy::cast_possible_truncation, reason = "the low half, and two bits of the high one")]
    let (low, high) = (seconds as u32, (seconds.saturating_add(0x8000_0000) >> 32) as u32 & 3);
    FileTimestamps {
        access_lo: low,
        access_hi: high,
        modification_lo: low,
        modification_hi: high,
        creation_lo: low,
        creation_hi: high,
        now_lo: low,
        now_hi: high,
    }
}

fn text(bytes: &[u8]) -> io::Result<&str> {
    std::str::from_utf8(bytes).map_err(|_| wrong(&String::from_utf8_lossy(bytes), "is no name in UTF-8"))
}

fn wrong(path: &str, what: impl std::fmt::Display) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("{path} {what}"))
}

fn failed(path: &str) -> impl FnOnce(FormatError) -> io::Error {
    move |error| match error {
        // What comes from the archive's side names itself.
        FormatError::Io(error) => error,
        error => wrong(path, format!("cannot be written: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_have_one_form() {
        let of = |path: &str| path_of(path.as_bytes()).unwrap();
        assert_eq!((of("./").as_str(), of("./etc/").as_str(), of("/a//b").as_str()), ("/", "/etc", "/a/b"));
        assert!(path_of(b"a/../b").is_err());
        assert!(path_of(b"\xff").is_err());
    }

    #[test]
    fn times_go_beyond_2038() {
        let of = |seconds| (times(seconds).modification_lo, times(seconds).modification_hi);
        assert_eq!((of(1), of(0x7fff_ffff)), ((1, 0), (0x7fff_ffff, 0)));
        // <https://docs.kernel.org/filesystems/ext4/inodes.html#inode-timestamps>
        assert_eq!((of(0x8000_0000), of(0x1_0000_0000)), ((0x8000_0000, 1), (0, 1)));
    }
}
