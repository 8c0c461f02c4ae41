//! The key that is published for Vagrant's boxes: everybody has it, so that it is replaced at the first contact.

use rig_ssh::{KeyPair, SshError, quote};

/// Vagrant's own (`keys/vagrant` of its releases until 2.3, MIT licence).
const PRIVATE: &str = include_str!("vagrant.pem");
const PUBLIC: &str = include_str!("vagrant.pub");

/// What the comment of every key ends with that was published for boxes.
const COMMENT: &str = "vagrant insecure public key";

/// The key itself.
///
/// # Errors
/// When this version of the SSH library does not read it.
pub(super) fn published() -> Result<KeyPair, SshError> {
    KeyPair::from_openssh(PRIVATE)
}

/// A line for the user's shell: their only key of those that rig or Vagrant may have put there is this one; others stay.
pub(super) fn replacement(public_key: &str) -> String {
    only(public_key, public_key)
}

/// The other way round: the published key in the place of this one.
pub(super) fn exposure(public_key: &str) -> String {
    only(PUBLIC.trim(), public_key)
}

/// A line that leaves one key of the published ones and this one.
fn only(stays: &str, own: &str) -> String {
    let published = PUBLIC.split_whitespace().nth(1).unwrap_or_default();
    let program = format!(
        "set -e; cd; umask 077; mkdir -p .ssh; touch .ssh/authorized_keys; \
         {{ grep -vF -e {} -e {} -e {} .ssh/authorized_keys || true; printf '%s\\n' {}; }} >.ssh/authorized_keys.new; \
         mv .ssh/authorized_keys.new .ssh/authorized_keys; sync",
        quote(published),
        quote(COMMENT),
        quote(own),
        quote(stays),
    );
    format!("/bin/sh -c {}", quote(&program))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_key_is_read_and_is_the_published_one() {
        let line = published().unwrap().public_line().unwrap();
        assert_eq!(line.split_whitespace().nth(1), PUBLIC.split_whitespace().nth(1));
    }

    #[test]
    fn the_published_key_takes_the_place_of_the_own_and_gives_it_back() {
        let home = tempfile::tempdir().unwrap();
        let keys = home.path().join(".ssh/authorized_keys");
        fs_err::create_dir(home.path().join(".ssh")).unwrap();
        // Without an end of the line.
        fs_err::write(&keys, "ssh-ed25519 AAAAother a friend's").unwrap();
        let run = |line: &str| {
            let status = std::process::Command::new("sh").args(["-c", line]).env("HOME", home.path()).status();
            assert!(status.unwrap().success());
            fs_err::read_to_string(&keys).unwrap()
        };
        let (own, friend) = ("ssh-ed25519 AAAAown rig lab", "ssh-ed25519 AAAAother a friend's");
        assert_eq!(run(&replacement(own)), format!("{friend}\n{own}\n"));
        for _ in 0..2 {
            assert_eq!(run(&exposure(own)), format!("{friend}\n{}\n", PUBLIC.trim()));
        }
        assert_eq!(run(&replacement(own)), format!("{friend}\n{own}\n"));
    }

    #[test]
    fn other_keys_stay() {
        let home = tempfile::tempdir().unwrap();
        let keys = home.path().join(".ssh/authorized_keys");
        fs_err::create_dir(home.path().join(".ssh")).unwrap();
        fs_err::write(&keys, format!("ssh-ed25519 AAAAother a friend's\n{PUBLIC}")).unwrap();
        for _ in 0..2 {
            let line = replacement("ssh-ed25519 AAAAown rig lab");
            let status =
                std::process::Command::new("sh").args(["-c", &line]).env("HOME", home.path()).status().unwrap();
            assert!(status.success());
            let now = fs_err::read_to_string(&keys).unwrap();
            assert_eq!(now, "ssh-ed25519 AAAAother a friend's\nssh-ed25519 AAAAown rig lab\n");
        }
    }
}
