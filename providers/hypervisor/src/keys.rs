//! The keys of a machine as they lie on this host's disk, until its seed disk gives them to it.

use crate::files;
use camino::Utf8Path;
use rig_provider_api::{DoorKeys, ProviderError, Result};
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, Zeroizing};

/// The keys of a machine, as they lie on disk for their owner alone.
#[derive(Clone, Serialize, Deserialize)]
pub struct Keys {
    /// Who may enter.
    pub user: String,
    /// With which key, as a line of OpenSSH.
    pub authorized_key: String,
    /// The private half of the host key, in OpenSSH's form.
    pub host_key: String,
    /// Its public half, as a line of OpenSSH.
    pub public_host_key: String,
}

impl Drop for Keys {
    fn drop(&mut self) {
        self.host_key.zeroize();
    }
}

impl Keys {
    /// The keys in a file; nothing before there were any.
    ///
    /// # Errors
    /// When the file cannot be read or holds something else.
    pub fn load(path: &Utf8Path) -> Result<Option<Self>> {
        let Some(text) = files::read(path)?.map(Zeroizing::new) else { return Ok(None) };
        serde_json::from_str(&text).map(Some).map_err(|error| ProviderError::failed(format!("reading {path}"), error))
    }

    /// Writes the keys that a machine is given into a file. A host key that is there stays.
    ///
    /// # Errors
    /// When the file cannot be read or written.
    pub fn renew(path: &Utf8Path, given: DoorKeys) -> Result<()> {
        let mut keys = Self {
            user: given.user,
            authorized_key: given.authorized_key,
            host_key: given.host_key.to_string(),
            public_host_key: given.public_host_key,
        };
        if let Some(known) = Self::load(path)? {
            keys.host_key.zeroize();
            keys.host_key.clone_from(&known.host_key);
            keys.public_host_key.clone_from(&known.public_host_key);
        }
        let text = Zeroizing::new(serde_json::to_string_pretty(&keys).unwrap_or_default());
        files::write(path, text.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use camino::Utf8PathBuf;

    #[test]
    fn a_host_key_that_is_there_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = Utf8PathBuf::from_path_buf(folder.path().join("keys.json")).unwrap();
        assert!(Keys::load(&path).unwrap().is_none());
        let given = |user: &str, host: &str| DoorKeys {
            user: user.to_owned(),
            authorized_key: format!("ssh-ed25519 {user}"),
            host_key: Zeroizing::new(format!("PRIVATE {host}")),
            public_host_key: format!("ssh-ed25519 {host}"),
        };
        Keys::renew(&path, given("rig", "one")).unwrap();
        Keys::renew(&path, given("me", "two")).unwrap();
        let keys = Keys::load(&path).unwrap().unwrap();
        assert_eq!((keys.user.as_str(), keys.authorized_key.as_str()), ("me", "ssh-ed25519 me"));
        assert_eq!((keys.host_key.as_str(), keys.public_host_key.as_str()), ("PRIVATE one", "ssh-ed25519 one"));
    }
}
