//! From a box file to a box in its place.

use super::{
    Added, StoredBox,
    read::content,
    source::Target,
    swap::{self, clear, swap, tidy},
};
use crate::{
    Architecture, BoxKey, BoxProvider, Checksum, Limits, Metadata, Record, Result, StoreError,
    archive::{self, Unpacked},
    hash,
    layout::Layout,
    watch::Watch,
};
use camino::{Utf8Path, Utf8PathBuf};
use rig_model::Digest;
use rig_provider_api::Context;
use std::io;

/// A box file on its way into the store. Whoever runs it holds the lock of the box's name.
pub(super) struct Install {
    pub(super) layout: Layout,
    pub(super) limits: Limits,
    pub(super) target: Target,
    /// The box file, open since its checksum was compared.
    pub(super) file: fs_err::File,
    /// Its path, for messages.
    pub(super) archive: Utf8PathBuf,
    /// The checksum that it had.
    pub(super) sha256: Digest,
    /// Where it came from.
    pub(super) origin: String,
    /// Whether it replaces what is there.
    pub(super) force: bool,
    /// The boxes of the same name.
    pub(super) existing: Vec<StoredBox>,
}

impl Install {
    /// Unpacks, checks, and puts the box into its place. Blocks.
    ///
    /// # Errors
    /// When the file is no box, or its place is taken. Nothing of it is left then.
    pub(super) fn run(self, cx: &Context) -> Result<Added> {
        let work = self.layout.work(&self.target.name);
        tidy(&self.layout, &work)?;
        let added = self.run_in(&work, cx);
        if added.is_err() && swap::has_old(&work) {
            // The old box could not be put back. It stays, and the new one with it: the next command ends this.
            return added;
        }
        let cleared = clear(&work);
        let added = added?;
        cleared?;
        Ok(added)
    }

    fn run_in(mut self, work: &Utf8Path, cx: &Context) -> Result<Added> {
        if let Some(stored) = self.existing.iter().find(|stored| self.is_same(stored)).filter(|_| !self.force) {
            return Ok(Added { stored: stored.clone(), already: true });
        }
        let new = work.join(swap::NEW);
        let files = Layout::files(&new);
        rig_state::create_folder(&files)?;
        let size = self.file.metadata().map_err(StoreError::file("reading the box file"))?.len();
        let unpacked = self.unpack(&files, cx)?;
        let content = content(&files, &self.target.title())?;
        let key = self.key(&content.metadata)?;
        let old = self.existing.iter().find(|stored| *stored.key() == key);
        if let Some(old) = old.filter(|_| !self.force) {
            let (origin, present) = (self.origin, old.record.source.clone());
            return Err(StoreError::Occupied { key: Box::new(key), origin, present });
        }
        let record = Record {
            key,
            archive_sha256: self.sha256,
            archive_size: size,
            source: self.origin,
            catalogue: self.target.catalogue,
            checked: self.target.checksum.is_some(),
            checksum: self.target.checksum,
            added: jiff::Timestamp::now(),
            files: unpacked.files,
            links: unpacked.links,
        };
        record.write(&Layout::record(&new))?;
        let slot = self.layout.slot(&record.key);
        let old = old.map(|old| self.layout.slot(old.key()));
        let fail = || StoreError::file(format!("putting {} into its place", record.key));
        // Without a record that can be read: nothing that a rig of this version put there.
        if !self.force && old.is_none() && slot.exists() {
            let why = format!("{slot} is in the way, whose record cannot be read");
            return Err(fail()(io::Error::new(io::ErrorKind::AlreadyExists, why)));
        }
        swap(&new, &slot, old.as_deref(), work).map_err(fail())?;
        Ok(Added { stored: StoredBox { record, folder: Layout::files(&slot) }, already: false })
    }

    /// Unpacks, if what is unpacked is what was compared.
    fn unpack(&mut self, into: &Utf8Path, cx: &Context) -> Result<Unpacked> {
        let unpacked = archive::unpack(&mut self.file, &self.archive, into, self.limits, cx);
        let read = match &unpacked {
            Ok((_, read)) => read.clone(),
            // A file that has changed may be no box any more, or another: that is what is wrong with it then.
            Err(StoreError::Archive { .. }) => {
                hash::read(&mut self.file, None, &mut Watch::new(cx, "reading the box file", None))?.1
            }
            Err(_) => self.sha256.clone(),
        };
        if read != self.sha256 {
            return Err(StoreError::Checksum {
                what: self.target.title(),
                origin: self.origin.clone(),
                expected: Checksum::from(&self.sha256).to_string(),
                actual: Checksum::from(&read).to_string(),
            });
        }
        unpacked.map(|(unpacked, _)| unpacked)
    }

    /// Whether a stored box was made of the same file.
    fn is_same(&self, stored: &StoredBox) -> bool {
        let wanted = self.target.architecture.as_ref().filter(|wanted| !wanted.is_unknown());
        stored.record.archive_sha256 == self.sha256
            && stored.key().version == self.target.version
            && wanted.is_none_or(|wanted| *wanted == stored.key().architecture)
    }

    /// Which box it is: what was meant, as far as it does not contradict what the box says.
    fn key(&self, metadata: &Metadata) -> Result<BoxKey> {
        let wrong = |why: String| StoreError::Content { what: self.target.title(), why };
        if let Some(wanted) = &self.target.provider
            && !BoxProvider::accepts(wanted).contains(&metadata.provider)
        {
            return Err(wrong(format!("it says that it is for {}, not for {wanted}", metadata.provider)));
        }
        let wanted = self.target.architecture.as_ref().filter(|wanted| !wanted.is_unknown());
        let said = metadata.architecture.as_ref().filter(|said| !said.is_unknown());
        if let (Some(wanted), Some(said)) = (wanted, said)
            && wanted != said
        {
            return Err(wrong(format!("it says that it runs on {said}, not on {wanted}")));
        }
        Ok(BoxKey {
            name: self.target.name.clone(),
            version: self.target.version.clone(),
            architecture: said.or(wanted).cloned().unwrap_or_else(Architecture::unknown),
            provider: metadata.provider.clone(),
        })
    }
}
