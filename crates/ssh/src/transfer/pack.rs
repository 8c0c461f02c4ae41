//! A local file or folder as a tar stream.

use super::script::{COMPLETE, CONTENT};
use super::upload::UploadSource;
use crate::{Result, SshError};
use bytes::Bytes;
use camino::{Utf8Path, Utf8PathBuf};
use std::io::{self, BufReader, Read, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};
use tar::{Builder, EntryType, Header};

/// Bytes read from a file at once.
const READ: usize = 256 << 10;

/// The mode of a file that is made of bytes, unless the caller says otherwise.
const PLAIN: u32 = 0o644;

/// All rights of a folder's owner.
const OWNERS: u32 = 0o700;

/// Rights that are not those of this host.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Rights {
    /// Those of the file or folder itself, not of what is in it.
    pub(super) mode: Option<u32>,
    /// Whether owners may write into all folders.
    pub(super) open: bool,
}

/// What will be sent, in this order.
pub(super) struct Parcel {
    items: Vec<Item>,
    /// Bytes of all files together.
    pub(super) total: u64,
}

struct Item {
    /// The name in the archive.
    name: Utf8PathBuf,
    what: What,
}

enum What {
    Folder(Utf8PathBuf),
    File(Utf8PathBuf),
    Link(PathBuf, Utf8PathBuf),
    Bytes(Bytes),
}

impl Parcel {
    /// Looks at everything that will be sent. What is called `leave_out` is not.
    pub(super) fn new(source: UploadSource, leave_out: Option<&str>) -> Result<Self> {
        let mut parcel = Self { items: Vec::new(), total: 0 };
        let root = Utf8PathBuf::from(CONTENT);
        match source {
            UploadSource::Bytes(bytes) => {
                parcel.total = bytes.len() as u64;
                parcel.items.push(Item { name: root, what: What::Bytes(bytes) });
            }
            UploadSource::File(path) => {
                let metadata = fs_err::metadata(&path).map_err(reading(&path))?;
                if !metadata.is_file() {
                    return Err(odd(&path, "it is not a file"));
                }
                parcel.total = metadata.len();
                parcel.items.push(Item { name: root, what: What::File(path) });
            }
            UploadSource::Folder(path) => {
                if !fs_err::metadata(&path).map_err(reading(&path))?.is_dir() {
                    return Err(odd(&path, "it is not a folder"));
                }
                parcel.walk(path, &root, leave_out)?;
            }
            UploadSource::Listed(folder, paths) => {
                parcel.items.push(Item { name: root.clone(), what: What::Folder(folder.clone()) });
                for path in paths {
                    let what = parcel.what(folder.join(&path))?;
                    parcel.items.push(Item { name: root.join(path), what });
                }
            }
        }
        Ok(parcel)
    }

    /// What lies at a path, a link not followed. Its bytes are counted.
    fn what(&mut self, path: Utf8PathBuf) -> Result<What> {
        let metadata = fs_err::symlink_metadata(&path).map_err(reading(&path))?;
        Ok(if metadata.is_dir() {
            What::Folder(path)
        } else if metadata.is_symlink() {
            What::Link(fs_err::read_link(&path).map_err(reading(&path))?, path)
        } else if metadata.is_file() {
            self.total += metadata.len();
            What::File(path)
        } else {
            return Err(odd(&path, "it is neither file, folder nor link"));
        })
    }

    /// Adds a folder and all that is in it, in the order of the names.
    fn walk(&mut self, folder: Utf8PathBuf, root: &Utf8Path, leave_out: Option<&str>) -> Result<()> {
        let mut entries = Vec::new();
        for entry in folder.read_dir_utf8().map_err(reading(&folder))? {
            let entry = entry.map_err(reading(&folder))?;
            if leave_out != Some(entry.file_name()) {
                entries.push(entry.into_path());
            }
        }
        entries.sort();
        self.items.push(Item { name: root.to_owned(), what: What::Folder(folder) });
        for path in entries {
            let name = root.join(path.file_name().unwrap_or_default());
            match self.what(path)? {
                What::Folder(path) => self.walk(path, &name, leave_out)?,
                what => self.items.push(Item { name, what }),
            }
        }
        Ok(())
    }

    /// Writes the archive.
    pub(super) fn write(self, out: impl Write, rights: Rights, sent: &Arc<AtomicU64>) -> Result<()> {
        let mut archive = Builder::new(out);
        for (index, item) in self.items.into_iter().enumerate() {
            let mode = rights.mode.filter(|_| index == 0);
            match item.what {
                What::Folder(path) => {
                    let metadata = fs_err::metadata(&path).map_err(reading(&path))?;
                    let mut header = header(&metadata, mode);
                    if rights.open {
                        let own = header.mode().map_err(reading(&path))?;
                        header.set_mode(own | OWNERS);
                    }
                    archive.append_data(&mut header, &item.name, io::empty()).map_err(reading(&path))?;
                }
                What::Link(target, path) => {
                    let metadata = fs_err::symlink_metadata(&path).map_err(reading(&path))?;
                    let mut header = header(&metadata, mode);
                    header.set_entry_type(EntryType::Symlink);
                    header.set_size(0);
                    archive.append_link(&mut header, &item.name, target).map_err(reading(&path))?;
                }
                What::File(path) => {
                    let file = fs_err::File::open(&path).map_err(reading(&path))?;
                    let metadata = file.metadata().map_err(reading(&path))?;
                    let mut header = header(&metadata, mode);
                    let content = Content { rest: metadata.len(), inner: BufReader::with_capacity(READ, file), sent };
                    archive.append_data(&mut header, &item.name, content).map_err(reading(&path))?;
                }
                What::Bytes(bytes) => {
                    let mut header = made(bytes.len() as u64, mode.unwrap_or(PLAIN));
                    let content = Content { rest: bytes.len() as u64, inner: bytes.as_ref(), sent };
                    archive.append_data(&mut header, &item.name, content).map_err(sending())?;
                }
            }
        }
        archive.append_data(&mut made(0, PLAIN), COMPLETE, io::empty()).map_err(sending())?;
        archive.into_inner().and_then(|mut out| out.flush()).map_err(sending())
    }
}

/// An entry that stands for something on this host. Its owner there means nothing on the machine.
fn header(metadata: &std::fs::Metadata, mode: Option<u32>) -> Header {
    let mut header = Header::new_gnu();
    header.set_metadata(metadata);
    header.set_uid(0);
    header.set_gid(0);
    if let Some(mode) = mode {
        header.set_mode(mode);
    }
    header
}

/// An entry that stands for nothing on this host.
fn made(size: u64, mode: u32) -> Header {
    let mut header = Header::new_gnu();
    header.set_size(size);
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |age| age.as_secs()));
    header
}

/// Exactly as many bytes as the entry's header promised: one more or less would shift all that follows.
struct Content<'a, R> {
    rest: u64,
    inner: R,
    sent: &'a AtomicU64,
}

impl<R: Read> Read for Content<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let size = buffer.len().min(usize::try_from(self.rest).unwrap_or(usize::MAX));
        let read = self.inner.read(buffer.get_mut(..size).unwrap_or_default())?;
        if read == 0 && size > 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the file shrank while it was being sent"));
        }
        self.rest -= read as u64;
        self.sent.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

fn reading(path: &Utf8Path) -> impl FnOnce(io::Error) -> SshError {
    SshError::file(format!("sending {path}"))
}

fn sending() -> impl FnOnce(io::Error) -> SshError {
    SshError::file("sending")
}

fn odd(path: &Utf8Path, why: &str) -> SshError {
    SshError::Transfer { doing: format!("sending {path}"), why: why.to_owned() }
}
