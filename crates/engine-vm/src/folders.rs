//! Folders of this host, as they are copied to the machine.

use camino::{Utf8Path, Utf8PathBuf};
use fs_err as fs;
use rig_model::{Digest, Hasher};
use std::{io, time::UNIX_EPOCH};

/// The file that says what of a folder is not copied, in gitignore's form.
const IGNORE: &str = ".rigignore";

/// rig's own folder beside a workspace file. It holds the key that opens machines, and is copied as an empty one.
const OWN: &str = ".rig";

/// Where copies lie on the machine.
pub(crate) const PLACE: &str = "/var/lib/rig/folders";

/// What there is of a folder to be copied.
#[derive(Debug)]
pub(crate) struct Listing {
    /// Paths relative to the folder, folders before what is in them.
    pub(crate) paths: Vec<Utf8PathBuf>,
    /// A hash of all paths, sizes, times and rights: when it is the same, so is the copy.
    pub(crate) digest: Digest,
}

/// Lists a folder without what its `.rigignore` names, and without what can be no copy: sockets, pipes, devices.
///
/// # Errors
/// When something in it cannot be read, or is not named in UTF-8.
pub(crate) fn list(folder: &Utf8Path) -> io::Result<Listing> {
    let walk = ignore::WalkBuilder::new(folder)
        .standard_filters(false)
        .add_custom_ignore_filename(IGNORE)
        .sort_by_file_name(Ord::cmp)
        .filter_entry(|entry| entry.path().parent().and_then(|parent| parent.file_name()) != Some(OWN.as_ref()))
        .build();
    let mut paths = Vec::new();
    let mut hasher = Hasher::new("folder/1");
    for entry in walk {
        let entry = entry.map_err(io::Error::other)?;
        let relative = entry.path().strip_prefix(folder).map_err(io::Error::other)?;
        let no_text = |path: &std::path::Path| io::Error::other(format!("{} is not UTF-8", path.display()));
        let relative = Utf8Path::from_path(relative).ok_or_else(|| no_text(entry.path()))?;
        if relative.as_str().is_empty() {
            continue;
        }
        let metadata = entry.metadata().map_err(io::Error::other)?;
        let target =
            if metadata.is_symlink() { fs::read_link(entry.path())?.display().to_string() } else { String::new() };
        if !(metadata.is_dir() || metadata.is_file() || metadata.is_symlink()) {
            continue;
        }
        let changed =
            metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok()).unwrap_or_default();
        let size = if metadata.is_file() { metadata.len() } else { 0 };
        hasher.part(relative.as_str()).part(size.to_string()).part(changed.as_nanos().to_string());
        hasher.part(rights(&metadata).to_string()).part(target);
        paths.push(relative.to_owned());
    }
    Ok(Listing { paths, digest: hasher.finish() })
}

#[cfg(unix)]
fn rights(metadata: &std::fs::Metadata) -> u32 {
    std::os::unix::fs::PermissionsExt::mode(&metadata.permissions())
}

#[cfg(not(unix))]
fn rights(metadata: &std::fs::Metadata) -> u32 {
    u32::from(metadata.permissions().readonly())
}

/// Where the copy of a folder lies on the machine: one name for its whole path, so that folders in each other have copies beside
/// each other.
pub(crate) fn place(folder: &str) -> String {
    format!("{PLACE}/{}", name(folder))
}

/// The longest [`name`] that a file system takes.
pub(crate) const LONGEST: usize = 255;

/// The path of a folder as one name.
pub(crate) fn name(folder: &str) -> String {
    folder.replace('%', "%25").replace('/', "%2F")
}

/// The folder whose copy lies at a place.
pub(crate) fn folder_at(place: &str) -> Option<String> {
    let name = place.strip_prefix(PLACE)?.strip_prefix('/').filter(|name| !name.contains('/'))?;
    Some(name.replace("%2F", "/").replace("%25", "%"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_lead_back_to_their_folders() {
        for folder in ["/work/main", "/", "/a%2Fb/100%", "/%25", "C:\\Users\\me"] {
            assert_eq!(folder_at(&place(folder)).as_deref(), Some(folder), "{}", place(folder));
            assert!(!place(folder)[PLACE.len() + 1..].contains('/'));
        }
        assert_eq!(folder_at("/var/lib/docker/volumes/x"), None);
        assert_eq!(folder_at("/var/lib/rig/folders/a/b"), None);
    }

    #[test]
    fn what_is_ignored_and_what_is_rigs_own_stays_here() {
        let place = tempfile::tempdir().unwrap();
        let folder = Utf8Path::from_path(place.path()).unwrap();
        for path in ["target/debug/x", "src/main.rs", ".git/config", ".rig/keys/id", "sub/.rig/machines/a.json"] {
            fs::create_dir_all(folder.join(path).parent().unwrap()).unwrap();
            fs::write(folder.join(path), path).unwrap();
        }
        fs::write(folder.join(IGNORE), "/target\n.git\n").unwrap();
        let first = list(folder).unwrap();
        let found: Vec<&str> = first.paths.iter().map(|path| path.as_str()).collect();
        assert_eq!(found, [".rig", ".rigignore", "src", "src/main.rs", "sub", "sub/.rig"]);
        fs::write(folder.join("target/debug/y"), "").unwrap();
        assert_eq!(list(folder).unwrap().digest, first.digest);
        fs::write(folder.join("src/main.rs"), "longer than before").unwrap();
        assert_ne!(list(folder).unwrap().digest, first.digest);
    }
}
