//! The files that steps name, as they were when they were read.

use crate::{RecipeError, template};
use camino::{Utf8Path, Utf8PathBuf};
use rig_model::{Digest, Entry, FileSource, Listing, MachineSpec, OWN_FOLDER, Origin, Script, StepKind};
use std::{
    collections::BTreeMap,
    io::{self, Read},
    sync::Arc,
};

/// The largest script or template, in bytes: both are texts that people write.
const LARGEST_TEXT: u64 = 4 << 20;

/// What the files hold that steps name. Files are read once, however many machines have the step.
#[derive(Clone, Debug, Default)]
pub struct Contents {
    folder: Utf8PathBuf,
    texts: BTreeMap<String, Arc<[u8]>>,
    listings: BTreeMap<String, Arc<Listing>>,
}

impl Contents {
    /// Reads all files that steps of these machines name; `folder` is the workspace file's. Blocks while it reads.
    ///
    /// # Errors
    /// All files that cannot be read, and all templates that are none.
    pub fn load<'a>(
        machines: impl IntoIterator<Item = &'a MachineSpec>,
        folder: &Utf8Path,
    ) -> Result<Self, Vec<RecipeError>> {
        let mut contents = Self { folder: folder.to_owned(), ..Self::default() };
        let mut errors: Vec<RecipeError> = Vec::new();
        for step in machines.into_iter().flat_map(|machine| &machine.steps) {
            let read = match &step.kind {
                StepKind::Shell { script: Script::Path(path), .. } => contents.text(path, &step.origin),
                StepKind::Template { source, .. } => contents
                    .text(source, &step.origin)
                    .and_then(|()| template::check(source, contents.get(source).unwrap_or_default())),
                StepKind::File { source: FileSource::Path(path), .. } => contents.list(path, &step.origin),
                _ => Ok(()),
            };
            if let Err(error) = read
                && !errors.contains(&error)
            {
                errors.push(error);
            }
        }
        if errors.is_empty() { Ok(contents) } else { Err(errors) }
    }

    /// The bytes of a script or template.
    pub(crate) fn get(&self, path: &str) -> Option<&[u8]> {
        self.texts.get(path).map(AsRef::as_ref)
    }

    /// What a file or folder holds.
    pub(crate) fn listing(&self, path: &str) -> Option<&Arc<Listing>> {
        self.listings.get(path)
    }

    /// A path as the host sees it.
    pub(crate) fn absolute(&self, path: &str) -> String {
        self.folder.join(path).into_string()
    }

    fn text(&mut self, path: &str, origin: &Origin) -> Result<(), RecipeError> {
        if self.texts.contains_key(path) {
            return Ok(());
        }
        let read = || {
            let mut bytes = Vec::new();
            fs_err::File::open(self.folder.join(path))?.take(LARGEST_TEXT + 1).read_to_end(&mut bytes)?;
            if bytes.len() as u64 > LARGEST_TEXT {
                return Err(io::Error::other(format!(
                    "{path} is larger than {} MiB, too much for a text",
                    LARGEST_TEXT >> 20
                )));
            }
            Ok(bytes)
        };
        let bytes = read().map_err(|error| unreadable(origin, &error))?;
        self.texts.insert(path.to_owned(), bytes.into());
        Ok(())
    }

    fn list(&mut self, path: &str, origin: &Origin) -> Result<(), RecipeError> {
        if !self.listings.contains_key(path) {
            let listing = list(&self.folder.join(path)).map_err(|error| unreadable(origin, &error))?;
            self.listings.insert(path.to_owned(), Arc::new(listing));
        }
        Ok(())
    }
}

fn unreadable(origin: &Origin, error: &io::Error) -> RecipeError {
    RecipeError::Unreadable { origin: origin.clone(), why: error.to_string() }
}

/// Reads a file, or everything in a folder.
fn list(path: &Utf8Path) -> io::Result<Listing> {
    let mut listing = Listing::default();
    let mut walk = ignore::WalkBuilder::new(path);
    walk.standard_filters(false).follow_links(false).filter_entry(|entry| entry.file_name() != OWN_FOLDER);
    for entry in walk.build() {
        let entry = entry.map_err(io::Error::other)?;
        let here = Utf8Path::from_path(entry.path())
            .ok_or_else(|| io::Error::other(format!("the name of {} is no UTF-8", entry.path().display())))?;
        let kind = entry.file_type().ok_or_else(|| io::Error::other(format!("{here} is no file")))?;
        let found = if kind.is_symlink() {
            let target = fs_err::read_link(here)?;
            Entry::Link { target: target.to_string_lossy().into_owned() }
        } else if kind.is_dir() {
            Entry::Folder { mode: mode(&fs_err::metadata(here)?) }
        } else if kind.is_file() {
            let file = fs_err::File::open(here)?;
            let metadata = file.metadata()?;
            Entry::File { mode: mode(&metadata), size: metadata.len(), sha256: Digest::read(file)? }
        } else {
            // Opening a pipe would wait for ever.
            return Err(io::Error::other(format!("{here} is neither a file, a folder nor a link")));
        };
        let relative = here.strip_prefix(path).map_err(io::Error::other)?;
        // Elsewhere a backslash is a letter like any other.
        let relative = if cfg!(windows) { relative.as_str().replace('\\', "/") } else { relative.to_string() };
        listing.entries.insert(relative, found);
    }
    Ok(listing)
}

#[cfg(unix)]
fn mode(metadata: &std::fs::Metadata) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    metadata.permissions().mode() & 0o7777
}

/// What archives say of files of a system that has no modes.
#[cfg(not(unix))]
fn mode(metadata: &std::fs::Metadata) -> u32 {
    if metadata.is_dir() { 0o755 } else { 0o644 }
}
