//! `.dockerignore`: what of a box folder stays out of the build context.
//!
//! Patterns are those of gitignore with two differences: they start at the folder (`a` is not `b/a`; that is `**/a`), and
//! the last pattern that matches a file or one of its folders decides.

use ignore::gitignore::{Gitignore, GitignoreBuilder};
use std::path::Path;

/// The file's name.
pub(crate) const NAME: &str = ".dockerignore";

/// The patterns of one file.
pub(crate) struct IgnoreFile {
    /// Whether a match takes a file back in, and the pattern.
    rules: Vec<(bool, Gitignore)>,
}

impl IgnoreFile {
    /// Reads the patterns.
    ///
    /// # Errors
    /// The first line that is no pattern, and what is wrong with it.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let lines = text.trim_start_matches('\u{feff}').lines().map(str::trim);
        let rules = lines
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
            .map(|line| {
                let (keeps, pattern) = line.strip_prefix('!').map_or((false, line), |rest| (true, rest.trim_start()));
                let pattern = pattern.trim_start_matches("./").trim_matches('/');
                if pattern.is_empty() || pattern == "." {
                    return Ok(None);
                }
                let mut builder = GitignoreBuilder::new("");
                builder
                    .add_line(None, &format!("/{pattern}"))
                    .and_then(|builder| builder.build())
                    .map(|rule| Some((keeps, rule)))
                    .map_err(|error| format!("{line:?}: {error}"))
            })
            .filter_map(Result::transpose)
            .collect::<Result<_, _>>()?;
        Ok(Self { rules })
    }

    /// Whether a path relative to the folder stays out.
    pub(crate) fn excludes(&self, path: &str, is_folder: bool) -> bool {
        let decides =
            |(_, rule): &&(bool, Gitignore)| rule.matched_path_or_any_parents(Path::new(path), is_folder).is_ignore();
        self.rules.iter().rev().find(decides).is_some_and(|(keeps, _)| !keeps)
    }

    /// Whether something below an excluded folder may be taken back in.
    pub(crate) fn has_exceptions(&self) -> bool {
        self.rules.iter().any(|(keeps, _)| *keeps)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, excluded: &[&str], kept: &[&str]) {
        let file = IgnoreFile::parse(text).unwrap();
        for path in excluded {
            assert!(file.excludes(path, false), "{path} is kept by {text:?}");
        }
        for path in kept {
            assert!(!file.excludes(path, false), "{path} is excluded by {text:?}");
        }
    }

    #[test]
    fn patterns_start_at_the_folder() {
        check("a\n", &["a", "a/b", "a/b/c"], &["b/a", "ab"]);
        check("/a/\n", &["a/b"], &["b/a/c"]);
        check("**/a", &["a", "b/a", "b/c/a/d"], &["ab"]);
        check("*.md", &["README.md"], &["docs/README.md"]);
    }

    #[test]
    fn the_last_pattern_decides() {
        check("*\n!bin\n", &["a", "b/c"], &["bin", "bin/x"]);
        check("*.md\n!README.md", &["a.md"], &["README.md"]);
        check("!a/b\na", &["a/b"], &[]);
        check("a\n!a/b", &["a/c"], &["a/b", "a/b/c"]);
    }

    #[test]
    fn comments_and_empty_lines_are_nothing() {
        check("\u{feff}# all\n\n  \n./x\n/\n", &["x"], &["# all", "y"]);
    }
}
