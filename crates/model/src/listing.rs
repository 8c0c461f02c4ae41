//! What a file or folder of the host holds, in a form that what a machine holds can be compared with.

use crate::{Digest, Hasher};
use std::collections::BTreeMap;

/// rig's own folder beside a workspace file. It holds the keys that open machines and changes with every run: it is left
/// out wherever it is met.
pub const OWN_FOLDER: &str = ".rig";

/// A file, or a folder with everything in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// What there is by its path, relative and with `/`; the file or folder itself has the empty one.
    pub entries: BTreeMap<String, Entry>,
}

/// One thing in a file system. Modes are permission bits, as `chmod` takes them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// A folder.
    Folder {
        /// Who may do what.
        mode: u32,
    },
    /// A file.
    File {
        /// Who may do what.
        mode: u32,
        /// Bytes.
        size: u64,
        /// The hash of its content.
        sha256: Digest,
    },
    /// A symbolic link.
    Link {
        /// What it names, as it stands there.
        target: String,
    },
}

impl Listing {
    /// Bytes of all files together.
    #[must_use]
    pub fn size(&self) -> u64 {
        let size = |entry: &Entry| if let Entry::File { size, .. } = entry { *size } else { 0 };
        self.entries.values().map(size).sum()
    }

    /// The hash of everything: names, contents and who may run them. Times do not count, nor do the other bits of modes:
    /// a fresh clone of a repository is the same folder.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let mut hasher = Hasher::new("files/2");
        for (path, entry) in &self.entries {
            hasher.part(path);
            match entry {
                Entry::Folder { .. } => hasher.part("folder"),
                Entry::File { mode, sha256, .. } => {
                    hasher.part(if mode & 0o111 == 0 { "file" } else { "program" }).part(sha256.as_str())
                }
                Entry::Link { target } => hasher.part("link").part(target),
            };
        }
        hasher.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_contents_and_programs_count_and_nothing_else() {
        let listing = |path: &str, mode, content: &[u8]| {
            let file = Entry::File { mode, size: content.len() as u64, sha256: Digest::of(content) };
            Listing { entries: BTreeMap::from([(String::new(), Entry::Folder { mode: 0o755 }), (path.into(), file)]) }
        };
        let one = listing("a", 0o644, b"text");
        assert_eq!(one.digest(), listing("a", 0o664, b"text").digest());
        assert_ne!(one.digest(), listing("a", 0o755, b"text").digest());
        assert_ne!(one.digest(), listing("b", 0o644, b"text").digest());
        assert_ne!(one.digest(), listing("a", 0o644, b"other").digest());
        assert_eq!(one.size(), 4);
    }
}
