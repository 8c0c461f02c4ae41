//! `include`: other files take the place of the node.

use super::{guard, heads, heads::Node};
use crate::{
    Sources,
    context::{Context, Draft},
    reader::Reader,
    sources::tidy,
};
use camino::Utf8Path;
use std::collections::HashMap;

/// Files may include files that include files, but not for ever: links on the disk can give one file endless names.
const DEEPEST: usize = 16;

/// The nodes of a file and of everything that it includes.
pub(crate) fn read_all(cx: &mut Context, file: usize, folder: &Utf8Path, sources: &dyn Sources) -> Vec<Node> {
    let path = cx.files.get(file).map(|file| file.path.clone()).unwrap_or_default();
    let mut includes = Includes { folder, sources, known: HashMap::from([(path, file)]), open: Vec::new() };
    includes.read(cx, file)
}

struct Includes<'a> {
    folder: &'a Utf8Path,
    sources: &'a dyn Sources,
    /// Files by path, so that one that two others include is read once.
    known: HashMap<camino::Utf8PathBuf, usize>,
    /// The files that are being read, each included by the one before it.
    open: Vec<usize>,
}

impl Includes<'_> {
    fn read(&mut self, cx: &mut Context, file: usize) -> Vec<Node> {
        self.open.push(file);
        let mut all = Vec::new();
        for node in heads::nodes(cx, file) {
            if node.head.name().value() == "include" {
                all.extend(self.include(cx, &node));
            } else {
                all.push(node);
            }
        }
        self.open.pop();
        all
    }

    fn include(&mut self, cx: &mut Context, node: &Node) -> Vec<Node> {
        let mut reader = Reader::new(node);
        let value = reader.arg(cx, "a path");
        reader.finish(cx);
        let Some(value) = value else {
            return Vec::new();
        };
        let Some(given) = value.as_str().filter(|path| !path.is_empty()) else {
            cx.report(
                Draft::new(value.at, "`include` takes a path").label("not a path").help("write `include \"file.kdl\"`"),
            );
            return Vec::new();
        };
        let here = cx.files.get(node.at.file).and_then(|file| file.path.parent()).unwrap_or(Utf8Path::new(""));
        let path = tidy(&here.join(given));
        if let Some(known) = self.known.get(&path) {
            if let Some(from) = self.open.iter().position(|open| open == known) {
                let names: Vec<&str> =
                    self.open.iter().skip(from).filter_map(|open| Some(&*cx.files.get(*open)?.name)).collect();
                let message = format!("files include each other in a circle: {} → {path}", names.join(" → "));
                cx.report(
                    Draft::new(value.at, message).label("closes the circle").help("remove one of these includes"),
                );
            }
            return Vec::new();
        }
        if self.open.len() >= DEEPEST {
            let message = format!("files include each other more than {DEEPEST} deep");
            cx.report(
                Draft::new(value.at, message)
                    .label("the first one too many")
                    .help("include the file from an outer one"),
            );
            return Vec::new();
        }
        let bytes = match self.sources.read(&path, guard::MOST_BYTES) {
            Ok(bytes) => bytes,
            Err(error) => {
                cx.report(
                    Draft::new(value.at, format!("cannot read the included file: {error}"))
                        .label("included here")
                        .help("the path is relative to the file that includes it"),
                );
                return Vec::new();
            }
        };
        let name = tidy(&self.folder.join(&path));
        match guard::text(cx, name.as_str(), &path, bytes) {
            Some(number) => {
                self.known.insert(path, number);
                self.read(cx, number)
            }
            None => Vec::new(),
        }
    }
}
