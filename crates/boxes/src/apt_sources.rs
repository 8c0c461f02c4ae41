//! The host's own package sources for a suite: a host behind a company mirror has the address already.

use camino::Utf8Path;
use std::fmt::Write;

/// Where the host's sources are.
pub(crate) const APT: &str = "/etc/apt";

/// Keyrings of distributions. A source signed by another key is somebody's addition, which the new system does not trust.
const KEYRINGS: [&str; 2] = ["/usr/share/keyrings/debian-archive-", "/usr/share/keyrings/ubuntu-archive-"];

#[derive(Debug, Default, PartialEq, Eq)]
struct Source {
    uris: Vec<String>,
    suites: Vec<String>,
    components: Vec<String>,
    signed_by: Option<String>,
}

/// The sources of `suite`, its updates and its security fixes, in the deb822 form; `None` when the host has none, or
/// none with the suite itself. Files that cannot be read are left out.
pub(crate) fn of_suite(apt: &Utf8Path, suite: &str) -> Option<String> {
    let mut sources = Vec::new();
    let mut files = vec![apt.join("sources.list")];
    if let Ok(folder) = apt.join("sources.list.d").read_dir_utf8() {
        files.extend(folder.flatten().map(camino::Utf8DirEntry::into_path));
    }
    files.sort();
    for file in files {
        let Ok(text) = fs_err::read_to_string(&file) else {
            continue;
        };
        match file.extension() {
            Some("sources") => sources.extend(stanzas(&text)),
            Some("list") => sources.extend(text.lines().filter_map(one_line)),
            _ => {}
        }
    }
    let mut text = String::new();
    let mut has_suite = false;
    for mut source in sources {
        source
            .suites
            .retain(|found| found.strip_prefix(suite).is_some_and(|rest| rest.is_empty() || rest.starts_with('-')));
        let is_distribution =
            source.signed_by.as_ref().is_none_or(|key| KEYRINGS.iter().any(|known| key.starts_with(known)));
        if source.suites.is_empty() || !is_distribution || !source.components.iter().any(|name| name == "main") {
            continue;
        }
        has_suite |= source.suites.iter().any(|found| found == suite);
        source.write(&mut text);
    }
    has_suite.then_some(text)
}

impl Source {
    fn write(&self, text: &mut String) {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "Types: deb\nURIs: {}\nSuites: {}", self.uris.join(" "), self.suites.join(" "));
        let _ = writeln!(text, "Components: {}", self.components.join(" "));
        if let Some(key) = &self.signed_by {
            let _ = writeln!(text, "Signed-By: {key}");
        }
        text.push('\n');
    }
}

/// `deb [signed-by=/…] http://… bookworm main`
fn one_line(line: &str) -> Option<Source> {
    let line = line.split('#').next()?.trim();
    let mut rest = line.strip_prefix("deb")?.strip_prefix([' ', '\t'])?.trim_start();
    let mut signed_by = None;
    if let Some(inner) = rest.strip_prefix('[') {
        let (options, behind) = inner.split_once(']')?;
        signed_by = options.split_whitespace().find_map(|option| option.strip_prefix("signed-by=")).map(str::to_owned);
        rest = behind;
    }
    let mut words = rest.split_whitespace().map(str::to_owned);
    Some(Source { uris: vec![words.next()?], suites: vec![words.next()?], components: words.collect(), signed_by })
}

/// Paragraphs of `Key: value` lines; a line that begins with a space goes on with the value above.
fn stanzas(text: &str) -> Vec<Source> {
    let mut sources = Vec::new();
    for paragraph in text.lines().collect::<Vec<_>>().split(|line| line.trim().is_empty()) {
        let mut source = Source::default();
        let mut types = Vec::new();
        let mut enabled = true;
        let mut key = String::new();
        for line in paragraph.iter().filter(|line| !line.starts_with('#')) {
            let value = if line.starts_with([' ', '\t']) {
                line
            } else {
                let Some((name, value)) = line.split_once(':') else {
                    continue;
                };
                key = name.trim().to_ascii_lowercase();
                value
            };
            let words = value.split_whitespace().map(str::to_owned);
            match key.as_str() {
                "types" => types.extend(words),
                "uris" => source.uris.extend(words),
                "suites" => source.suites.extend(words),
                "components" => source.components.extend(words),
                "enabled" => enabled = value.trim() != "no",
                "signed-by" => source.signed_by.get_or_insert_default().push_str(value.trim()),
                _ => {}
            }
        }
        if enabled && types.iter().any(|kind| kind == "deb") && !source.uris.is_empty() {
            sources.push(source);
        }
    }
    sources
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::temporary;

    fn sources(files: &[(&str, &str)], suite: &str) -> Option<String> {
        let (_guard, apt) = temporary();
        fs_err::create_dir(apt.join("sources.list.d")).unwrap();
        for (name, text) in files {
            fs_err::write(apt.join(name), text).unwrap();
        }
        of_suite(&apt, suite)
    }

    const DEBIAN: &str = "Types: deb deb-src\n# a remark\nURIs: http://mirror.example/debian\nSuites: bookworm bookworm-updates trixie\nComponents: main\nSigned-By: /usr/share/keyrings/debian-archive-keyring.gpg\n\nTypes: deb\nURIs: http://other.example\nSuites: bookworm\nComponents: stable\nSigned-By: /etc/apt/keyrings/other.gpg\n";

    #[test]
    fn the_distributions_own_sources_are_taken() {
        assert_eq!(
            sources(&[("sources.list.d/debian.sources", DEBIAN)], "bookworm").unwrap(),
            "Types: deb\nURIs: http://mirror.example/debian\nSuites: bookworm bookworm-updates\nComponents: main\nSigned-By: /usr/share/keyrings/debian-archive-keyring.gpg\n\n"
        );
    }

    #[test]
    fn the_old_form_is_read_too() {
        let list = "# deb http://no.example bookworm main\ndeb-src http://no.example bookworm main\ndeb [arch=amd64] http://m.example/debian bookworm main contrib # remark\n";
        assert_eq!(
            sources(&[("sources.list", list)], "bookworm").unwrap(),
            "Types: deb\nURIs: http://m.example/debian\nSuites: bookworm\nComponents: main contrib\n\n"
        );
    }

    #[test]
    fn another_suite_has_none() {
        assert_eq!(sources(&[("sources.list.d/debian.sources", DEBIAN)], "sid"), None);
        assert_eq!(sources(&[("sources.list", "deb http://m.example bookworm-security main")], "bookworm"), None);
        assert_eq!(sources(&[], "bookworm"), None);
    }
}
