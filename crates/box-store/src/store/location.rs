//! Where catalogues and box files are: addresses and paths.

use crate::{Result, StoreError, without_secrets};
use camino::{Utf8Path, Utf8PathBuf};
use url::{Host, Url};

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

/// An address, if it is one: a text with a scheme. A drive of Windows is none, and neither is a word with a colon behind.
pub(super) fn as_address(text: &str) -> std::result::Result<Option<Location>, String> {
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

/// Where a catalogue's file is. A server's catalogue says nothing about files of this host, in whatever form.
pub(super) fn relative(catalogue: &Location, url: &str) -> std::result::Result<Location, String> {
    match catalogue {
        Location::Server(base) => {
            let joined = base.join(url).map_err(|error| format!("{url:?} is no address: {error}"))?;
            match joined.scheme() {
                "https" | "http" => Ok(Location::Server(joined)),
                "file" => Err(format!("{url:?} is a file of this host")),
                other => Err(format!("{url:?}: rig gets nothing from {other}:")),
            }
        }
        Location::File(path) => Ok(match as_address(url)? {
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
            assert_eq!(as_address(text), Ok(None), "{text}");
        }
        assert!(as_address("ftp://x/y").is_err() && as_address("https://").is_err());
        assert_eq!(relative(&local, "file:///c/b.box").unwrap(), Location::File("/c/b.box".into()));
    }
}
