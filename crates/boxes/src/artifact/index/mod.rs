//! A Python package index: which files a project has.

mod html;
mod json;

use super::{
    page::{self, Wanted},
    settings::Retry,
};
use crate::Result;
use reqwest::{Client, Url};
use rig_model::Digest;

/// Both forms, JSON preferred; some mirrors know only HTML.
const ACCEPT: &str = "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.1";

/// The largest page that is read, in bytes. The largest project's is about 20 MB.
const LARGEST: usize = 64 << 20;

/// Endings of source packages, the usual one first.
const ENDINGS: [&str; 3] = [".tar.gz", ".zip", ".tar.bz2"];

/// A file of a project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct IndexFile {
    /// Its name (`pyspark-3.5.8.tar.gz`).
    pub(super) name: String,
    /// Where it is.
    pub(super) url: Url,
    /// Its checksum, where the index says so.
    pub(super) sha256: Option<Digest>,
}

/// Reads the page of a project.
///
/// # Errors
/// When the index does not answer, does not have the project, or answers with something else than an index page.
pub(super) async fn read(client: &Client, page: &Url, project: &str, retry: Retry) -> Result<Vec<IndexFile>> {
    let what = format!("the index page of {project}");
    let wanted = Wanted { what: &what, url: page, accept: ACCEPT, largest: LARGEST };
    // A page that is no index may have come from a server in front of it: the next attempt may get behind it.
    page::read(client, &wanted, retry, |answer| {
        // Mirrors mislabel pages; an HTML page never begins like this.
        if answer.is_json || answer.body.trim_ascii_start().starts_with(b"{") {
            json::files(&answer.body, &answer.url).map_err(|why| format!("its answer is no package index: {why}"))
        } else {
            Ok(html::files(&answer.body, &answer.url))
        }
    })
    .await
}

/// A project's name as the index spells it: `Foo.Bar_baz` is `foo-bar-baz` (PEP 503).
pub(super) fn normalize(name: &str) -> String {
    let mut normal = String::with_capacity(name.len());
    for c in name.chars() {
        match c {
            '-' | '_' | '.' if normal.ends_with('-') => {}
            '-' | '_' | '.' => normal.push('-'),
            c => normal.extend(c.to_lowercase()),
        }
    }
    normal
}

/// The source package of this version.
pub(super) fn source_package<'a>(files: &'a [IndexFile], project: &str, version: &str) -> Option<&'a IndexFile> {
    ENDINGS.iter().find_map(|ending| files.iter().find(|file| version_of(&file.name, project, ending) == Some(version)))
}

/// The last few versions that the page lists source packages of; indexes list newer files behind older ones.
pub(super) fn newest<'a>(files: &'a [IndexFile], project: &str) -> Vec<&'a str> {
    let versions =
        files.iter().filter_map(|file| ENDINGS.iter().find_map(|ending| version_of(&file.name, project, ending)));
    let mut last: Vec<_> = versions.rev().take(5).collect();
    last.reverse();
    last
}

/// `3.5.8` of `pyspark-3.5.8.tar.gz`.
fn version_of<'a>(file: &'a str, project: &str, ending: &str) -> Option<&'a str> {
    let (name, version) = file.strip_suffix(ending)?.rsplit_once('-')?;
    (normalize(name) == normalize(project)).then_some(version)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(names: &[&str]) -> Vec<IndexFile> {
        let url = Url::parse("https://x/").unwrap();
        names.iter().map(|name| IndexFile { name: (*name).to_owned(), url: url.clone(), sha256: None }).collect()
    }

    #[test]
    fn names_are_compared_as_the_index_spells_them() {
        assert_eq!(normalize("Foo.Bar__baz-_.x"), "foo-bar-baz-x");
    }

    #[test]
    fn the_source_package_is_found_among_other_files() {
        let files = files(&[
            "py4j-0.1-py3-none-any.whl",
            "Py4J-0.10.zip",
            "py4j-0.1.zip",
            "py4j-0.1.tar.gz",
            "py4j-extra-0.1.tar.gz",
        ]);
        assert_eq!(source_package(&files, "py4j", "0.1").unwrap().name, "py4j-0.1.tar.gz");
        assert_eq!(source_package(&files, "PY4J", "0.10").unwrap().name, "Py4J-0.10.zip");
        assert_eq!(source_package(&files, "py4j", "0.2"), None);
        assert_eq!(newest(&files, "py4j"), ["0.10", "0.1", "0.1"]);
    }
}
