//! Paths in archives: only those that stay inside the folder that is unpacked into, on every platform.

use crate::names::is_reserved;
use camino::Utf8PathBuf;

/// The longest path, in bytes.
const LONGEST: usize = 1024;

/// How many folders may be in each other.
const DEEPEST: usize = 32;

/// The path below the folder; empty for the folder itself.
///
/// # Errors
/// What is wrong with it, in words that follow the path.
pub(crate) fn inside(raw: &str) -> Result<Utf8PathBuf, &'static str> {
    if raw.len() > LONGEST {
        return Err("is too long");
    }
    if raw.starts_with('/') {
        return Err("begins at the root of the file system");
    }
    // Windows takes the first for a separator, the second for a drive or a hidden part of a file, and has the others in
    // no name.
    if raw.chars().any(|c| matches!(c, '\\' | ':' | '<' | '>' | '"' | '|' | '?' | '*') || c.is_control()) {
        return Err("has a character that is none of a file name everywhere");
    }
    let mut path = Utf8PathBuf::new();
    for (depth, part) in raw.split('/').filter(|part| !part.is_empty() && *part != ".").enumerate() {
        if part == ".." {
            return Err("leads out of the box");
        }
        if depth >= DEEPEST {
            return Err("is too deep");
        }
        if part.len() > 255 || part.ends_with(['.', ' ']) {
            return Err("has a part that is no file name everywhere");
        }
        if is_reserved(part) {
            return Err("has a part that is the name of a device on Windows");
        }
        path.push(part);
    }
    Ok(path)
}

/// The target of a symbolic link in the folder `parent`, as it may be written: relative, first up and then down. `parent`
/// must be the folder itself, with no link on the way to it: only then its parts are as many as the link may go up.
///
/// # Errors
/// What is wrong with it, in words that follow the link.
pub(super) fn link_target(parent: &Utf8PathBuf, raw: &str) -> Result<Utf8PathBuf, &'static str> {
    if raw.is_empty() {
        return Err("is no path");
    }
    let mut rest = raw;
    let mut ups = 0;
    while let Some(behind) = rest.strip_prefix("../").or_else(|| (rest == "..").then_some("")) {
        ups += 1;
        rest = behind;
    }
    let down = inside(rest).map_err(|_| "leads out of the box")?;
    if ups > parent.components().count() {
        return Err("leads out of the box");
    }
    if ups == 0 && down.as_str().is_empty() {
        return Err("is the folder that the link lies in");
    }
    let mut target = Utf8PathBuf::new();
    (0..ups).for_each(|_| target.push(".."));
    Ok(target.join(down))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_paths_inside_are_taken() {
        assert_eq!(inside("./a//b/.").unwrap(), "a/b");
        assert_eq!(inside("./").unwrap(), "");
        for bad in [
            "/etc/passwd",
            "../x",
            "a/../../x",
            "a/..",
            "C:x",
            "a\\..\\b",
            "a\0b",
            "a\nb",
            "a.",
            "...",
            "a?",
            "<a",
            "a|b",
        ] {
            assert!(inside(bad).is_err(), "{bad:?}");
        }
        for bad in ["nul", "a/CON.txt", "Com1", "aux .x/b"] {
            assert!(inside(bad).unwrap_err().contains("device"), "{bad:?}");
        }
        for good in ["console", "comb.x", "null", "com10"] {
            assert!(inside(good).is_ok(), "{good:?}");
        }
        assert!(inside(&"a/".repeat(40)).is_err());
    }

    #[test]
    fn only_links_inside_are_taken() {
        let parent = Utf8PathBuf::from("a/b");
        assert_eq!(link_target(&parent, "../../x").unwrap(), "../../x");
        assert_eq!(link_target(&parent, "./c").unwrap(), "c");
        assert!(link_target(&parent, "").unwrap_err().contains("no path"));
        assert!(link_target(&parent, ".").unwrap_err().contains("the link lies in"));
        for bad in ["/x", "../../../x", "c/../../x", "c/..", "../c/.."] {
            assert!(link_target(&parent, bad).is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn no_path_leads_out(raw in r"[a./\\:]{0,12}") {
            if let Ok(path) = inside(&raw) {
                prop_assert!(path.components().all(|part| matches!(part, camino::Utf8Component::Normal(_))), "{path}");
            }
        }
    }
}
