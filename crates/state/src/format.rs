//! The header of every JSON file: which format it has, so that an old rig never misreads or rewrites a newer file.

use crate::{Access, Result, StateError, atomic};
use camino::Utf8Path;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::{fmt, io};

/// The largest file that is read, in bytes. The largest that rig writes is a baseline of a machine with some hundred
/// thousand files.
const LARGEST: u64 = 256 << 20;

/// A file format: `{"format": "rig.scale/1", …}`. A file with another minor version (`rig.scale/1.2`) is read, its
/// unknown fields are skipped; one with a newer major version is refused and never overwritten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Format {
    /// What the file holds (`rig.scale`).
    pub name: &'static str,
    /// The newest version that this rig reads, and the one that it writes.
    pub major: u32,
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.name, self.major)
    }
}

#[derive(Deserialize)]
struct Header {
    format: String,
}

#[derive(Serialize)]
struct Envelope<'a, T> {
    format: String,
    #[serde(flatten)]
    content: &'a T,
}

/// Reads a file of this format; `None` when there is none.
///
/// # Errors
/// When the file cannot be read, was written by a newer rig, or does not hold what it should.
pub fn read_json<T: DeserializeOwned>(path: &Utf8Path, format: Format) -> Result<Option<T>> {
    let Some(bytes) = read(path)? else {
        return Ok(None);
    };
    let corrupt = |why: String| StateError::Corrupt { path: path.to_owned(), why };
    let header: Header = serde_json::from_slice(&bytes).map_err(|error| corrupt(error.to_string()))?;
    match major(&header.format, format.name) {
        Some(major) if major > format.major => Err(newer(path, header, format)),
        Some(_) => serde_json::from_slice(&bytes).map(Some).map_err(|error| corrupt(error.to_string())),
        None => Err(corrupt(format!("its format is {:?}, expected {:?}", header.format, format.to_string()))),
    }
}

/// Writes a file of this format atomically. `value` must serialize to an object. The file's folder must exist.
///
/// # Errors
/// When the file that is there was written by a newer rig, or the file system refuses.
pub fn write_json<T: Serialize>(path: &Utf8Path, format: Format, value: &T, access: Access) -> Result<()> {
    if let Some(bytes) = read(path)?
        && let Ok(header) = serde_json::from_slice::<Header>(&bytes)
        && major(&header.format, format.name).is_some_and(|major| major > format.major)
    {
        return Err(newer(path, header, format));
    }
    let envelope = Envelope { format: format.to_string(), content: value };
    let mut bytes = serde_json::to_vec_pretty(&envelope).map_err(|error| StateError::Io {
        doing: "writing",
        path: path.to_owned(),
        reason: io::Error::other(error),
    })?;
    bytes.push(b'\n');
    atomic::write_atomically(path, &bytes, access)
}

/// Removes a file. Absence is success.
///
/// # Errors
/// When the file system refuses.
pub(crate) fn remove(path: &Utf8Path) -> Result<()> {
    match fs_err::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(StateError::Io { doing: "removing", path: path.to_owned(), reason: atomic::bare(error) })
        }
        _ => Ok(()),
    }
}

fn read(path: &Utf8Path) -> Result<Option<Vec<u8>>> {
    let fail = |error| StateError::Io { doing: "reading", path: path.to_owned(), reason: atomic::bare(error) };
    match fs_err::metadata(path) {
        Ok(metadata) if metadata.len() > LARGEST => {
            return Err(StateError::Corrupt { path: path.to_owned(), why: format!("it has {} bytes", metadata.len()) });
        }
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(fail(error)),
    }
    match fs_err::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        // Removed since the look above.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(fail(error)),
    }
}

/// The major version in `rig.scale/2.1`, if that is the format's name.
fn major(found: &str, name: &str) -> Option<u32> {
    let version = found.strip_prefix(name)?.strip_prefix('/')?;
    version.split('.').next()?.parse().ok()
}

fn newer(path: &Utf8Path, header: Header, format: Format) -> StateError {
    StateError::Newer { path: path.to_owned(), found: header.format, known: format.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::temporary;
    use std::collections::BTreeMap;

    const FORMAT: Format = Format { name: "rig.test", major: 2 };
    type Content = BTreeMap<String, serde_json::Value>;

    #[test]
    fn what_was_written_is_read() {
        let (_guard, folder) = temporary();
        let path = folder.join("file.json");
        assert!(read_json::<Content>(&path, FORMAT).unwrap().is_none());
        let content = Content::from([("a".to_owned(), 1.into())]);
        write_json(&path, FORMAT, &content, Access::Default).unwrap();
        let read = read_json::<Content>(&path, FORMAT).unwrap().unwrap();
        assert_eq!(read["a"], 1);
        assert_eq!(read["format"], "rig.test/2");
    }

    #[test]
    fn a_newer_file_is_neither_read_nor_overwritten() {
        let (_guard, folder) = temporary();
        let path = folder.join("file.json");
        let text = r#"{"format": "rig.test/3.1", "b": []}"#;
        fs_err::write(&path, text).unwrap();
        let error = read_json::<Content>(&path, FORMAT).unwrap_err();
        assert!(matches!(error, StateError::Newer { .. }), "{error}");
        let error = write_json(&path, FORMAT, &Content::new(), Access::Default).unwrap_err();
        assert!(error.hint().unwrap().contains("update rig"), "{error}");
        assert_eq!(fs_err::read_to_string(&path).unwrap(), text);
    }

    #[test]
    fn an_older_file_and_another_minor_version_are_read() {
        let (_guard, folder) = temporary();
        let path = folder.join("file.json");
        for format in ["rig.test/1", "rig.test/2.7"] {
            fs_err::write(&path, format!(r#"{{"format": "{format}"}}"#)).unwrap();
            assert!(read_json::<Content>(&path, FORMAT).unwrap().is_some());
        }
    }

    #[test]
    fn a_broken_file_says_where_it_is_and_what_to_do() {
        let (_guard, folder) = temporary();
        let path = folder.join("file.json");
        for text in ["", "{", "[]", "{}", r#"{"format": 1}"#, r#"{"format": "rig.other/1"}"#, "\u{0}\u{1}"] {
            fs_err::write(&path, text).unwrap();
            let error = read_json::<Content>(&path, FORMAT).unwrap_err();
            assert!(matches!(error, StateError::Corrupt { .. }), "{text:?}: {error}");
            assert!(error.to_string().contains(path.as_str()));
            assert!(error.hint().unwrap().contains("remove"));
        }
    }
}
