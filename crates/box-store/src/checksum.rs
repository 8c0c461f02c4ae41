//! Checksums of downloads, as catalogues and people write them.

use rig_model::Digest;
use serde::{Deserialize, Serialize};
use sha2::digest::DynDigest;
use std::{fmt, io, str::FromStr};

/// A checksum and what it is made with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Checksum {
    /// What it is made with.
    pub algorithm: Algorithm,
    /// Its digits, in lower case.
    pub hex: String,
}

/// What a checksum is made with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// Files can be forged to have one.
    Md5,
    /// Files can be forged to have one.
    Sha1,
    /// The usual one.
    Sha256,
    /// As good as the usual one.
    Sha512,
}

impl Algorithm {
    const ALL: [Self; 4] = [Self::Md5, Self::Sha1, Self::Sha256, Self::Sha512];

    /// Whether nobody knows how to make another file with the same checksum.
    #[must_use]
    pub fn is_strong(self) -> bool {
        matches!(self, Self::Sha256 | Self::Sha512)
    }

    fn digits(self) -> usize {
        match self {
            Self::Md5 => 32,
            Self::Sha1 => 40,
            Self::Sha256 => 64,
            Self::Sha512 => 128,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Md5 => "md5",
            Self::Sha1 => "sha1",
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
        }
    }

    /// A checksum of this kind in the making.
    pub(crate) fn begin(self) -> Running {
        let hasher: Box<dyn DynDigest + Send> = match self {
            Self::Md5 => Box::new(md5::Md5::default()),
            Self::Sha1 => Box::new(sha1::Sha1::default()),
            Self::Sha256 => Box::new(sha2::Sha256::default()),
            Self::Sha512 => Box::new(sha2::Sha512::default()),
        };
        Running { algorithm: self, hasher }
    }
}

/// A checksum in the making, of what is written to it.
pub(crate) struct Running {
    algorithm: Algorithm,
    hasher: Box<dyn DynDigest + Send>,
}

impl Running {
    /// The checksum of everything that was written.
    pub(crate) fn finish(self) -> Checksum {
        let hex = self.hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        Checksum { algorithm: self.algorithm, hex }
    }
}

impl io::Write for Running {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.hasher.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl Checksum {
    /// What a catalogue says: `None` where it says that there is none.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub(crate) fn of_catalogue(kind: Option<&str>, value: Option<&str>) -> Result<Option<Self>, String> {
        let value = value.unwrap_or_default().trim();
        let kind = kind.unwrap_or_default().trim().to_ascii_lowercase();
        match (kind.as_str(), value) {
            (_, "") | ("none", _) => Ok(None),
            ("", value) => value.parse().map(Some),
            (kind, value) => format!("{}:{value}", kind.replace('-', "")).parse().map(Some),
        }
    }

    /// The checksum as the rest of rig knows it, where it is a SHA-256.
    #[must_use]
    pub fn sha256(&self) -> Option<Digest> {
        (self.algorithm == Algorithm::Sha256).then(|| Digest::from_hex(&self.hex)).flatten()
    }
}

impl FromStr for Checksum {
    type Err = String;

    /// Reads `sha256:DIGITS`, or the digits alone, whose number says what they are.
    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim().to_ascii_lowercase();
        let (algorithm, hex) = match text.split_once(':') {
            Some((name, hex)) => {
                let algorithm = Algorithm::ALL.into_iter().find(|algorithm| algorithm.name() == name);
                let algorithm = algorithm
                    .ok_or_else(|| format!("{name:?} is not a checksum that rig knows: sha256, sha512, sha1, md5"))?;
                (algorithm, hex)
            }
            None => {
                let algorithm = Algorithm::ALL.into_iter().find(|algorithm| algorithm.digits() == text.len());
                (
                    algorithm
                        .ok_or_else(|| format!("{text:?} has not the length of a checksum; a sha256 has 64 digits"))?,
                    text.as_str(),
                )
            }
        };
        if hex.len() != algorithm.digits() || !hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(format!("{hex:?} is no {algorithm}: that has {} hexadecimal digits", algorithm.digits()));
        }
        Ok(Self { algorithm, hex: hex.to_owned() })
    }
}

impl TryFrom<String> for Checksum {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Checksum> for String {
    fn from(checksum: Checksum) -> Self {
        checksum.to_string()
    }
}

impl From<&Digest> for Checksum {
    fn from(sha256: &Digest) -> Self {
        Self { algorithm: Algorithm::Sha256, hex: sha256.to_string() }
    }
}

impl fmt::Display for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.algorithm, self.hex)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn every_kind_is_computed() {
        let of = |algorithm: Algorithm| {
            let mut running = algorithm.begin();
            running.write_all(b"abc").unwrap();
            running.finish()
        };
        // `printf abc | md5sum` and so on.
        for (algorithm, hex) in [
            (Algorithm::Md5, "900150983cd24fb0d6963f7d28e17f72"),
            (Algorithm::Sha1, "a9993e364706816aba3e25717850c26c9cd0d89d"),
            (Algorithm::Sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        ] {
            assert_eq!(of(algorithm).hex, hex);
            assert_eq!(hex.to_uppercase().parse::<Checksum>().unwrap(), Checksum { algorithm, hex: hex.to_owned() });
        }
        assert!(of(Algorithm::Sha512).hex.starts_with("ddaf35a193617abacc417349ae204131"));
    }

    #[test]
    fn a_catalogue_may_have_none() {
        for (kind, value) in
            [(None, None), (Some("none"), Some("")), (Some("sha256"), Some("")), (Some("none"), Some("x"))]
        {
            assert_eq!(Checksum::of_catalogue(kind, value), Ok(None));
        }
        let md5 = "900150983cd24fb0d6963f7d28e17f72";
        let read = Checksum::of_catalogue(Some("MD5"), Some(md5)).unwrap().unwrap();
        assert_eq!(read.to_string(), format!("md5:{md5}"));
        assert!(Checksum::of_catalogue(Some("sha-256"), Some(md5)).unwrap_err().contains("64 hexadecimal digits"));
        assert!(Checksum::of_catalogue(Some("crc"), Some(md5)).is_err());
        assert!(Checksum::of_catalogue(None, Some("foo")).is_err());
    }
}
