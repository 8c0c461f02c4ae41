//! Files that are there whole or not at all.

use crate::{Result, StateError, platform};
use camino::{Utf8Path, Utf8PathBuf};
use std::{io, io::Write, thread, time::Duration};

/// How long to wait before a rename is tried again, where readers can make it fail.
const RENAME_PAUSE: Duration = Duration::from_millis(20);

/// Who may read a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Whoever the user's mask lets.
    Default,
    /// The owner alone (mode 0600 where there are modes).
    OwnerOnly,
}

/// Writes a file so that a reader, a crash or a power cut sees the old content or the new one, never a part of it. The
/// file's folder must exist. A device or a pipe is no file that could be replaced: it is written to as it is.
///
/// # Errors
/// When the file system refuses; the old content is still there then.
pub fn write_atomically(path: &Utf8Path, content: &[u8], access: Access) -> Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_str().is_empty() => folder.to_owned(),
        _ => Utf8PathBuf::from("."),
    };
    let fail = |reason| StateError::Io { doing: "writing", path: path.to_owned(), reason };
    if fs_err::metadata(path).is_ok_and(|there| !there.is_file() && !there.is_dir()) {
        let mut device = fs_err::OpenOptions::new().write(true).open(path).map_err(|error| fail(bare(error)))?;
        return device.write_all(content).map_err(|error| fail(bare(error)));
    }
    let mut builder = tempfile::Builder::new();
    builder.prefix(".rig-").suffix(".tmp");
    let permissions = platform::permissions(access);
    if let Some(permissions) = permissions {
        builder.permissions(permissions);
    }
    // In the same folder: a rename across file systems is a copy, which is not atomic.
    let mut file = builder.tempfile_in(&folder).map_err(fail)?;
    file.write_all(content).map_err(fail)?;
    file.as_file().sync_all().map_err(fail)?;
    for attempt in 1.. {
        match file.persist(path) {
            Ok(_) => break,
            Err(error) if attempt < platform::RENAME_ATTEMPTS => {
                file = error.file;
                thread::sleep(RENAME_PAUSE);
            }
            Err(error) => return Err(fail(error.error)),
        }
    }
    platform::sync_folder(&folder).map_err(fail)
}

/// An error of `fs_err` as the system gave it: [`StateError`] names the path itself.
pub(crate) fn bare(error: io::Error) -> io::Error {
    match error.raw_os_error() {
        Some(code) => io::Error::from_raw_os_error(code),
        None => match error
            .get_ref()
            .and_then(std::error::Error::source)
            .and_then(|inner| inner.downcast_ref::<io::Error>())
        {
            Some(inner) => {
                inner.raw_os_error().map_or_else(|| io::Error::from(inner.kind()), io::Error::from_raw_os_error)
            }
            None => error,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::temporary;

    #[test]
    fn content_is_replaced_and_nothing_else_is_left() {
        let (_guard, folder) = temporary();
        let path = folder.join("file");
        write_atomically(&path, b"one", Access::Default).unwrap();
        write_atomically(&path, b"two", Access::OwnerOnly).unwrap();
        assert_eq!(fs_err::read(&path).unwrap(), b"two");
        assert_eq!(fs_err::read_dir(&folder).unwrap().count(), 1);
    }

    #[cfg(unix)]
    #[test]
    fn secrets_are_the_owners_alone() {
        use std::os::unix::fs::PermissionsExt;
        let (_guard, folder) = temporary();
        let path = folder.join("key");
        write_atomically(&path, b"secret", Access::OwnerOnly).unwrap();
        assert_eq!(fs_err::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[cfg(unix)]
    #[test]
    fn devices_are_written_to_and_stay() {
        let (_guard, folder) = temporary();
        let device = folder.join("device");
        std::os::unix::fs::symlink("/dev/null", &device).unwrap();
        write_atomically(&device, b"gone", Access::Default).unwrap();
        assert!(fs_err::symlink_metadata(&device).unwrap().is_symlink());
        assert_eq!(fs_err::read(&device).unwrap(), b"");
    }

    #[test]
    fn an_error_names_the_path_once_and_the_reason() {
        let (_guard, folder) = temporary();
        let path = folder.join("absent").join("file");
        let message = write_atomically(&path, b"", Access::Default).unwrap_err().to_string();
        assert!(message.starts_with(&format!("writing {path}: ")), "{message}");
    }

    #[test]
    fn readers_never_see_a_part() {
        let (_guard, folder) = temporary();
        let path = folder.join("file");
        let whole = |byte: u8| vec![byte; 64 * 1024];
        write_atomically(&path, &whole(b'a'), Access::Default).unwrap();
        thread::scope(|scope| {
            let writer = scope.spawn(|| {
                for byte in (b'a'..=b'z').cycle().take(60) {
                    write_atomically(&path, &whole(byte), Access::Default).unwrap();
                }
            });
            while !writer.is_finished() {
                let content = fs_err::read(&path).unwrap();
                assert_eq!(content, whole(content[0]));
            }
        });
    }
}
