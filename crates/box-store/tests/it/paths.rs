//! Boxes whose names and links lead elsewhere: refused, and nothing of them is anywhere.

use crate::{
    hostile::{LIMITS, entry, folders, refused, with},
    support::{context, everything, limited, named, temporary, write},
};
use proptest::prelude::*;
use std::io::{Cursor, Write};
use tar::EntryType;
use zip::{ZipWriter, write::SimpleFileOptions};

fn file(path: &str) -> Vec<u8> {
    entry(path, EntryType::Regular, "", b"x")
}

fn folder(path: &str) -> Vec<u8> {
    entry(path, EntryType::Directory, "", b"")
}

fn link(path: &str, target: &str) -> Vec<u8> {
    entry(path, EntryType::Symlink, target, b"")
}

#[tokio::test]
async fn paths_that_lead_out() {
    const CHARACTER: &str = "has a character that is none of a file name everywhere";
    for (path, why) in [
        ("../victim", "leads out of the box"),
        ("/tmp/rig-victim", "begins at the root"),
        ("a/../../victim", "leads out of the box"),
        ("..", "leads out of the box"),
        ("a\\..\\..\\victim", CHARACTER),
        ("C:victim", CHARACTER),
        ("a?", CHARACTER),
        ("a/./../../x", "leads out of the box"),
        ("a/nul.txt", "has a part that is the name of a device"),
    ] {
        let why = format!("{path:?} {why}");
        refused(&with(&[file(path)]), &why).await;
        refused(&crate::support::gz(&with(&[folder(path)])), &why).await;
    }
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    archive.start_file("../victim", SimpleFileOptions::default()).unwrap();
    archive.write_all(b"x").unwrap();
    refused(&archive.finish().unwrap().into_inner(), "\"../victim\" leads out of the box").await;
}

#[tokio::test]
async fn links_that_lead_out() {
    for (target, why) in [
        ("../../../../../victim", "leads out of the box"),
        ("/etc/passwd", "leads out of the box"),
        ("..", "leads out of the box"),
        ("box.img/../../x", "leads out of the box"),
        ("", "is no path"),
        (".", "is the folder that the link lies in"),
        ("absent", "leads nowhere"),
    ] {
        refused(&with(&[link("l", target)]), why).await;
    }
    for (target, why) in [
        ("../../../../victim", "leads out"),
        ("/etc/passwd", "begins at the root"),
        ("absent", "is no file of the box"),
    ] {
        refused(&with(&[entry("l", EntryType::Link, target, b"")]), why).await;
    }
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    archive.add_symlink("l", "../../victim", SimpleFileOptions::default()).unwrap();
    refused(&archive.finish().unwrap().into_inner(), "leads out of the box").await;
}

#[tokio::test]
async fn nothing_is_made_through_a_link() {
    // Each link alone goes up no further than its name says that it lies deep; through the first one the second leads
    // out, and the third makes a folder there.
    let chain = [
        folder("a/b/c/d"),
        link("a/b/c/d/l", "../../../.."),
        link("a/b/c/d/l/z", "../../../../.."),
        link("a/b/c/d/l/z/.ssh/evil", "../x"),
    ];
    let below = "lies below a/b/c/d/l, which is a link";
    refused(&with(&chain), below).await;
    refused(&with(&[chain[0].clone(), chain[2].clone(), chain[1].clone()]), "is in it twice").await;
    for through in [[link("d", "box.img"), file("d/victim")], [folder("e"), link("e/d", "..")].map(|bytes| bytes)] {
        let more = [through.as_slice(), &[file("e/d/x"), folder("d/x")]].concat();
        refused(&with(&more), "which is a link").await;
    }
    refused(&with(&[folder("e/f"), link("d", "e/f"), folder("d/x")]), "lies below d, which is a link").await;
    refused(&with(&[folder("e/f"), link("D", "e/f"), file("d/x")]), "case does not count").await;
}

#[cfg(unix)]
#[tokio::test]
async fn links_inside_are_kept() {
    let (_guard, home) = temporary();
    let links = [folder("d"), link("d/disk", "../box.img"), entry("d/same", EntryType::Link, "box.img", b"")];
    let path = write(&home.join("a.box"), &with(&links));
    let store = limited(&home, "", LIMITS);
    let added = store.add(&named(&path), &context()).await.unwrap().stored;
    let disk = fs_err::read(added.folder.join("box.img")).unwrap();
    assert_eq!(fs_err::read(added.folder.join("d/disk")).unwrap(), disk);
    assert_eq!(fs_err::read(added.folder.join("d/same")).unwrap(), disk);
    assert_eq!(store.verify(&added, &context()).await.unwrap().changes, []);
    let packed = home.join("b.box");
    store.repackage(&added, &packed, false, &context()).await.unwrap();
    let again = limited(&home.join("other"), "", LIMITS).add(&named(&packed), &context()).await.unwrap().stored;
    assert_eq!((&again.record.files, &again.record.links), (&added.record.files, &added.record.links));
    fs_err::remove_file(added.folder.join("d/disk")).unwrap();
    assert_eq!(store.verify(&added, &context()).await.unwrap().changes.len(), 1);
}

#[tokio::test]
async fn what_is_neither_file_nor_folder_nor_link() {
    for kind in [EntryType::Fifo, EntryType::Char, EntryType::Block, EntryType::new(b'Z')] {
        refused(&with(&[entry("x", kind, "", b"")]), "neither a file").await;
    }
}

#[tokio::test]
async fn the_same_path_twice() {
    refused(&with(&[file("box.img")]), "is in it twice").await;
    refused(&with(&[file("box.img/x")]), "lies below box.img, which is a file").await;
    refused(&with(&[link("box.img", "metadata.json")]), "is in it twice").await;
    refused(&with(&[file("Box.img")]), "case does not count").await;
}

/// A path that may be good or bad, deep enough for links to go up.
fn some_path() -> impl Strategy<Value = String> {
    let parts = prop::sample::select(vec!["a", "b", "a", "b", "c", "d", "..", ".", "", "metadata.json"]);
    prop::collection::vec(parts, 1..8).prop_map(|parts| parts.join("/"))
}

/// Where a link may lead: mostly up.
fn some_target() -> impl Strategy<Value = String> {
    (0..6_usize, some_path()).prop_map(|(ups, rest)| format!("{}{rest}", "../".repeat(ups)))
}

/// A chain of links, each of them made through the one before.
fn some_chain() -> impl Strategy<Value = Vec<(String, u8, String)>> {
    prop::collection::vec(("[a-d](/[a-d]){0,4}", 0..9_usize), 1..4).prop_map(|links| {
        let mut path = String::new();
        let mut chain = Vec::new();
        for (below, ups) in links {
            // As far up as it may go by its name, or less.
            let depth = path.split('/').filter(|part| !part.is_empty()).count() + below.split('/').count();
            let ups = ups.min(depth - 1);
            path = format!("{path}{}{below}", if path.is_empty() { "" } else { "/" });
            chain.push((path.clone(), 2, "../".repeat(ups)));
        }
        // The folder of the last one would be made outside.
        chain.push((format!("{path}/x/y"), 2, "..".to_owned()));
        chain
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn whatever_is_in_a_box_stays_in_its_folder(
        entries in prop_oneof![
            some_chain(),
            prop::collection::vec((some_path(), 0..4_u8, some_target()), 1..8),
            (some_chain(), prop::collection::vec((some_path(), 0..4_u8, some_target()), 1..3))
                .prop_map(|(chain, more)| [chain, more].concat()),
        ],
    ) {
        let entries: Vec<Vec<u8>> = entries
            .iter()
            .map(|(path, kind, target)| match kind {
                0 => entry(path, EntryType::Regular, "", b"content"),
                1 => folder(path),
                2 => link(path, target),
                _ => entry(path, EntryType::Link, target, b""),
            })
            .collect();
        let (_guard, home) = temporary();
        let path = write(&home.join("in/a.box"), &with(&entries));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let store = limited(&home.join("u/v/w/x"), "", LIMITS);
        let added = runtime.block_on(store.add(&named(&path), &context()));
        let expected = match &added {
            Ok(added) => added.stored.folder.canonicalize_utf8().unwrap(),
            Err(_) => "/nowhere".into(),
        };
        for found in everything(&home) {
            let found = home.join(found);
            let there = found.canonicalize_utf8().unwrap();
            let own = found == path || (added.is_ok() && found.file_name() == Some("record.json") && !there.starts_with(&expected));
            prop_assert!(own || there.starts_with(&expected), "{}", found);
        }
        for found in folders(&home) {
            let inside = home.join(&found).canonicalize_utf8().unwrap().starts_with(&expected);
            let own = expected.starts_with(home.join(&found)) || ["in", "u", "u/v", "u/v/w", "u/v/w/x"].contains(&found.as_str());
            let store = found.strip_prefix("u/v/w/x/boxes").is_some_and(|rest| ["", "/.locks", "/.work"].contains(&rest));
            prop_assert!(inside || own || store, "{}", found);
        }
    }
}
