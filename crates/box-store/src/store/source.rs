//! From what somebody typed to the file that is meant.

use super::{
    AddRequest, BoxStore, blocking,
    location::{Location, as_address, may_ask, relative},
};
use crate::{
    Architecture, BoxProvider, Catalogue, Checksum, Result, StoreError, StoreName, Version, Wish, address, catalogue,
    without_secrets,
};
use rig_boxes::RemoteDocument;
use rig_provider_api::Context;
use std::io::Read;
use url::Url;

/// The kinds of documents that are taken for a catalogue.
const JSON: &str = "application/json, */*;q=0.1";

/// A box file that is meant, and everything that is known of it before it is there.
#[derive(Clone, Debug)]
pub(super) struct Target {
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

impl Target {
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
    pub(super) async fn resolve(&self, request: &AddRequest, cx: &Context) -> Result<Target> {
        match self.source(request).await? {
            Source::BoxFile(place) => of_box_file(request, place),
            Source::Catalogue(place) => self.of_catalogue(request, place, cx).await,
        }
    }

    /// The file that a catalogue has for what is wanted.
    async fn of_catalogue(&self, request: &AddRequest, place: Location, cx: &Context) -> Result<Target> {
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
        let wrong = |why: String| {
            let why = format!("version {} for {}: {why}", choice.version, choice.file.provider);
            StoreError::Catalogue { origin: place.to_string(), why: without_secrets(&why).into_owned() }
        };
        let checksum = match &request.checksum {
            Some(checksum) => Some(checksum.clone()),
            None => choice.file.checksum().map_err(wrong)?,
        };
        Ok(Target {
            name: expected_name(request).unwrap_or_else(|| catalogue.name.clone()),
            version: choice.version.clone(),
            provider: Some(choice.file.provider.clone()),
            architecture: Some(choice.file.runs_on()),
            place: relative(&origin, &choice.file.url).map_err(wrong)?,
            checksum,
            catalogue: Some(place.to_string()),
        })
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
                let document = self.downloads.read_document(&document, &address::told_by_download(cx)).await?;
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
        if let Some(place) = as_address(text).map_err(|why| request.wrong(why, "an address begins with https://"))? {
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
        as_address(text).ok().flatten().unwrap_or_else(|| Location::File(text.into()))
    }
}

/// What the catalogue's box should be called, where somebody said so.
fn expected_name(request: &AddRequest) -> Option<StoreName> {
    let short = || StoreName::new(request.source.as_str()).ok().filter(|name| name.short().is_some());
    let is_file = || request.folder.join(&request.source).is_file();
    request.name.clone().or_else(|| short().filter(|_| !is_file()))
}

/// A box file, which says less than a catalogue: the rest is what was asked for.
fn of_box_file(request: &AddRequest, place: Location) -> Result<Target> {
    let name = request
        .name
        .clone()
        .ok_or_else(|| request.wrong("a box file has no name of its own", "give it one with `--name user/box`"))?;
    Ok(Target {
        name,
        version: request.exact_version()?,
        provider: request.provider.clone(),
        architecture: request.architecture.clone(),
        place,
        checksum: request.checksum.clone(),
        catalogue: None,
    })
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
