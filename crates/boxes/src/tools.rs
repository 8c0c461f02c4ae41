//! Programs of this host that boxes can be made with.

use camino::Utf8PathBuf;
use std::ffi::OsStr;

/// The program that makes Debian root file systems.
pub const MMDEBSTRAP: &str = "mmdebstrap";

/// Looks for `mmdebstrap` in the folders of a `PATH` variable, whose value the caller reads.
#[must_use]
pub fn find_mmdebstrap(path_var: &OsStr) -> Option<Utf8PathBuf> {
    std::env::split_paths(path_var)
        // An empty or relative entry means the current folder, whose programs are not the host's.
        .filter(|folder| folder.is_absolute())
        .filter_map(|folder| Utf8PathBuf::from_path_buf(folder.join(MMDEBSTRAP)).ok())
        .find(|program| {
            fs_err::metadata(program).is_ok_and(|data| data.is_file() && crate::folder::is_executable(&data))
        })
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use crate::testing::{temporary, write_program};

    #[test]
    fn the_first_executable_file_of_that_name_counts() {
        let (_guard, folder) = temporary();
        let [plain, real] = ["plain", "real"].map(|name| folder.join(name));
        fs_err::create_dir(&plain).unwrap();
        fs_err::create_dir(&real).unwrap();
        fs_err::write(plain.join(MMDEBSTRAP), "not executable").unwrap();
        write_program(&real.join(MMDEBSTRAP), "exit 0");
        let path = std::env::join_paths([plain.as_std_path(), std::path::Path::new(""), real.as_std_path()]).unwrap();
        assert_eq!(find_mmdebstrap(&path), Some(real.join(MMDEBSTRAP)));
        assert_eq!(find_mmdebstrap(OsStr::new("")), None);
    }
}
