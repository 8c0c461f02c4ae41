//! What the tests of harmful boxes share.

use crate::support::{context, everything, libvirt, limited, named, tar, temporary, write};
use rig_box_store::{Limits, StoreError};
use tar::{EntryType, Header};

/// Small enough for a test to go beyond.
pub(crate) const LIMITS: Limits = Limits { bytes: 1 << 20, entries: 50, ratio: 20, small: 256 << 10 };

/// An entry as no honest tool would write it.
pub(crate) fn entry(path: &str, kind: EntryType, link: &str, content: &[u8]) -> Vec<u8> {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_size(content.len() as u64);
    header.set_mode(0o644);
    let raw = header.as_gnu_mut().unwrap();
    raw.name[..path.len()].copy_from_slice(path.as_bytes());
    raw.linkname[..link.len()].copy_from_slice(link.as_bytes());
    header.set_cksum();
    let mut bytes = header.as_bytes().to_vec();
    bytes.extend(content);
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    bytes
}

/// A good box with something before its end.
pub(crate) fn with(entries: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = tar(&libvirt("a", "amd64"));
    bytes.truncate(bytes.len() - 1024);
    entries.iter().for_each(|entry| bytes.extend(entry));
    bytes.extend([0; 1024]);
    bytes
}

/// Adds a box that must be refused for this reason; nothing of it is left in the store, beside it or above it.
#[track_caller]
pub(crate) fn refused(bytes: &[u8], why: &str) -> impl Future<Output = ()> {
    let caller = std::panic::Location::caller();
    async move {
        let (_guard, folder) = temporary();
        let victim = write(&folder.join("u/v/victim"), b"untouched");
        let path = write(&folder.join("in/a.box"), bytes);
        let store = limited(&folder.join("u/v/w/x"), "", LIMITS);
        let error = store.add(&named(&path), &context()).await.unwrap_err();
        let expected = matches!(error, StoreError::Archive { .. } | StoreError::Content { .. });
        assert!(expected && error.to_string().contains(why), "{caller}: {error:?}");
        assert!(error.hint().is_some() && !error.is_usage(), "{caller}");
        assert_eq!(everything(&folder), ["in/a.box", "u/v/victim"], "{caller}: {error}");
        let boxes = "u/v/w/x/boxes";
        let own = ["in", "u", "u/v", "u/v/w", "u/v/w/x", boxes].map(str::to_owned);
        let [locks, works] = [".locks", ".work"].map(|name| format!("{boxes}/{name}"));
        let found: Vec<String> =
            folders(&folder).into_iter().filter(|found| *found != locks && *found != works).collect();
        assert_eq!(found, own, "{caller}: {error}");
        assert_eq!(fs_err::read(victim).unwrap(), b"untouched");
    }
}

/// All folders below a folder.
pub(crate) fn folders(folder: &camino::Utf8Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(next) = open.pop() {
        for entry in next.read_dir_utf8().unwrap() {
            let path = entry.unwrap().into_path();
            if path.is_dir() && !path.is_symlink() {
                found.push(path.strip_prefix(folder).unwrap().to_string());
                open.push(path);
            }
        }
    }
    found.sort();
    found
}
