//! The files that steps name, as they were when they were read.

use crate::{RecipeError, template};
use camino::{Utf8Path, Utf8PathBuf};
use rig_model::{Digest, FileSource, Hasher, MachineSpec, Origin, Script, StepKind};
use std::{
    collections::BTreeMap,
    io::{self, Read},
    sync::Arc,
};

/// The largest script or template, in bytes: both are texts that people write.
const LARGEST_TEXT: u64 = 4 << 20;

/// rig's own folder in a workspace, which holds keys and changes with every run: it is left out wherever it is met.
const OWN: &str = ".rig";

/// How much of a file is hashed at a time, in bytes.
const PIECE: usize = 1 << 16;

/// What the files hold that steps name. Files are read once, however many machines have the step.
#[derive(Clone, Debug, Default)]
pub struct Contents {
    folder: Utf8PathBuf,
    texts: BTreeMap<String, Arc<[u8]>>,
    digests: BTreeMap<String, Digest>,
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
                StepKind::File { source: FileSource::Path(path), .. } => contents.hash(path, &step.origin),
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

    /// The hash of a file or folder.
    pub(crate) fn digest(&self, path: &str) -> Option<&Digest> {
        self.digests.get(path)
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

    fn hash(&mut self, path: &str, origin: &Origin) -> Result<(), RecipeError> {
        if !self.digests.contains_key(path) {
            let digest = hash(&self.folder.join(path)).map_err(|error| unreadable(origin, &error))?;
            self.digests.insert(path.to_owned(), digest);
        }
        Ok(())
    }
}

fn unreadable(origin: &Origin, error: &io::Error) -> RecipeError {
    RecipeError::Unreadable { origin: origin.clone(), why: error.to_string() }
}

/// The hash of a file, or of everything in a folder: names, contents and who may run it. Times do not count: a fresh
/// clone of a repository is the same folder.
fn hash(path: &Utf8Path) -> io::Result<Digest> {
    let mut hasher = Hasher::new("files/1");
    let mut walk = ignore::WalkBuilder::new(path);
    walk.standard_filters(false).follow_links(false).sort_by_file_name(std::cmp::Ord::cmp);
    walk.filter_entry(|entry| entry.file_name() != OWN);
    for entry in walk.build() {
        let entry = entry.map_err(io::Error::other)?;
        let Ok(relative) = entry.path().strip_prefix(path) else { continue };
        let kind = entry.file_type().ok_or_else(|| io::Error::other(format!("{path} is no file")))?;
        hasher.part(relative.to_string_lossy().replace('\\', "/"));
        if kind.is_symlink() {
            hasher.part("link").part(fs_err::read_link(entry.path())?.to_string_lossy().as_ref());
        } else if kind.is_dir() {
            hasher.part("folder");
        } else if !kind.is_file() {
            // Opening a pipe would wait for ever.
            return Err(io::Error::other(format!("{} is neither a file, a folder nor a link", entry.path().display())));
        } else {
            let file = fs_err::File::open(entry.path())?;
            let metadata = file.metadata()?;
            hasher.part(if is_executable(&metadata) { "program" } else { "file" });
            pieces(file, metadata.len(), &mut hasher)?;
        }
    }
    Ok(hasher.finish())
}

fn pieces(mut file: fs_err::File, length: u64, hasher: &mut Hasher) -> io::Result<()> {
    hasher.part(length.to_le_bytes());
    let mut piece = vec![0; PIECE];
    loop {
        match file.read(&mut piece)? {
            0 => return Ok(()),
            count => hasher.part(&piece[..count]),
        };
    }
}

#[cfg(unix)]
fn is_executable(metadata: &std::fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt;
    metadata.permissions().mode() & 0o111 != 0
}

#[cfg(not(unix))]
fn is_executable(_: &std::fs::Metadata) -> bool {
    false
}
