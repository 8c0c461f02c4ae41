//! What the cache holds.

use crate::{BoxError, Result};
use camino::{Utf8Path, Utf8PathBuf};
use rig_model::Digest;
use rig_state::{CacheLayout, FileLock};
use std::{collections::HashSet, io};

/// A downloaded file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CachedArtifact {
    /// Its checksum, which it had when it was put here.
    pub sha256: Digest,
    /// The file.
    pub path: Utf8PathBuf,
    /// Its size in bytes.
    pub size: u64,
}

/// The file with this checksum, if it is there. Files get their place only when they are complete and their checksum was
/// right, so being there is enough.
pub(super) fn find(cache: &CacheLayout, sha256: &Digest) -> Result<Option<CachedArtifact>> {
    let folder = cache.artifact(sha256);
    // Desktops leave hidden files of their own in folders that were looked at.
    for path in
        list_folder(&folder)?.into_iter().filter(|path| path.file_name().is_some_and(|name| !name.starts_with('.')))
    {
        let data = fs_err::metadata(&path).map_err(BoxError::file("reading the download cache"))?;
        if data.is_file() {
            return Ok(Some(CachedArtifact { sha256: sha256.clone(), path, size: data.len() }));
        }
    }
    Ok(None)
}

/// All files, by checksum.
pub(super) fn list(cache: &CacheLayout) -> Result<Vec<CachedArtifact>> {
    let folders = list_folder(&cache.artifacts())?;
    let checksums = folders.iter().filter_map(|folder| Digest::from_hex(folder.file_name()?));
    checksums.filter_map(|sha256| find(cache, &sha256).transpose()).collect()
}

/// Removes every file whose checksum is not in `keep`, and the downloads that were cut. What is being downloaded stays.
/// The number of bytes that are free now.
pub(super) fn prune(cache: &CacheLayout, keep: &HashSet<Digest>) -> Result<u64> {
    let mut freed = 0;
    for file in list(cache)?.into_iter().filter(|file| !keep.contains(&file.sha256)) {
        let Some(_lock) = FileLock::try_acquire(&cache.lock(&file.sha256))? else {
            continue;
        };
        fs_err::remove_dir_all(cache.artifact(&file.sha256)).map_err(BoxError::file("pruning the download cache"))?;
        freed += file.size;
    }
    for path in list_folder(&cache.partials())? {
        let Some(sha256) = path.file_stem().and_then(Digest::from_hex) else {
            continue;
        };
        if let Some(_lock) = FileLock::try_acquire(&cache.lock(&sha256))? {
            freed += fs_err::metadata(&path).map_or(0, |data| data.len());
            fs_err::remove_file(&path).map_err(BoxError::file("pruning the download cache"))?;
        }
    }
    Ok(freed)
}

/// Removes the file with this checksum, if it is there and not being downloaded right now.
pub(super) fn forget(cache: &CacheLayout, sha256: &Digest) -> Result<()> {
    let Some(_lock) = FileLock::try_acquire(&cache.lock(sha256))? else {
        return Ok(());
    };
    match fs_err::remove_dir_all(cache.artifact(sha256)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(BoxError::file("removing a file of the download cache")(error))
        }
        _ => Ok(()),
    }
}

fn list_folder(folder: &Utf8Path) -> Result<Vec<Utf8PathBuf>> {
    let entries = match folder.read_dir_utf8() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries,
    };
    let fail = || BoxError::file(format!("reading the download cache {folder}"));
    let paths: io::Result<Vec<_>> = entries.map_err(fail())?.map(|entry| Ok(entry?.into_path())).collect();
    let mut paths = paths.map_err(fail())?;
    paths.sort();
    Ok(paths)
}
