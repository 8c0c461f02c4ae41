//! Taking a box file apart.

use super::{
    Tee,
    kind::{self, Kind},
    tarball,
    tree::Tree,
    zipped,
};
use crate::{
    Algorithm, Result, StoreError, hash,
    record::{StoredFile, StoredLink},
    watch::Watch,
};
use camino::Utf8Path;
use rig_model::Digest;
use rig_provider_api::Context;
use std::io::{self, BufReader, Seek};

/// What a box may be at most. A box comes from somewhere else and says about itself what it likes: these count what is
/// really there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The largest that all files may be, in bytes.
    pub bytes: u64,
    /// How many files, folders and links there may be.
    pub entries: u64,
    /// How many times larger than the box file all files may be. Disks hold long runs of zeros, but no box is as empty
    /// as an archive that was made to fill a volume.
    pub ratio: u64,
    /// Up to this many bytes the ratio does not count.
    pub small: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { bytes: 1 << 40, entries: 10_000, ratio: 300, small: 256 << 20 }
    }
}

impl Limits {
    /// How many bytes an archive of this size may become.
    pub(super) fn budget(&self, size: u64) -> u64 {
        self.bytes.min(self.small.max(size.saturating_mul(self.ratio)))
    }
}

/// What was in a box file, sorted by path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Unpacked {
    pub(crate) files: Vec<StoredFile>,
    pub(crate) links: Vec<StoredLink>,
}

/// Unpacks an open box file into an empty folder: what was in it, and the SHA-256 of what was read. What is there after an
/// error is the caller's to remove. Blocks.
///
/// # Errors
/// When the file is no box, is damaged, would do harm or does not fit, or the caller cancels.
pub(crate) fn unpack(
    file: &mut fs_err::File,
    archive: &Utf8Path,
    into: &Utf8Path,
    limits: Limits,
    cx: &Context,
) -> Result<(Unpacked, Digest)> {
    let fail = || StoreError::file(format!("reading the box file {archive}"));
    let size = file.metadata().map_err(fail())?.len();
    file.rewind().map_err(fail())?;
    let begin = kind::begin(&mut *file).map_err(fail())?;
    let kind = Kind::of(&begin).map_err(|why| StoreError::Archive { archive: archive.to_owned(), why })?;
    file.rewind().map_err(fail())?;
    let mut tree = Tree::new(into, archive, size, limits, Watch::new(cx, "unpacking", None));
    if kind == Kind::Zip {
        zipped::unpack(&mut *file, limits.entries, &mut tree)?;
        // Read here and there: what it is as a whole is known only by reading it once more.
        let mut watch = Watch::new(cx, "reading the box file", Some(size));
        let (_, sha256, _) = hash::read(file, None, &mut watch)?;
        return Ok((tree.finish()?, sha256));
    }
    let mut running = Algorithm::Sha256.begin();
    {
        let mut from = BufReader::new(Tee::new(&mut *file, &mut running, |_| Ok(())));
        if kind == Kind::Tar {
            tarball::unpack(&mut from, &mut tree)?;
        } else {
            // Some tools write several streams one behind the other.
            tarball::unpack(flate2::bufread::MultiGzDecoder::new(&mut from), &mut tree)?;
        }
        io::copy(&mut from, &mut io::sink()).map_err(fail())?;
    }
    let sha256 = running.finish().sha256();
    let sha256 = sha256.ok_or_else(|| fail()(io::Error::other("its checksum is none")))?;
    Ok((tree.finish()?, sha256))
}
