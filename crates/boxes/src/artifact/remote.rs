//! Files and documents that no workspace file declares: for other stores, which know what they want and check it.

use super::{
    cache::{self, CachedArtifact},
    download::{Download, Wanted},
    page,
    source::safe_name,
    store::{ArtifactStore, blocking},
};
use crate::{BoxError, Result};
use reqwest::Url;
use rig_model::{Digest, Hasher};
use rig_provider_api::Context;

/// What downloads without a known checksum are kept under until they are whole.
const UNCHECKED: &str = "rig.unchecked-download/1";

/// A file on a server.
#[derive(Clone, Copy, Debug)]
pub struct RemoteFile<'a> {
    /// What it is, for messages.
    pub what: &'a str,
    /// Where it is: `https://…` or `http://…`.
    pub url: &'a str,
    /// Its checksum. Without one, whatever the server sends is taken.
    pub sha256: Option<&'a Digest>,
    /// Whether the caller compares a checksum of another kind. Then, as with `sha256`, a download that was cut goes on
    /// also where the server does not say that the file is still the same.
    pub checked_later: bool,
}

/// A small document on a server.
#[derive(Clone, Copy, Debug)]
pub struct RemoteDocument<'a> {
    /// What it is, for messages.
    pub what: &'a str,
    /// Where it is: `https://…` or `http://…`.
    pub url: &'a str,
    /// The forms that are understood, as HTTP's `Accept` says it.
    pub accept: &'a str,
    /// The largest that is read, in bytes.
    pub largest: usize,
}

/// What a server answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// Where it came from in the end. What it links to is relative to this.
    pub url: String,
    /// Its bytes.
    pub body: Vec<u8>,
}

impl ArtifactStore {
    /// Downloads a file into the cache, or finds it there by its checksum. When another process downloads the same file,
    /// this waits for it.
    ///
    /// # Errors
    /// When the file cannot be had, has another checksum, the deadline passes or the caller cancels. What was downloaded
    /// by then stays, and the next call goes on behind it.
    pub async fn download(&self, file: &RemoteFile<'_>, cx: &Context) -> Result<CachedArtifact> {
        let doing = || format!("downloading {}", file.what);
        tokio::select! {
            biased;
            () = cx.cancel().cancelled() => Err(BoxError::Cancelled { doing: doing() }),
            // Boxed: a download's state is large, and callers hold this future for long.
            found = Box::pin(self.download_locked(file, cx)) => found,
            () = tokio::time::sleep_until(cx.deadline()) => Err(BoxError::TimedOut { doing: doing() }),
        }
    }

    /// Reads a document, trying again like downloads do. Nothing of it is kept.
    ///
    /// # Errors
    /// When the server does not answer or refuses, the document is too large, the deadline passes or the caller cancels.
    pub async fn read_document(&self, document: &RemoteDocument<'_>, cx: &Context) -> Result<Document> {
        let doing = || format!("reading {}", document.what);
        let url = parse(document.url)?;
        let RemoteDocument { what, accept, largest, .. } = *document;
        let wanted = page::Wanted { what, url: &url, accept, largest };
        let read = async {
            let make = |answer: page::Answer| Ok(Document { url: answer.url.to_string(), body: answer.body });
            page::read(self.inner.client().await?, &wanted, self.inner.settings.retry, make).await
        };
        tokio::select! {
            biased;
            () = cx.cancel().cancelled() => Err(BoxError::Cancelled { doing: doing() }),
            read = Box::pin(read) => read,
            () = tokio::time::sleep_until(cx.deadline()) => Err(BoxError::TimedOut { doing: doing() }),
        }
    }

    /// Removes a file that is not needed any more, unless another process downloads it right now. Absence is success.
    /// Blocks while it works.
    ///
    /// # Errors
    /// When the file cannot be removed.
    pub fn forget(&self, sha256: &Digest) -> Result<()> {
        cache::forget(&self.inner.cache, sha256)
    }

    async fn download_locked(&self, file: &RemoteFile<'_>, cx: &Context) -> Result<CachedArtifact> {
        let cache = &self.inner.cache;
        let url = parse(file.url)?;
        let last = url.path_segments().and_then(|mut segments| segments.next_back().map(str::to_owned));
        let name = last.and_then(|name| safe_name(&name)).unwrap_or_else(|| "file".to_owned());
        let key = file.sha256.cloned().unwrap_or_else(|| {
            let mut hasher = Hasher::new(UNCHECKED);
            hasher.part(file.url);
            hasher.finish()
        });
        blocking("preparing the download cache".to_owned(), {
            let cache = cache.clone();
            move || Ok(cache.prepare()?)
        })
        .await?;
        let _lock = self.inner.lock(&key, file.what, cx).await?;
        if let Some(sha256) = file.sha256
            && let Some(found) = cache::find(cache, sha256)?
        {
            return Ok(found);
        }
        let may_join = file.sha256.is_some() || file.checked_later;
        let wanted = Wanted { key, sha256: file.sha256.cloned(), may_join, name: file.what.to_owned() };
        let (client, retry) = (self.inner.client().await?, self.inner.settings.retry);
        let download = Download { client, cache, wanted: &wanted, what: file.what, url: &url, retry, cx };
        download.run(|sha256| cache.artifact(sha256).join(&name)).await
    }
}

fn parse(url: &str) -> Result<Url> {
    let refuse = |why: String| BoxError::Address { url: url.to_owned(), why };
    let parsed = Url::parse(url).map_err(|error| refuse(error.to_string()))?;
    match parsed.scheme() {
        "http" | "https" => Ok(parsed),
        other => Err(refuse(format!("its scheme is {other:?}"))),
    }
}
