//! Taking a box file apart.

use super::{
    kind::{self, Kind},
    tarball,
    tree::Tree,
    zipped,
};
use crate::{
    Result, StoreError,
    record::{StoredFile, StoredLink},
    watch::Watch,
};
use camino::Utf8Path;
use rig_provider_api::Context;
use std::io::{BufReader, Seek};

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

/// Unpacks a box file into an empty folder. What is there after an error is the caller's to remove. Blocks.
///
/// # Errors
/// When the file is no box, is damaged, would do harm or does not fit, or the caller cancels.
pub(crate) fn unpack(archive: &Utf8Path, into: &Utf8Path, limits: Limits, cx: &Context) -> Result<Unpacked> {
    let fail = || StoreError::file(format!("reading the box file {archive}"));
    let mut file = fs_err::File::open(archive).map_err(fail())?;
    let size = file.metadata().map_err(fail())?.len();
    let begin = kind::begin(&mut file).map_err(fail())?;
    let kind = Kind::of(&begin).map_err(|why| StoreError::Archive { archive: archive.to_owned(), why })?;
    file.rewind().map_err(fail())?;
    let mut tree = Tree::new(into, archive, size, limits, Watch::new(cx, "unpacking", None));
    match kind {
        Kind::Tar => tarball::unpack(BufReader::new(file), &mut tree)?,
        // Some tools write several streams one behind the other.
        Kind::TarGz => tarball::unpack(flate2::bufread::MultiGzDecoder::new(BufReader::new(file)), &mut tree)?,
        Kind::Zip => zipped::unpack(file, limits.entries, &mut tree)?,
    }
    tree.finish()
}
