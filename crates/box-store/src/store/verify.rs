//! Comparing stored boxes with what they were when they were added.

use super::{BoxStore, StoredBox, blocking};
use crate::{BoxKey, Result, StoreError, hash, watch::Watch};
use camino::{Utf8Path, Utf8PathBuf};
use rig_provider_api::Context;
use serde::Serialize;
use std::{collections::BTreeSet, fmt, io};

/// Whether a box is what it was.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// The box.
    pub key: BoxKey,
    /// What is different, by path; nothing when it is what it was.
    pub changes: Vec<Change>,
}

/// A difference.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Change {
    /// The path below the box's folder.
    pub path: Utf8PathBuf,
    /// What is wrong with it: `changed`, `missing` or `added`.
    pub change: &'static str,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is {}", self.path, self.change)
    }
}

impl BoxStore {
    /// Reads all files of a box and compares them with its record.
    ///
    /// # Errors
    /// When a folder cannot be read, or the caller cancels. A file that cannot be read is a difference.
    pub async fn verify(&self, stored: &StoredBox, cx: &Context) -> Result<Verdict> {
        let (stored, cx) = (stored.clone(), cx.clone());
        blocking(move || verify(&stored, &cx)).await
    }
}

/// Compares a box with its record. Blocks.
pub(super) fn verify(stored: &StoredBox, cx: &Context) -> Result<Verdict> {
    let record = &stored.record;
    let mut watch = Watch::new(cx, format!("verifying {}", record.key), Some(record.size()));
    let mut found = BTreeSet::new();
    walk(&stored.folder, Utf8Path::new(""), &mut found)?;
    let mut changes = Vec::new();
    for file in &record.files {
        let path = stored.folder.join(&file.path);
        let change = match fs_err::symlink_metadata(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Some("missing"),
            Ok(data) if data.is_file() && data.len() == file.size => {
                let same = sha256(&path, &mut watch)?.is_some_and(|sha256| sha256 == file.sha256);
                (!same).then_some("changed")
            }
            _ => Some("changed"),
        };
        changes.extend(change.map(|change| Change { path: file.path.clone(), change }));
        found.remove(&file.path);
    }
    for link in &record.links {
        let change = match stored.folder.join(&link.path).read_link_utf8() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Some("missing"),
            Ok(target) if target == link.target => None,
            _ => Some("changed"),
        };
        changes.extend(change.map(|change| Change { path: link.path.clone(), change }));
        found.remove(&link.path);
    }
    changes.extend(found.into_iter().map(|path| Change { path, change: "added" }));
    changes.sort();
    Ok(Verdict { key: record.key.clone(), changes })
}

/// The checksum of a file; nothing where it cannot be read.
fn sha256(path: &Utf8Path, watch: &mut Watch<'_>) -> Result<Option<rig_model::Digest>> {
    let Ok(mut file) = fs_err::File::open(path) else { return Ok(None) };
    match hash::read(&mut file, None, watch) {
        Ok((_, sha256, _)) => Ok(Some(sha256)),
        Err(StoreError::File { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Everything below a folder that is no folder.
fn walk(root: &Utf8Path, below: &Utf8Path, found: &mut BTreeSet<Utf8PathBuf>) -> Result<()> {
    let folder = root.join(below);
    let fail = || StoreError::file(format!("reading {folder}"));
    let entries = match folder.read_dir_utf8() {
        // All files are missing then, which is said of each.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(fail())?,
    };
    for entry in entries {
        let entry = entry.map_err(fail())?;
        let path = below.join(entry.file_name());
        if entry.file_type().map_err(fail())?.is_dir() {
            walk(root, &path, found)?;
        } else {
            found.insert(path);
        }
    }
    Ok(())
}
