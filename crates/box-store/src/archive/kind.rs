//! What a file is packed with, by its first bytes. Names and servers' words for it are not to be trusted.

use std::io::{self, Read};

/// How a box is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Tar,
    TarGz,
    Zip,
}

/// As many bytes as [`Kind::of`] wants: one block of a tar archive.
pub(super) const BLOCK: usize = 512;

/// What is packed with other means than boxes are, and those means.
const OTHERS: [(&[u8], &str); 5] = [
    (b"\xfd7zXZ\0", "xz"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"BZh", "bzip2"),
    (b"7z\xbc\xaf\x27\x1c", "7z"),
    (b"Rar!", "rar"),
];

impl Kind {
    /// What begins like this.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub(super) fn of(begin: &[u8]) -> Result<Self, String> {
        if begin.starts_with(b"\x1f\x8b") {
            Ok(Self::TarGz)
        } else if begin.starts_with(b"PK\x03\x04") || begin.starts_with(b"PK\x05\x06") {
            Ok(Self::Zip)
        } else if is_tar(begin) {
            Ok(Self::Tar)
        } else if let Some((_, name)) = OTHERS.iter().find(|(magic, _)| begin.starts_with(magic)) {
            Err(format!("it is packed with {name}; a box is a tar, a tar.gz or a zip"))
        } else if begin.is_empty() {
            Err("it is empty".to_owned())
        } else {
            Err("it is neither a tar, nor a tar.gz, nor a zip".to_owned())
        }
    }
}

/// Old tar archives have no magic, but all have the sum of their header in it.
fn is_tar(begin: &[u8]) -> bool {
    let Some(block) = begin.get(..BLOCK) else { return false };
    let header = tar::Header::from_byte_slice(block);
    let sum: u32 =
        block.iter().enumerate().map(|(at, byte)| if (148..156).contains(&at) { 32 } else { u32::from(*byte) }).sum();
    header.cksum().is_ok_and(|written| written == sum)
}

/// Reads the first bytes of a file, fewer where it is shorter.
pub(super) fn begin(file: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(BLOCK);
    file.take(BLOCK as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_told_by_their_first_bytes() {
        let mut header = tar::Header::new_old();
        header.set_path("metadata.json").unwrap();
        header.set_size(0);
        header.set_cksum();
        assert_eq!(Kind::of(header.as_bytes()), Ok(Kind::Tar));
        assert_eq!(Kind::of(b"\x1f\x8b\x08"), Ok(Kind::TarGz));
        assert_eq!(Kind::of(b"PK\x03\x04rest"), Ok(Kind::Zip));
        assert!(Kind::of(b"\xfd7zXZ\0").unwrap_err().contains("xz"));
        assert!(Kind::of(b"").unwrap_err().contains("empty"));
        assert!(Kind::of(&[0; 1024]).is_err());
        assert!(Kind::of(b"<html>").is_err());
    }
}
