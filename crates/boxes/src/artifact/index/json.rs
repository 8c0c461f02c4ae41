//! The JSON form of an index page (PEP 691).

use super::IndexFile;
use reqwest::Url;
use rig_model::Digest;
use serde::Deserialize;
use std::collections::BTreeMap;

#[derive(Deserialize)]
struct Page {
    files: Vec<File>,
}

#[derive(Deserialize)]
struct File {
    filename: String,
    url: String,
    #[serde(default)]
    hashes: BTreeMap<String, String>,
}

/// The files that a page lists. Those with an address that is none are left out.
pub(super) fn files(body: &[u8], base: &Url) -> Result<Vec<IndexFile>, String> {
    let page: Page = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    let file = |file: File| {
        let url = base.join(&file.url).ok()?;
        let sha256 = file.hashes.get("sha256").and_then(|hex| Digest::from_hex(hex));
        Some(IndexFile { name: file.filename, url, sha256 })
    };
    Ok(page.files.into_iter().filter_map(file).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_and_their_checksums_are_read() {
        let hex = "a".repeat(64);
        let body = format!(
            r#"{{"meta": {{"api-version": "1.1"}}, "name": "x", "files": [
                {{"filename": "x-1.tar.gz", "url": "../../p/x-1.tar.gz", "hashes": {{"sha256": "{hex}"}}, "yanked": false}},
                {{"filename": "x-2.tar.gz", "url": "https://f/x-2.tar.gz", "hashes": {{}}}}]}}"#
        );
        let files = files(body.as_bytes(), &Url::parse("https://i/simple/x/").unwrap()).unwrap();
        assert_eq!(files[0].url.as_str(), "https://i/p/x-1.tar.gz");
        assert_eq!(files[0].sha256, Digest::from_hex(&hex));
        assert_eq!(files[1].sha256, None);
    }

    #[test]
    fn something_else_is_refused() {
        assert!(files(b"{}", &Url::parse("https://i/").unwrap()).is_err());
    }
}
