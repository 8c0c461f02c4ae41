//! Key pairs and host keys.

use crate::{Result, SshError};
use russh::keys::ssh_key::{LineEnding, known_hosts::KnownHosts};
use russh::keys::{Algorithm, HashAlg, PrivateKey, PublicKey, decode_secret_key, key::safe_rng};
use std::sync::Arc;
use zeroize::Zeroizing;

/// A private key and its public half. Its private half is never shown by `Debug`.
#[derive(Clone)]
pub struct KeyPair {
    key: Arc<PrivateKey>,
}

impl KeyPair {
    /// Makes a new Ed25519 key.
    ///
    /// # Errors
    /// [`SshError::Key`].
    pub fn generate(comment: &str) -> Result<Self> {
        let mut key = PrivateKey::random(&mut safe_rng(), Algorithm::Ed25519).map_err(wrong("making a key"))?;
        key.set_comment(comment);
        Ok(Self { key: Arc::new(key) })
    }

    /// Reads a private key without a passphrase: OpenSSH's own format, or PEM as in Vagrant's classic key.
    ///
    /// # Errors
    /// [`SshError::Key`].
    pub fn from_openssh(text: &str) -> Result<Self> {
        let key = decode_secret_key(text, None).map_err(wrong("reading a private key"))?;
        Ok(Self { key: Arc::new(key) })
    }

    /// The private key in OpenSSH's format, wiped from memory when dropped. For a file of mode 0600 only.
    ///
    /// # Errors
    /// [`SshError::Key`].
    pub fn to_openssh(&self) -> Result<Zeroizing<String>> {
        self.key.to_openssh(LineEnding::LF).map_err(wrong("writing a private key"))
    }

    /// The line for `authorized_keys`, without a line end.
    ///
    /// # Errors
    /// [`SshError::Key`].
    pub fn public_line(&self) -> Result<String> {
        self.key.public_key().to_openssh().map_err(wrong("writing a public key"))
    }

    /// The public half, as a host key: what a machine that is given this pair as its host key will show.
    #[must_use]
    pub fn host_key(&self) -> HostKey {
        HostKey { key: self.key.public_key().clone() }
    }

    /// `SHA256:…`, as `ssh-keygen -l` shows it.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        self.key.fingerprint(HashAlg::Sha256).to_string()
    }

    pub(crate) fn private(&self) -> Arc<PrivateKey> {
        Arc::clone(&self.key)
    }
}

impl std::fmt::Debug for KeyPair {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_tuple("KeyPair").field(&self.fingerprint()).finish()
    }
}

/// A machine's public host key. Two are equal when their key data are, whatever their comments say.
#[derive(Clone)]
pub struct HostKey {
    key: PublicKey,
}

impl HostKey {
    /// Reads a public key line (`ssh-ed25519 AAAA… comment`) or a line of a `known_hosts` file, whose host names are
    /// not looked at.
    ///
    /// # Errors
    /// [`SshError::Key`].
    pub fn parse(line: &str) -> Result<Self> {
        let line = line.trim();
        if let Ok(key) = PublicKey::from_openssh(line) {
            return Ok(Self { key });
        }
        match KnownHosts::new(line).next() {
            Some(Ok(entry)) => Ok(Self { key: entry.public_key().clone() }),
            Some(Err(why)) => Err(wrong("reading a host key")(why)),
            None => Err(wrong("reading a host key")("there is none")),
        }
    }

    /// `SHA256:…`, as `ssh-keygen -l` shows it.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        self.key.fingerprint(HashAlg::Sha256).to_string()
    }

    /// The public key line, without a comment and a line end. A host name before it makes it one of `known_hosts`.
    ///
    /// # Errors
    /// [`SshError::Key`].
    pub fn line(&self) -> Result<String> {
        PublicKey::new(self.key.key_data().clone(), "").to_openssh().map_err(wrong("writing a host key"))
    }

    pub(crate) fn new(key: PublicKey) -> Self {
        Self { key }
    }

    pub(crate) fn algorithm(&self) -> Algorithm {
        self.key.algorithm()
    }
}

impl PartialEq for HostKey {
    // The library's own equality looks at the comment, too.
    fn eq(&self, other: &Self) -> bool {
        self.key.key_data() == other.key.key_data()
    }
}

impl Eq for HostKey {}

impl std::fmt::Debug for HostKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_tuple("HostKey").field(&self.fingerprint()).finish()
    }
}

fn wrong<E: std::fmt::Display>(doing: &str) -> impl FnOnce(E) -> SshError {
    let doing = doing.to_owned();
    move |why| SshError::Key { doing, why: why.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_survives_writing_and_reading() {
        let pair = KeyPair::generate("rig lab").unwrap();
        let again = KeyPair::from_openssh(&pair.to_openssh().unwrap()).unwrap();
        assert_eq!(pair.fingerprint(), again.fingerprint());
        assert!(again.public_line().unwrap().ends_with(" rig lab"));
        assert!(pair.fingerprint().starts_with("SHA256:"));
    }

    #[test]
    fn debug_hides_the_private_key() {
        let pair = KeyPair::generate("x").unwrap();
        assert_eq!(format!("{pair:?}"), format!("KeyPair({:?})", pair.fingerprint()));
    }

    #[test]
    fn comments_do_not_make_host_keys_differ() {
        let key = KeyPair::generate("x").unwrap().host_key();
        let line = key.line().unwrap();
        for form in [format!("{line} root@box"), format!("[127.0.0.1]:2222 {line}"), format!("  {line}\n")] {
            assert_eq!(HostKey::parse(&form).unwrap(), key, "{form}");
        }
        assert_ne!(KeyPair::generate("x").unwrap().host_key(), key);
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["", "ssh-ed25519 AAAA", "# only a comment"] {
            assert!(matches!(HostKey::parse(text), Err(SshError::Key { .. })), "{text:?}");
        }
        assert!(matches!(KeyPair::from_openssh("no key"), Err(SshError::Key { .. })));
    }
}
