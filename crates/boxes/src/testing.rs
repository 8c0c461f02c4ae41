//! What the tests of this crate share.

use camino::{Utf8Path, Utf8PathBuf};

/// A folder that is removed at the end of the test.
pub(crate) fn temporary() -> (tempfile::TempDir, Utf8PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = Utf8PathBuf::from_path_buf(folder.path().to_owned()).unwrap();
    (folder, path)
}

/// An executable shell script.
#[cfg(unix)]
pub(crate) fn write_program(path: &Utf8Path, script: &str) {
    use std::os::unix::fs::PermissionsExt;
    fs_err::write(path, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs_err::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}
