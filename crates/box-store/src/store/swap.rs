//! Putting a new box into the place of an old one, which is kept until the new one has it.

use crate::{Record, Result, StoreError, layout::Layout};
use camino::{Utf8Path, Utf8PathBuf};
use std::io;

/// The old box in the work folder, while the new one gets its place.
const OLD: &str = "old";

/// The new box in the work folder.
pub(super) const NEW: &str = "new";

/// Puts a new box into its place. The box that it replaces, which may have another place, and whatever else is in the
/// way go to the work folder. When anything fails, everything is put back where it was.
///
/// # Errors
/// What the file system says.
pub(super) fn swap(new: &Utf8Path, slot: &Utf8Path, old: Option<&Utf8Path>, work: &Utf8Path) -> io::Result<()> {
    // First what can fail without harm.
    if let Some(parent) = slot.parent() {
        rig_state::create_folder(parent).map_err(io::Error::other)?;
    }
    let mut moves: Vec<(Utf8PathBuf, Utf8PathBuf)> = Vec::new();
    if slot.exists() && old != Some(slot) {
        moves.push((slot.to_owned(), work.join("other")));
    }
    moves.extend(old.map(|old| (old.to_owned(), work.join(OLD))));
    moves.push((new.to_owned(), slot.to_owned()));
    for (index, (from, to)) in moves.iter().enumerate() {
        let Err(error) = fs_err::rename(from, to) else { continue };
        for (from, to) in moves[..index].iter().rev() {
            fs_err::rename(to, from)?;
        }
        return Err(error);
    }
    Ok(())
}

/// Takes a box out of its place, to be cleared away. Absence is success.
///
/// # Errors
/// What the file system says.
pub(super) fn take_out(slot: &Utf8Path, work: &Utf8Path) -> io::Result<()> {
    match fs_err::rename(slot, work.join(OLD)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Whether there is an old box in a work folder.
pub(super) fn has_old(work: &Utf8Path) -> bool {
    work.join(OLD).exists()
}

/// Clears away what a command that was killed left behind. Where it was about to put a new box into the place of an old
/// one, which it had taken out already, the new one gets it: it was whole and checked. Should it not be any more, the
/// old one gets its place back.
///
/// # Errors
/// What the file system says.
pub(super) fn tidy(layout: &Layout, work: &Utf8Path) -> Result<()> {
    let (old, new) = (work.join(OLD), work.join(NEW));
    if old.exists() && new.exists() {
        for folder in [new, old] {
            let Ok(Some(record)) = Record::read(&Layout::record(&folder)) else { continue };
            let slot = layout.slot(&record.key);
            if !slot.exists() {
                let fail = StoreError::file(format!("putting {} into its place", record.key));
                swap(&folder, &slot, None, work).map_err(fail)?;
            }
            break;
        }
    }
    clear(work)
}

/// Removes a folder with everything in it. Absence is success.
///
/// # Errors
/// What the file system says.
pub(super) fn clear(folder: &Utf8Path) -> Result<()> {
    match fs_err::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(StoreError::file("tidying up the box store")(error))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn when_the_new_one_does_not_get_the_place_the_old_one_has_it_again() {
        let guard = tempfile::tempdir().unwrap();
        let folder = Utf8PathBuf::from_path_buf(guard.path().to_owned()).unwrap();
        let [work, slot, old] = ["work", "boxes/1", "boxes/1.0"].map(|name| folder.join(name));
        for (place, text) in [(&slot, "in the way"), (&old, "old")] {
            fs_err::create_dir_all(place).unwrap();
            fs_err::write(place.join("record.json"), text).unwrap();
        }
        fs_err::create_dir_all(&work).unwrap();
        let read = |place: &Utf8Path| fs_err::read_to_string(place.join("record.json")).unwrap();
        // There is no new one: the last rename fails.
        swap(&work.join(NEW), &slot, Some(&old), &work).unwrap_err();
        assert_eq!((read(&slot).as_str(), read(&old).as_str()), ("in the way", "old"));
        assert!(!has_old(&work) && work.read_dir_utf8().unwrap().next().is_none());
        swap(&work.join(NEW), &slot, Some(&slot), &work).unwrap_err();
        assert_eq!(read(&slot), "in the way");
        fs_err::create_dir_all(work.join(NEW)).unwrap();
        fs_err::write(work.join(NEW).join("record.json"), "new").unwrap();
        swap(&work.join(NEW), &slot, Some(&old), &work).unwrap();
        assert_eq!((read(&slot).as_str(), read(&work.join(OLD)).as_str(), old.exists()), ("new", "old", false));
    }
}
