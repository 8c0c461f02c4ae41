//! One file from one server: goes on where an earlier attempt ended, tries again when the connection breaks off.

use super::{
    cache::CachedArtifact,
    client,
    page::is_passing,
    partial::{Partial, Patience},
    settings::Retry,
};
use crate::{BoxError, Result};
use camino::Utf8PathBuf;
use reqwest::{Client, Response, StatusCode, Url, header};
use rig_model::{ArtifactSpec, Digest, Progress};
use rig_provider_api::Context;
use rig_state::CacheLayout;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

/// How often progress is told.
const TELL_EVERY: Duration = Duration::from_millis(100);

/// Which file is wanted.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    /// What the bytes that are there so far are kept under.
    pub(super) key: Digest,
    /// Its checksum. Without one any file is taken.
    pub(super) sha256: Option<Digest>,
    /// Whether bytes of two requests may be joined although the server does not say that they are of the same file: a
    /// checksum finds out.
    pub(super) may_join: bool,
    /// What it is called where it turns out to be another.
    pub(super) name: String,
}

impl Wanted {
    /// A file that a workspace file declares.
    pub(super) fn artifact(artifact: &ArtifactSpec) -> Self {
        Self {
            key: artifact.sha256.clone(),
            sha256: Some(artifact.sha256.clone()),
            may_join: true,
            name: format!("artifact {}", artifact.name),
        }
    }
}

/// A file to be downloaded.
pub(super) struct Download<'a> {
    pub(super) client: &'a Client,
    pub(super) cache: &'a CacheLayout,
    pub(super) wanted: &'a Wanted,
    /// The file's name, for messages.
    pub(super) what: &'a str,
    pub(super) url: &'a Url,
    pub(super) retry: Retry,
    pub(super) cx: &'a Context,
}

/// How one attempt ended.
enum Attempt {
    /// The whole file is there.
    Whole,
    /// What is there is of no use; from the beginning.
    Restart,
    /// Not yet; another attempt may bring the rest.
    Broken { why: String, certificate: bool, total: Option<u64> },
}

impl Download<'_> {
    /// Downloads, checks and puts the file into its place, which may depend on its checksum.
    ///
    /// # Errors
    /// When the server refuses, the connection breaks off too often, the checksum differs, or the caller cancels. What
    /// is there then stays for the next call, unless the checksum differs.
    pub(super) async fn run(&self, place: impl FnOnce(&Digest) -> Utf8PathBuf) -> Result<CachedArtifact> {
        let mut partial = Partial::open(self.cache, &self.wanted.key, self.url).await?;
        if !self.wanted.may_join && partial.etag().is_none() {
            partial.restart().await?;
        }
        let mut restarted = false;
        loop {
            // An earlier rig may have been killed when everything was there.
            if partial.have() == 0 || Some(&partial.digest()) != self.wanted.sha256.as_ref() {
                self.complete(&mut partial).await?;
            }
            let actual = partial.digest();
            let expected = self.wanted.sha256.as_ref().unwrap_or(&actual);
            if actual == *expected {
                let (path, size) = (place(&actual), partial.have());
                partial.keep(&path).await?;
                return Ok(CachedArtifact { sha256: actual, path, size });
            }
            if partial.is_joined() && !restarted {
                // The server may have changed the file between two requests: once more from the beginning.
                restarted = true;
                partial.restart().await?;
                continue;
            }
            partial.discard().await?;
            return Err(BoxError::Checksum {
                what: self.wanted.name.clone(),
                origin: self.url.to_string(),
                expected: expected.clone(),
                actual,
            });
        }
    }

    /// Tries until the file is whole.
    async fn complete(&self, partial: &mut Partial) -> Result<()> {
        let mut patience = Patience::new(self.retry, partial.have());
        loop {
            if !self.wanted.may_join && partial.have() > 0 && partial.etag().is_none() {
                partial.restart().await?;
            }
            let attempt = self.attempt(partial).await;
            // Whatever happened, what came stays.
            partial.flush().await?;
            let (why, certificate, total) = match attempt? {
                Attempt::Whole => return Ok(()),
                Attempt::Restart => {
                    partial.restart().await?;
                    ("the server changed the file".to_owned(), false, None)
                }
                Attempt::Broken { why, certificate, total } => (why, certificate, total),
            };
            let pause = if certificate { None } else { patience.next_pause(partial.have()) };
            let Some(pause) = pause else {
                return Err(BoxError::Transfer {
                    what: self.what.to_owned(),
                    url: self.url.to_string(),
                    why,
                    have: partial.have(),
                    total,
                    certificate,
                });
            };
            self.cx.progress(Progress::bytes(format!("{why}; trying {} again", self.what), partial.have(), total));
            sleep(pause).await;
        }
    }

    async fn attempt(&self, partial: &mut Partial) -> Result<Attempt> {
        let have = partial.have();
        let mut request = self.client.get(self.url.clone()).header(header::ACCEPT_ENCODING, "identity");
        if have > 0 {
            request = request.header(header::RANGE, format!("bytes={have}-"));
            if let Some(etag) = partial.etag() {
                request = request.header(header::IF_RANGE, etag);
            }
        }
        let response = match timeout(self.retry.stall, request.send()).await {
            Err(_) => return Ok(self.stalled(None)),
            Ok(Err(error)) => return Ok(broken(&error, None)),
            Ok(Ok(response)) => response,
        };
        let total = match (response.status(), have) {
            (StatusCode::OK, _) => {
                // The server knows no ranges, or has another version by now: this is the whole file.
                if have > 0 {
                    partial.restart().await?;
                }
                response.content_length()
            }
            (StatusCode::PARTIAL_CONTENT, 1..) => match content_range(&response) {
                Some((from, total)) if from == have => total,
                _ => return Ok(Attempt::Restart),
            },
            // The file is no longer than what is there, which is not it.
            (StatusCode::RANGE_NOT_SATISFIABLE, 1..) => return Ok(Attempt::Restart),
            (status, _) if is_passing(status.as_u16()) => {
                let why = format!("the server answered {}", status.as_u16());
                return Ok(Attempt::Broken { why, certificate: false, total: None });
            }
            (status, _) => {
                return Err(BoxError::Status {
                    what: self.what.to_owned(),
                    url: self.url.to_string(),
                    status: status.as_u16(),
                });
            }
        };
        partial.join();
        partial.set_etag(strong_etag(&response)).await?;
        self.read(response, partial, total).await
    }

    async fn read(&self, mut response: Response, partial: &mut Partial, total: Option<u64>) -> Result<Attempt> {
        let tell = |have| {
            self.cx.progress(Progress::bytes(format!("downloading {}", self.what), have, total));
        };
        let mut told = Instant::now();
        tell(partial.have());
        loop {
            match timeout(self.retry.stall, response.chunk()).await {
                Err(_) => return Ok(self.stalled(total)),
                Ok(Err(error)) => return Ok(broken(&error, total)),
                Ok(Ok(Some(bytes))) => partial.add(&bytes).await?,
                Ok(Ok(None)) => break,
            }
            if told.elapsed() >= TELL_EVERY {
                told = Instant::now();
                tell(partial.have());
            }
        }
        tell(partial.have());
        match total {
            Some(total) if partial.have() < total => {
                let why = "the connection ended early".to_owned();
                Ok(Attempt::Broken { why, certificate: false, total: Some(total) })
            }
            _ => Ok(Attempt::Whole),
        }
    }

    fn stalled(&self, total: Option<u64>) -> Attempt {
        Attempt::Broken { why: self.retry.stalled(), certificate: false, total }
    }
}

fn broken(error: &reqwest::Error, total: Option<u64>) -> Attempt {
    Attempt::Broken { why: client::whole(error), certificate: client::is_about_trust(error), total }
}

/// First byte and size of the whole in `bytes 100-199/317817299`; the size may be `*`.
fn content_range(response: &Response) -> Option<(u64, Option<u64>)> {
    let value = response.headers().get(header::CONTENT_RANGE)?.to_str().ok()?;
    let (range, total) = value.trim().strip_prefix("bytes ")?.split_once('/')?;
    let (from, _) = range.split_once('-')?;
    Some((from.trim().parse().ok()?, total.trim().parse().ok()))
}

/// Weak names promise only the same meaning, not the same bytes.
fn strong_etag(response: &Response) -> Option<String> {
    let value = response.headers().get(header::ETAG)?.to_str().ok()?;
    (!value.starts_with("W/")).then(|| value.to_owned())
}
