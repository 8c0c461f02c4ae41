//! A box folder as a build context sees it: sorted, without times and owners, symbolic links never followed.

use crate::{BoxError, Result, ignorefile, ignorefile::IgnoreFile};
use camino::{Utf8Path, Utf8PathBuf};
use std::fs::Metadata;

/// The file that says how a box is built.
pub(crate) const DOCKERFILE: &str = "Dockerfile";

/// The folder of a context that holds downloaded files.
pub(crate) const ARTIFACTS: &str = "artifacts";

/// How deep folders may be nested, so that a mistake in the file system ends.
const DEEPEST: usize = 64;

/// What an entry is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A folder.
    Folder,
    /// A file of this many bytes.
    File {
        /// Whether it is a program.
        executable: bool,
        /// Its size in bytes.
        size: u64,
    },
    /// A symbolic link with this target.
    Link(String),
}

/// Something in a box folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Relative to the folder, with slashes.
    pub(crate) path: String,
    /// What it is.
    pub(crate) kind: Kind,
}

/// Everything of a box folder that its context holds, sorted by path. `.dockerignore` is applied here and left out, so
/// that it cannot take the artifacts away that are added later.
///
/// # Errors
/// When something cannot be read, is neither file, folder nor link, or is in the way of the artifacts.
pub(crate) fn entries(folder: &Utf8Path, has_artifacts: bool) -> Result<Vec<Entry>> {
    let ignored = match fs_err::read_to_string(folder.join(ignorefile::NAME)) {
        Ok(text) => IgnoreFile::parse(&text).map_err(|why| refuse(folder, ignorefile::NAME, why))?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            IgnoreFile::parse("").map_err(|why| refuse(folder, "", why))?
        }
        Err(error) => return Err(fail(folder)(error)),
    };
    let mut found = Vec::new();
    walk(folder, &mut String::new(), 0, &ignored, &mut found)?;
    if !found.iter().any(|entry| entry.path == DOCKERFILE) {
        return Err(refuse(folder, DOCKERFILE, "is not there"));
    }
    if has_artifacts && found.iter().any(|entry| entry.path == ARTIFACTS) {
        return Err(refuse(folder, ARTIFACTS, "is in the way: rig lays the box's artifacts there"));
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

fn walk(
    folder: &Utf8Path,
    below: &mut String,
    depth: usize,
    ignored: &IgnoreFile,
    found: &mut Vec<Entry>,
) -> Result<()> {
    if depth > DEEPEST {
        return Err(refuse(folder, below, format!("is nested deeper than {DEEPEST} folders")));
    }
    for item in fs_err::read_dir(folder.join(below.as_str())).map_err(fail(folder))? {
        let item = item.map_err(fail(folder))?;
        let name =
            item.file_name().into_string().map_err(|name| refuse(folder, &name.to_string_lossy(), "is no UTF-8"))?;
        let path = if below.is_empty() { name } else { format!("{below}/{name}") };
        let metadata = fs_err::symlink_metadata(item.path()).map_err(fail(folder))?;
        let excluded = path == ignorefile::NAME || (path != DOCKERFILE && ignored.excludes(&path, metadata.is_dir()));
        if metadata.is_dir() {
            if !excluded {
                found.push(Entry { path: path.clone(), kind: Kind::Folder });
            }
            if !excluded || ignored.has_exceptions() {
                walk(folder, &mut path.clone(), depth + 1, ignored, found)?;
            }
        } else if !excluded {
            let kind = kind(folder, &path, &metadata)?;
            found.push(Entry { path, kind });
        }
    }
    Ok(())
}

fn kind(folder: &Utf8Path, path: &str, metadata: &Metadata) -> Result<Kind> {
    if metadata.is_file() {
        return Ok(Kind::File { executable: is_executable(metadata), size: metadata.len() });
    }
    if !metadata.is_symlink() {
        return Err(refuse(folder, path, "is neither a file nor a folder nor a symbolic link"));
    }
    let target = fs_err::read_link(folder.join(path)).map_err(fail(folder))?;
    match Utf8PathBuf::from_path_buf(target) {
        Ok(target) => Ok(Kind::Link(target.into_string().replace(std::path::MAIN_SEPARATOR, "/"))),
        Err(target) => Err(refuse(folder, path, format!("leads to {}, which is no UTF-8", target.display()))),
    }
}

/// Whether a file is a program.
#[cfg(unix)]
pub(crate) fn is_executable(metadata: &Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt;
    metadata.permissions().mode() & 0o111 != 0
}

/// There is no such bit here, so every file of a context may be a program.
#[cfg(windows)]
pub(crate) fn is_executable(_: &Metadata) -> bool {
    true
}

fn fail(folder: &Utf8Path) -> impl Fn(std::io::Error) -> BoxError {
    move |reason| BoxError::File { doing: format!("reading the box folder {folder}"), reason }
}

fn refuse(folder: &Utf8Path, path: &str, why: impl Into<String>) -> BoxError {
    BoxError::Folder { folder: folder.to_owned(), path: path.to_owned(), why: why.into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::temporary;

    fn paths(folder: &Utf8Path) -> Vec<String> {
        entries(folder, false).unwrap().into_iter().map(|entry| entry.path).collect()
    }

    #[test]
    fn a_folder_is_listed_in_order_and_without_what_is_ignored() {
        let (_guard, folder) = temporary();
        for path in ["b/x", "b/keep/y", "a", "Dockerfile"] {
            fs_err::create_dir_all(folder.join(path).parent().unwrap()).unwrap();
            fs_err::write(folder.join(path), path).unwrap();
        }
        assert_eq!(paths(&folder), ["Dockerfile", "a", "b", "b/keep", "b/keep/y", "b/x"]);
        fs_err::write(folder.join(".dockerignore"), "*\n!b/keep\n").unwrap();
        assert_eq!(paths(&folder), ["Dockerfile", "b/keep", "b/keep/y"]);
    }

    #[test]
    fn a_folder_without_a_dockerfile_is_no_box() {
        let (_guard, folder) = temporary();
        let error = entries(&folder, false).unwrap_err().to_string();
        assert!(error.ends_with("Dockerfile is not there"), "{error}");
        assert!(entries(&folder.join("absent"), false).is_err());
    }

    #[test]
    fn the_place_of_the_artifacts_is_taken() {
        let (_guard, folder) = temporary();
        fs_err::write(folder.join("Dockerfile"), "").unwrap();
        fs_err::create_dir(folder.join("artifacts")).unwrap();
        assert!(entries(&folder, false).is_ok());
        assert!(entries(&folder, true).unwrap_err().to_string().contains("in the way"));
    }

    #[cfg(unix)]
    #[test]
    fn links_are_kept_and_never_followed() {
        let (_guard, folder) = temporary();
        fs_err::write(folder.join("Dockerfile"), "").unwrap();
        fs_err::os::unix::fs::symlink("/etc", folder.join("outside")).unwrap();
        fs_err::os::unix::fs::symlink(".", folder.join("round")).unwrap();
        let found = entries(&folder, false).unwrap();
        assert_eq!(found.len(), 3);
        assert_eq!(found[1].kind, Kind::Link("/etc".to_owned()));
        assert_eq!(found[2].kind, Kind::Link(".".to_owned()));
    }
}
