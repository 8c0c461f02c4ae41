//! Where files come from: the disk, or a test's memory.

use camino::{Utf8Component, Utf8Path, Utf8PathBuf};
use std::io::Read;

/// What the decoder needs to know of the world: included files, and whether folders exist.
/// Paths are relative to the workspace file's folder, or absolute where the file says so.
pub trait Sources {
    /// The bytes of a file, at most `limit + 1` of them.
    ///
    /// # Errors
    /// When the file cannot be read; the error names it.
    fn read(&self, path: &Utf8Path, limit: u64) -> std::io::Result<Vec<u8>>;

    /// What is at a path, if anything.
    fn kind(&self, path: &Utf8Path) -> Option<SourceKind>;
}

/// What a path is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceKind {
    /// A file.
    File,
    /// A folder.
    Folder,
}

/// The disk, as seen from a folder.
#[derive(Clone, Debug)]
pub struct Disk {
    folder: Utf8PathBuf,
}

/// No files at all: for texts that include nothing and name no folder.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoSources;

impl Disk {
    /// The disk as seen from the workspace file's folder.
    #[must_use]
    pub fn new(folder: impl Into<Utf8PathBuf>) -> Self {
        Self { folder: folder.into() }
    }
}

impl Sources for Disk {
    fn read(&self, path: &Utf8Path, limit: u64) -> std::io::Result<Vec<u8>> {
        let path = self.folder.join(path);
        // A pipe or a device could block or never end.
        if !fs_err::metadata(&path)?.is_file() {
            return Err(std::io::Error::other(format!("{path} is not a regular file")));
        }
        let mut bytes = Vec::new();
        fs_err::File::open(&path)?.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn kind(&self, path: &Utf8Path) -> Option<SourceKind> {
        let metadata = fs_err::metadata(self.folder.join(path)).ok()?;
        Some(if metadata.is_dir() { SourceKind::Folder } else { SourceKind::File })
    }
}

impl Sources for NoSources {
    fn read(&self, path: &Utf8Path, _limit: u64) -> std::io::Result<Vec<u8>> {
        Err(std::io::Error::new(std::io::ErrorKind::NotFound, format!("there is no file {path}")))
    }

    fn kind(&self, _path: &Utf8Path) -> Option<SourceKind> {
        None
    }
}

/// The path without `.` and, where that is safe, without `..`.
pub(crate) fn tidy(path: &Utf8Path) -> Utf8PathBuf {
    let mut tidy = Utf8PathBuf::new();
    for component in path.components() {
        match component {
            Utf8Component::CurDir => {}
            Utf8Component::ParentDir if matches!(tidy.components().next_back(), Some(Utf8Component::Normal(_))) => {
                tidy.pop();
            }
            other => tidy.push(other),
        }
    }
    tidy
}
