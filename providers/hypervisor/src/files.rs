//! Files that are there whole or not at all, away from the runtime.

use camino::Utf8Path;
use rig_provider_api::{ProviderError, Result};
use std::io::{self, ErrorKind, Write};

/// Does short work on files on a thread that may block.
///
/// # Errors
/// The work's own.
pub async fn blocking<T: Send + 'static>(doing: &str, work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let lost = |error: tokio::task::JoinError| ProviderError::failed(doing, error);
    tokio::task::spawn_blocking(work).await.map_err(lost)?
}

/// Writes a file that its owner alone reads, and puts it in its place by a rename. Its folder has to be there: what was removed
/// meanwhile does not come back.
///
/// # Errors
/// When it cannot be written.
pub fn write(path: &Utf8Path, content: &[u8]) -> Result<()> {
    let failed = |error: io::Error| ProviderError::failed(format!("writing {path}"), error);
    let folder = path.parent().unwrap_or(Utf8Path::new("."));
    let mut file = tempfile::Builder::new().prefix(".writing-").tempfile_in(folder).map_err(failed)?;
    file.write_all(content).and_then(|()| file.as_file().sync_all()).map_err(failed)?;
    file.persist(path).map(drop).map_err(|error| failed(error.error))
}

/// A file's text; nothing where there is none.
///
/// # Errors
/// When it cannot be read.
pub fn read(path: &Utf8Path) -> Result<Option<String>> {
    present(fs_err::read_to_string(path)).map_err(|error| ProviderError::failed(format!("reading {path}"), error))
}

/// The names in a folder; none where there is no folder.
///
/// # Errors
/// When it cannot be read.
pub fn names(folder: &Utf8Path) -> Result<Vec<String>> {
    let list = || -> io::Result<Vec<String>> {
        let entries = fs_err::read_dir(folder)?.collect::<io::Result<Vec<_>>>()?;
        // Names that are no UTF-8 are none of rig's.
        Ok(entries.into_iter().filter_map(|entry| entry.file_name().into_string().ok()).collect())
    };
    let names = present(list()).map_err(|error| ProviderError::failed(format!("listing {folder}"), error))?;
    Ok(names.unwrap_or_default())
}

/// Makes a folder that its owner alone enters.
///
/// # Errors
/// When it cannot be made.
pub fn make_folder(path: &Utf8Path) -> Result<()> {
    let made = fs_err::create_dir_all(path).and_then(|()| close(path));
    made.map_err(|error| ProviderError::failed(format!("making {path}"), error))
}

#[cfg(unix)]
fn close(path: &Utf8Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs_err::set_permissions(path, std::fs::Permissions::from_mode(0o700))
}

/// The user's own folders are the user's alone there.
#[cfg(windows)]
fn close(_: &Utf8Path) -> io::Result<()> {
    Ok(())
}

/// Removes a folder with all that is in it. Absence is success.
///
/// # Errors
/// When it cannot be removed.
pub fn remove_folder(path: &Utf8Path) -> Result<()> {
    let removed = present(fs_err::remove_dir_all(path));
    removed.map(drop).map_err(|error| ProviderError::failed(format!("removing {path}"), error))
}

/// Removes a file. Absence is success.
///
/// # Errors
/// When it cannot be removed.
pub fn remove_file(path: &Utf8Path) -> Result<()> {
    let removed = present(fs_err::remove_file(path));
    removed.map(drop).map_err(|error| ProviderError::failed(format!("removing {path}"), error))
}

/// Nothing instead of the error that says so.
///
/// # Errors
/// Every other one.
pub fn present<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
