//! From what somebody typed to the file that is meant.

use super::{AddRequest, BoxStore, blocking};
use crate::{
    Architecture, BoxProvider, Catalogue, Checksum, Result, StoreError, StoreName, Version, Wish,
    catalogue::{self},
    without_secrets,
};
use camino::{Utf8Path, Utf8PathBuf};
use rig_boxes::RemoteDocument;
use rig_provider_api::Context;
use std::io::Read;
use url::{Host, Url};

/// The kinds of documents that are taken for a catalogue.
const JSON: &str = "application/json, */*;q=0.1";

/// Where something is. Shown and kept without the secrets that an address may have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Location {
    /// On this host.
    File(Utf8PathBuf),
    /// On a server.
    Server(Url),
}

impl std::fmt::Display for Location {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => path.fmt(f),
            Self::Server(url) => f.pad(&without_secrets(url.as_str())),
        }
    }
}

/// A box file that is meant, and everything that is known of it before it is there.
#[derive(Clone, Debug)]
pub(super) struct Meant {
    pub(super) name: StoreName,
    pub(super) version: Version,
    /// What it should be made for, where somebody said so.
    pub(super) provider: Option<BoxProvider>,
    /// What it should run on, where somebody said so.
    pub(super) architecture: Option<Architecture>,
    pub(super) place: Location,
    pub(super) checksum: Option<Checksum>,
    pub(super) catalogue: Option<String>,
}

impl Meant {
    /// What messages call it.
    pub(super) fn title(&self) -> String {
        if self.catalogue.is_none() && self.version.as_str() == "0" {
            return self.name.to_string();
        }
        format!("{} {}", self.name, self.version)
    }
}

/// What a text means.
enum Source {
    Catalogue(Location),
    BoxFile(Location),
}

impl BoxStore {
    /// Finds out what is meant; reads the catalogue where there is one.
    pub(super) async fn resolve(&self, request: &AddRequest, cx: &Context) -> Result<Meant> {
        match self.source(request).await? {
            Source::BoxFile(place) => {
                let name = request.name.clone().ok_or_else(|| {
                    request.wrong("a box file has no name of its own", "give it one with `--name user/box`")
                })?;
                Ok(Meant {
                    name,
                    version: request.exact_version()?,
                    provider: request.provider.clone(),
                    architecture: request.architecture.clone(),
                    place,
                    checksum: request.checksum.clone(),
                    catalogue: None,
                })
            }
            Source::Catalogue(place) => {
                let wish = Wish {
                    constraint: request.constraint()?,
                    provider: request.provider.clone(),
                    architecture: request.architecture.clone(),
                };
                let (catalogue, origin) = self.catalogue(&place, &request.title(), request.insecure, cx).await?;
                if let Some(name) = expected_name(request)
                    && !catalogue.name.as_str().eq_ignore_ascii_case(name.as_str())
                {
                    let why = format!("it is the catalogue of {}, not of {name}", catalogue.name);
                    return Err(StoreError::Catalogue { origin: place.to_string(), why });
                }
                let choice = catalogue.choose(&wish, &self.settings.architecture)?;
                let url = choice.file.url.as_str();
                let wrong = |why: String| StoreError::Catalogue {
                    origin: place.to_string(),
                    why: without_secrets(&format!("version {} for {}: {why}", choice.version, choice.file.provider))
                        .into_owned(),
                };
                let checksum = match &request.checksum {
                    Some(checksum) => Some(checksum.clone()),
                    None => choice.file.checksum().map_err(wrong)?,
                };
                Ok(Meant {
                    name: expected_name(request).unwrap_or_else(|| catalogue.name.clone()),
                    version: choice.version.clone(),
                    provider: Some(choice.file.provider.clone()),
                    architecture: Some(choice.file.runs_on()),
                    place: relative(&origin, url).map_err(wrong)?,
                    checksum,
                    catalogue: Some(place.to_string()),
                })
            }
        }
    }

    /// Reads a catalogue. Also says where it came from in the end: what it names is relative to that.
    pub(super) async fn catalogue(
        &self,
        place: &Location,
        what: &str,
        insecure: bool,
        cx: &Context,
    ) -> Result<(Catalogue, Location)> {
        match place {
            Location::Server(url) => {
                may_ask(url, what, insecure)?;
                let what = format!("the catalogue of {what}");
                let document =
                    RemoteDocument { what: &what, url: url.as_str(), accept: JSON, largest: catalogue::LARGEST };
                let document = self.downloads.read_document(&document, cx).await?;
                let from = Url::parse(&document.url).unwrap_or_else(|_| url.clone());
                Ok((Catalogue::parse(&document.body, &place.to_string())?, Location::Server(from)))
            }
            Location::File(path) => {
                let path = path.clone();
                blocking(move || {
                    let fail = || StoreError::file(format!("reading the catalogue {path}"));
                    let mut bytes = Vec::new();
                    let file = fs_err::File::open(&path).map_err(fail())?;
                    file.take(catalogue::LARGEST as u64 + 1).read_to_end(&mut bytes).map_err(fail())?;
                    if bytes.len() > catalogue::LARGEST {
                        let why = format!("it has more than {} MiB", catalogue::LARGEST >> 20);
                        return Err(StoreError::Catalogue { origin: path.into_string(), why });
                    }
                    Ok((Catalogue::parse(&bytes, path.as_str())?, Location::File(path)))
                })
                .await
            }
        }
    }

    /// Tells addresses, files and short names apart.
    async fn source(&self, request: &AddRequest) -> Result<Source> {
        let text = request.source.as_str();
        if let Some(place) = address(text).map_err(|why| request.wrong(why, "an address begins with https://"))? {
            let Location::Server(url) = &place else { return file(place).await };
            let path = url.path().to_ascii_lowercase();
            let is_box = [".box", ".tar", ".tgz", ".tar.gz", ".zip"].iter().any(|ending| path.ends_with(ending));
            // What is said to have a checksum is a file; catalogues have none.
            let is_box = is_box || (request.checksum.is_some() && !path.ends_with(".json"));
            return Ok(if is_box { Source::BoxFile(place) } else { Source::Catalogue(place) });
        }
        let path = request.folder.join(text);
        if path.is_file() {
            return file(Location::File(path)).await;
        }
        let name = StoreName::new(text).ok();
        let Some((user, name)) = name.as_ref().and_then(StoreName::short) else {
            let hint = "give `user/box`, an address or a file";
            return Err(request.wrong("it is neither a short name, nor an address, nor a file that is there", hint));
        };
        let server = self.settings.server.trim_end_matches('/');
        let url = Url::parse(&format!("{server}/api/v2/vagrant/{user}/{name}")).map_err(|error| {
            request.wrong(format!("the catalogue server {server:?} is no address: {error}"), "check the settings")
        })?;
        Ok(Source::Catalogue(Location::Server(url)))
    }

    /// The place of a catalogue that a record names.
    pub(super) fn recorded(text: &str) -> Location {
        address(text).ok().flatten().unwrap_or_else(|| Location::File(text.into()))
    }
}

/// What the catalogue's box should be called, where somebody said so.
fn expected_name(request: &AddRequest) -> Option<StoreName> {
    let short = || StoreName::new(request.source.as_str()).ok().filter(|name| name.short().is_some());
    let is_file = || request.folder.join(&request.source).is_file();
    request.name.clone().or_else(|| short().filter(|_| !is_file()))
}

/// An address, if it is one: a text with a scheme. A drive of Windows is none, and neither is a word with a colon behind.
fn address(text: &str) -> std::result::Result<Option<Location>, String> {
    let url = match Url::parse(text) {
        Ok(url) => url,
        Err(url::ParseError::RelativeUrlWithoutBase) => return Ok(None),
        Err(error) if has_scheme(text) => return Err(format!("it is no address: {error}")),
        Err(_) => return Ok(None),
    };
    match url.scheme() {
        "https" | "http" => Ok(Some(Location::Server(url))),
        "file" => {
            let path = url.to_file_path().ok().and_then(|path| Utf8PathBuf::from_path_buf(path).ok());
            path.map(|path| Some(Location::File(path))).ok_or_else(|| "it is no path of this host".to_owned())
        }
        other if has_scheme(text) => Err(format!("rig gets nothing from {other}://")),
        _ => Ok(None),
    }
}

/// Whether a text begins with a scheme and a host.
fn has_scheme(text: &str) -> bool {
    let scheme = text.split_once("://").map_or("", |(scheme, _)| scheme);
    !scheme.is_empty() && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
}

/// A catalogue is JSON; everything else that is a file is taken for a box.
async fn file(place: Location) -> Result<Source> {
    let Location::File(path) = place else { return Ok(Source::BoxFile(place)) };
    blocking(move || {
        let fail = || StoreError::file(format!("reading {path}"));
        let mut begin = Vec::new();
        fs_err::File::open(&path).map_err(fail())?.take(64).read_to_end(&mut begin).map_err(fail())?;
        let is_json = begin.trim_ascii_start().starts_with(b"{") || path.extension() == Some("json");
        let place = Location::File(path);
        Ok(if is_json { Source::Catalogue(place) } else { Source::BoxFile(place) })
    })
    .await
}

/// Where a catalogue's file is. A server's catalogue says nothing about files of this host, in whatever form.
fn relative(catalogue: &Location, url: &str) -> std::result::Result<Location, String> {
    match catalogue {
        Location::Server(base) => {
            let joined = base.join(url).map_err(|error| format!("{url:?} is no address: {error}"))?;
            match joined.scheme() {
                "https" | "http" => Ok(Location::Server(joined)),
                "file" => Err(format!("{url:?} is a file of this host")),
                other => Err(format!("{url:?}: rig gets nothing from {other}:")),
            }
        }
        Location::File(path) => Ok(match address(url)? {
            Some(place) => place,
            None => Location::File(path.parent().unwrap_or(Utf8Path::new(".")).join(url)),
        }),
    }
}

/// Refuses what anybody on the way could change. What does not leave this host is safe.
pub(super) fn may_ask(url: &Url, what: &str, insecure: bool) -> Result<()> {
    let is_here = match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    };
    if url.scheme() == "https" || is_here || insecure {
        return Ok(());
    }
    Err(StoreError::Unencrypted { what: what.to_owned(), url: without_secrets(url.as_str()).into_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_encrypted_addresses_are_asked() {
        let ask = |url: &str, insecure| may_ask(&Url::parse(url).unwrap(), "a/b", insecure).is_ok();
        assert!(ask("https://x/", false) && ask("http://127.0.0.1:80/", false) && ask("http://[::1]/", false));
        assert!(!ask("http://x/", false) && !ask("http://127.0.0.1.x/", false) && !ask("http://10.0.0.1/", false));
        assert!(ask("http://x/", true));
    }

    #[test]
    fn a_servers_catalogue_names_no_files_of_this_host() {
        let server = Location::Server(Url::parse("https://x/a/c.json").unwrap());
        assert_eq!(relative(&server, "b.box").unwrap().to_string(), "https://x/a/b.box");
        assert_eq!(relative(&server, "https://y/b.box").unwrap().to_string(), "https://y/b.box");
        let with_query = relative(&server, "b.box?from=https://y/").unwrap();
        assert_eq!(with_query, Location::Server(Url::parse("https://x/a/b.box?from=https://y/").unwrap()));
        for file in ["file:///etc/passwd", "file:/etc/passwd", "FILE:etc", "C:/x", "data:x", " file:/x"] {
            assert!(relative(&server, file).is_err(), "{file}");
        }
        assert!(relative(&server, "ftp://x/y").is_err());
        let local = Location::File("/a/c.json".into());
        assert_eq!(relative(&local, "b.box").unwrap(), Location::File("/a/b.box".into()));
        assert_eq!(relative(&local, "b.box?x=http://y").unwrap(), Location::File("/a/b.box?x=http://y".into()));
        for text in ["user/box", "C:\\a.box", "a:b", "x?y=http://z"] {
            assert_eq!(address(text), Ok(None), "{text}");
        }
        assert!(address("ftp://x/y").is_err() && address("https://").is_err());
        assert_eq!(relative(&local, "file:///c/b.box").unwrap(), Location::File("/c/b.box".into()));
    }
}
