//! A tar stream from a machine as a local file or folder. The machine is not trusted.

use crate::{Result, SshError};
use camino::Utf8Path;
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tar::{Archive, Entry, EntryType};

/// What headers of an archive may take beside the contents, in bytes.
const OVERHEAD: u64 = 64 << 20;

/// What came.
pub(super) struct Unpacked {
    /// Whether it is a folder.
    pub(super) folder: bool,
    /// What was left out.
    pub(super) skipped: Vec<String>,
}

/// Unpacks into `root`, which does not exist yet: it becomes the file or the folder.
pub(super) fn unpack(input: impl Read, root: &Utf8Path, job: &Job) -> Result<Unpacked> {
    // Headers take room as well, and long names are read into memory whole: what comes ends somewhere.
    let mut archive = Archive::new(input.take(job.limit.saturating_mul(2).saturating_add(OVERHEAD)));
    archive.set_preserve_mtime(true);
    let mut folders = Vec::new();
    let mut unpacked = Unpacked { folder: false, skipped: Vec::new() };
    let mut any = false;
    for entry in archive.entries().map_err(job.wrong())? {
        let mut entry = entry.map_err(job.wrong())?;
        // What is really written, also of sparse files and where a further header says so.
        let size = entry.size();
        job.count(size)?;
        let name = inside(&entry.path().map_err(job.wrong())?).ok_or_else(|| job.outside(&entry))?;
        let kind = entry.header().entry_type();
        if !any && !kind.is_dir() {
            // A single file.
            if !kind.is_file() {
                return Err(job.odd("what came is neither a file nor a folder"));
            }
            entry.unpack(root).map_err(job.wrong())?;
            return Ok(unpacked);
        }
        any = true;
        unpacked.folder = true;
        match kind {
            EntryType::Directory => {
                make_folder(root, &name).map_err(job.wrong())?;
                folders.push((name, entry.header().mode().ok(), entry.header().mtime().ok()));
            }
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse | EntryType::Link => {
                if !entry.unpack_in(root).map_err(job.wrong())? {
                    return Err(job.outside(&entry));
                }
            }
            EntryType::Symlink if leads_inside(&name, &entry) => {
                if !entry.unpack_in(root).map_err(job.wrong())? {
                    return Err(job.outside(&entry));
                }
            }
            // Links that lead out of the folder, devices, pipes.
            _ => unpacked.skipped.push(name.to_string_lossy().into_owned()),
        }
    }
    if !any {
        return Err(job.odd("nothing came"));
    }
    // Last, and the inner before the outer: a folder may forbid writing, and writing changes its time.
    for (name, mode, time) in folders.into_iter().rev() {
        finish_folder(&root.as_std_path().join(name), mode, time).map_err(job.wrong())?;
    }
    Ok(unpacked)
}

/// What a download is about.
pub(super) struct Job {
    /// The path on the machine.
    pub(super) path: String,
    /// The most bytes that may come.
    pub(super) limit: u64,
    /// Bytes that came.
    pub(super) come: Arc<AtomicU64>,
}

impl Job {
    fn doing(&self) -> String {
        format!("downloading {}", self.path)
    }

    fn wrong(&self) -> impl FnOnce(io::Error) -> SshError {
        SshError::file(self.doing())
    }

    fn odd(&self, why: &str) -> SshError {
        SshError::Transfer { doing: self.doing(), why: why.to_owned() }
    }

    fn outside(&self, entry: &Entry<'_, impl Read>) -> SshError {
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        self.odd(&format!("the machine sent {name:?}, which lies outside of the folder"))
    }

    fn count(&self, size: u64) -> Result<()> {
        let come = self.come.fetch_add(size, Ordering::Relaxed).saturating_add(size);
        if come > self.limit {
            return Err(SshError::TooLarge { path: self.path.clone(), limit: self.limit });
        }
        Ok(())
    }
}

/// The path below the folder; nothing if it leads out of it.
fn inside(path: &Path) -> Option<PathBuf> {
    let mut name = PathBuf::new();
    for component in path.components() {
        match component {
            Component::Normal(part) => name.push(part),
            Component::CurDir => {}
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(name)
}

/// Whether a link's target, seen from where the link is, lies in the folder.
fn leads_inside(name: &Path, entry: &Entry<'_, impl Read>) -> bool {
    let Ok(Some(target)) = entry.link_name() else { return false };
    let mut depth = name.components().count().saturating_sub(1);
    let mut goes_down = false;
    for component in target.components() {
        match component {
            Component::Normal(_) => {
                depth += 1;
                goes_down = true;
            }
            Component::CurDir => {}
            // Behind a folder that is a link itself, `..` leads elsewhere than it looks.
            Component::ParentDir if depth > 0 && !goes_down => depth -= 1,
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => return false,
        }
    }
    true
}

/// Makes a folder and those above it, without walking over a link.
fn make_folder(root: &Utf8Path, name: &Path) -> io::Result<()> {
    let mut path = root.as_std_path().to_owned();
    let parts = std::iter::once(None).chain(name.components().map(Some));
    for part in parts {
        path.extend(part);
        match fs_err::symlink_metadata(&path) {
            Ok(metadata) if metadata.is_dir() => {}
            Ok(_) => {
                return Err(io::Error::new(io::ErrorKind::AlreadyExists, format!("{} is in the way", path.display())));
            }
            Err(_) => fs_err::create_dir(&path)?,
        }
    }
    Ok(())
}

#[cfg(unix)]
fn finish_folder(path: &Path, mode: Option<u32>, time: Option<u64>) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    if let Some(time) = time {
        let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(time);
        fs_err::File::open(path)?.file().set_modified(time)?;
    }
    match mode {
        Some(mode) => fs_err::set_permissions(path, std::fs::Permissions::from_mode(mode & 0o777)),
        None => Ok(()),
    }
}

#[cfg(not(unix))]
fn finish_folder(_path: &Path, _mode: Option<u32>, _time: Option<u64>) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use camino::Utf8PathBuf;
    use tar::{Builder, Header};

    fn job(limit: u64) -> Job {
        Job { path: "/x".to_owned(), limit, come: Arc::default() }
    }

    /// An archive whose names are written as they are, which the library's own writer would refuse to do.
    fn archive(entries: &[(EntryType, &str, &str)]) -> Vec<u8> {
        let mut archive = Builder::new(Vec::new());
        for (kind, name, content) in entries {
            let mut header = Header::new_gnu();
            let field = &mut header.as_old_mut().name;
            field[..name.len()].copy_from_slice(name.as_bytes());
            header.set_entry_type(*kind);
            header.set_mode(if kind.is_dir() { 0o755 } else { 0o644 });
            header.set_mtime(1_000_000_000);
            let data = if kind.is_file() { content.as_bytes() } else { b"" };
            if kind.is_symlink() || kind.is_hard_link() {
                header.as_old_mut().linkname[..content.len()].copy_from_slice(content.as_bytes());
            }
            header.set_size(data.len() as u64);
            header.set_cksum();
            archive.append(&header, data).unwrap();
        }
        archive.into_inner().unwrap()
    }

    fn try_unpack(entries: &[(EntryType, &str, &str)], limit: u64) -> (tempfile::TempDir, Result<Unpacked>) {
        let folder = tempfile::tempdir().unwrap();
        let root = Utf8PathBuf::try_from(folder.path().join("root")).unwrap();
        let result = unpack(archive(entries).as_slice(), &root, &job(limit));
        (folder, result)
    }

    const FOLDER: EntryType = EntryType::Directory;
    const FILE: EntryType = EntryType::Regular;
    const LINK: EntryType = EntryType::Symlink;

    #[test]
    fn a_file_and_a_folder() {
        let (folder, unpacked) = try_unpack(&[(FILE, "./name", "text")], 10);
        assert!(!unpacked.unwrap().folder);
        assert_eq!(fs_err::read_to_string(folder.path().join("root")).unwrap(), "text");

        let (folder, unpacked) = try_unpack(&[(FOLDER, "./", ""), (FILE, "./a", "text"), (LINK, "./l", "a")], 10);
        let unpacked = unpacked.unwrap();
        assert!(unpacked.folder && unpacked.skipped.is_empty());
        assert_eq!(fs_err::read_to_string(folder.path().join("root/l")).unwrap(), "text");
    }

    #[test]
    fn nothing_leaves_the_folder() {
        for name in ["../out", "/out", "a/../../out"] {
            let (folder, unpacked) = try_unpack(&[(FOLDER, "./", ""), (FILE, name, "text")], 10);
            assert!(matches!(unpacked, Err(SshError::Transfer { .. })), "{name}");
            assert!(!folder.path().join("out").exists() && !Path::new("/out").exists());
        }
    }

    #[test]
    fn links_that_lead_out_are_left_out() {
        let (folder, unpacked) = try_unpack(
            &[
                (FOLDER, "./", ""),
                (FOLDER, "./d", ""),
                (LINK, "./absolute", "/etc"),
                (LINK, "./d/up", "../.."),
                (LINK, "./d/fine", "../a"),
                (EntryType::Fifo, "./pipe", ""),
            ],
            10,
        );
        assert_eq!(unpacked.unwrap().skipped, ["absolute", "d/up", "pipe"]);
        assert!(folder.path().join("root/d/fine").is_symlink());
    }

    #[test]
    fn nothing_is_written_through_a_link() {
        let (folder, unpacked) = try_unpack(
            &[(FOLDER, "./", ""), (LINK, "./l", "elsewhere"), (FOLDER, "./l", ""), (FILE, "./l/x", "y")],
            10,
        );
        assert!(unpacked.is_err());
        assert!(!folder.path().join("root/elsewhere").exists());
    }

    #[test]
    fn more_than_the_limit_is_too_much() {
        let entries = [(FOLDER, "./", ""), (FILE, "./a", "12345"), (FILE, "./b", "12345")];
        assert!(try_unpack(&entries, 10).1.is_ok());
        assert!(matches!(try_unpack(&entries, 9).1, Err(SshError::TooLarge { .. })));
        assert!(matches!(try_unpack(&[], 9).1, Err(SshError::Transfer { .. })));
    }
}
