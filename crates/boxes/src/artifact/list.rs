//! Many files as one artifact: a list of Maven coordinates with checksums becomes one archive. The same list makes the same
//! archive, byte for byte, so the archive has a checksum of its own that the workspace file names.

use super::source::file_name;
use crate::{BoxError, Result};
use camino::{Utf8Path, Utf8PathBuf};
use rig_model::{ArtifactSource, ArtifactSpec, Digest, Name};
use std::io::{self, Write};

/// The largest list, in bytes: some thousand lines.
const LARGEST: u64 = 1 << 20;

/// The files that a list names, in its order. Each has the list's name and origin.
///
/// # Errors
/// When the list cannot be read, or a line is none of `<sha256>  maven:group:artifact:version[:classifier]`.
pub(super) fn read(artifact: &ArtifactSpec, path: &Utf8Path) -> Result<Vec<ArtifactSpec>> {
    let fail = BoxError::file(format!("reading the list of artifact {}", artifact.name));
    let metadata = fs_err::metadata(path);
    let text = metadata.and_then(|metadata| {
        if metadata.len() > LARGEST {
            return Err(io::Error::other(format!("{path} is larger than {} KiB", LARGEST >> 10)));
        }
        fs_err::read_to_string(path)
    });
    let text = text.map_err(fail)?;
    let mut entries = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        entries.push(entry(artifact, line).ok_or_else(|| BoxError::Artifact {
            name: artifact.name.clone(),
            why: format!("{path}:{}: {line:?} is no entry of a list", number + 1),
            hint:
                "a line is `<sha256>  maven:group:artifact:version`, with `:classifier` where there is one".to_owned(),
        })?);
    }
    Ok(entries)
}

fn entry(artifact: &ArtifactSpec, line: &str) -> Option<ArtifactSpec> {
    let (sum, coordinate) = line.split_once(char::is_whitespace)?;
    let parts: Vec<&str> = coordinate.trim().strip_prefix("maven:")?.split(':').collect();
    let fine = |part: &&str| {
        !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '+'))
    };
    if !parts.iter().all(fine) {
        return None;
    }
    let (group, name, version, classifier) = match parts.as_slice() {
        [group, name, version] => (group, name, version, None),
        [group, name, version, classifier] => (group, name, version, Some((*classifier).to_owned())),
        _ => return None,
    };
    Some(ArtifactSpec {
        // Only for messages; the file's own name is what people look for.
        name: Name::new(artifact.name.as_str()).ok()?,
        source: ArtifactSource::Maven { group: (*group).to_owned(), artifact: (*name).to_owned(), classifier },
        version: Some((*version).to_owned()),
        sha256: Digest::from_hex(sum)?,
        origin: artifact.origin.clone(),
    })
}

/// Packs files into one archive: sorted by name, without times and owners. Blocks while it works.
///
/// # Errors
/// When a file cannot be read, two have one name, or the archive cannot be written.
pub(super) fn pack(entries: &[(ArtifactSpec, Utf8PathBuf)], archive: impl Write) -> io::Result<()> {
    let mut files: Vec<(String, &Utf8Path)> =
        entries.iter().map(|(spec, path)| (file_name(spec), path.as_path())).collect();
    files.sort();
    if let Some(twice) = files.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        return Err(io::Error::other(format!("two files of the list are called {}", twice[0].0)));
    }
    let mut builder = tar::Builder::new(archive);
    for (name, path) in files {
        let file = fs_err::File::open(path)?;
        let mut header = tar::Header::new_gnu();
        header.set_size(file.metadata()?.len());
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        builder.append_data(&mut header, name, file)?;
    }
    builder.into_inner()?.flush()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::temporary;
    use rig_model::Origin;

    fn list() -> ArtifactSpec {
        ArtifactSpec {
            name: Name::new("jars").unwrap(),
            source: ArtifactSource::List("jars.list".to_owned()),
            version: None,
            sha256: Digest::of(b""),
            origin: Origin::default(),
        }
    }

    #[test]
    fn lines_are_coordinates_with_checksums() {
        let (_guard, folder) = temporary();
        let path = folder.join("jars.list");
        let sum = Digest::of(b"x");
        fs_err::write(&path, format!("# a list\n\n{sum}  maven:a.b:c:1.0\n{sum}  maven:a.b:c:1.0:linux-x86_64\n"))
            .unwrap();
        let entries = read(&list(), &path).unwrap();
        assert_eq!(entries.iter().map(file_name).collect::<Vec<_>>(), ["c-1.0.jar", "c-1.0-linux-x86_64.jar"]);
        for bad in
            ["maven:a:b:1", &format!("{sum} a:b:1"), &format!("{sum} maven:a:b"), &format!("{sum} maven:a/..:b:1")]
        {
            fs_err::write(&path, bad).unwrap();
            let error = read(&list(), &path).unwrap_err().to_string();
            assert!(error.contains("jars.list:1"), "{error}");
        }
    }

    #[test]
    fn the_same_files_make_the_same_archive() {
        let (_guard, folder) = temporary();
        let file = |name: &str, content: &str| {
            let path = folder.join(name);
            fs_err::write(&path, content).unwrap();
            let source = ArtifactSource::Maven { group: "g".to_owned(), artifact: name.to_owned(), classifier: None };
            (ArtifactSpec { source, version: Some("1".to_owned()), ..list() }, path)
        };
        let (one, two) = (file("one", "1"), file("two", "2"));
        let packed = |entries: &[(ArtifactSpec, Utf8PathBuf)]| {
            let mut bytes = Vec::new();
            pack(entries, &mut bytes).map(|()| bytes)
        };
        let forward = packed(&[one.clone(), two.clone()]).unwrap();
        assert_eq!(forward, packed(&[two, one.clone()]).unwrap());
        assert!(packed(&[one.clone(), one]).is_err());
    }
}
