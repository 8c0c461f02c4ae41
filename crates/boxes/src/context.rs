//! Build contexts: tar archives made while they are read.

use crate::{
    BoxError, Result,
    folder::{self, ARTIFACTS, DOCKERFILE, Entry, Kind},
};
use bytes::Bytes;
use camino::{Utf8Path, Utf8PathBuf};
use futures_util::StreamExt;
use indexmap::IndexMap;
use rig_model::Name;
use rig_provider_api::ByteStream;
use std::io::{self, Read, Write};
use tar::{Builder, EntryType, Header};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

/// Bytes handed on at once.
const CHUNK: usize = 128 * 1024;

/// Chunks on their way to a reader that is slower.
const QUEUE: usize = 8;

/// When every file of a context was changed, in seconds since 1970: 2 January 1980, noon. The same always, so that equal
/// content gives equal archives; not 1970, because zip archives cannot hold what is older than 1980.
const MODIFIED: u64 = 315_662_400;

/// The context of a box: its folder, and artifacts as `artifacts/<name>` from the cache.
///
/// # Errors
/// When the folder cannot be read. What goes wrong later ends the stream with an error.
pub(crate) async fn of_folder(folder: &Utf8Path, artifacts: &IndexMap<Name, Utf8PathBuf>) -> Result<ByteStream> {
    let root = folder.to_owned();
    let has_artifacts = !artifacts.is_empty();
    let entries = blocking(folder, move || folder::entries(&root, has_artifacts)).await?;
    let root = folder.to_owned();
    let mut artifacts: Vec<_> = artifacts.iter().map(|(name, path)| (name.clone(), path.clone())).collect();
    artifacts.sort();
    Ok(stream(move |tar| {
        for entry in &entries {
            add_entry(tar, &root, entry)?;
        }
        for (name, path) in &artifacts {
            add_file(tar, &format!("{ARTIFACTS}/{name}"), path, None)?;
        }
        Ok(())
    }))
}

/// A context that rig wrote itself: a Dockerfile and other small files.
pub(crate) fn of_texts(dockerfile: &str, files: &[(String, String)]) -> ByteStream {
    let mut all = vec![(DOCKERFILE.to_owned(), dockerfile.to_owned())];
    all.extend_from_slice(files);
    stream(move |tar| {
        for (path, text) in &all {
            let mut header = header(EntryType::Regular, 0o644);
            header.set_size(text.len() as u64);
            tar.append_data(&mut header, path, text.as_bytes())?;
        }
        Ok(())
    })
}

async fn blocking<T: Send + 'static>(
    folder: &Utf8Path,
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    let fail = BoxError::file(format!("reading the box folder {folder}"));
    tokio::task::spawn_blocking(work).await.map_err(|error| fail(io::Error::other(error)))?
}

fn add_entry(tar: &mut Builder<Pipe>, root: &Utf8Path, entry: &Entry) -> io::Result<()> {
    match &entry.kind {
        Kind::Folder => tar.append_data(&mut header(EntryType::Directory, 0o755), &entry.path, io::empty()),
        Kind::Link(target) => tar.append_link(&mut header(EntryType::Symlink, 0o777), &entry.path, target),
        Kind::File { executable, .. } => add_file(tar, &entry.path, &root.join(&entry.path), Some(*executable)),
    }
}

fn add_file(tar: &mut Builder<Pipe>, name: &str, path: &Utf8Path, executable: Option<bool>) -> io::Result<()> {
    let file = fs_err::File::open(path)?;
    let size = file.metadata()?.len();
    let mut header = header(EntryType::Regular, if executable == Some(true) { 0o755 } else { 0o644 });
    header.set_size(size);
    // A file that shrinks or grows now would move everything behind it: end with an error instead.
    let mut exact = Exact { inner: file.take(size), left: size, path };
    tar.append_data(&mut header, name, &mut exact)
}

fn header(kind: EntryType, mode: u32) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_mtime(MODIFIED);
    header.set_uid(0);
    header.set_gid(0);
    header.set_size(0);
    header
}

struct Exact<'a, R> {
    inner: R,
    left: u64,
    path: &'a Utf8Path,
}

impl<R: Read> Read for Exact<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.left -= count as u64;
        if count == 0 && self.left > 0 && !buffer.is_empty() {
            return Err(io::Error::other(format!("{} became shorter while it was read", self.path)));
        }
        Ok(count)
    }
}

/// Runs `write` on a thread of its own and hands on what it writes, no faster than it is read.
fn stream(write: impl FnOnce(&mut Builder<Pipe>) -> io::Result<()> + Send + 'static) -> ByteStream {
    let (sender, receiver) = mpsc::channel(QUEUE);
    tokio::task::spawn_blocking(move || {
        let mut tar = Builder::new(Pipe { buffer: Vec::with_capacity(CHUNK), sender: sender.clone() });
        let outcome = write(&mut tar).and_then(|()| tar.into_inner()).and_then(|mut pipe| pipe.flush());
        if let Err(error) = outcome {
            // Fails when nobody reads any more, who then does not need it.
            let _ = sender.blocking_send(Err(error));
        }
    });
    ReceiverStream::new(receiver).boxed()
}

/// Collects small writes into chunks.
struct Pipe {
    buffer: Vec<u8>,
    sender: mpsc::Sender<io::Result<Bytes>>,
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= CHUNK {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let chunk = std::mem::replace(&mut self.buffer, Vec::with_capacity(CHUNK));
        self.sender.blocking_send(Ok(chunk.into())).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}
