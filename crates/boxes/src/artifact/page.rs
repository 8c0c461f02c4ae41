//! Small documents from servers: tried again like downloads, and never larger than expected.

use super::{client, settings::Retry};
use crate::{BoxError, Result};
use reqwest::{Client, Response, StatusCode, Url, header};
use tokio::time::{sleep, timeout};

/// Which document is wanted.
pub(super) struct Wanted<'a> {
    /// What it is, for messages.
    pub(super) what: &'a str,
    /// Where it is.
    pub(super) url: &'a Url,
    /// The forms that are understood, as HTTP's `Accept` says it.
    pub(super) accept: &'a str,
    /// The largest that is read, in bytes.
    pub(super) largest: usize,
}

/// What a server answered.
pub(super) struct Answer {
    /// Where it came from in the end. What it links to is relative to this.
    pub(super) url: Url,
    /// Whether the server says that it is JSON.
    pub(super) is_json: bool,
    pub(super) body: Vec<u8>,
}

/// Gets a document and makes something of it.
///
/// # Errors
/// When the server does not answer or refuses, or nothing can be made of the document, also after some attempts.
pub(super) async fn read<T>(
    client: &Client,
    wanted: &Wanted<'_>,
    retry: Retry,
    make: impl Fn(Answer) -> std::result::Result<T, String>,
) -> Result<T> {
    let mut attempt = 1;
    loop {
        let made = once(client, wanted, retry)
            .await
            .and_then(|answer| make(answer).map_err(|why| unusable(wanted.what, wanted.url, why)));
        let error = match made {
            Ok(made) => return Ok(made),
            Err(error) => error,
        };
        let passes = match &error {
            BoxError::Transfer { certificate, .. } => !certificate,
            BoxError::Status { status, .. } => is_passing(*status),
            _ => false,
        };
        if !passes || attempt >= retry.attempts {
            return Err(error);
        }
        sleep(retry.pause_after(attempt)).await;
        attempt += 1;
    }
}

/// Whether a server's refusal may be over the next time.
pub(super) fn is_passing(status: u16) -> bool {
    matches!(status, 408 | 425 | 429 | 500..)
}

async fn once(client: &Client, wanted: &Wanted<'_>, retry: Retry) -> Result<Answer> {
    let Wanted { what, url, accept, .. } = *wanted;
    let request = client.get(url.clone()).header(header::ACCEPT, accept).send();
    let response = timeout(retry.stall, request)
        .await
        .map_err(|_| unusable(what, url, retry.stalled()))?
        .map_err(|error| transfer(what, url, &error))?;
    if response.status() != StatusCode::OK {
        return Err(BoxError::Status {
            what: what.to_owned(),
            url: url.to_string(),
            status: response.status().as_u16(),
        });
    }
    let kind = response.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let is_json = kind.is_some_and(|kind| kind.contains("json"));
    let from = response.url().clone();
    let body = body(response, wanted, retry).await?;
    Ok(Answer { url: from, is_json, body })
}

async fn body(mut response: Response, wanted: &Wanted<'_>, retry: Retry) -> Result<Vec<u8>> {
    let Wanted { what, url, largest, .. } = *wanted;
    let mut body = Vec::new();
    loop {
        let chunk = timeout(retry.stall, response.chunk()).await.map_err(|_| unusable(what, url, retry.stalled()))?;
        let Some(chunk) = chunk.map_err(|error| transfer(what, url, &error))? else {
            return Ok(body);
        };
        if body.len() + chunk.len() > largest {
            return Err(unusable(what, url, format!("the page has more than {} MiB", largest >> 20)));
        }
        body.extend_from_slice(&chunk);
    }
}

/// A failed request as an error of ours.
fn transfer(what: &str, url: &Url, error: &reqwest::Error) -> BoxError {
    BoxError::Transfer {
        what: what.to_owned(),
        url: url.to_string(),
        why: client::whole(error),
        have: 0,
        total: None,
        certificate: client::is_about_trust(error),
    }
}

fn unusable(what: &str, url: &Url, why: String) -> BoxError {
    BoxError::Transfer { what: what.to_owned(), url: url.to_string(), why, have: 0, total: None, certificate: false }
}
