//! What the tests of this crate share.

use camino::Utf8PathBuf;

/// A folder that is removed at the end of the test.
pub(crate) fn temporary() -> (tempfile::TempDir, Utf8PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = Utf8PathBuf::from_path_buf(folder.path().to_owned()).unwrap();
    (folder, path)
}
