//! Adding a box.

use super::{
    AddRequest, BoxStore, StoredBox, blocking, locked,
    place::Install,
    source::{Location, Meant, may_ask},
};
use crate::{Checksum, Result, StoreError, archive::Tee, watch::Watch};
use camino::{Utf8Path, Utf8PathBuf};
use rig_boxes::{CachedArtifact, RemoteFile};
use rig_model::Digest;
use rig_provider_api::Context;
use std::io;
use url::Url;

/// A box that is in the store now.
#[derive(Clone, Debug)]
pub struct Added {
    /// The box.
    pub stored: StoredBox,
    /// Whether it was there before, so that nothing was done.
    pub already: bool,
}

/// A box file on this host.
struct Fetched {
    path: Utf8PathBuf,
    /// Where it came from in the end.
    origin: String,
    /// Its checksum, where it is known by now.
    sha256: Option<Digest>,
    /// Whether it lies in the download cache, which does not need it any more when it is unpacked.
    cached: bool,
}

impl BoxStore {
    /// Adds a box, unless it is there. A download that was cut before goes on; what an earlier add left behind when it was
    /// killed is cleared away. When another process adds a box of the same name, this waits for it.
    ///
    /// # Errors
    /// When it is not clear what is meant, it cannot be had, is not what it should be, does not fit or would do harm,
    /// or the caller cancels. The store is as it was then; what was downloaded stays for the next call unless it was
    /// wrong.
    pub async fn add(&self, request: &AddRequest, cx: &Context) -> Result<Added> {
        let meant = self.resolve(request, cx).await?;
        promised(&meant, request)?;
        let lock = self.lock(&meant.name, cx).await?;
        if !request.force
            && let Some(stored) = self.there(&meant).await?
        {
            return Ok(Added { stored, already: true });
        }
        let fetched = self.fetch(&meant, request, cx).await?;
        let install = Install {
            layout: self.layout.clone(),
            limits: self.settings.limits,
            checked: meant.checksum.is_some(),
            archive: fetched.path,
            sha256: fetched.sha256.clone(),
            origin: fetched.origin,
            force: request.force,
            present: self.present(&meant).await?,
            meant,
        };
        let added = locked(lock, {
            let cx = cx.clone();
            move || install.run(&cx)
        })
        .await?;
        if let Some(sha256) = fetched.sha256.filter(|_| fetched.cached) {
            let downloads = self.downloads.clone();
            blocking(move || Ok(downloads.forget(&sha256)?)).await?;
        }
        Ok(added)
    }

    async fn present(&self, meant: &Meant) -> Result<Vec<StoredBox>> {
        let (store, name) = (self.clone(), meant.name.clone());
        blocking(move || store.of_name(&name)).await
    }

    /// The box that is meant, if it is there.
    async fn there(&self, meant: &Meant) -> Result<Option<StoredBox>> {
        let sha256 = meant.checksum.as_ref().and_then(Checksum::sha256);
        let is_it = |stored: &StoredBox| {
            let key = stored.key();
            let same_file = sha256.as_ref().is_some_and(|sha256| *sha256 == stored.record.archive_sha256);
            let runs_on =
                meant.architecture.as_ref().is_none_or(|wanted| wanted.is_unknown() || *wanted == key.architecture);
            let named = meant.catalogue.is_some() && meant.provider.as_ref() == Some(&key.provider) && runs_on;
            key.version == meant.version && (same_file || named)
        };
        Ok(self.present(meant).await?.into_iter().find(is_it))
    }

    /// Gets the box file onto this host, and compares its checksum.
    async fn fetch(&self, meant: &Meant, request: &AddRequest, cx: &Context) -> Result<Fetched> {
        let url = match &meant.place {
            Location::File(path) => {
                if let Some(checksum) = meant.checksum.clone() {
                    compare(path.clone(), checksum, meant.title(), path.to_string(), cx).await?;
                }
                return Ok(Fetched { path: path.clone(), origin: path.to_string(), sha256: None, cached: false });
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
            may_ask(place, &meant.title(), request.insecure)?;
        }
        let mut tried = Vec::new();
        for place in &places {
            match self.download(meant, place, cx).await {
                Ok(file) => {
                    let (path, sha256) = (file.path, Some(file.sha256));
                    return Ok(Fetched { path, origin: place.to_string(), sha256, cached: true });
                }
                Err(error) if error.is_cancelled() || places.len() == 1 => return Err(error),
                Err(error) => tried.push(error.to_string()),
            }
        }
        Err(StoreError::Mirrors { what: meant.title(), tried })
    }

    async fn download(&self, meant: &Meant, url: &Url, cx: &Context) -> Result<CachedArtifact> {
        let sha256 = meant.checksum.as_ref().and_then(Checksum::sha256);
        let title = meant.title();
        let file = RemoteFile {
            what: &title,
            url: url.as_str(),
            sha256: sha256.as_ref(),
            checked_later: meant.checksum.is_some(),
        };
        let found = self.downloads.download(&file, cx).await?;
        if let (None, Some(checksum)) = (sha256, meant.checksum.clone()) {
            let compared = compare(found.path.clone(), checksum, title, url.to_string(), cx).await;
            if let Err(error) = compared {
                let (downloads, sha256) = (self.downloads.clone(), found.sha256);
                blocking(move || Ok(downloads.forget(&sha256)?)).await?;
                return Err(error);
            }
        }
        Ok(found)
    }
}

/// Refuses a download that nothing promises to be the right one.
fn promised(meant: &Meant, request: &AddRequest) -> Result<()> {
    if matches!(meant.place, Location::File(_)) || request.insecure {
        return Ok(());
    }
    let why = match &meant.checksum {
        Some(checksum) if checksum.algorithm.is_strong() => return Ok(()),
        Some(checksum) => format!("there is only a checksum of the kind {}, which can be forged", checksum.algorithm),
        None if meant.catalogue.is_some() => "the catalogue has no checksum of it".to_owned(),
        None => "a box file from a server needs a checksum".to_owned(),
    };
    Err(StoreError::NoChecksum { what: meant.title(), why })
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

/// Compares a file with a checksum of any kind.
async fn compare(path: Utf8PathBuf, expected: Checksum, what: String, origin: String, cx: &Context) -> Result<()> {
    let cx = cx.clone();
    blocking(move || {
        let actual = read(&path, &expected, &cx)?;
        if actual == expected.hex {
            return Ok(());
        }
        let actual = Checksum { algorithm: expected.algorithm, hex: actual };
        Err(StoreError::Checksum { what, origin, expected: expected.to_string(), actual: actual.to_string() })
    })
    .await
}

fn read(path: &Utf8Path, kind: &Checksum, cx: &Context) -> Result<String> {
    let fail = || StoreError::file(format!("reading the box file {path}"));
    let file = fs_err::File::open(path).map_err(fail())?;
    let size = file.metadata().map_err(fail())?.len();
    let mut watch = Watch::new(cx, "comparing the checksum", Some(size));
    let mut counted = Tee::new(file, io::sink(), |count| watch.advance(count));
    kind.algorithm.read(&mut counted).map_err(|error| counted.end(error, fail()))
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
