//! Bytes that are hashed while they go from one place to another.

use crate::{Result, StoreError};
use rig_model::Digest;
use std::io::{self, Read, Write};

/// Writes what is read through it, and asks for each piece whether it may.
pub(crate) struct Tee<R, W, G> {
    from: R,
    to: W,
    /// Asked with the number of bytes.
    guard: G,
    count: u64,
    stopped: Option<StoreError>,
}

impl<R: Read, W: Write, G: FnMut(u64) -> Result<()>> Tee<R, W, G> {
    pub(crate) fn new(from: R, to: W, guard: G) -> Self {
        Self { from, to, guard, count: 0, stopped: None }
    }

    /// Reads to the end: how many bytes there were, and their hash.
    ///
    /// # Errors
    /// What the guard or the writer says, or what `broken` makes of the reader's error.
    pub(crate) fn run(mut self, broken: impl FnOnce(io::Error) -> StoreError) -> Result<(u64, Digest)> {
        match Digest::read(&mut self) {
            Ok(sha256) => Ok((self.count, sha256)),
            Err(error) => Err(self.end(error, broken)),
        }
    }

    /// How many bytes were read.
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// What really happened when reading through it failed.
    pub(crate) fn end(&mut self, error: io::Error, broken: impl FnOnce(io::Error) -> StoreError) -> StoreError {
        self.stopped.take().unwrap_or_else(|| broken(error))
    }
}

impl<R: Read, W: Write, G: FnMut(u64) -> Result<()>> Read for Tee<R, W, G> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = loop {
            match self.from.read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other?,
            }
        };
        let passed = (self.guard)(count as u64)
            .and_then(|()| self.to.write_all(&buffer[..count]).map_err(StoreError::file("writing what is unpacked")));
        match passed {
            Ok(()) => {
                self.count += count as u64;
                Ok(count)
            }
            Err(error) => {
                self.stopped = Some(error);
                Err(io::Error::other("stopped"))
            }
        }
    }
}
