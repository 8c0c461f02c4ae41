//! The folder that a box is unpacked into: everything that is written there goes through here, and stays inside.

use super::{
    Limits, Tee, Unpacked,
    holes::Holes,
    inside,
    names::{Entry, Names},
    path::link_target,
};
use crate::{
    Result, StoreError, platform,
    record::{StoredFile, StoredLink},
    watch::Watch,
};
use camino::{Utf8Path, Utf8PathBuf};
use std::io::{self, Read};

/// What is said of an archive that was made to fill a volume.
const TOO_LARGE: &str = "unpacked it is far larger than a box of its size can be";

/// A folder that is being filled. Until all files and folders are there it has no symbolic link, so nothing is made
/// through one; and no entry lies below a link, so the folder that a link lies in is the one that its path says.
pub(super) struct Tree<'a> {
    root: &'a Utf8Path,
    archive: &'a Utf8Path,
    watch: Watch<'a>,
    /// Bytes that may still be written.
    budget: u64,
    /// Entries that may still come.
    entries: u64,
    limits: Limits,
    names: Names,
    unpacked: Unpacked,
}

impl<'a> Tree<'a> {
    /// A tree in an empty folder; `size` is that of the archive.
    pub(super) fn new(root: &'a Utf8Path, archive: &'a Utf8Path, size: u64, limits: Limits, watch: Watch<'a>) -> Self {
        Self {
            root,
            archive,
            watch,
            budget: limits.budget(size),
            entries: limits.entries,
            limits,
            names: Names::default(),
            unpacked: Unpacked::default(),
        }
    }

    /// What is wrong with the archive.
    pub(super) fn broken(&self, why: impl Into<String>) -> StoreError {
        StoreError::Archive { archive: self.archive.to_owned(), why: why.into() }
    }

    /// What is wrong with one of its entries.
    fn refuse(&self, raw: &str, why: &str) -> StoreError {
        self.broken(format!("{raw:?} {why}"))
    }

    /// Makes a folder.
    pub(super) fn folder(&mut self, raw: &str) -> Result<()> {
        let path = self.enter(raw, Entry::Folder)?;
        self.make_folder(&path, raw)
    }

    /// Writes a file. `declared` is the size that the archive says it has, which need not be true.
    pub(super) fn file(&mut self, raw: &str, declared: u64, from: impl Read) -> Result<()> {
        let path = self.enter(raw, Entry::File)?;
        if declared > self.budget {
            return Err(self.broken(TOO_LARGE));
        }
        if let Some(free) = platform::free_space(self.root)
            && declared > free
        {
            let (what, folder) = (format!("{} of {}", path, self.archive), self.root.to_owned());
            return Err(StoreError::NoSpace { what, folder, needed: declared, free });
        }
        let mut file = self.create(&path, raw)?;
        let archive = self.archive;
        let broken = |why: String| StoreError::Archive { archive: archive.to_owned(), why };
        let (budget, watch) = (&mut self.budget, &mut self.watch);
        let guard = |count: u64| {
            *budget = budget.checked_sub(count).ok_or_else(|| broken(TOO_LARGE.to_owned()))?;
            watch.advance(count)
        };
        let mut holes = Holes::new(&mut file);
        let read = Tee::new(from, &mut holes, guard).run(|error| broken(format!("{raw:?}: {error}")));
        let (size, sha256) = read?;
        holes.end().map_err(StoreError::file("writing what is unpacked"))?;
        // On the disk before the record says that it is there.
        file.sync_all().map_err(StoreError::file("writing what is unpacked"))?;
        self.unpacked.files.push(StoredFile { path, size, sha256 });
        Ok(())
    }

    /// Gives a file that is there a second name.
    pub(super) fn hard_link(&mut self, raw: &str, target: &str) -> Result<()> {
        let path = self.enter(raw, Entry::File)?;
        let to = inside(target).map_err(|why| self.refuse(raw, &format!("is a link to {target:?}, which {why}")))?;
        let Some(file) = self.unpacked.files.iter().find(|file| file.path == to).cloned() else {
            return Err(self.refuse(raw, &format!("is a link to {target:?}, which is no file of the box")));
        };
        self.make_parent(&path, raw)?;
        fs_err::hard_link(self.root.join(to), self.root.join(&path)).map_err(|error| self.occupied(error, raw))?;
        self.unpacked.files.push(StoredFile { path, ..file });
        Ok(())
    }

    /// Notes a symbolic link, to be made when all files are there. Its folder is made now, while there is no link yet.
    pub(super) fn symbolic_link(&mut self, raw: &str, target: &str) -> Result<()> {
        let path = self.enter(raw, Entry::Link)?;
        let parent = path.parent().map(Utf8Path::to_owned).unwrap_or_default();
        let target = link_target(&parent, target)
            .map_err(|why| self.refuse(raw, &format!("is a link to {target:?}, which {why}")))?;
        self.make_parent(&path, raw)?;
        self.unpacked.links.push(StoredLink { path, target });
        Ok(())
    }

    /// Refuses what is no file, folder or link.
    pub(super) fn special(&self, raw: &str) -> StoreError {
        self.refuse(raw, "is neither a file, nor a folder, nor a link")
    }

    /// Makes the links and ends.
    pub(super) fn finish(mut self) -> Result<Unpacked> {
        let links = std::mem::take(&mut self.unpacked.links);
        let root = self.root.canonicalize_utf8().map_err(StoreError::file("looking at what was unpacked"))?;
        for link in &links {
            // The rules for names and targets hold on their own; this, and what follows the links, would notice a
            // mistake in them.
            let parent = self.root.join(&link.path).parent().and_then(|parent| parent.canonicalize_utf8().ok());
            if parent != link.path.parent().map(|parent| joined(&root, parent)) {
                return Err(self.refuse(link.path.as_str(), "does not lie in the folder that its name says"));
            }
            platform::symbolic_link(&link.target, &self.root.join(&link.path))
                .map_err(|error| self.occupied(error, link.path.as_str()))?;
        }
        for link in &links {
            let target = self.root.join(&link.path).canonicalize_utf8();
            if !target.is_ok_and(|target| target.starts_with(&root)) {
                return Err(self.refuse(link.path.as_str(), "is a link that leads nowhere, or out of the box"));
            }
        }
        self.unpacked.links = links;
        self.unpacked.files.sort_by(|a, b| a.path.cmp(&b.path));
        self.unpacked.links.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(self.unpacked)
    }

    /// Counts an entry and the folders that come with it, and checks its path before anything is made.
    fn enter(&mut self, raw: &str, kind: Entry) -> Result<Utf8PathBuf> {
        self.watch.advance(0)?;
        let path = inside(raw).map_err(|why| self.refuse(raw, why))?;
        let new = self.names.enter(&path, kind).map_err(|why| self.refuse(raw, &why))?;
        self.entries = self.entries.checked_sub(new.max(1)).ok_or_else(|| self.too_many())?;
        if path.as_str().is_empty() && kind != Entry::Folder {
            return Err(self.refuse(raw, "is no name of a file"));
        }
        Ok(path)
    }

    /// More entries than a box has.
    pub(super) fn too_many(&self) -> StoreError {
        self.broken(format!("it has more than {} entries, which no box has", self.limits.entries))
    }

    fn create(&self, path: &Utf8Path, raw: &str) -> Result<fs_err::File> {
        self.make_parent(path, raw)?;
        let file = fs_err::OpenOptions::new().write(true).create_new(true).open(self.root.join(path));
        file.map_err(|error| self.occupied(error, raw))
    }

    fn make_parent(&self, path: &Utf8Path, raw: &str) -> Result<()> {
        path.parent().map_or(Ok(()), |parent| self.make_folder(parent, raw))
    }

    fn make_folder(&self, path: &Utf8Path, raw: &str) -> Result<()> {
        fs_err::create_dir_all(self.root.join(path)).map_err(|error| self.occupied(error, raw))
    }

    /// What the file system says where something is in the way.
    fn occupied(&self, error: io::Error, raw: &str) -> StoreError {
        match error.kind() {
            io::ErrorKind::AlreadyExists | io::ErrorKind::NotADirectory | io::ErrorKind::IsADirectory => {
                self.refuse(raw, "is in it twice, or below a file")
            }
            _ => StoreError::file(format!("unpacking {raw:?}"))(error),
        }
    }
}

/// The same as `join`, without the separator that an empty path leaves behind.
fn joined(root: &Utf8Path, below: &Utf8Path) -> Utf8PathBuf {
    if below.as_str().is_empty() { root.to_owned() } else { root.join(below) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rig_provider_api::Context;
    use std::time::Duration;

    #[tokio::test]
    async fn what_is_really_written_counts() {
        let guard = tempfile::tempdir().unwrap();
        let folder = Utf8Path::from_path(guard.path()).unwrap();
        let cx = Context::alone(Duration::from_secs(60));
        let limits = Limits { bytes: 1000, ..Limits::default() };
        let watch = Watch::new(&cx, "unpacking", None);
        let mut tree = Tree::new(folder, Utf8Path::new("a.box"), 1000, limits, watch);
        tree.file("a", 0, io::repeat(1).take(600)).unwrap();
        let error = tree.file("b", 0, io::repeat(0).take(600)).unwrap_err();
        assert!(error.to_string().contains(TOO_LARGE), "{error}");
    }
}
