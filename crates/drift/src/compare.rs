//! How two manifests differ.

use crate::{Classifier, File, Kind, Manifest};
use rig_model::{DriftClass, FieldChange};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// What became of something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Change {
    /// It was not there.
    Added,
    /// It is another one.
    Changed,
    /// It is not there any more.
    Removed,
}

/// A path that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileDrift {
    /// The absolute path.
    pub path: String,
    /// What became of it.
    pub change: Change,
    /// What it is for.
    pub class: DriftClass,
    /// Which of its properties differ, as far as the old ones are known.
    pub fields: Vec<FieldChange>,
}

/// A package, process or listener that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ItemDrift {
    /// Its name.
    pub name: String,
    /// What became of it.
    pub change: Change,
    /// The old version; packages only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub old: Option<String>,
    /// The new version; packages only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new: Option<String>,
}

/// How a machine differs from what it was.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drift {
    /// Paths, in their order.
    pub files: Vec<FileDrift>,
    /// Packages.
    pub packages: Vec<ItemDrift>,
    /// Processes.
    pub processes: Vec<ItemDrift>,
    /// Listeners.
    pub listeners: Vec<ItemDrift>,
}

impl Drift {
    /// Whether something differs that the file does not allow for: configuration, programs, or data outside of volumes.
    /// Logs, caches and temporary files come with every service that runs.
    #[must_use]
    pub fn is_violation(&self) -> bool {
        let counts = |class| matches!(class, DriftClass::Configuration | DriftClass::Program | DriftClass::State);
        !self.packages.is_empty() || self.files.iter().any(|file| counts(file.class))
    }

    /// How many paths differ in each class.
    #[must_use]
    pub fn counts(&self) -> BTreeMap<DriftClass, usize> {
        let mut counts = BTreeMap::new();
        for file in &self.files {
            *counts.entry(file.class).or_default() += 1;
        }
        counts
    }

    /// Whether nothing differs.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.files.is_empty() && self.packages.is_empty() && self.processes.is_empty() && self.listeners.is_empty()
    }
}

/// Compares what a machine is with what it was. What only one of the two knows is no difference.
#[must_use]
pub fn compare(before: &Manifest, now: &Manifest, classifier: &Classifier) -> Drift {
    let mut files = Vec::new();
    let paths: BTreeSet<&String> =
        [&before.files, &now.files].into_iter().flat_map(BTreeMap::keys).chain(&now.removed).collect();
    for path in paths {
        let Some(class) = classifier.class(path) else { continue };
        if let Some((change, fields)) = file(path, before, now) {
            files.push(FileDrift { path: path.clone(), change, class, fields });
        }
    }
    Drift {
        files,
        packages: both(&before.packages, &now.packages, packages),
        processes: both(&before.processes, &now.processes, items),
        listeners: both(&before.listeners, &now.listeners, items),
    }
}

fn file(path: &str, before: &Manifest, now: &Manifest) -> Option<(Change, Vec<FieldChange>)> {
    match (before.files.get(path), now.files.get(path)) {
        (Some(old), Some(new)) => {
            let fields = fields(old, new);
            (!fields.is_empty()).then_some((Change::Changed, fields))
        }
        // A folder of the box is named whenever something in it is.
        (None, Some(new)) if new.in_box && new.kind == Kind::Folder => None,
        (None, Some(new)) if new.in_box && !before.removed.contains(path) => Some((Change::Changed, Vec::new())),
        (None, Some(_)) => Some((Change::Added, Vec::new())),
        // What the box has too and is not named any more is what the box has: another file than before, the same folder.
        (Some(old), None) if old.in_box && !now.removed.contains(path) => {
            (old.kind != Kind::Folder).then(|| (Change::Changed, Vec::new()))
        }
        (Some(_), None) => Some((Change::Removed, Vec::new())),
        (None, None) => (!before.removed.contains(path)).then_some((Change::Removed, Vec::new())),
    }
}

fn fields(old: &File, new: &File) -> Vec<FieldChange> {
    let mut fields = Vec::new();
    if old.kind == Kind::Unknown || new.kind == Kind::Unknown {
        return fields;
    }
    let mut differs = |field: &str, old: String, new: String| {
        if old != new {
            fields.push(FieldChange { field: field.to_owned(), old: Some(old), new: Some(new) });
        }
    };
    differs("kind", old.kind.word().to_owned(), new.kind.word().to_owned());
    // Every link has the same mode.
    if old.kind != Kind::Link || new.kind != Kind::Link {
        differs("mode", format!("{:04o}", old.mode), format!("{:04o}", new.mode));
    }
    differs("owner", old.owner.clone(), new.owner.clone());
    if old.kind == Kind::File && new.kind == Kind::File {
        differs("size", old.size.to_string(), new.size.to_string());
        match (&old.sha256, &new.sha256) {
            (Some(old), Some(new)) => differs("sha256", old.to_string(), new.to_string()),
            // Written in place with the same length: the content may be the same, but nobody can tell.
            _ if old.size == new.size => differs("modified", old.modified.to_string(), new.modified.to_string()),
            _ => {}
        }
    }
    if let (Some(old), Some(new)) = (&old.target, &new.target) {
        differs("target", old.clone(), new.clone());
    }
    fields
}

fn both<T>(old: &Option<T>, new: &Option<T>, differences: impl FnOnce(&T, &T) -> Vec<ItemDrift>) -> Vec<ItemDrift> {
    match (old, new) {
        (Some(old), Some(new)) => differences(old, new),
        _ => Vec::new(),
    }
}

fn packages(old: &BTreeMap<String, String>, new: &BTreeMap<String, String>) -> Vec<ItemDrift> {
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let differs = names.into_iter().filter(|name| old.get(*name) != new.get(*name));
    differs
        .map(|name| {
            let (old, new) = (old.get(name).cloned(), new.get(name).cloned());
            let change = match (&old, &new) {
                (None, _) => Change::Added,
                (_, None) => Change::Removed,
                _ => Change::Changed,
            };
            ItemDrift { name: name.clone(), change, old, new }
        })
        .collect()
}

fn items(old: &BTreeSet<String>, new: &BTreeSet<String>) -> Vec<ItemDrift> {
    let item = |name: &String, change| ItemDrift { name: name.clone(), change, old: None, new: None };
    let added = new.difference(old).map(|name| item(name, Change::Added));
    added.chain(old.difference(new).map(|name| item(name, Change::Removed))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rig_model::Digest;

    fn entry(content: &str) -> File {
        File {
            kind: Kind::File,
            mode: 0o644,
            owner: "0:0".to_owned(),
            size: content.len() as u64,
            modified: 1,
            changed: 1,
            sha256: Some(Digest::of(content.as_bytes())),
            target: None,
            in_box: false,
        }
    }

    fn manifest<const N: usize>(files: [(&str, File); N]) -> Manifest {
        Manifest { files: files.map(|(path, file)| (path.to_owned(), file)).into(), ..Manifest::default() }
    }

    fn drift(before: &Manifest, now: &Manifest) -> Vec<(String, Change, Vec<String>)> {
        let drift = compare(before, now, &Classifier::new(&[], []).unwrap());
        let names = |file: &FileDrift| file.fields.iter().map(|field| field.field.clone()).collect();
        drift.files.iter().map(|file| (file.path.clone(), file.change, names(file))).collect()
    }

    #[test]
    fn a_file_that_was_only_touched_is_the_same() {
        let before = manifest([("/etc/a", entry("one"))]);
        let now = manifest([("/etc/a", File { modified: 9, changed: 9, ..entry("one") })]);
        assert_eq!(drift(&before, &now), []);
        // Without hashes nobody can tell.
        let large = |modified| File { sha256: None, modified, ..entry("one") };
        let touched = drift(&manifest([("/etc/a", large(1))]), &manifest([("/etc/a", large(2))]));
        assert_eq!(touched, [("/etc/a".to_owned(), Change::Changed, vec!["modified".to_owned()])]);
    }

    #[test]
    fn changes_are_named() {
        let before = manifest([("/etc/a", entry("one")), ("/etc/b", entry("x")), ("/etc/gone", entry("x"))]);
        let mut now = manifest([
            ("/etc/a", entry("two")),
            ("/etc/b", File { mode: 0o600, owner: "1:1".to_owned(), ..entry("x") }),
            ("/etc/new", entry("x")),
            ("/etc/box.conf", File { in_box: true, ..entry("x") }),
            ("/etc", File { kind: Kind::Folder, in_box: true, ..entry("") }),
        ]);
        now.removed.insert("/usr/bin/tool".to_owned());
        let words = |fields: &[&str]| fields.iter().map(|field| (*field).to_owned()).collect::<Vec<_>>();
        assert_eq!(
            drift(&before, &now),
            [
                ("/etc/a".to_owned(), Change::Changed, words(&["sha256"])),
                ("/etc/b".to_owned(), Change::Changed, words(&["mode", "owner"])),
                ("/etc/box.conf".to_owned(), Change::Changed, words(&[])),
                ("/etc/gone".to_owned(), Change::Removed, words(&[])),
                ("/etc/new".to_owned(), Change::Added, words(&[])),
                ("/usr/bin/tool".to_owned(), Change::Removed, words(&[])),
            ]
        );
        assert_eq!(drift(&now, &now), []);
    }

    #[test]
    fn what_is_the_boxs_again_is_not_gone() {
        let folder = || File { kind: Kind::Folder, in_box: true, ..entry("") };
        let before = manifest([
            ("/usr", folder()),
            ("/usr/gone", folder()),
            ("/usr/tool", entry("x")),
            ("/etc/box.conf", File { in_box: true, ..entry("x") }),
        ]);
        let mut now = manifest([]);
        now.removed.insert("/usr/gone".to_owned());
        assert_eq!(
            drift(&before, &now),
            [
                ("/etc/box.conf".to_owned(), Change::Changed, Vec::new()),
                ("/usr/gone".to_owned(), Change::Removed, Vec::new()),
                ("/usr/tool".to_owned(), Change::Removed, Vec::new()),
            ]
        );
    }

    #[test]
    fn packages_and_listeners_are_compared_where_both_know_them() {
        let with = |packages: &[(&str, &str)], listeners: &[&str]| Manifest {
            packages: Some(
                packages.iter().map(|(name, version)| ((*name).to_owned(), (*version).to_owned())).collect(),
            ),
            listeners: Some(listeners.iter().map(|name| (*name).to_owned()).collect()),
            ..Manifest::default()
        };
        let classifier = Classifier::new(&[], []).unwrap();
        let before = with(&[("a", "1"), ("b", "1")], &["tcp [::]:22"]);
        let drift = compare(&before, &with(&[("a", "2"), ("c", "1")], &["tcp [::]:23"]), &classifier);
        let changes: Vec<_> = drift.packages.iter().map(|item| (item.name.as_str(), item.change)).collect();
        assert_eq!(changes, [("a", Change::Changed), ("b", Change::Removed), ("c", Change::Added)]);
        assert_eq!(drift.listeners.len(), 2);
        assert!(drift.is_violation());
        assert!(compare(&before, &Manifest::default(), &classifier).is_empty());
    }

    #[test]
    fn what_services_write_is_no_violation() {
        let now = manifest([("/var/log/x", entry("x")), ("/tmp/y", entry("y"))]);
        let classifier = Classifier::new(&[], []).unwrap();
        let drift = compare(&Manifest::default(), &now, &classifier);
        assert!(!drift.is_violation() && drift.files.len() == 2);
        assert_eq!(drift.counts().into_iter().collect::<Vec<_>>(), [(DriftClass::Log, 1), (DriftClass::Temporary, 1)]);
    }
}
