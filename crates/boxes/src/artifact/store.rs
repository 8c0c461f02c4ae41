//! Artifacts by checksum: there at once, or fetched by one process while others wait.

use super::{
    cache,
    cache::CachedArtifact,
    client,
    download::{Download, Wanted},
    list,
    settings::FetchSettings,
    source::{self, Place},
};
use crate::{BoxError, Result, hash::Running};
use camino::{Utf8Path, Utf8PathBuf};
use futures_util::{StreamExt, TryStreamExt, stream};
use reqwest::Client;
use rig_model::{ArtifactSpec, Digest, Progress};
use rig_provider_api::Context;
use rig_state::{CacheLayout, FileLock, Patience, StateError};
use std::{
    collections::HashSet,
    io::{self, Write},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};
use tokio::sync::OnceCell;

/// How many files of a list are fetched at the same time.
const DOWNLOADS: usize = 6;

/// The artifacts of the user, shared by all workspaces. Cheap to clone.
#[derive(Clone)]
pub struct ArtifactStore {
    pub(super) inner: Arc<Inner>,
}

pub(super) struct Inner {
    pub(super) cache: CacheLayout,
    pub(super) settings: FetchSettings,
    /// Made when it is first needed: reading the system's certificates takes some milliseconds.
    client: OnceCell<Client>,
}

impl ArtifactStore {
    /// A store in a cache folder. Touches nothing.
    #[must_use]
    pub fn new(cache: CacheLayout, settings: FetchSettings) -> Self {
        Self { inner: Arc::new(Inner { cache, settings, client: OnceCell::new() }) }
    }

    /// The file of an artifact, if it is there already.
    ///
    /// # Errors
    /// When the cache cannot be read.
    pub fn cached(&self, artifact: &ArtifactSpec) -> Result<Option<Utf8PathBuf>> {
        Ok(cache::find(&self.inner.cache, &artifact.sha256)?.map(|file| file.path))
    }

    /// All files that are there, by checksum. Blocks while it reads folders.
    ///
    /// # Errors
    /// When the cache cannot be read.
    pub fn list(&self) -> Result<Vec<CachedArtifact>> {
        cache::list(&self.inner.cache)
    }

    /// Removes every file whose checksum is not in `keep`, and downloads that were cut; what is being downloaded stays.
    /// Blocks while it works. Returns the number of bytes that are free now.
    ///
    /// # Errors
    /// When the cache cannot be read or a file not be removed.
    pub fn prune(&self, keep: &HashSet<Digest>) -> Result<u64> {
        cache::prune(&self.inner.cache, keep)
    }

    /// The file of an artifact, fetched if it is not there. `workspace` is the folder that `file:` sources are relative
    /// to. When another process fetches the same file, this waits for it.
    ///
    /// # Errors
    /// When the file cannot be had, is not the declared one, the deadline passes or the caller cancels. What was
    /// downloaded by then stays, and the next call goes on behind it.
    pub async fn fetch(&self, artifact: &ArtifactSpec, workspace: &Utf8Path, cx: &Context) -> Result<Utf8PathBuf> {
        if let Some(path) = self.cached(artifact)? {
            return Ok(path);
        }
        let what = source::file_name(artifact);
        let doing = format!("fetching {what}");
        tokio::select! {
            biased;
            () = cx.cancel().cancelled() => Err(BoxError::Cancelled { doing }),
            // Boxed: a download's state is large, and callers hold this future for long.
            path = Box::pin(self.fetch_locked(artifact, workspace, &what, cx)) => path,
            () = tokio::time::sleep_until(cx.deadline()) => Err(BoxError::TimedOut { doing }),
        }
    }

    async fn fetch_locked(
        &self,
        artifact: &ArtifactSpec,
        workspace: &Utf8Path,
        what: &str,
        cx: &Context,
    ) -> Result<Utf8PathBuf> {
        let Inner { cache, settings, .. } = &*self.inner;
        cache.prepare()?;
        let _lock = self.inner.lock(&artifact.sha256, what, cx).await?;
        // The one that had the lock may have brought it.
        if let Some(path) = self.cached(artifact)? {
            return Ok(path);
        }
        let place = cache.artifact(&artifact.sha256).join(what);
        let client = self.inner.client().await?;
        match source::locate(artifact, settings, client, workspace).await? {
            Place::Local(path) => {
                let keep = Keep { artifact: artifact.clone(), cache: cache.clone(), from: path, to: place.clone() };
                blocking(format!("copying {what}"), move || keep.copy()).await?;
            }
            Place::List(path) => self.fetch_list(artifact, &path, &place, workspace, cx).await?,
            Place::Remote(url) => {
                let retry = settings.retry;
                let wanted = Wanted::artifact(artifact);
                let download = Download { client, cache, wanted: &wanted, what, url: &url, retry, cx };
                download.run(|_| place.clone()).await?;
            }
        }
        Ok(place)
    }
}

impl ArtifactStore {
    /// Fetches all files of a list and packs them.
    async fn fetch_list(
        &self,
        artifact: &ArtifactSpec,
        list: &Utf8Path,
        place: &Utf8Path,
        workspace: &Utf8Path,
        cx: &Context,
    ) -> Result<()> {
        let (spec, path) = (artifact.clone(), list.to_owned());
        let entries = blocking(format!("reading {list}"), move || list::read(&spec, &path)).await?;
        let (count, done) = (entries.len(), AtomicUsize::new(0));
        let fetched = stream::iter(entries).map(|entry| {
            let done = &done;
            async move {
                let path = Box::pin(self.fetch(&entry, workspace, cx)).await?;
                let so_far = done.fetch_add(1, Ordering::Relaxed) + 1;
                let step = format!("file {so_far} of {count}");
                cx.progress(Progress::step(step));
                Ok::<_, BoxError>((entry, path))
            }
        });
        let files: Vec<(ArtifactSpec, Utf8PathBuf)> = fetched.buffer_unordered(DOWNLOADS).try_collect().await?;
        let keep = Keep {
            artifact: artifact.clone(),
            cache: self.inner.cache.clone(),
            from: list.to_owned(),
            to: place.to_owned(),
        };
        blocking(format!("packing {}", artifact.name), move || keep.write(|file| list::pack(&files, file))).await
    }
}

impl std::fmt::Debug for ArtifactStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ArtifactStore").field("cache", &self.inner.cache).finish_non_exhaustive()
    }
}

impl Inner {
    /// Takes the lock of a download; says so when it has to wait for another process.
    pub(super) async fn lock(&self, key: &Digest, what: &str, cx: &Context) -> Result<FileLock> {
        let patience = Patience { cancel: cx.cancel().clone(), deadline: cx.deadline() };
        let mut told = false;
        let held = || {
            if !std::mem::replace(&mut told, true) {
                cx.progress(Progress::step(format!("waiting for another rig that downloads {what}")));
            }
        };
        let lock = FileLock::acquire(&self.cache.lock(key), &patience, held).await;
        lock.map_err(|error| match error {
            StateError::Held { .. } => {
                BoxError::TimedOut { doing: format!("waiting for another rig that downloads {what}") }
            }
            other => other.into(),
        })
    }

    pub(super) async fn client(&self) -> Result<&Client> {
        let make = || async {
            let settings = self.settings.clone();
            blocking("preparing downloads".to_owned(), move || client::build(&settings)).await
        };
        self.client.get_or_try_init(make).await
    }
}

/// A file that is made on this host, on its way into the cache.
struct Keep {
    artifact: ArtifactSpec,
    cache: CacheLayout,
    /// What it is made of, for messages.
    from: Utf8PathBuf,
    to: Utf8PathBuf,
}

impl Keep {
    /// Copies the original: a later change of it cannot change what is kept under the checksum. Blocks.
    fn copy(&self) -> Result<()> {
        self.write(|mut file| io::copy(&mut fs_err::File::open(&self.from)?, &mut file).map(drop))
    }

    /// Puts what `make` writes into its place if it has the artifact's checksum. Blocks.
    fn write(&self, make: impl FnOnce(&mut std::fs::File) -> io::Result<()>) -> Result<()> {
        let fail = || BoxError::file(format!("putting artifact {} into the cache", self.artifact.name));
        let mut file = tempfile::NamedTempFile::new_in(self.cache.partials()).map_err(fail())?;
        make(file.as_file_mut()).map_err(fail())?;
        file.flush().and_then(|()| file.as_file().sync_all()).map_err(fail())?;
        // What was written is checked, not what it was made of: that may change in between.
        let mut hash = Running::default();
        hash.read(fs_err::File::open(file.path()).map_err(fail())?).map_err(fail())?;
        let actual = hash.finish();
        if actual != self.artifact.sha256 {
            return Err(BoxError::Checksum {
                what: format!("artifact {}", self.artifact.name),
                origin: self.from.to_string(),
                expected: self.artifact.sha256.clone(),
                actual,
            });
        }
        if let Some(folder) = self.to.parent() {
            fs_err::create_dir_all(folder).map_err(fail())?;
        }
        file.persist(&self.to).map_err(|error| fail()(error.error))?;
        Ok(())
    }
}

/// Runs what blocks where it may.
pub(super) async fn blocking<T: Send + 'static>(
    doing: String,
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    let result = tokio::task::spawn_blocking(work).await;
    result.map_err(|error| BoxError::file(doing)(io::Error::other(error)))?
}
