//! Which names an archive has used: what may be made without harm is decided here, before anything is made.

use camino::Utf8Path;
use std::collections::HashMap;

/// What has a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    Folder,
    File,
    Link,
}

/// The names that are used, by what they are where case does not count.
#[derive(Debug, Default)]
pub(super) struct Names {
    used: HashMap<String, (String, Entry)>,
}

impl Names {
    /// Uses a name, and those of the folders above it. The number of names that are new.
    ///
    /// # Errors
    /// What is wrong, in words that follow the path: it is used, also in another case; or a file or a link is above it.
    pub(super) fn enter(&mut self, path: &Utf8Path, entry: Entry) -> Result<u64, String> {
        let above = path.ancestors().skip(1).filter(|path| !path.as_str().is_empty());
        let mut new = 0;
        for folder in above {
            match self.used(folder)? {
                Some(Entry::Folder) => break,
                Some(Entry::File) => return Err(format!("lies below {folder}, which is a file")),
                Some(Entry::Link) => return Err(format!("lies below {folder}, which is a link")),
                None => new += self.insert(folder, Entry::Folder),
            }
        }
        match (self.used(path)?, entry) {
            (None, _) => Ok(new + self.insert(path, entry)),
            (Some(Entry::Folder), Entry::Folder) => Ok(new),
            (Some(_), _) => Err("is in it twice".to_owned()),
        }
    }

    fn used(&self, path: &Utf8Path) -> Result<Option<Entry>, String> {
        match self.used.get(&folded(path)) {
            Some((other, _)) if other != path.as_str() => {
                Err(format!("is in it twice: {path} and {other} are the same name where case does not count"))
            }
            found => Ok(found.map(|(_, entry)| *entry)),
        }
    }

    fn insert(&mut self, path: &Utf8Path, entry: Entry) -> u64 {
        self.used.insert(folded(path), (path.as_str().to_owned(), entry));
        1
    }
}

/// The same for names that some file system takes for one. By way of the capitals, as those have fewer forms.
fn folded(path: &Utf8Path) -> String {
    path.as_str().to_uppercase().to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the last of some entries gets as an answer; `@` marks links, and `/` at the end folders.
    fn last(paths: &str) -> Result<u64, String> {
        let mut names = Names::default();
        let mut answer = Ok(0);
        for path in paths.split(' ') {
            let entry = if path.starts_with('@') {
                Entry::Link
            } else if path.ends_with('/') {
                Entry::Folder
            } else {
                Entry::File
            };
            answer = names.enter(Utf8Path::new(path.trim_matches(['@', '/'])), entry);
        }
        answer
    }

    #[test]
    fn each_name_is_used_once() {
        for (paths, new) in [("a", 1), ("a/b/c", 3), ("a/b/c a/b/d", 1), ("a/b a/", 0), ("a/ a/", 0), ("@a/l a/f", 1)] {
            assert_eq!(last(paths), Ok(new), "{paths}");
        }
        for (paths, why) in [
            ("a a", "twice"),
            ("a a/", "twice"),
            ("a/ a", "twice"),
            ("@a @a", "twice"),
            ("a/b @a", "twice"),
            ("a a/b", "a file"),
            ("@a a/b", "a link"),
            ("@a a/b/c/d/", "a link"),
            ("@a/b @a/b/c", "a link"),
            ("a A", "case"),
            ("a/x A/y", "case"),
            ("@L l/x", "case"),
            ("\u{e4} \u{c4}", "case"),
        ] {
            let error = last(paths).unwrap_err();
            assert!(error.contains(why), "{paths}: {error}");
        }
    }
}
