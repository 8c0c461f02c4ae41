//! The Vagrantfile inside a box. It is a program, and never run: only what a few well-known lines say is read.

use regex::Regex;
use serde::{Deserialize, Serialize};
use std::sync::LazyLock;

/// Where boxes have one, and where the one that packing tools bring along is.
pub(crate) const PLACES: [&str; 2] = ["Vagrantfile", "include/_Vagrantfile"];

/// What machines made of a box rely on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VagrantfileFacts {
    /// The address of the first network card that the machine was installed with: twelve hexadecimal digits.
    pub base_mac: Option<String>,
    /// Who may log in over SSH, where it is not `vagrant`.
    pub ssh_username: Option<String>,
}

static LINE: LazyLock<Option<Regex>> = LazyLock::new(|| {
    // `config.vm.base_mac = "080027D14C66"`; what the block calls its argument is up to it.
    Regex::new(r#"(?m)^[ \t]*[a-z_]\w*\.(vm\.base_mac|ssh\.username)[ \t]*=[ \t]*["']([^"'#\\\r\n]{1,64})["'][ \t]*(?:#.*)?\r?$"#).ok()
});

impl VagrantfileFacts {
    /// Reads a Vagrantfile. A value that is computed is left out; of several the last counts, as it would for Ruby.
    #[must_use]
    pub fn read(text: &str) -> Self {
        let mut facts = Self::default();
        let Some(line) = LINE.as_ref() else { return facts };
        for found in line.captures_iter(text) {
            let (name, value) = (&found[1], &found[2]);
            if name == "vm.base_mac" {
                facts.base_mac = mac(value).or(facts.base_mac);
            } else {
                facts.ssh_username = user(value).or(facts.ssh_username);
            }
        }
        facts
    }

    /// These facts, and those of another file where these say nothing.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self { base_mac: self.base_mac.or(other.base_mac), ssh_username: self.ssh_username.or(other.ssh_username) }
    }
}

fn mac(text: &str) -> Option<String> {
    let digits: String = text.chars().filter(|c| !matches!(c, ':' | '-')).collect::<String>().to_ascii_uppercase();
    (digits.len() == 12 && digits.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some(digits)
}

fn user(text: &str) -> Option<String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    let good =
        text.len() <= 32 && text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') && text.chars().all(plain);
    good.then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn well_known_lines_are_read() {
        let text = "Vagrant.configure(\"2\") do |config|\n  config.vm.base_mac = \"08:00:27:d1:4c:66\"  # first card\n\
                    \x20 config.ssh.username = 'ubuntu'\r\nend\n";
        let facts = VagrantfileFacts::read(text);
        assert_eq!(facts.base_mac.as_deref(), Some("080027D14C66"));
        assert_eq!(facts.ssh_username.as_deref(), Some("ubuntu"));
        let packer = VagrantfileFacts::read("Vagrant::Config.run do |c|\n  c.vm.base_mac = \"080027FD5281\"\nend");
        assert_eq!(packer.base_mac.as_deref(), Some("080027FD5281"));
        assert_eq!(packer.or(facts).ssh_username.as_deref(), Some("ubuntu"));
    }

    #[test]
    fn nothing_else_is_read() {
        for text in [
            "# config.vm.base_mac = \"080027D14C66\"",
            "config.vm.base_mac = ENV[\"MAC\"]",
            "config.vm.base_mac = \"080027\"",
            "config.ssh.username = \"#{`id -un`}\"",
            "config.ssh.username = \"-oProxyCommand=x\"",
            "config.ssh.username = \"a b\"",
            "config.ssh.username = \"a\" if true",
            "config.ssh.password = \"secret\"",
        ] {
            assert_eq!(VagrantfileFacts::read(text), VagrantfileFacts::default(), "{text}");
        }
    }

    #[test]
    fn the_last_one_counts() {
        let facts =
            VagrantfileFacts::read("a.ssh.username = \"x\"\na.ssh.username = \"y\"\na.ssh.username = \"no good\"");
        assert_eq!(facts.ssh_username.as_deref(), Some("y"));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in any::<String>()) {
            let _ = VagrantfileFacts::read(&text);
        }
    }
}
