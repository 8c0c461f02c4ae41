//! A download that has not ended: its bytes, their hash so far, and which version of the file they are of.

use super::settings::Retry;
use crate::{BoxError, Result, hash::Running};
use camino::{Utf8Path, Utf8PathBuf};
use fs_err::tokio::{self as fs, File};
use reqwest::Url;
use rig_model::Digest;
use rig_state::{Access, CacheLayout, Format};
use serde::{Deserialize, Serialize};
use std::io;
use tokio::io::AsyncWriteExt;

const ORIGIN: Format = Format { name: "rig.partial", major: 1 };

/// How often a file is put into its place before something else must be wrong.
const RENAMES: u32 = 100;

/// Where the bytes came from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Origin {
    /// The hash of the address, which may hold secrets: it is only compared.
    url: String,
    /// The server's name for this version of the file; strong ones only.
    etag: Option<String>,
}

/// The beginning of a file.
pub(super) struct Partial {
    path: Utf8PathBuf,
    origin_path: Utf8PathBuf,
    origin: Origin,
    file: File,
    hash: Running,
    /// Bytes that are there.
    have: u64,
    /// Whether some of them come from an earlier request, so that the server may have sent parts of different files.
    joined: bool,
}

impl Partial {
    /// Opens what an earlier attempt left under this key, or begins anew.
    ///
    /// # Errors
    /// When the cache cannot be read or written.
    pub(super) async fn open(cache: &CacheLayout, key: &Digest, url: &Url) -> Result<Self> {
        let path = cache.partial(key);
        let origin_path = cache.partial_origin(key);
        let opened = blocking(&path, {
            let url = Digest::of(url.as_str().as_bytes()).to_string();
            let (path, origin_path) = (path.clone(), origin_path.clone());
            move || {
                let mut file =
                    fs_err::OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path)?;
                // Without a readable record the bytes may still be right: the checksum of the whole decides.
                let origin = rig_state::read_json::<Origin>(&origin_path, ORIGIN).ok().flatten();
                let origin = origin.filter(|origin| origin.url == url).unwrap_or(Origin { url, etag: None });
                let mut hash = Running::default();
                let have = hash.read(&mut file)?;
                Ok((file, origin, hash, have))
            }
        });
        let (file, origin, hash, have) = opened.await?;
        Ok(Self { path, origin_path, origin, file: File::from_std(file), hash, have, joined: have > 0 })
    }

    /// How many bytes are there.
    pub(super) fn have(&self) -> u64 {
        self.have
    }

    /// The server's name for the version of the file that the bytes are of.
    pub(super) fn etag(&self) -> Option<&str> {
        self.origin.etag.as_deref()
    }

    /// Whether the bytes come from more than one request.
    pub(super) fn is_joined(&self) -> bool {
        self.joined
    }

    /// Notes that the next bytes come from another request than those that are there.
    pub(super) fn join(&mut self) {
        self.joined |= self.have > 0;
    }

    /// Notes the server's name for this version of the file.
    ///
    /// # Errors
    /// When the record cannot be written.
    pub(super) async fn set_etag(&mut self, etag: Option<String>) -> Result<()> {
        self.origin.etag = etag;
        let (path, origin) = (self.origin_path.clone(), self.origin.clone());
        let written =
            tokio::task::spawn_blocking(move || rig_state::write_json(&path, ORIGIN, &origin, Access::Default));
        Ok(written
            .await
            .map_err(|error| BoxError::file(format!("writing {}", self.origin_path))(io::Error::other(error)))??)
    }

    /// Adds bytes.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(super) async fn add(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.write_all(bytes).await.map_err(BoxError::file("keeping the download"))?;
        self.hash.update(bytes);
        self.have += bytes.len() as u64;
        Ok(())
    }

    /// Hands everything over to the system.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(super) async fn flush(&mut self) -> Result<()> {
        self.file.flush().await.map_err(BoxError::file("keeping the download"))
    }

    /// Forgets everything that is there.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(super) async fn restart(&mut self) -> Result<()> {
        self.flush().await?;
        self.file = fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .open(&self.path)
            .await
            .map_err(BoxError::file("beginning the download anew"))?;
        self.hash = Running::default();
        self.have = 0;
        self.joined = false;
        self.origin.etag = None;
        Ok(())
    }

    /// The hash of what is there.
    pub(super) fn digest(&self) -> Digest {
        self.hash.clone().finish()
    }

    /// Puts the whole file into its place in the cache, where it is complete from the first moment on.
    ///
    /// # Errors
    /// When the file cannot be synced or moved.
    pub(super) async fn keep(mut self, place: &Utf8Path) -> Result<()> {
        self.flush().await?;
        let doing = || BoxError::file(format!("putting {place} into the cache"));
        self.file.sync_all().await.map_err(doing())?;
        drop(self.file);
        let mut tries = 1;
        loop {
            if let Some(folder) = place.parent() {
                fs::create_dir_all(folder).await.map_err(doing())?;
            }
            match fs::rename(&self.path, place).await {
                Ok(()) => break,
                // Somebody who needed the same file forgot it just now, and its folder with it.
                Err(error) if error.kind() == io::ErrorKind::NotFound && tries < RENAMES => tries += 1,
                Err(error) => return Err(doing()(error)),
            }
        }
        remove(&self.origin_path).await
    }

    /// Removes what is there.
    ///
    /// # Errors
    /// When a file cannot be removed.
    pub(super) async fn discard(self) -> Result<()> {
        drop(self.file);
        remove(&self.path).await?;
        remove(&self.origin_path).await
    }
}

async fn remove(path: &Utf8Path) -> Result<()> {
    match fs::remove_file(path).await {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(BoxError::file("tidying up the download")(error)),
        _ => Ok(()),
    }
}

async fn blocking<T: Send + 'static>(
    path: &Utf8Path,
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T> {
    let fail = BoxError::file(format!("opening the download {path}"));
    match tokio::task::spawn_blocking(work).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(fail(error)),
        Err(error) => Err(fail(io::Error::other(error))),
    }
}

/// Counts attempts that bring too little.
pub(super) struct Patience {
    retry: Retry,
    failures: u32,
    mark: u64,
}

impl Patience {
    /// Less than this is no progress, in bytes. Each attempt that counts as none is bounded by [`Retry::attempts`], each
    /// other one by the file's size.
    const PROGRESS: u64 = 1 << 20;

    pub(super) fn new(retry: Retry, have: u64) -> Self {
        Self { retry, failures: 0, mark: have }
    }

    /// How long to wait before the next attempt; `None` when there is none.
    pub(super) fn next_pause(&mut self, have: u64) -> Option<std::time::Duration> {
        if have >= self.mark + Self::PROGRESS {
            self.failures = 0;
        }
        // A restart from the beginning makes the mark smaller.
        self.mark = have;
        self.failures += 1;
        (self.failures < self.retry.attempts).then(|| self.retry.pause_after(self.failures))
    }
}
