//! What there is of a folder to be copied.

use camino::{Utf8Path, Utf8PathBuf};
use fs_err as fs;
use rig_model::{Digest, Hasher, OWN_FOLDER};
use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    time::UNIX_EPOCH,
};

/// The file that says what of a folder is not copied, in gitignore's form.
const IGNORE: &str = ".rigignore";

/// The things in a folder, each with what tells whether it is still the same: kind, size, time, rights, where a link leads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// By paths relative to the folder. In this order folders are before what is in them.
    entries: BTreeMap<Utf8PathBuf, String>,
}

/// What makes one listing of another.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Difference {
    /// What is not there any more, or is another kind of thing: what is in folders before them.
    pub(super) gone: Vec<Utf8PathBuf>,
    /// What is new or has changed, with all folders that it is in, and those before what is in them.
    pub(super) changed: Vec<Utf8PathBuf>,
}

impl Listing {
    /// The paths, folders before what is in them.
    pub fn paths(&self) -> impl Iterator<Item = &Utf8Path> {
        self.entries.keys().map(Utf8PathBuf::as_path)
    }

    /// A hash of everything in it.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let mut hasher = Hasher::new("folder/2");
        for (path, state) in &self.entries {
            hasher.part(path.as_str()).part(state);
        }
        hasher.finish()
    }

    /// Whether there is something at a path.
    pub(super) fn has(&self, path: &Utf8Path) -> bool {
        self.entries.contains_key(path)
    }

    /// The permissions of a folder in it; those that most have, where this host knows no permissions.
    pub(super) fn folder_mode(&self, path: &Utf8Path) -> Option<u32> {
        let rights: u32 = self.entries.get(path)?.strip_prefix("d ")?.parse().ok()?;
        Some(if cfg!(unix) { rights & 0o7777 } else { 0o755 })
    }

    /// What has to be done to a copy of `old`.
    pub(super) fn since(&self, old: &Self) -> Difference {
        let stays =
            |path: &Utf8PathBuf, state: &str| self.entries.get(path).is_some_and(|now| kind(now) == kind(state));
        let gone = old.entries.iter().rev().filter(|(path, state)| !stays(path, state));
        let changed = self.entries.iter().filter(|(path, state)| old.entries.get(*path) != Some(*state));
        // Folders have rights of their own, which whoever makes them for the sake of a file does not know.
        let within = changed.flat_map(|(path, _)| path.ancestors()).filter(|path| !path.as_str().is_empty());
        let changed: BTreeSet<&Utf8Path> = within.collect();
        Difference {
            gone: gone.map(|(path, _)| path.clone()).collect(),
            changed: changed.into_iter().map(Utf8Path::to_owned).collect(),
        }
    }

    /// What may be in a copy of `old` while it becomes one of this: everything of both, and of what changes only that it is there.
    pub(super) fn on_the_way_from(&self, old: &Self) -> Self {
        let mut entries = old.entries.clone();
        for (path, state) in &self.entries {
            match entries.get(path) {
                Some(before) if before == state || kind(before) != kind(state) => {}
                _ => {
                    entries.insert(path.clone(), format!("{} ?", kind(state)));
                }
            }
        }
        Self { entries }
    }

    /// As it is noted in a machine.
    pub(super) fn to_text(&self) -> String {
        // Paths and states are text: nothing in them can fail to be written.
        serde_json::to_string(&self.entries).unwrap_or_default()
    }

    /// What was noted; an empty one where nothing was, or what is there is no listing.
    pub(super) fn from_text(text: &str) -> Self {
        Self { entries: serde_json::from_str(text).unwrap_or_default() }
    }
}

/// What kind of thing a state is of: its first letter.
fn kind(state: &str) -> &str {
    state.get(..1).unwrap_or_default()
}

/// Lists a folder without what its `.rigignore` names, and without what can be no copy: sockets, pipes, devices. rig's own folder,
/// which holds the key that opens machines, is listed as an empty one.
///
/// # Errors
/// When something in it cannot be read, or is not named in UTF-8.
pub fn list(folder: &Utf8Path) -> io::Result<Listing> {
    let walk = ignore::WalkBuilder::new(folder)
        .standard_filters(false)
        .add_custom_ignore_filename(IGNORE)
        .filter_entry(|entry| entry.path().parent().and_then(|parent| parent.file_name()) != Some(OWN_FOLDER.as_ref()))
        .build();
    let mut listing = Listing::default();
    for entry in walk {
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) if went_away(&error) => continue,
            Err(error) => return Err(io::Error::other(error)),
        };
        let relative = entry.path().strip_prefix(folder).map_err(io::Error::other)?;
        let no_text = |path: &std::path::Path| io::Error::other(format!("{} is not UTF-8", path.display()));
        let relative = Utf8Path::from_path(relative).ok_or_else(|| no_text(entry.path()))?;
        if relative.as_str().is_empty() {
            continue;
        }
        let metadata = match entry.metadata() {
            Ok(metadata) => metadata,
            Err(error) if went_away(&error) => continue,
            Err(error) => return Err(io::Error::other(error)),
        };
        let state = if metadata.is_dir() {
            // The time of a folder says what was made in it: of what is ignored as well.
            format!("d {}", rights(&metadata))
        } else if metadata.is_symlink() {
            match fs::read_link(entry.path()) {
                Ok(target) => format!("l {}", target.display()),
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            }
        } else if metadata.is_file() {
            let changed = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
            format!("f {} {} {}", rights(&metadata), metadata.len(), changed.unwrap_or_default().as_nanos())
        } else {
            continue;
        };
        listing.entries.insert(relative.to_owned(), state);
    }
    Ok(listing)
}

/// Whether something in a folder was removed while the folder was read. That the folder itself is not there is a mistake.
fn went_away(error: &ignore::Error) -> bool {
    error.depth().is_some_and(|depth| depth > 0)
        && error.io_error().is_some_and(|error| error.kind() == io::ErrorKind::NotFound)
}

#[cfg(unix)]
fn rights(metadata: &std::fs::Metadata) -> u32 {
    std::os::unix::fs::PermissionsExt::mode(&metadata.permissions())
}

#[cfg(not(unix))]
fn rights(metadata: &std::fs::Metadata) -> u32 {
    u32::from(metadata.permissions().readonly())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing(entries: &[(&str, &str)]) -> Listing {
        Listing { entries: entries.iter().map(|(path, state)| ((*path).into(), (*state).to_owned())).collect() }
    }

    #[test]
    fn a_difference_is_what_makes_one_of_the_other() {
        let old = listing(&[("a", "d 7"), ("a/x", "f 1"), ("b", "f 1"), ("c", "f 1"), ("d", "d 7"), ("d/y", "f 1")]);
        let new = listing(&[("a", "d 7"), ("a/x", "f 2"), ("b", "f 1"), ("d", "f 9"), ("e", "l x")]);
        let difference = new.since(&old);
        assert_eq!(difference.gone, ["d/y", "d", "c"], "what is in a folder goes first");
        assert_eq!(difference.changed, ["a", "a/x", "d", "e"], "a folder comes with what is in it");
        assert_eq!(new.since(&new), Difference::default());
        // Cut at any moment, the same is done again.
        assert_eq!(new.since(&new.on_the_way_from(&old)), difference);
        let other = listing(&[("e", "l x")]);
        let gone = other.since(&new.on_the_way_from(&old)).gone;
        assert_eq!(gone, ["d/y", "d", "c", "b", "a/x", "a"], "of both, and each once");
        assert_eq!(new.since(&Listing::from_text("no listing")).changed.len(), 5);
        assert_eq!(Listing::from_text(&new.to_text()), new);
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
        let found: Vec<&str> = first.paths().map(Utf8Path::as_str).collect();
        assert_eq!(found, [".rig", ".rigignore", "src", "src/main.rs", "sub", "sub/.rig"]);
        fs::write(folder.join("target/debug/y"), "").unwrap();
        assert_eq!(list(folder).unwrap().digest(), first.digest());
        fs::write(folder.join("src/main.rs"), "longer than before").unwrap();
        assert_ne!(list(folder).unwrap().digest(), first.digest());
    }
}
