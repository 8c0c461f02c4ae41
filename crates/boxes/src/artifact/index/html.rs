//! The HTML form of an index page (PEP 503): one link for each file, its checksum in the fragment.

use super::IndexFile;
use html5gum::{Token, Tokenizer};
use reqwest::Url;
use rig_model::Digest;

/// The files that a page links to. Whatever is no link to a file is left out, so any input is a page.
pub(super) fn files(body: &[u8], base: &Url) -> Vec<IndexFile> {
    let mut base = base.clone();
    let mut files = Vec::new();
    let mut open: Option<(Url, String)> = None;
    for Ok(token) in Tokenizer::new(body) {
        match token {
            Token::StartTag(tag) => {
                let href = tag.attributes.get(b"href".as_slice()).map(|value| String::from_utf8_lossy(value));
                match (tag.name.as_slice(), href) {
                    (b"a", Some(href)) => {
                        open = base.join(href.trim()).ok().map(|url| (url, String::new()));
                    }
                    (b"base", Some(href)) => base = base.join(href.trim()).unwrap_or(base),
                    _ => {}
                }
            }
            Token::String(text) => {
                if let Some((_, name)) = &mut open {
                    name.push_str(&String::from_utf8_lossy(&text));
                }
            }
            Token::EndTag(tag) if tag.name.as_slice() == b"a" => {
                files.extend(open.take().map(|(url, name)| file(url, name.trim())));
            }
            _ => {}
        }
    }
    files
}

fn file(mut url: Url, name: &str) -> IndexFile {
    let fragment = url.fragment().unwrap_or_default();
    let sha256 = fragment.split('&').find_map(|part| part.strip_prefix("sha256=")).and_then(Digest::from_hex);
    url.set_fragment(None);
    IndexFile { name: name.to_owned(), url, sha256 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(html: &str) -> Vec<IndexFile> {
        files(html.as_bytes(), &Url::parse("https://i/simple/x/").unwrap())
    }

    #[test]
    fn links_are_files_and_fragments_checksums() {
        let hex = "b".repeat(64);
        let files = read(&format!(
            "<!DOCTYPE html><html><body><h1>Links</h1>\n<a href=\"../../p/x-1.tar.gz#sha256={hex}\" data-requires-python=\"&gt;=3.8\">x-1.tar.gz</a><br/>\n<A HREF='https://f/x%2B2.tar.gz'> x+2.tar.gz </A><a>no link</a><a href=\"http://[\">broken</a>"
        ));
        assert_eq!(files.len(), 2);
        assert_eq!((files[0].name.as_str(), files[0].url.as_str()), ("x-1.tar.gz", "https://i/p/x-1.tar.gz"));
        assert_eq!(files[0].sha256, Digest::from_hex(&hex));
        assert_eq!((files[1].name.as_str(), files[1].url.as_str()), ("x+2.tar.gz", "https://f/x%2B2.tar.gz"));
    }

    #[test]
    fn entities_and_a_base_are_understood() {
        let files = read("<base href=https://m/q/><a href='x-1.zip?a=1&amp;b=2'>x<b>-1</b>.zip</a>");
        assert_eq!((files[0].name.as_str(), files[0].url.as_str()), ("x-1.zip", "https://m/q/x-1.zip?a=1&b=2"));
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_page(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = files(&bytes, &Url::parse("https://i/").unwrap());
        }

        #[test]
        fn any_mixture_of_tags_is_a_page(parts in proptest::collection::vec(
            prop_oneof![Just("<a href="), Just("'"), Just("\""), Just(">"), Just("</a>"), Just("<!--"), Just("&#x"), Just("<base href=//"), Just("#sha256="), Just("x-1.tar.gz"), Just("\u{0}"), Just("é")],
            0..40,
        )) {
            let _ = read(&parts.concat());
        }
    }
}
