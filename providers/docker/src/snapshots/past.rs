//! What a container had otherwise than its box when a snapshot was taken. A container that is made from the snapshot has only
//! that layer's successor as its own: without the list, nobody could tell what the layer below had changed.

use base64::{Engine, prelude::BASE64_STANDARD};
use flate2::{Compression, read::ZlibDecoder, write::ZlibEncoder};
use rig_provider_api::{PathChange, PathChangeKind};
use std::{
    collections::{BTreeMap, btree_map::Entry},
    io::{self, Read, Write},
};

/// The most that is unpacked, in bytes.
const LARGEST: u64 = 256 << 20;

/// Ends a path, which may hold any other character.
const END: char = '\0';

/// Packs a list into the text of a label: sorted, so that neighbours share most of their paths, and compressed.
pub(super) fn pack(changes: &[PathChange]) -> io::Result<String> {
    let mut sorted: Vec<&PathChange> = changes.iter().collect();
    sorted.sort_unstable();
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    for change in sorted {
        write!(encoder, "{}{}{END}", letter(change.kind), change.path)?;
    }
    Ok(BASE64_STANDARD.encode(encoder.finish()?))
}

/// Reads what [`pack`] wrote.
pub(super) fn unpack(label: &str) -> io::Result<Vec<PathChange>> {
    let packed = BASE64_STANDARD.decode(label).map_err(io::Error::other)?;
    let mut text = String::new();
    ZlibDecoder::new(packed.as_slice()).take(LARGEST).read_to_string(&mut text)?;
    let entries = text.split_terminator(END);
    let change = |entry: &str| {
        let mut characters = entry.chars();
        let kind = characters.next().and_then(kind)?;
        Some(PathChange { path: characters.as_str().to_owned(), kind })
    };
    entries.map(|entry| change(entry).ok_or_else(|| io::Error::other("an entry is none"))).collect()
}

fn letter(kind: PathChangeKind) -> char {
    match kind {
        PathChangeKind::Added => 'A',
        PathChangeKind::Modified => 'M',
        PathChangeKind::Removed => 'R',
    }
}

fn kind(letter: char) -> Option<PathChangeKind> {
    match letter {
        'A' => Some(PathChangeKind::Added),
        'M' => Some(PathChangeKind::Modified),
        'R' => Some(PathChangeKind::Removed),
        _ => None,
    }
}

/// What a container has otherwise than its box: what the snapshot had, and what changed since.
pub(super) fn merge(past: Vec<PathChange>, mut since: Vec<PathChange>) -> Vec<PathChange> {
    let mut all: BTreeMap<String, PathChangeKind> = past.into_iter().map(|change| (change.path, change.kind)).collect();
    // A folder stands before what is in it.
    since.sort_unstable();
    for (position, PathChange { path, kind }) in since.iter().enumerate() {
        let mut kind = *kind;
        if kind == PathChangeKind::Removed {
            // With a folder goes all that was in it. The engine names the folder alone, also when it was made again.
            let inside = format!("{path}/");
            let is_inside = |path: &str| path.starts_with(&inside);
            let below = all.range(inside.clone()..).map(|(path, _)| path).take_while(|path| is_inside(path));
            for path in below.cloned().collect::<Vec<String>>() {
                all.remove(&path);
            }
            let mut rest = since[position + 1..].iter().skip_while(|change| change.path < inside);
            if rest.next().is_some_and(|change| is_inside(&change.path)) {
                kind = PathChangeKind::Modified;
            }
        }
        match all.entry(path.clone()) {
            Entry::Vacant(entry) => _ = entry.insert(kind),
            Entry::Occupied(mut entry) => match (*entry.get(), kind) {
                // The box never had it.
                (PathChangeKind::Added, PathChangeKind::Removed) => _ = entry.remove(),
                (PathChangeKind::Added, _) => {}
                (_, PathChangeKind::Removed) => _ = entry.insert(PathChangeKind::Removed),
                (_, _) => _ = entry.insert(PathChangeKind::Modified),
            },
        }
    }
    all.into_iter().map(|(path, kind)| PathChange { path, kind }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    use PathChangeKind::{Added, Modified, Removed};

    fn list(changes: &[(&str, PathChangeKind)]) -> Vec<PathChange> {
        changes.iter().map(|(path, kind)| PathChange { path: (*path).to_owned(), kind: *kind }).collect()
    }

    #[test]
    fn what_was_packed_is_unpacked() {
        let changes = list(&[("/etc", Modified), ("/etc/a\nb", Added), ("/etc/motd", Removed)]);
        assert_eq!(unpack(&pack(&changes).unwrap()).unwrap(), changes);
        assert_eq!(unpack(&pack(&[]).unwrap()).unwrap(), []);
        assert!(unpack("?").is_err());
        assert!(unpack(&BASE64_STANDARD.encode("text")).is_err());
    }

    #[test]
    fn many_paths_take_little_room() {
        let path =
            |number| PathChange { path: format!("/usr/lib/python3/dist-packages/module{number}.py"), kind: Added };
        let packed = pack(&(0..10_000).map(path).collect::<Vec<_>>()).unwrap();
        assert!(packed.len() < 64 << 10, "{}", packed.len());
    }

    #[test]
    fn what_changed_since_is_told_against_the_box() {
        let past = list(&[
            ("/added", Added),
            ("/edited", Modified),
            ("/gone", Removed),
            ("/mine", Added),
            ("/mine/a", Added),
            ("/mine/b/c", Added),
            ("/mine2", Added),
        ]);
        let since = list(&[
            ("/added", Modified),
            ("/edited", Removed),
            ("/gone", Added),
            ("/mine", Removed),
            ("/new", Added),
            ("/box", Removed),
        ]);
        let expected = list(&[
            ("/added", Added),
            ("/box", Removed),
            ("/edited", Removed),
            ("/gone", Modified),
            ("/mine2", Added),
            ("/new", Added),
        ]);
        assert_eq!(merge(past, since), expected);
    }

    #[test]
    fn a_folder_that_was_made_anew_holds_what_is_in_it_now() {
        let past = list(&[("/opt/x", Added), ("/opt/x/old", Added), ("/opt/x-y", Added)]);
        let since = list(&[("/opt/x/new", Added), ("/opt/x-y", Modified), ("/opt/x", Removed)]);
        assert_eq!(merge(past, since), list(&[("/opt/x", Added), ("/opt/x-y", Added), ("/opt/x/new", Added)]));
    }
}
