//! Content hashes that decide whether something is still what was built.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::{fmt, io};

/// How much is hashed at a time, in bytes.
const PIECE: usize = 1 << 16;

/// A SHA-256 in lower-case hexadecimal, 64 characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest(String);

impl Digest {
    /// Takes 64 hexadecimal digits in either case; nothing else.
    #[must_use]
    pub fn from_hex(text: &str) -> Option<Self> {
        (text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit())).then(|| Self(text.to_ascii_lowercase()))
    }

    /// The hash of some bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(hex(&Sha256::digest(bytes)))
    }

    /// The hash of everything that is read.
    ///
    /// # Errors
    /// Those of the reader.
    pub fn read(mut reader: impl io::Read) -> io::Result<Self> {
        let mut sha256 = Sha256::new();
        let mut piece = vec![0; PIECE];
        loop {
            match reader.read(&mut piece)? {
                0 => return Ok(Self(hex(&sha256.finalize()))),
                count => sha256.update(&piece[..count]),
            }
        }
    }

    /// All 64 digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first 12 digits: enough to tell things apart, short enough for a tag.
    #[must_use]
    pub fn short(&self) -> &str {
        &self.0[..12]
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for Digest {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::from_hex(&text).ok_or("a sha256 has 64 hexadecimal digits")
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.0
    }
}

/// Hashes a sequence of parts so that their borders count: `("ab", "c")` differs from `("a", "bc")`.
#[derive(Clone, Default)]
pub struct Hasher(Sha256);

impl Hasher {
    /// A hasher for one kind of thing; the kind and its version keep unlike things apart.
    #[must_use]
    pub fn new(kind: &str) -> Self {
        let mut hasher = Self::default();
        hasher.part(kind);
        hasher
    }

    /// Adds one part.
    pub fn part(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        let bytes = bytes.as_ref();
        self.0.update((bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
        self
    }

    /// Ends the sequence.
    #[must_use]
    pub fn finish(self) -> Digest {
        Digest(hex(&self.0.finalize()))
    }
}

fn hex(bytes: &[u8]) -> String {
    use fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn borders_count() {
        let hash = |parts: &[&str]| {
            let mut hasher = Hasher::new("test/1");
            for part in parts {
                hasher.part(part);
            }
            hasher.finish()
        };
        assert_ne!(hash(&["ab", "c"]), hash(&["a", "bc"]));
        assert_eq!(hash(&["ab", "c"]), hash(&["ab", "c"]));
    }

    #[test]
    fn a_digest_is_64_hexadecimal_digits() {
        assert_eq!(Digest::of(b"").as_str(), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        assert_eq!(Digest::read(&[7; PIECE + 1][..]).ok(), Some(Digest::of(&[7; PIECE + 1])));
        assert!(Digest::from_hex("e3b0").is_none());
        assert!(Digest::from_hex(&"g".repeat(64)).is_none());
    }
}
