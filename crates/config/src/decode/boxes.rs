//! `box`: what machines are made from.

use super::declared::Declared;
use crate::{
    SourceKind, Sources,
    context::{At, Draft},
    eval::Eval,
    reader::{Reader, Value},
    validate::cycles,
};
use camino::Utf8Path;
use indexmap::IndexMap;
use rig_model::{ArtifactSpec, Bootstrap, BootstrapKind, BoxBuild, BoxName, BoxSource, BoxSpec, Name, StoredSource};

/// A box whose parent is not looked up yet.
struct Draught<'k> {
    name: Option<(BoxName, At)>,
    spec: Option<BoxSpec>,
    /// The text that names the parent.
    from: Option<(String, Value<'k>)>,
}

/// All boxes of the file.
pub(crate) fn read(
    eval: &mut Eval<'_, '_>,
    nodes: Vec<Reader<'_>>,
    artifacts: &Declared<ArtifactSpec>,
    sources: &dyn Sources,
) -> Declared<BoxSpec> {
    let mut boxes = Declared::new("box");
    let mut parents = Vec::new();
    for reader in nodes {
        let draught = one(eval, reader, artifacts, sources);
        if let Some((name, at)) = draught.name {
            boxes.declare(eval.cx, name, at, draught.spec);
        }
        parents.extend(draught.from);
    }
    for (parent, value) in parents {
        boxes.refer(eval.cx, &parent, value.at);
    }
    let specs: Vec<(&Name, &BoxSpec)> = boxes.iter().collect();
    let numbers: IndexMap<&str, usize> =
        specs.iter().enumerate().map(|(number, (name, _))| (name.as_str(), number)).collect();
    let edges: Vec<Vec<usize>> = specs
        .iter()
        .map(|(_, spec)| spec.parent().and_then(|parent| numbers.get(parent.as_str()).copied()).into_iter().collect())
        .collect();
    for circle in cycles::find(&edges) {
        let names: Vec<&str> = circle.iter().filter_map(|number| Some(specs.get(*number)?.0.as_str())).collect();
        let first = names.first().copied().unwrap_or_default();
        if let Some(at) = boxes.at(first) {
            let message = format!("boxes are built from each other in a circle: {} → {first}", names.join(" → "));
            eval.cx.report(
                Draft::new(at, message).label("part of the circle").help("one of them must come from somewhere else"),
            );
        }
    }
    boxes
}

/// The boxes, parents before children, otherwise in the file's order.
pub(crate) fn order(boxes: Declared<BoxSpec>) -> IndexMap<BoxName, BoxSpec> {
    let mut left: IndexMap<BoxName, BoxSpec> = boxes.into_items().collect();
    let names: Vec<BoxName> = left.keys().cloned().collect();
    let mut ordered = IndexMap::with_capacity(left.len());
    for name in names {
        // From the box up to the first ancestor that is in order; in a circle every box is met once.
        let mut line = Vec::new();
        let mut next = Some(name);
        while let Some((name, spec)) = next.and_then(|name| left.shift_remove_entry(&name)) {
            next = spec.parent().cloned();
            line.push((name, spec));
        }
        ordered.extend(line.into_iter().rev());
    }
    ordered
}

fn one<'k>(
    eval: &mut Eval<'_, '_>,
    mut reader: Reader<'k>,
    artifacts: &Declared<ArtifactSpec>,
    sources: &dyn Sources,
) -> Draught<'k> {
    let at = reader.at();
    let place = reader.name_at();
    let name = reader.arg(eval.cx, "a name");
    let name = name.and_then(|value| Some((eval.name(value, "box")?, value.at)));
    let mut from = None;
    let mut found: Vec<(At, Option<BoxSource>)> = Vec::new();
    if let Some(node) = reader.block.one(eval.cx, "build") {
        let node_at = node.at();
        let build = build(eval, node, &mut from, artifacts, sources);
        found.push((node_at, build.map(BoxSource::Build)));
    }
    if let Some(node) = reader.block.one(eval.cx, "bootstrap") {
        let node_at = node.at();
        found.push((node_at, bootstrap(eval, node).map(BoxSource::Bootstrap)));
    }
    for node in reader.block.all("image") {
        let node_at = node.at();
        let image = eval.only_value(Some(node), "an image's name", |eval, value| {
            let text = eval.word(value, "image")?;
            if text.contains(char::is_whitespace) {
                eval.wrong(
                    value.at,
                    format!("{text:?} is not the name of an image"),
                    "write it as \"docker.io/library/debian:bookworm-slim\"",
                );
                return None;
            }
            Some(text)
        });
        found.push((node_at, image.map(BoxSource::Image)));
    }
    for node in reader.block.all("cloud-image") {
        let node_at = node.at();
        let image = eval.only_value(Some(node), "an artifact's name", |eval, value| {
            let text = eval.word(value, "cloud-image")?;
            artifacts.refer(eval.cx, &text, value.at).cloned()
        });
        found.push((node_at, image.map(BoxSource::CloudImage)));
    }
    for node in reader.block.all("stored") {
        let node_at = node.at();
        found.push((node_at, stored(eval, node).map(BoxSource::Stored)));
    }
    let host_trust = reader.block.one(eval.cx, "host-trust");
    let host_trust = eval.flag(host_trust).unwrap_or(true);
    reader.finish(eval.cx);
    if found.is_empty() {
        let draft = Draft::new(place, "a box needs a source").label("no source in here");
        eval.cx.report(
            draft.help("add `build \"folder\"`, `bootstrap \"suite\"`, `image \"name\"`, `cloud-image \"artifact\"` or `stored \"user/box\"`"),
        );
    }
    // The order in which they are written is the order of preference.
    found.sort_by_key(|(at, _)| at.start);
    let sources: Option<Vec<BoxSource>> = found.into_iter().map(|(_, source)| source).collect();
    let origin = eval.cx.origin(at);
    let spec = match (&name, sources) {
        (Some((name, _)), Some(sources)) if !sources.is_empty() => {
            Some(BoxSpec { name: name.clone(), sources, host_trust, origin })
        }
        _ => None,
    };
    Draught { name, spec, from }
}

fn build<'k>(
    eval: &mut Eval<'_, '_>,
    mut node: Reader<'k>,
    from: &mut Option<(String, Value<'k>)>,
    artifacts: &Declared<ArtifactSpec>,
    sources: &dyn Sources,
) -> Option<BoxBuild> {
    let folder_value = node.arg(eval.cx, "a folder");
    let folder = folder_value.and_then(|value| {
        let folder = eval.word(value, "build")?;
        folder_exists(eval, value, &folder, sources);
        Some(folder)
    });
    let parent = node.prop("from").and_then(|value| {
        let parent = eval.word(value, "from")?;
        *from = Some((parent.clone(), value));
        Name::new(parent).ok()
    });
    let mut names = Vec::new();
    for mut artifact in node.block.all("artifact") {
        for value in artifact.some_args(eval.cx, "an artifact's name") {
            let Some(text) = eval.word(value, "artifact") else { continue };
            let Some(name) = artifacts.refer(eval.cx, &text, value.at) else { continue };
            if names.contains(name) {
                eval.wrong(value.at, format!("artifact `{name}` is named twice"), "keep one of them");
            } else {
                names.push(name.clone());
            }
        }
        artifact.finish(eval.cx);
    }
    let mut args = IndexMap::new();
    for mut arg in node.block.all("arg") {
        let key = arg.arg(eval.cx, "a name");
        let value = arg.arg(eval.cx, "a value");
        arg.finish(eval.cx);
        let (Some(key), Some(value)) = (key, value) else { continue };
        let (Some(name), Some(text)) = (eval.word(key, "arg"), eval.closed_text(value, "arg")) else { continue };
        if !is_variable(&name) || name == "RIG_FROM" {
            let help = if name == "RIG_FROM" {
                "rig sets it to the parent: `build … from=\"…\"`"
            } else {
                "letters, digits and underscores"
            };
            eval.wrong(key.at, format!("{name:?} cannot be a build argument"), help);
        } else if args.insert(name.clone(), text).is_some() {
            eval.wrong(key.at, format!("build argument {name} is given twice"), "keep one of them");
        }
    }
    node.finish(eval.cx);
    Some(BoxBuild { folder: folder?, from: parent, args, artifacts: names })
}

fn folder_exists(eval: &mut Eval<'_, '_>, value: Value<'_>, folder: &str, sources: &dyn Sources) {
    let path = Utf8Path::new(folder);
    match sources.kind(path) {
        None => {
            eval.wrong(value.at, format!("there is no folder {folder}"), "the path is relative to the workspace file");
        }
        Some(SourceKind::File) => {
            eval.wrong(value.at, format!("{folder} is a file"), "name the folder that holds the Dockerfile");
        }
        Some(SourceKind::Folder) => {
            if sources.kind(&path.join("Dockerfile")) != Some(SourceKind::File) {
                eval.wrong(
                    value.at,
                    format!("{folder} holds no Dockerfile"),
                    "a box is built from a folder with a Dockerfile",
                );
            }
        }
    }
}

fn bootstrap(eval: &mut Eval<'_, '_>, mut node: Reader<'_>) -> Option<Bootstrap> {
    let suite = node.arg(eval.cx, "a suite of Debian").and_then(|value| eval.word(value, "bootstrap"));
    let mirror = node.prop("mirror").and_then(|value| {
        let mirror = eval.word(value, "mirror")?;
        if !mirror.contains("://") {
            eval.wrong(
                value.at,
                format!("{mirror:?} is not the address of a mirror"),
                "write it as \"http://deb.debian.org/debian\"",
            );
        }
        Some(mirror)
    });
    let mut packages = Vec::new();
    for mut list in node.block.all("package") {
        for value in list.some_args(eval.cx, "a package's name") {
            let Some(package) = eval.word(value, "package") else { continue };
            // Debian policy 5.6.7, and an architecture behind a colon.
            let fine = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '+' | '-' | '.' | ':');
            if package.starts_with('-') || !package.chars().all(fine) {
                eval.wrong(
                    value.at,
                    format!("{package:?} is not the name of a Debian package"),
                    "one name in each pair of quotes: `package \"a\" \"b\"`",
                );
            } else if packages.iter().all(|(_, other)| *other != package) {
                packages.push((value.at, package));
            }
        }
        list.finish(eval.cx);
    }
    let kind = bootstrap_kind(eval, &mut node, packages.first().map(|(at, _)| *at));
    node.finish(eval.cx);
    let packages = packages.into_iter().map(|(_, package)| package).collect();
    Some(Bootstrap { suite: suite?, packages, mirror, kind })
}

/// `kernel` or `tiny`, where one of them is written; `package` is where the first package is.
fn bootstrap_kind(eval: &mut Eval<'_, '_>, node: &mut Reader<'_>, package: Option<At>) -> BootstrapKind {
    let kernel = node.block.one(eval.cx, "kernel");
    let kernel = eval.flag(kernel).unwrap_or(false);
    let tiny = node.block.one(eval.cx, "tiny");
    let tiny_at = tiny.as_ref().map(Reader::at);
    let tiny = eval.flag(tiny).unwrap_or(false);
    if let (true, Some(at)) = (tiny && kernel, tiny_at) {
        eval.wrong(at, "a box is `tiny` or has a `kernel` with packages", "remove one of the two lines");
    }
    if let (true, Some(at)) = (tiny, package) {
        eval.wrong(
            at,
            "a `tiny` box has no packages",
            "write `kernel` instead of `tiny`: such a machine has a package manager, and starts later",
        );
    }
    match (tiny, kernel) {
        (true, _) => BootstrapKind::TinyMachine,
        (false, true) => BootstrapKind::Machine,
        (false, false) => BootstrapKind::Container,
    }
}

/// `stored "user/box" version="~> 1.0"`: a box of rig's store. What versions mean is the store's to know.
fn stored(eval: &mut Eval<'_, '_>, mut node: Reader<'_>) -> Option<StoredSource> {
    let name = node.arg(eval.cx, "the name of a stored box");
    let version = node.prop("version");
    node.finish(eval.cx);
    let name = name.and_then(|value| {
        let name = eval.word(value, "stored")?;
        if name.contains(char::is_whitespace) || name.contains("://") {
            let help =
                "name it as `rig box list` does: \"debian/bookworm64\"; `rig box add` brings boxes into the store";
            eval.wrong(value.at, format!("{name:?} is not the name of a stored box"), help);
            return None;
        }
        Some(name)
    });
    let version = version.map(|value| eval.word(value, "version"));
    Some(StoredSource { name: name?, version: version.map_or(Some(None), |version| version.map(Some))? })
}

/// Whether a text can be the name of a variable of the environment or of a build argument.
pub(crate) fn is_variable(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}
