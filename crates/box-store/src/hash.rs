//! Hashing files that are open, while a [`Watch`] is kept.

use crate::{Algorithm, Checksum, Result, StoreError, archive::Tee, watch::Watch};
use rig_model::Digest;
use std::io::{self, Seek, Write};

/// Reads a file from its beginning to its end, and leaves it at its beginning: its size, its SHA-256, and a checksum of
/// another kind, where one is wanted. Blocks.
///
/// # Errors
/// When the file cannot be read, or the caller cancels.
pub(crate) fn read(
    file: &mut fs_err::File,
    also: Option<Algorithm>,
    watch: &mut Watch<'_>,
) -> Result<(u64, Digest, Option<Checksum>)> {
    let doing = format!("reading {}", file.path().display());
    let fail = || StoreError::file(doing.clone());
    file.rewind().map_err(fail())?;
    let mut other = also.map(Algorithm::begin);
    let to: &mut dyn Write = match &mut other {
        Some(other) => other,
        None => &mut io::sink(),
    };
    let (size, sha256) = Tee::new(&mut *file, to, |count| watch.advance(count)).run(fail())?;
    file.rewind().map_err(fail())?;
    Ok((size, sha256, other.map(|other| other.finish())))
}
