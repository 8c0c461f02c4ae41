//! Where VirtualBox is.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
};

/// The program that does everything.
pub const MANAGE: &str = if cfg!(windows) { "VBoxManage.exe" } else { "VBoxManage" };

/// Where its installers put it, in the order in which it is looked for
/// (<https://www.virtualbox.org/manual/topics/installation.html>).
const PLACES: &[&str] = if cfg!(windows) {
    &[r"C:\Program Files\Oracle\VirtualBox", r"C:\Program Files (x86)\Oracle\VirtualBox"]
} else if cfg!(target_os = "macos") {
    &["/Applications/VirtualBox.app/Contents/MacOS", "/usr/local/bin"]
} else {
    &["/usr/lib/virtualbox", "/opt/VirtualBox"]
};

/// VirtualBox as it is installed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Programs {
    /// `VBoxManage`.
    pub manage: PathBuf,
    /// Where it was found, in words.
    pub found: String,
}

impl Programs {
    /// Looks in a list of folders, as `PATH` has it; in a folder that an installer has named (`VBOX_MSI_INSTALL_PATH`,
    /// `VBOX_INSTALL_PATH`); and where installers put it.
    #[must_use]
    pub fn find(path: &OsStr, named: &[PathBuf]) -> Option<Self> {
        let on_path = std::env::split_paths(path).map(|folder| (folder, "found on the PATH"));
        let named = named.iter().map(|folder| (folder.clone(), "named by the environment"));
        let usual = PLACES.iter().map(|place| (Path::new(place).to_owned(), "where its installer puts it"));
        on_path.chain(named).chain(usual).find_map(|(folder, found)| {
            let manage = folder.join(MANAGE);
            manage.is_file().then(|| Self { manage, found: found.to_owned() })
        })
    }
}
