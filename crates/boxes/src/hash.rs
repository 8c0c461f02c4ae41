//! SHA-256 over data that comes in pieces.

use rig_model::Digest;
use sha2::{Digest as _, Sha256};
use std::io::{self, Read};

/// A hash that is not finished.
#[derive(Clone, Default)]
pub(crate) struct Running(Sha256);

impl Running {
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    pub(crate) fn finish(self) -> Digest {
        let hex: String = self.0.finalize().iter().flat_map(|byte| [byte >> 4, byte & 15]).map(digit).collect();
        // Cannot fail: 32 bytes are 64 digits.
        Digest::from_hex(&hex).unwrap_or_else(|| Digest::of(b""))
    }

    /// Takes everything that a reader gives; the number of bytes.
    pub(crate) fn read(&mut self, mut reader: impl Read) -> io::Result<u64> {
        let mut buffer = vec![0; 128 * 1024];
        let mut total = 0;
        loop {
            match reader.read(&mut buffer) {
                Ok(0) => return Ok(total),
                Ok(count) => {
                    self.update(&buffer[..count]);
                    total += count as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

fn digit(nibble: u8) -> char {
    char::from_digit(u32::from(nibble), 16).unwrap_or('0')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_hash_like_the_whole() {
        let mut running = Running::default();
        running.update(b"a");
        assert_eq!(running.read(&b"bc"[..]).unwrap(), 2);
        assert_eq!(running.finish(), Digest::of(b"abc"));
    }
}
