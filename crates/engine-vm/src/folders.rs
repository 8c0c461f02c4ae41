//! Folders of this host, as they are copied to the machine.

/// Where copies lie on the machine.
pub(crate) const PLACE: &str = "/var/lib/rig/folders";

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
}
