//! What the host gives to boxes and machines.

use serde::{Deserialize, Serialize};

/// The host's own certificate authorities and proxies, read by the binary.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostTrust {
    /// PEM certificates that the host trusts beyond its distribution's; sorted, so that the order of files does not count.
    pub certificates: Vec<String>,
    /// Proxy variables (`http_proxy`, `https_proxy`, `no_proxy`) with their values.
    pub proxies: Vec<(String, String)>,
}

impl HostTrust {
    /// Whether the host has nothing of its own.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.certificates.is_empty() && self.proxies.is_empty()
    }
}
