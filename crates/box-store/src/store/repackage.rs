//! Making a box file of a stored box.

use super::{BoxStore, StoredBox, blocking, verify};
use crate::{
    Result, StoreError,
    archive::{self, Unpacked},
    hash, platform,
    watch::Watch,
};
use camino::{Utf8Path, Utf8PathBuf};
use rig_model::Digest;
use rig_provider_api::Context;
use std::io::BufWriter;

/// A box file that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repackaged {
    /// The file.
    pub path: Utf8PathBuf,
    /// Its checksum: the same box always gives the same.
    pub sha256: Digest,
    /// Its size in bytes.
    pub size: u64,
}

impl BoxStore {
    /// Makes a box file of a stored box, after comparing it with what it was. The file is there whole or not at all.
    ///
    /// # Errors
    /// When the box has changed, there is a file and `force` is not set, the file cannot be written, or the caller
    /// cancels.
    pub async fn repackage(
        &self,
        stored: &StoredBox,
        output: &Utf8Path,
        force: bool,
        cx: &Context,
    ) -> Result<Repackaged> {
        let (stored, output, cx) = (stored.clone(), output.to_owned(), cx.clone());
        blocking(move || repackage(&stored, &output, force, &cx)).await
    }
}

fn repackage(stored: &StoredBox, output: &Utf8Path, force: bool, cx: &Context) -> Result<Repackaged> {
    refuse_to_overwrite(output, force)?;
    let verdict = verify::verify(stored, cx)?;
    if !verdict.changes.is_empty() {
        let changes = verdict.changes.iter().map(ToString::to_string).collect();
        return Err(StoreError::Changed { key: Box::new(verdict.key), changes });
    }
    let content = Unpacked { files: stored.record.files.clone(), links: stored.record.links.clone() };
    write(&stored.folder, &content, output, force, cx)
}

/// Says that there is a file already, before work is done for it.
pub(super) fn refuse_to_overwrite(output: &Utf8Path, force: bool) -> Result<()> {
    if !force && output.exists() { Err(StoreError::Exists { path: output.to_owned() }) } else { Ok(()) }
}

/// Writes the files of a folder as a box. It is there whole or not at all.
pub(super) fn write(
    from: &Utf8Path,
    content: &Unpacked,
    output: &Utf8Path,
    force: bool,
    cx: &Context,
) -> Result<Repackaged> {
    let fail = || StoreError::file(format!("writing {output}"));
    let folder = output.parent().filter(|folder| !folder.as_str().is_empty()).unwrap_or(Utf8Path::new("."));
    let mut builder = tempfile::Builder::new();
    builder.prefix(".rig-").suffix(".tmp");
    let permissions = platform::ordinary_permissions();
    if let Some(permissions) = permissions {
        builder.permissions(permissions);
    }
    let mut file = builder.tempfile_in(folder).map_err(fail())?;
    let mut watch = Watch::new(cx, "packing", Some(content.files.iter().map(|file| file.size).sum()));
    archive::pack(from, content, BufWriter::new(file.as_file_mut()), &mut watch)?;
    file.as_file().sync_all().map_err(fail())?;
    let mut written = fs_err::File::open(file.path()).map_err(fail())?;
    let size = written.metadata().map_err(fail())?.len();
    let mut watch = Watch::new(cx, "reading what was packed", Some(size));
    let (_, sha256, _) = hash::read(&mut written, None, &mut watch)?;
    drop(written);
    let persisted = if force { file.persist(output) } else { file.persist_noclobber(output) };
    persisted.map_err(|error| fail()(error.error))?;
    Ok(Repackaged { path: output.to_owned(), sha256, size })
}
