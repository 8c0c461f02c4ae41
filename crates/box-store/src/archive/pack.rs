//! Packing a box again: the same files always give the same bytes.

use super::{Tee, Unpacked};
use crate::{Algorithm, Result, StoreError, metadata::METADATA, watch::Watch};
use camino::Utf8Path;
use flate2::{Compression, GzBuilder};
use std::io::{self, Write};
use tar::{Builder, EntryType, Header};

/// Packs the files of a folder as a compressed tar archive: what a box says about itself first, then everything else by
/// path, without times and owners. Blocks.
///
/// # Errors
/// When a file cannot be read or is not what it should be, the archive cannot be written, or the caller cancels.
pub(crate) fn pack(folder: &Utf8Path, content: &Unpacked, to: impl Write, watch: &mut Watch<'_>) -> Result<()> {
    let fail = || StoreError::file("packing the box");
    let compressed = GzBuilder::new().mtime(0).write(to, Compression::default());
    let mut archive = Builder::new(compressed);
    let mut files: Vec<_> = content.files.iter().collect();
    files.sort_by_key(|file| (file.path != METADATA, &file.path));
    for file in files {
        let path = folder.join(&file.path);
        let from = fs_err::File::open(&path).map_err(fail())?;
        let mut running = Algorithm::Sha256.begin();
        let mut counted = Tee::new(from, &mut running, |count| watch.advance(count));
        let appended = archive.append_data(&mut header(EntryType::Regular, file.size), &file.path, &mut counted);
        appended.map_err(|error| counted.end(error, fail()))?;
        let size = counted.count();
        // What is packed is what was read here, whatever the file was a moment ago.
        if size != file.size || running.finish().sha256().as_ref() != Some(&file.sha256) {
            return Err(fail()(io::Error::other(format!("{path} has changed"))));
        }
    }
    for link in &content.links {
        archive.append_link(&mut header(EntryType::Symlink, 0), &link.path, &link.target).map_err(fail())?;
    }
    let mut to = archive.into_inner().and_then(|compressed| compressed.finish()).map_err(fail())?;
    to.flush().map_err(fail())
}

fn header(kind: EntryType, size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_size(size);
    header.set_mode(0o644);
    header.set_mtime(0);
    header.set_uid(0);
    header.set_gid(0);
    header
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::StoredFile;
    use rig_model::Digest;
    use rig_provider_api::Context;
    use std::time::Duration;

    #[tokio::test]
    async fn what_is_read_is_compared() {
        let guard = tempfile::tempdir().unwrap();
        let folder = Utf8Path::from_path(guard.path()).unwrap();
        fs_err::write(folder.join("a"), "abc").unwrap();
        let cx = Context::alone(Duration::from_secs(60));
        let pack = |text: &str| {
            let file = StoredFile { path: "a".into(), size: 3, sha256: Digest::of(text.as_bytes()) };
            let content = Unpacked { files: vec![file], links: Vec::new() };
            super::pack(folder, &content, io::sink(), &mut Watch::new(&cx, "packing", None))
        };
        pack("abc").unwrap();
        assert!(pack("abd").unwrap_err().to_string().contains("has changed"));
    }
}
