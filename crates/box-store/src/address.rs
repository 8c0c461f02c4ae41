//! Addresses as they may be shown and kept: without names and passwords, and without what stands behind the path, which
//! often is a key.

use regex::Regex;
use rig_boxes::BoxError;
use rig_model::Progress;
use rig_provider_api::{Context, ProgressSink};
use std::{
    borrow::Cow,
    sync::{Arc, LazyLock},
};
use tokio::time::Instant;
use url::Url;

static ADDRESS: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r#"(?i)\b[a-z][a-z0-9+.-]*://[^\s"'<>`{}]+"#).ok());

/// A text with the secrets of all addresses in it left out.
#[must_use]
pub fn without_secrets(text: &str) -> Cow<'_, str> {
    match &*ADDRESS {
        Some(address) => address.replace_all(text, |found: &regex::Captures<'_>| bare(&found[0])),
        None => Cow::Borrowed("(an address)"),
    }
}

/// One address.
fn bare(text: &str) -> String {
    // The end of the sentence that the address stands in.
    let address = text.trim_end_matches([':', ';', ',', '.', ')']);
    let end = &text[address.len()..];
    if !address.contains(['@', '?', '#']) {
        return text.to_owned();
    }
    let shown = match Url::parse(address) {
        Ok(mut url) => {
            // Neither fails for an address with a host, and others have no name and no password.
            let _ = url.set_username("");
            let _ = url.set_password(None);
            url.set_query(None);
            url.set_fragment(None);
            url.to_string()
        }
        Err(_) => {
            let (scheme, rest) = address.split_once("://").unwrap_or_default();
            let rest = rest.split(['?', '#']).next().unwrap_or_default();
            format!("{scheme}://{}", rest.rsplit('@').next().unwrap_or_default())
        }
    };
    shown + end
}

/// The same for the messages of a download.
pub(crate) fn of_download(mut error: BoxError) -> BoxError {
    let clean = |text: &mut String| *text = without_secrets(text).into_owned();
    match &mut error {
        BoxError::Address { url, why } => [url, why].into_iter().for_each(clean),
        BoxError::Status { what, url, .. } => [what, url].into_iter().for_each(clean),
        BoxError::Transfer { what, url, why, .. } => [what, url, why].into_iter().for_each(clean),
        BoxError::Checksum { what, origin, .. } => [what, origin].into_iter().for_each(clean),
        BoxError::TimedOut { doing } | BoxError::Cancelled { doing } => clean(doing),
        _ => {}
    }
    error
}

/// The same for what a download tells while it is under way.
pub(crate) fn told_by_download(cx: &Context) -> Context {
    let left = cx.deadline().saturating_duration_since(Instant::now());
    Context::new(cx.cancel().clone(), left, Arc::new(Clean(cx.clone())))
}

/// Passes progress on, without secrets.
struct Clean(Context);

impl ProgressSink for Clean {
    fn progress(&self, progress: Progress) {
        self.0.progress(Progress { step: without_secrets(&progress.step).into_owned(), ..progress });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn secrets_are_left_out() {
        for (text, shown) in [
            ("https://x/a.box", "https://x/a.box"),
            ("https://me:secret@x:1/a.box?token=secret#secret", "https://x:1/a.box"),
            (
                "from https://x/a.box?secret: the server, HTTP://me@x; ftp://secret@x/",
                "from https://x/a.box: the server, http://x/; ftp://x/",
            ),
            ("\"https://secret@:x:y/?secret\" is no address", "\"https://:x:y/\" is no address"),
            ("a/b@c?d", "a/b@c?d"),
        ] {
            assert_eq!(without_secrets(text), shown);
        }
    }

    proptest! {
        #[test]
        fn no_address_keeps_its_secrets(host in "[a-z:/.]{0,8}", path in "[a-z/.:]{0,8}") {
            let text = format!("reading https://me:SECRET@{host}/{path}?SECRET: no");
            prop_assert!(!without_secrets(&text).contains("SECRET"));
        }
    }
}
