//! Catalogues: which versions of a box there are, for what, and where.

use crate::{Architecture, BoxProvider, Checksum, Constraint, Result, StoreError, StoreName, Version, outline};
use serde::Deserialize;

/// The largest catalogue that is read, in bytes. Those of boxes with hundreds of versions have some hundred thousand.
pub(crate) const LARGEST: usize = 16 << 20;

/// How many of the versions that there are an error names.
const NAMED: usize = 5;

/// What a catalogue says of a box. Fields that rig does not know are skipped, and so is a version or a file that cannot be
/// read: the others can be had nevertheless.
#[derive(Clone, Debug)]
pub struct Catalogue {
    /// The box's name.
    pub name: StoreName,
    /// Its versions, in any order.
    pub versions: Vec<CatalogueVersion>,
    /// What cannot be read in it, with its place.
    pub skipped: Vec<String>,
}

/// One version of a box.
#[derive(Clone, Debug)]
pub struct CatalogueVersion {
    /// The version.
    pub version: Version,
    /// `active`, or something else for one that was withdrawn.
    pub status: Option<String>,
    /// The files that there are of it.
    pub providers: Vec<CatalogueFile>,
}

/// One file of a version.
#[derive(Clone, Debug, Deserialize)]
pub struct CatalogueFile {
    /// What it is made for.
    #[serde(rename = "name")]
    pub provider: BoxProvider,
    /// Where it is; relative to the catalogue where it has no scheme.
    pub url: String,
    /// Its checksum; empty where there is none.
    pub checksum: Option<String>,
    /// What the checksum is made with.
    pub checksum_type: Option<String>,
    /// What it runs on.
    pub architecture: Option<Architecture>,
}

/// What somebody wants of a box.
#[derive(Clone, Debug, Default)]
pub struct Wish {
    /// Which versions will do.
    pub constraint: Constraint,
    /// What it must be made for; anything where there is only one choice.
    pub provider: Option<BoxProvider>,
    /// What it must run on; the host where nothing is said.
    pub architecture: Option<Architecture>,
}

/// A file that was chosen.
#[derive(Clone, Debug)]
pub struct Choice<'a> {
    /// The version.
    pub version: &'a Version,
    /// The file.
    pub file: &'a CatalogueFile,
}

impl CatalogueFile {
    /// What it runs on, as far as the catalogue says.
    #[must_use]
    pub fn runs_on(&self) -> Architecture {
        self.architecture.clone().unwrap_or_else(Architecture::unknown)
    }

    /// Its checksum, if the catalogue has one.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub(crate) fn checksum(&self) -> std::result::Result<Option<Checksum>, String> {
        Checksum::of_catalogue(self.checksum_type.as_deref(), self.checksum.as_deref())
    }
}

impl Catalogue {
    /// Reads a catalogue; `origin` says where it came from.
    ///
    /// # Errors
    /// When it is no JSON, something in it has the wrong type or form, and it has no file without that; the error says
    /// where in it.
    pub fn parse(bytes: &[u8], origin: &str) -> Result<Self> {
        outline::read(bytes).map_err(|why| StoreError::Catalogue { origin: origin.to_owned(), why })
    }

    /// The newest version that has what is wanted. `host` is what this host runs.
    ///
    /// # Errors
    /// When no version has it, or several providers' files would do.
    pub fn choose(&self, wish: &Wish, host: &Architecture) -> Result<Choice<'_>> {
        let active =
            self.versions.iter().filter(|version| version.status.as_deref().is_none_or(|status| status == "active"));
        let fitting = active.filter_map(|version| {
            let files = version.fitting(wish, host);
            (!files.is_empty()).then_some((&version.version, files))
        });
        let Some((version, files)) = wish.constraint.newest(fitting, |(version, _)| version) else {
            return Err(self.nothing_fits(wish, host));
        };
        match files.as_slice() {
            [file] => Ok(Choice { version, file }),
            several => Err(StoreError::SeveralProviders {
                name: format!("{} {version}", self.name),
                providers: several.iter().map(|file| file.provider.to_string()).collect(),
            }),
        }
    }

    fn nothing_fits(&self, wish: &Wish, host: &Architecture) -> StoreError {
        let mut versions: Vec<&CatalogueVersion> = self.versions.iter().collect();
        versions.sort_by(|a, b| b.version.cmp(&a.version));
        let more = versions.len().saturating_sub(NAMED);
        let mut available: Vec<String> = versions.iter().take(NAMED).map(|version| version.summary()).collect();
        if more > 0 {
            available.push(format!("and {more} older ones"));
        }
        let unread = self.skipped.len().saturating_sub(NAMED);
        available.extend(self.skipped.iter().take(NAMED).map(|why| format!("skipped {why}")));
        if unread > 0 {
            available.push(format!("and {unread} more that were skipped"));
        }
        let provider = wish.provider.as_ref().map_or_else(String::new, |provider| format!(" for {provider}"));
        let architecture = wish.architecture.as_ref().unwrap_or(host);
        StoreError::NothingFits {
            what: format!("{} {}{provider} on {architecture}", self.name, wish.constraint),
            available,
        }
    }
}

impl CatalogueVersion {
    /// The files that will do, at most one of each provider.
    fn fitting(&self, wish: &Wish, host: &Architecture) -> Vec<&CatalogueFile> {
        let providers = match &wish.provider {
            Some(provider) => provider.accepts(),
            None => {
                let mut all: Vec<BoxProvider> = self.providers.iter().map(|file| file.provider.clone()).collect();
                all.sort();
                all.dedup();
                all
            }
        };
        let mut found = providers.iter().filter_map(|provider| self.file(provider, wish, host));
        match wish.provider {
            Some(_) => found.next().into_iter().collect(),
            None => found.collect(),
        }
    }

    /// The provider's file for the wanted architecture. Where none is wanted, a file that does not say what it runs on
    /// will do too.
    fn file(&self, provider: &BoxProvider, wish: &Wish, host: &Architecture) -> Option<&CatalogueFile> {
        let find = |architecture: &Architecture| {
            self.providers.iter().find(|file| file.provider == *provider && file.runs_on() == *architecture)
        };
        match &wish.architecture {
            Some(architecture) => find(architecture),
            None => find(host).or_else(|| find(&Architecture::unknown())),
        }
    }

    fn summary(&self) -> String {
        let files: Vec<String> =
            self.providers.iter().map(|file| format!("{} {}", file.provider, file.runs_on())).collect();
        let state = self.status.as_deref().filter(|status| *status != "active");
        let state = state.map_or_else(String::new, |state| format!(", {state}"));
        format!("{} ({}{state})", self.version, files.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The form of Vagrant's documentation, with what catalogue servers add.
    const TEXT: &str = r#"{
        "name": "example/bionic64", "description": "Ubuntu", "short_description": null, "downloads": 12,
        "versions": [
            {"version": "1.0.0", "status": "active", "providers": [
                {"name": "virtualbox", "url": "http://example.com/a.box", "checksum_type": "sha1", "checksum": "foo",
                 "architecture": "amd64", "default_architecture": true},
                {"name": "virtualbox", "url": "b.box", "architecture": "arm64"},
                {"name": "libvirt", "url": "c.box", "checksum": null, "checksum_type": null}]},
            {"version": "3.0.0", "status": "revoked", "providers": [{"name": "virtualbox", "url": "r.box"}]},
            {"version": "2.0.0", "providers": [{"name": "virtualbox", "url": "d.box", "architecture": "unknown"}]},
            {"version": "2.1.0.beta", "providers": [{"name": "virtualbox", "url": "e.box"}]}
        ]}"#;

    fn choose(constraint: &str, provider: &str, architecture: Option<&str>) -> Result<String> {
        let catalogue = Catalogue::parse(TEXT.as_bytes(), "here")?;
        let wish = Wish {
            constraint: constraint.parse().unwrap(),
            provider: (!provider.is_empty()).then(|| provider.parse().unwrap()),
            architecture: architecture.map(|text| text.parse().unwrap()),
        };
        Ok(catalogue.choose(&wish, &Architecture::new("amd64").unwrap())?.file.url.clone())
    }

    #[test]
    fn the_newest_that_fits_is_chosen() {
        assert_eq!(choose(">= 0", "virtualbox", None).unwrap(), "d.box");
        assert_eq!(choose("~> 1.0", "virtualbox", None).unwrap(), "http://example.com/a.box");
        assert_eq!(choose(">= 0", "virtualbox", Some("aarch64")).unwrap(), "b.box");
        assert_eq!(choose(">= 0", "libvirt", None).unwrap(), "c.box");
        assert_eq!(choose(">= 0", "qemu", None).unwrap(), "c.box");
        assert_eq!(choose("> 2.0", "", None).unwrap(), "e.box");
    }

    #[test]
    fn what_does_not_fit_is_answered_with_what_there_is() {
        let error = choose("~> 1.0", "vmware_desktop", None).unwrap_err();
        assert!(error.to_string().contains("example/bionic64 ~> 1.0 for vmware_desktop on amd64"), "{error}");
        assert!(error.hint().unwrap().contains("1.0.0 (virtualbox amd64, virtualbox arm64, libvirt unknown)"));
        assert!(error.hint().unwrap().contains("3.0.0 (virtualbox unknown, revoked)"));
        let error = choose("1.0.0", "", None).unwrap_err();
        assert!(matches!(&error, StoreError::SeveralProviders { providers, .. } if providers.len() == 2), "{error}");
        assert!(choose("> 3", "virtualbox", None).is_err());
        assert!(choose(">= 0", "virtualbox", Some("riscv64")).is_err());
    }

    #[test]
    fn what_cannot_be_read_is_skipped_where_there_is_more() {
        let text = r#"{"name": "a/b", "versions": [{"version": "~> 1"}, {"version": "1", "providers": [
            {"name": "x", "url": 7}, {"name": "virtualbox", "url": "v.box"}]}]}"#;
        let catalogue = Catalogue::parse(text.as_bytes(), "here").unwrap();
        let host = Architecture::new("amd64").unwrap();
        assert_eq!(catalogue.choose(&Wish::default(), &host).unwrap().file.url, "v.box");
        let wish = Wish { provider: "x".parse().ok(), ..Wish::default() };
        let hint = catalogue.choose(&wish, &host).unwrap_err().hint().unwrap();
        assert!(
            hint.contains("skipped versions[0].version: ") && hint.contains("versions[1].providers[0].url: "),
            "{hint}"
        );
    }

    #[test]
    fn an_error_names_the_place() {
        for (text, place) in [
            (
                r#"{"name": "a/b", "versions": [{"version": "1", "providers": [{"name": "x", "url": 7}]}]}"#,
                "versions[0].providers[0].url: ",
            ),
            (r#"{"name": "a/b", "versions": [{"version": "~> 1"}]}"#, "versions[0].version: "),
            (r#"{"name": "../x", "versions": []}"#, "name: "),
            (r#"{"name": "a/b", "versions": {}}"#, "versions: "),
            (r#"{"name": "a/b"}"#, "versions"),
            ("<html>", "expected value"),
            ("", "EOF"),
        ] {
            let error = Catalogue::parse(text.as_bytes(), "https://x/c.json").unwrap_err().to_string();
            assert!(error.contains("https://x/c.json") && error.contains(place), "{error}");
        }
    }
}
