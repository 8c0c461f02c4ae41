//! Getting a box file onto this host.

use super::{
    AddRequest, Added, BoxStore, blocking,
    location::{Location, may_ask},
    source::Target,
};
use crate::{Algorithm, Checksum, Result, StoreError, address, hash, watch::Watch, without_secrets};
use camino::Utf8PathBuf;
use rig_boxes::{ArtifactStore, CachedArtifact, RemoteFile};
use rig_model::Digest;
use rig_provider_api::Context;
use std::io;
use url::Url;

/// How often a download is begun again that another call has cleared away.
const AGAIN: usize = 3;

/// A box file on this host whose checksum is right. It stays open from here on: what is unpacked is what was compared.
pub(super) struct Fetched {
    pub(super) file: fs_err::File,
    pub(super) path: Utf8PathBuf,
    /// Where it came from in the end.
    pub(super) origin: String,
    pub(super) sha256: Digest,
    /// What it is in the download cache, where it came from a server.
    pub(super) download: Option<Download>,
}

/// A file of the download cache, which others may use too.
pub(super) struct Download {
    sha256: Digest,
    /// Whether it was not there before this call: the others' files stay.
    is_own: bool,
}

impl Download {
    /// Removes it, unless it was there before or is of use for the next call. Whoever has it open goes on; an add that
    /// has not, gets it once more.
    pub(super) fn end(&self, downloads: &ArtifactStore, added: &Result<Added>) -> Result<()> {
        let is_over = matches!(added, Ok(_) | Err(StoreError::Archive { .. } | StoreError::Content { .. }));
        // The cache says that it has another checksum than it has: nobody has use for that.
        let is_wrong = matches!(added, Err(StoreError::Checksum { .. }));
        if is_wrong || (is_over && self.is_own) {
            downloads.forget(&self.sha256)?;
        }
        Ok(())
    }
}

impl BoxStore {
    /// Gets the box file onto this host, and compares its checksum.
    pub(super) async fn fetch(&self, target: &Target, request: &AddRequest, cx: &Context) -> Result<Fetched> {
        let url = match &target.place {
            Location::File(path) => {
                let file = open(path.clone()).await.map_err(StoreError::file("reading the box file"))?;
                let (file, sha256) = compare(file, target, path.to_string(), cx).await?;
                return Ok(Fetched { file, path: path.clone(), origin: path.to_string(), sha256, download: None });
            }
            Location::Server(url) => url,
        };
        let mut places = Vec::new();
        for mirror in &request.mirrors {
            places.push(mirrored(mirror, url).map_err(|why| {
                request.wrong(format!("the mirror {mirror:?} {why}"), "an address begins with https://")
            })?);
        }
        places.push(url.clone());
        for place in &places {
            may_ask(place, &target.title(), request.insecure)?;
        }
        let mut tried = Vec::new();
        for place in &places {
            match self.download(target, place, cx).await {
                Ok(fetched) => return Ok(fetched),
                Err(error) if error.is_cancelled() || places.len() == 1 => return Err(error),
                Err(error) => tried.push(error.to_string()),
            }
        }
        Err(StoreError::Mirrors { what: target.title(), tried })
    }

    async fn download(&self, target: &Target, url: &Url, cx: &Context) -> Result<Fetched> {
        let (promised, title) = (target.checksum.as_ref().and_then(Checksum::sha256), target.title());
        let wanted = RemoteFile {
            what: &title,
            url: url.as_str(),
            sha256: promised.as_ref(),
            checked_later: target.checksum.is_some(),
        };
        let mut left = AGAIN;
        let (found, file, is_own) = loop {
            let downloads = self.downloads.clone();
            let before: Vec<CachedArtifact> = blocking(move || Ok(downloads.list()?)).await?;
            let found = self.downloads.download(&wanted, &address::told_by_download(cx)).await?;
            let is_own = before.iter().all(|file| file.sha256 != found.sha256);
            match open(found.path.clone()).await {
                Ok(file) => break (found, file, is_own),
                // Another add of the same file has ended in between.
                Err(error) if error.kind() == io::ErrorKind::NotFound && left > 0 => left -= 1,
                Err(error) => return Err(StoreError::file("reading the box file")(error)),
            }
        };
        let CachedArtifact { sha256, path, .. } = found;
        let download = Download { sha256: sha256.clone(), is_own };
        if promised.is_some() || target.checksum.is_none() {
            // Compared, or at least computed, while it came.
            return Ok(Fetched { file, path, origin: shown(url), sha256, download: Some(download) });
        }
        match compare(file, target, shown(url), cx).await {
            Ok((file, sha256)) => Ok(Fetched { file, path, origin: shown(url), sha256, download: Some(download) }),
            Err(error) => {
                if is_own && matches!(error, StoreError::Checksum { .. }) {
                    let downloads = self.downloads.clone();
                    blocking(move || Ok(downloads.forget(&sha256)?)).await?;
                }
                Err(error)
            }
        }
    }
}

/// An address without its secrets.
fn shown(url: &Url) -> String {
    without_secrets(url.as_str()).into_owned()
}

async fn open(path: Utf8PathBuf) -> io::Result<fs_err::File> {
    tokio::task::spawn_blocking(move || fs_err::File::open(path)).await.map_err(io::Error::other)?
}

/// The same path on another server.
fn mirrored(mirror: &str, url: &Url) -> std::result::Result<Url, String> {
    let base = Url::parse(mirror).map_err(|error| format!("is no address: {error}"))?;
    if !matches!(base.scheme(), "https" | "http") {
        return Err(format!("has the scheme {:?}", base.scheme()));
    }
    let path = format!("{}/{}", base.path().trim_end_matches('/'), url.path().trim_start_matches('/'));
    let mut place = base;
    place.set_path(&path);
    place.set_query(url.query());
    Ok(place)
}

/// Compares a file with the checksum that it should have, where there is one; says its SHA-256.
async fn compare(
    mut file: fs_err::File,
    target: &Target,
    origin: String,
    cx: &Context,
) -> Result<(fs_err::File, Digest)> {
    let (cx, what, expected) = (cx.clone(), target.title(), target.checksum.clone());
    blocking(move || {
        let size = file.metadata().map_err(StoreError::file("reading the box file"))?.len();
        let mut watch = Watch::new(&cx, "comparing the checksum", Some(size));
        let also = expected.as_ref().map(|expected| expected.algorithm).filter(|kind| *kind != Algorithm::Sha256);
        let (_, sha256, other) = hash::read(&mut file, also, &mut watch)?;
        let actual = other.unwrap_or_else(|| Checksum::from(&sha256));
        match expected.filter(|expected| *expected != actual) {
            None => Ok((file, sha256)),
            Some(expected) => {
                let (expected, actual) = (expected.to_string(), actual.to_string());
                Err(StoreError::Checksum { what, origin, expected, actual })
            }
        }
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mirror_has_the_same_paths() {
        let url = Url::parse("https://cloud.example/user/boxes/box.box?arch=amd64").unwrap();
        let place = mirrored("https://mirror.example:8443/vagrant/", &url).unwrap();
        assert_eq!(place.as_str(), "https://mirror.example:8443/vagrant/user/boxes/box.box?arch=amd64");
        assert!(mirrored("mirror.example", &url).is_err());
        assert!(mirrored("file:///x", &url).is_err());
    }
}
