//! The host's own certificate authorities in an image that comes from elsewhere, and rig's labels on it.

use crate::{bootstrap::certificate_name, context};
use rig_provider_api::ByteStream;

/// Only a new name and labels.
const PLAIN: &str = "ARG RIG_FROM\nFROM ${RIG_FROM}\n";

/// In a stage of its own and copied from there, so that the image's user and other settings stay what they are.
const TRUSTING: &str = r#"ARG RIG_FROM
FROM ${RIG_FROM} AS trust
USER 0
COPY certificates/ /usr/local/share/ca-certificates/
RUN mkdir -p /etc/ssl/certs && if command -v update-ca-certificates >/dev/null; then update-ca-certificates; else \
    cat /usr/local/share/ca-certificates/rig-host-*.crt >> /etc/ssl/certs/ca-certificates.crt; fi

FROM ${RIG_FROM}
COPY certificates/ /usr/local/share/ca-certificates/
COPY --from=trust /etc/ssl/certs/ /etc/ssl/certs/
"#;

/// The context of an image that adds the certificates to its parent, if there are any.
pub(crate) fn context(certificates: &[String]) -> ByteStream {
    if certificates.is_empty() {
        return context::of_texts(PLAIN, &[]);
    }
    let files: Vec<_> = certificates
        .iter()
        .enumerate()
        .map(|(index, pem)| (format!("certificates/{}", certificate_name(index)), pem.clone()))
        .collect();
    context::of_texts(TRUSTING, &files)
}
