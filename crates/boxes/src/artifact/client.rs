//! The HTTP client: rustls with ring, the system's trust and rig's settings on top.

use super::settings::FetchSettings;
use crate::{BoxError, Result};
use reqwest::{
    Client,
    redirect::{Action, Attempt, Policy},
};
use rustls::{
    ClientConfig,
    pki_types::{CertificateDer, pem::PemObject},
};
use rustls_platform_verifier::Verifier;
use std::{error::Error, io, sync::Arc};

/// How often servers may lead on to another address.
const LED_ON: usize = 10;

/// Makes a client. Reads the system's certificates; blocks while it does.
///
/// # Errors
/// When a certificate of the settings is none, or the system's cannot be read.
pub(super) fn build(settings: &FetchSettings) -> Result<Client> {
    let fail = |why: &dyn std::fmt::Display| BoxError::file("preparing downloads")(io::Error::other(why.to_string()));
    let mut certificates = Vec::new();
    for pem in &settings.certificates {
        for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
            certificates.push(certificate.map_err(|error| fail(&format!("a certificate of the settings: {error}")))?);
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = Verifier::new_with_extra_roots(certificates, Arc::clone(&provider)).map_err(|error| fail(&error))?;
    let mut tls = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| fail(&error))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    // One large file at a time: HTTP/2's flow control only slows it down.
    tls.alpn_protocols = vec![b"http/1.1".to_vec()];
    let redirects = if settings.leave_https { Policy::limited(LED_ON) } else { Policy::custom(stay_encrypted) };
    Client::builder()
        .redirect(redirects)
        .tls_backend_preconfigured(tls)
        .http1_only()
        .connect_timeout(settings.retry.stall)
        .user_agent(concat!("rig/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|error| fail(&whole(&error)))
}

/// Follows a server that leads on, unless it leads from an encrypted address to one that is not.
fn stay_encrypted(attempt: Attempt<'_>) -> Action {
    let came_encrypted = attempt.previous().last().is_some_and(|url| url.scheme() == "https");
    if came_encrypted && attempt.url().scheme() != "https" {
        let why = format!("the server leads on to {}, which is not encrypted", attempt.url());
        return attempt.error(why);
    }
    if attempt.previous().len() > LED_ON { attempt.error("the server leads on too often") } else { attempt.follow() }
}

/// An error with its causes: the client's own messages only say which step failed.
pub(super) fn whole(error: &reqwest::Error) -> String {
    let mut parts: Vec<String> = Vec::new();
    let mut next: Option<&dyn Error> = error.source();
    while let Some(cause) = next {
        let text = cause.to_string();
        // Some causes repeat what is below them.
        if parts.last().is_none_or(|last| !last.contains(&text)) {
            parts.push(text);
        }
        next = cause.source();
    }
    if parts.is_empty() { error.to_string() } else { parts.join(": ") }
}

/// Whether a server was not trusted, which no second attempt changes.
pub(super) fn is_about_trust(error: &reqwest::Error) -> bool {
    let mut next: Option<&dyn Error> = error.source();
    while let Some(cause) = next {
        // An io::Error's source is its content's source, not its content.
        let inner = cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        let tls = cause.downcast_ref::<rustls::Error>().or_else(|| inner.and_then(|inner| inner.downcast_ref()));
        if matches!(tls, Some(rustls::Error::InvalidCertificate(_))) {
            return true;
        }
        next = match inner {
            Some(inner) => Some(inner),
            None => cause.source(),
        };
    }
    false
}
