//! Boxes that would fill a volume or the memory.

use crate::{
    hostile::{LIMITS, entry, refused, with},
    support::{Files, context, everything, gz, limited, named, tar, tar_gz, temporary, write, zip},
};
use rig_box_store::{Limits, StoreError};
use tar::{EntryType, Header};

const TOO_LARGE: &str = "unpacked it is far larger";

/// A box that is good but for the size of its disk.
fn swollen(size: usize) -> Files {
    let metadata = br#"{"provider": "libvirt", "format": "raw", "virtual_size": 1}"#;
    vec![("metadata.json".to_owned(), metadata.to_vec()), ("box.img".to_owned(), vec![b' '; size])]
}

#[tokio::test]
async fn bombs() {
    for pack in [tar_gz, zip, tar] {
        // What is as small as it may be is taken: the size is all that is wrong with the others.
        let (_guard, folder) = temporary();
        let path = write(&folder.join("a.box"), &pack(&swollen(200 << 10)));
        limited(&folder, "", LIMITS).add(&named(&path), &context()).await.unwrap();
    }
    for bytes in [tar_gz(&swollen(512 << 10)), zip(&swollen(512 << 10)), tar(&swollen(2 << 20))] {
        refused(&bytes, TOO_LARGE).await;
    }
    refused(&gz(&gz(&tar(&swollen(512 << 10)))), "numeric field").await;
    // Many small files are large together.
    let many = (0..20).map(|index| (format!("f{index}"), vec![b' '; 20 << 10]));
    refused(&tar_gz(&swollen(1).into_iter().chain(many).collect()), TOO_LARGE).await;
}

#[tokio::test]
async fn a_size_that_is_not_true() {
    let size = 512_345;
    let mut lies = zip(&swollen(size));
    let [true_size, lie] = [u32::try_from(size).unwrap(), 100].map(u32::to_le_bytes);
    let places: Vec<usize> = (0..lies.len() - 4).filter(|at| lies[*at..*at + 4] == true_size).collect();
    assert_eq!(places.len(), 2);
    places.into_iter().for_each(|at| lies[at..at + 4].copy_from_slice(&lie));
    refused(&lies, "larger than its declared uncompressed size").await;
}

#[tokio::test]
async fn nothing_but_headers() {
    // Names that are kept in memory, zeros behind the end, and folders.
    let long = entry("././@LongLink", EntryType::GNULongName, "", &vec![b'a'; 2 << 20]);
    refused(&gz(&with(&[long])), "more around its files").await;
    let mut trailing = with(&[]);
    trailing.resize(trailing.len() + (20 << 20), 0);
    refused(&trailing, "more around its files").await;
    let many: Vec<_> = (0..60).map(|index| entry(&format!("d{index}"), EntryType::Directory, "", b"")).collect();
    refused(&gz(&with(&many)), "more than 50 entries").await;
    let deep: Vec<_> =
        (0..6).map(|index| entry(&format!("d{index}{}", "/x".repeat(10)), EntryType::Directory, "", b"")).collect();
    refused(&gz(&with(&deep)), "more than 50 entries").await;
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

/// A disk as GNU tar packs it with `--sparse`: a piece of data, and where it is in the whole.
#[cfg(unix)]
#[tokio::test]
async fn a_sparse_disk_has_its_holes() {
    use std::os::unix::fs::MetadataExt;
    const SIZE: u64 = 4 << 20;
    let mut header = Header::new_gnu();
    header.set_path("box.img").unwrap();
    header.set_entry_type(EntryType::GNUSparse);
    header.set_size(512);
    header.set_mode(0o644);
    let gnu = header.as_gnu_mut().unwrap();
    let octal = |number: u64| -> [u8; 12] { format!("{number:011o}\0").into_bytes().try_into().unwrap() };
    (gnu.sparse[0].offset, gnu.sparse[0].numbytes) = (octal(1 << 20), octal(512));
    (gnu.sparse[1].offset, gnu.sparse[1].numbytes) = (octal(SIZE), octal(0));
    gnu.realsize = octal(SIZE);
    header.set_cksum();
    let mut bytes = entry(
        "metadata.json",
        EntryType::Regular,
        "",
        br#"{"provider": "libvirt", "format": "raw", "virtual_size": 1}"#,
    );
    bytes.extend(header.as_bytes());
    bytes.extend([b'x'; 512]);
    bytes.extend([0; 1024]);
    let (_guard, folder) = temporary();
    let path = write(&folder.join("a.box"), &bytes);
    let limits = Limits { small: 8 << 20, bytes: 8 << 20, ..LIMITS };
    let added = limited(&folder, "", limits).add(&named(&path), &context()).await.unwrap().stored;
    let disk = added.folder.join("box.img");
    let content = fs_err::read(&disk).unwrap();
    assert_eq!((content.len() as u64, &content[1 << 20..(1 << 20) + 512]), (SIZE, &[b'x'; 512][..]));
    assert_eq!(content.iter().filter(|byte| **byte != 0).count(), 512);
    assert!(fs_err::metadata(&disk).unwrap().blocks() * 512 < SIZE / 2);
    // The limits count the whole: whoever reads it reads that much.
    refused(&bytes, TOO_LARGE).await;
}
