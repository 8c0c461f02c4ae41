//! Boxes that are damaged, or made to do harm: refused, and nothing of them is left anywhere.

use crate::support::{
    Files, context, everything, gz, libvirt, limited, named, tar, tar_gz, temporary, virtualbox, write, zip,
};
use proptest::prelude::*;
use rig_box_store::{Limits, StoreError};
use std::io::{Cursor, Write};
use tar::{EntryType, Header};
use zip::{ZipWriter, write::SimpleFileOptions};

/// Small enough for a test to go beyond.
const LIMITS: Limits = Limits { bytes: 1 << 20, entries: 50, ratio: 20, small: 256 << 10 };

/// An entry as no honest tool would write it.
fn entry(path: &str, kind: EntryType, link: &str, content: &[u8]) -> Vec<u8> {
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
fn with(entries: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = tar(&libvirt("a", "amd64"));
    bytes.truncate(bytes.len() - 1024);
    entries.iter().for_each(|entry| bytes.extend(entry));
    bytes.extend([0; 1024]);
    bytes
}

async fn refused(bytes: &[u8]) -> String {
    let (_guard, folder) = temporary();
    let victim = write(&folder.join("victim"), b"untouched");
    let path = write(&folder.join("in/a.box"), bytes);
    let store = limited(&folder.join("store"), "", LIMITS);
    let error = store.add(&named(&path), &context()).await.unwrap_err();
    assert!(
        matches!(error, StoreError::Archive { .. } | StoreError::Content { .. } | StoreError::NoSpace { .. }),
        "{error:?}"
    );
    assert!(error.hint().is_some() && !error.is_usage());
    assert_eq!(everything(&folder), ["in/a.box", "victim"], "{error}");
    assert_eq!(fs_err::read(victim).unwrap(), b"untouched");
    error.to_string()
}

#[tokio::test]
async fn paths_that_lead_out() {
    for path in ["../victim", "/tmp/rig-victim", "a/../../victim", "..", "a\\..\\..\\victim", "C:victim", "a/./../../x"]
    {
        for bytes in [
            with(&[entry(path, EntryType::Regular, "", b"x")]),
            gz(&with(&[entry(path, EntryType::Directory, "", b"")])),
        ] {
            let error = refused(&bytes).await;
            assert!(error.contains(&format!("{path:?}")), "{error}");
        }
    }
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    archive.start_file("../victim", SimpleFileOptions::default()).unwrap();
    archive.write_all(b"x").unwrap();
    refused(&archive.finish().unwrap().into_inner()).await;
}

#[tokio::test]
async fn links_that_lead_out() {
    for target in ["../../../../../victim", "/etc/passwd", "..", "box.img/../../x", "", "absent"] {
        refused(&with(&[entry("l", EntryType::Symlink, target, b"")])).await;
    }
    for target in ["../../../../victim", "/etc/passwd", "absent"] {
        refused(&with(&[entry("l", EntryType::Link, target, b"")])).await;
    }
    // Each link alone stays inside; through the first the second would not.
    let links = [entry("d", EntryType::Symlink, ".", b""), entry("e", EntryType::Symlink, "d/../../../victim", b"")];
    refused(&with(&links)).await;
    // Written through a link that the box brought along.
    let through = [entry("d", EntryType::Symlink, "../..", b""), entry("d/victim", EntryType::Regular, "", b"x")];
    refused(&with(&through)).await;
    let through = [entry("d", EntryType::Symlink, "box.img", b""), entry("d/victim", EntryType::Regular, "", b"x")];
    refused(&with(&through)).await;
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    archive.add_symlink("l", "../../victim", SimpleFileOptions::default()).unwrap();
    refused(&archive.finish().unwrap().into_inner()).await;
}

#[cfg(unix)]
#[tokio::test]
async fn links_inside_are_kept() {
    let (_guard, folder) = temporary();
    let links = [
        entry("d", EntryType::Directory, "", b""),
        entry("d/disk", EntryType::Symlink, "../box.img", b""),
        entry("d/same", EntryType::Link, "box.img", b""),
    ];
    let path = write(&folder.join("a.box"), &with(&links));
    let store = limited(&folder, "", LIMITS);
    let added = store.add(&named(&path), &context()).await.unwrap().stored;
    let disk = fs_err::read(added.folder.join("box.img")).unwrap();
    assert_eq!(fs_err::read(added.folder.join("d/disk")).unwrap(), disk);
    assert_eq!(fs_err::read(added.folder.join("d/same")).unwrap(), disk);
    assert_eq!(store.verify(&added, &context()).await.unwrap().changes, []);
    let packed = folder.join("b.box");
    store.repackage(&added, &packed, false, &context()).await.unwrap();
    let again = limited(&folder.join("other"), "", LIMITS).add(&named(&packed), &context()).await.unwrap().stored;
    assert_eq!((&again.record.files, &again.record.links), (&added.record.files, &added.record.links));
    fs_err::remove_file(added.folder.join("d/disk")).unwrap();
    assert_eq!(store.verify(&added, &context()).await.unwrap().changes.len(), 1);
}

#[tokio::test]
async fn what_is_neither_file_nor_folder_nor_link() {
    for kind in [EntryType::Fifo, EntryType::Char, EntryType::Block, EntryType::new(b'Z')] {
        let error = refused(&with(&[entry("x", kind, "", b"")])).await;
        assert!(error.contains("neither a file"), "{error}");
    }
}

#[tokio::test]
async fn the_same_path_twice() {
    refused(&with(&[entry("box.img", EntryType::Regular, "", b"x")])).await;
    refused(&with(&[entry("box.img/x", EntryType::Regular, "", b"x")])).await;
    refused(&with(&[entry("box.img", EntryType::Symlink, "metadata.json", b"")])).await;
}

#[tokio::test]
async fn bombs() {
    let zeros = |size: usize| -> Files { vec![("metadata.json".to_owned(), vec![b' '; size])] };
    for bytes in
        [tar_gz(&zeros(512 << 10)), zip(&zeros(512 << 10)), gz(&gz(&tar(&zeros(512 << 10)))), tar(&zeros(2 << 20))]
    {
        refused(&bytes).await;
    }
    // A size in the headers that is not true.
    let size = 512_345;
    let mut lies = zip(&zeros(size));
    let [true_size, lie] = [u32::try_from(size).unwrap(), 100].map(u32::to_le_bytes);
    let places: Vec<usize> = (0..lies.len() - 4).filter(|at| lies[*at..*at + 4] == true_size).collect();
    assert_eq!(places.len(), 2);
    places.into_iter().for_each(|at| lies[at..at + 4].copy_from_slice(&lie));
    refused(&lies).await;
    // Nothing but headers: names that are kept in memory, and zeros behind the end.
    let long = entry("././@LongLink", EntryType::GNULongName, "", &vec![b'a'; 2 << 20]);
    let error = refused(&gz(&with(&[long]))).await;
    assert!(error.contains("more around its files"), "{error}");
    let mut trailing = with(&[]);
    trailing.resize(trailing.len() + (20 << 20), 0);
    refused(&trailing).await;
    let many: Vec<_> = (0..60).map(|index| entry(&format!("d{index}"), EntryType::Directory, "", b"")).collect();
    let error = refused(&gz(&with(&many))).await;
    assert!(error.contains("more than 50 entries"), "{error}");
}

#[tokio::test]
async fn a_disk_that_is_larger_than_the_volume() {
    let mut header = Header::new_gnu();
    header.set_path("box.img").unwrap();
    header.set_size(1 << 50);
    header.set_mode(0o644);
    header.set_cksum();
    let mut bytes = entry("metadata.json", EntryType::Regular, "", br#"{"provider": "libvirt"}"#);
    bytes.extend(header.as_bytes());
    bytes.extend([0; 4096]);
    let (_guard, folder) = temporary();
    let path = write(&folder.join("a.box"), &bytes);
    let store = limited(&folder, "", Limits { bytes: u64::MAX, small: u64::MAX, ..LIMITS });
    let error = store.add(&named(&path), &context()).await.unwrap_err();
    if cfg!(unix) {
        assert!(matches!(error, StoreError::NoSpace { needed: 0x4_0000_0000_0000, .. }), "{error}");
        assert!(error.hint().unwrap().contains("free some space"));
    }
    assert_eq!(everything(&folder), ["a.box"]);
}

#[tokio::test]
async fn damaged_archives() {
    let good = tar_gz(&virtualbox("abcdefghij"));
    for cut in [1, 10, good.len() / 2, good.len() - 9, good.len() - 1] {
        refused(&good[..cut]).await;
    }
    let mut wrong = good.clone();
    let sum = wrong.len() - 6;
    wrong[sum] ^= 1;
    refused(&wrong).await;
    let plain = tar(&virtualbox("a"));
    refused(&plain[..1000]).await;
    let zipped = zip(&virtualbox("a"));
    refused(&zipped[..zipped.len() / 2]).await;
    refused(&zipped[..zipped.len() - 4]).await;
    for other in [&b"<html>not found</html>"[..], b"", b"\xfd7zXZ\0\0", b"PK\x03\x04", &[0; 2048]] {
        refused(other).await;
    }
}

#[tokio::test]
async fn boxes_that_say_wrong_things_about_themselves() {
    let change = |mut files: Files, path: &str, content: Option<&str>| {
        files.retain(|(name, _)| name.trim_start_matches("./") != path);
        files.extend(content.map(|content| (path.to_owned(), content.as_bytes().to_vec())));
        tar(&files)
    };
    for (bytes, place) in [
        (change(virtualbox("a"), "metadata.json", None), "no metadata.json"),
        (
            change(virtualbox("a"), "metadata.json", Some(r#"{"provider": ["x"]}"#)),
            "metadata.json: provider: invalid type",
        ),
        (change(virtualbox("a"), "metadata.json", Some("provider: x")), "metadata.json: "),
        (change(virtualbox("a"), "box.ovf", None), "no box.ovf"),
        (change(virtualbox("a"), "box.ovf", Some("<Envelope")), "box.ovf: "),
        (change(virtualbox("a"), "box-disk001.vmdk", None), "box-disk001.vmdk is not in it"),
        (change(virtualbox("a"), "box.ovf", Some(r#"<Envelope><File href="../../x"/></Envelope>"#)), "leads out"),
        (change(libvirt("a", "amd64"), "box.img", None), "box.img is not in it"),
        (
            change(
                libvirt("a", "x"),
                "metadata.json",
                Some(r#"{"provider": "libvirt", "disks": [{"path": "/dev/sda"}]}"#),
            ),
            "disks[0].path",
        ),
    ] {
        let error = refused(&bytes).await;
        assert!(error.contains(place), "{error}");
    }
    let mut files = libvirt("a", "amd64");
    files[1].1[15] = 104;
    let error = refused(&tar(&files)).await;
    assert!(error.contains("leans on another file"), "{error}");
}

/// A path that may be good or bad.
fn some_path() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(vec!["a", "b", "..", ".", "", "c", "metadata.json"]), 1..5)
        .prop_map(|parts| parts.join("/"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn whatever_is_in_a_box_stays_in_its_folder(
        entries in prop::collection::vec((some_path(), 0..4_u8, some_path()), 1..8),
    ) {
        let entries: Vec<Vec<u8>> = entries
            .iter()
            .map(|(path, kind, target)| match kind {
                0 => entry(path, EntryType::Regular, "", b"content"),
                1 => entry(path, EntryType::Directory, "", b""),
                2 => entry(path, EntryType::Symlink, target, b""),
                _ => entry(path, EntryType::Link, target, b""),
            })
            .collect();
        let (_guard, folder) = temporary();
        let path = write(&folder.join("in/a.box"), &with(&entries));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let store = limited(&folder, "", LIMITS);
        let added = runtime.block_on(store.add(&named(&path), &context()));
        let expected = match &added {
            Ok(added) => added.stored.folder.canonicalize_utf8().unwrap(),
            Err(_) => "/nowhere".into(),
        };
        for found in everything(&folder) {
            let found = folder.join(found);
            let there = found.canonicalize_utf8().unwrap();
            let own = found == path || (added.is_ok() && found.file_name() == Some("record.json") && !there.starts_with(&expected));
            prop_assert!(own || there.starts_with(&expected), "{}", found);
        }
    }
}
