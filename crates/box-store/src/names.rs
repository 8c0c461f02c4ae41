//! What boxes, providers and architectures are called.

use crate::Version;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The longest name of a box, in characters: encoded it still fits into a file name.
const LONGEST: usize = 80;

/// Why a text is no name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no {what}: {why}")]
pub struct NameError {
    /// The text.
    pub text: String,
    /// What it should be.
    pub what: &'static str,
    /// Which rule it breaks.
    pub why: &'static str,
}

/// The name of a stored box: `user/box`, or any words with `/` between them for a box of one's own.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct StoreName(String);

/// What a box is made for: `virtualbox`, `libvirt`, `qemu` or any other word that Vagrant's providers have.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct BoxProvider(String);

/// The processors that a box runs on, as catalogues call them: `amd64`, `arm64`, `i386`, or `unknown` where nobody says.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Architecture(String);

/// Which box: there is one of each key in a store.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct BoxKey {
    /// Its name.
    pub name: StoreName,
    /// Its version; `0` for a box that came without a catalogue.
    pub version: Version,
    /// What it runs on.
    pub architecture: Architecture,
    /// What it is made for.
    pub provider: BoxProvider,
}

impl fmt::Display for BoxKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} ({}, {})", self.name, self.version, self.provider, self.architecture)
    }
}

impl StoreName {
    /// Checks a text and makes a name of it.
    ///
    /// # Errors
    /// When the text is empty, too long, or has other characters or parts than names have.
    pub fn new(text: impl Into<String>) -> Result<Self, NameError> {
        let text = text.into();
        let why = if text.is_empty() {
            "it is empty"
        } else if text.len() > LONGEST {
            "it has more than 80 characters"
        } else if !text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-/".contains(&byte)) {
            "it holds letters, digits, '.', '_', '-' and '/' only"
        } else if text.split('/').any(|part| part.trim_matches('.').is_empty()) {
            "a part between '/' is empty or nothing but points"
        } else {
            return Ok(Self(text));
        };
        Err(NameError { text, what: "name of a box", why })
    }

    /// User and box, where it is the short name of a box that a catalogue server knows.
    #[must_use]
    pub fn short(&self) -> Option<(&str, &str)> {
        self.0.split_once('/').filter(|(_, name)| !name.contains('/'))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl BoxProvider {
    /// Checks a text and makes a provider's name of it.
    ///
    /// # Errors
    /// When the text is no word.
    pub fn new(text: impl Into<String>) -> Result<Self, NameError> {
        word(&text.into(), "provider").map(Self)
    }

    /// The providers whose boxes can be used where this one is wanted, the best first: QEMU runs what is made for
    /// libvirt, which starts QEMU too.
    #[must_use]
    pub fn accepts(&self) -> Vec<Self> {
        match self.as_str() {
            "qemu" => vec![self.clone(), Self("libvirt".to_owned())],
            _ => vec![self.clone()],
        }
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Architecture {
    /// Checks a text and makes an architecture of it; other names of the same are understood (`x86_64`, `aarch64`).
    ///
    /// # Errors
    /// When the text is no word.
    pub fn new(text: impl Into<String>) -> Result<Self, NameError> {
        let text = word(&text.into(), "architecture")?;
        Ok(Self(match text.as_str() {
            "x86_64" | "x64" => "amd64".to_owned(),
            "aarch64" => "arm64".to_owned(),
            "x86" | "i686" | "386" => "i386".to_owned(),
            _ => text,
        }))
    }

    /// That of this program, which is the host's unless the host runs it by emulation.
    #[must_use]
    pub fn of_host() -> Self {
        Self::new(std::env::consts::ARCH).unwrap_or_else(|_| Self::unknown())
    }

    /// Nobody says what the box runs on.
    #[must_use]
    pub fn unknown() -> Self {
        Self("unknown".to_owned())
    }

    /// Whether nobody says what the box runs on.
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        self.0 == "unknown"
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A short word in lower case.
fn word(text: &str, what: &'static str) -> Result<String, NameError> {
    let text = text.to_ascii_lowercase();
    let why = if text.is_empty() || text.len() > 32 {
        "it has 1 to 32 characters"
    } else if !text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-') {
        "it holds letters, digits, '_' and '-' only"
    } else {
        return Ok(text);
    };
    Err(NameError { text, what, why })
}

/// Whether Windows takes a file name for a device, whatever its extension is.
pub(crate) fn is_reserved(name: &str) -> bool {
    const DEVICES: [&str; 6] = ["con", "prn", "aux", "nul", "conin$", "conout$"];
    let stem = name.split('.').next().unwrap_or_default().trim_end().to_ascii_lowercase();
    let port = stem.strip_prefix("com").or_else(|| stem.strip_prefix("lpt"));
    let is_port = port.is_some_and(|rest| matches!(rest.as_bytes(), [b'0'..=b'9']) || ["¹", "²", "³"].contains(&rest));
    DEVICES.contains(&stem.as_str()) || is_port
}

/// A name as one file name on every platform. Different names never share one, also where case does not count.
pub(crate) fn file_name(text: &str) -> String {
    let special = is_reserved(text);
    let last = text.len().saturating_sub(1);
    let plain = |index: usize, byte: u8| match byte {
        b'.' => index != 0 && index != last,
        _ => (index > 0 || !special) && (byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-".contains(&byte)),
    };
    text.bytes().enumerate().fold(String::with_capacity(text.len()), |mut name, (index, byte)| {
        if plain(index, byte) {
            name.push(char::from(byte));
        } else {
            name.push_str(&format!("%{byte:02x}"));
        }
        name
    })
}

/// The name that has this file name, if one has.
pub(crate) fn of_file_name(name: &str) -> Option<String> {
    let mut parts = name.split('%');
    let mut text = parts.next()?.to_owned();
    for part in parts {
        let (digits, rest) = part.split_at_checked(2)?;
        text.push(char::from(u8::from_str_radix(digits, 16).ok()?));
        text.push_str(rest);
    }
    (file_name(&text) == name).then_some(text)
}

macro_rules! text {
    ($kind:ident) => {
        impl fmt::Display for $kind {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl TryFrom<String> for $kind {
            type Error = NameError;
            fn try_from(text: String) -> Result<Self, NameError> {
                Self::new(text)
            }
        }

        impl From<$kind> for String {
            fn from(name: $kind) -> Self {
                name.0
            }
        }

        impl std::str::FromStr for $kind {
            type Err = NameError;
            fn from_str(text: &str) -> Result<Self, NameError> {
                Self::new(text)
            }
        }
    };
}

text!(StoreName);
text!(BoxProvider);
text!(Architecture);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_are_words_with_slashes() {
        for good in ["debian/bookworm64", "precise", "a/b/c", "Ubuntu-22.04_x"] {
            assert!(StoreName::new(good).is_ok(), "{good}");
        }
        for bad in ["", "a//b", "/a", "a/", "..", "a/../b", "a b", "ä", "a\\b", "a:b", &"x".repeat(81)] {
            assert!(StoreName::new(bad).is_err(), "{bad}");
        }
        assert_eq!(StoreName::new("a/b").unwrap().short(), Some(("a", "b")));
        assert_eq!(StoreName::new("a/b/c").unwrap().short(), None);
    }

    #[test]
    fn architectures_have_one_name() {
        for (text, name) in [("x86_64", "amd64"), ("AMD64", "amd64"), ("aarch64", "arm64"), ("riscv64", "riscv64")] {
            assert_eq!(Architecture::new(text).unwrap().as_str(), name);
        }
        assert!(Architecture::new("a/b").is_err());
    }

    #[test]
    fn file_names_are_safe_everywhere() {
        assert_eq!(file_name("debian/bookworm64"), "debian%2fbookworm64");
        assert_eq!(file_name("Box"), "%42ox");
        assert_eq!(file_name(".a."), "%2ea%2e");
        assert_eq!(file_name("nul"), "%6eul");
        assert_eq!(file_name("com1.x"), "%63om1.x");
        assert_eq!(file_name("1.0.2"), "1.0.2");
    }

    proptest! {
        #[test]
        fn different_names_have_different_files(a in "[a-cA-C./]{1,6}", b in "[a-cA-C./]{1,6}") {
            prop_assert_eq!(a == b, file_name(&a).to_lowercase() == file_name(&b).to_lowercase());
            prop_assert!(!file_name(&a).contains('/') && !file_name(&a).starts_with('.'));
            prop_assert_eq!(of_file_name(&file_name(&a)), Some(a));
        }
    }
}
