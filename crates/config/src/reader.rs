//! Reads a node piece by piece and notices what nobody asked for.

use crate::{
    context::{At, Context, Draft},
    suggest,
    syntax::Node,
};
use kdl::{KdlEntry, KdlValue};

/// A value of a node: an argument or a property's.
#[derive(Clone, Copy)]
pub(crate) struct Value<'k> {
    pub(crate) entry: &'k KdlEntry,
    /// The argument, or the whole property.
    pub(crate) at: At,
}

/// A node that is being read. What was asked for is known; [`Reader::finish`] reports the rest.
pub(crate) struct Reader<'k> {
    node: &'k Node,
    arguments: usize,
    properties: Vec<&'static str>,
    /// Any property is known: the node's properties are data.
    open: bool,
    pub(crate) block: Block<'k>,
}

/// The nodes of a block, or of the whole file.
pub(crate) struct Block<'k> {
    nodes: Vec<&'k Node>,
    known: Vec<&'static str>,
    /// Any name is known: the block's names are data.
    open: bool,
}

impl<'k> Value<'k> {
    pub(crate) fn as_str(self) -> Option<&'k str> {
        self.entry.value().as_string()
    }

    /// What kind of value it is, with its article.
    pub(crate) fn kind(self) -> &'static str {
        match self.entry.value() {
            KdlValue::String(_) => "a text",
            KdlValue::Integer(_) => "an integer",
            KdlValue::Float(_) => "a number with a fraction",
            KdlValue::Bool(_) => "a boolean",
            KdlValue::Null => "#null",
        }
    }
}

impl<'k> Reader<'k> {
    pub(crate) fn new(node: &'k Node) -> Self {
        let nodes = node.children.iter().flatten().collect();
        let block = Block { nodes, known: Vec::new(), open: false };
        Self { node, arguments: 0, properties: Vec::new(), open: false, block }
    }

    /// The same node, unread.
    pub(crate) fn again(&self) -> Self {
        Self::new(self.node)
    }

    /// The node's name.
    pub(crate) fn name(&self) -> &'k str {
        self.node.head.name().value()
    }

    /// Where the name stands.
    pub(crate) fn name_at(&self) -> At {
        self.node.place(self.node.head.name().span())
    }

    /// Name and values.
    pub(crate) fn at(&self) -> At {
        self.node.at
    }

    fn value(&self, entry: &'k KdlEntry) -> Value<'k> {
        Value { entry, at: self.node.place(entry.span()) }
    }

    /// The next argument, if there is one.
    pub(crate) fn maybe_arg(&mut self) -> Option<Value<'k>> {
        let arguments = self.node.head.entries().iter().filter(|entry| entry.name().is_none());
        let entry = arguments.into_iter().nth(self.arguments)?;
        self.arguments += 1;
        Some(self.value(entry))
    }

    /// The next argument; `what` is what the node wants, with its article.
    pub(crate) fn arg(&mut self, cx: &mut Context, what: &str) -> Option<Value<'k>> {
        let found = self.maybe_arg();
        if found.is_none() {
            let name = self.name();
            cx.report(
                Draft::new(self.name_at(), format!("`{name}` needs {what}")).label(format!("{what} is missing here")),
            );
        }
        found
    }

    /// All further arguments.
    pub(crate) fn args(&mut self) -> Vec<Value<'k>> {
        std::iter::from_fn(|| self.maybe_arg()).collect()
    }

    /// All further arguments, at least one.
    pub(crate) fn some_args(&mut self, cx: &mut Context, what: &str) -> Vec<Value<'k>> {
        let first = self.arg(cx, what);
        first.into_iter().chain(self.args()).collect()
    }

    /// A property. As in KDL, the last of two with one name counts; [`Reader::finish`] reports the first.
    pub(crate) fn prop(&mut self, name: &'static str) -> Option<Value<'k>> {
        self.properties.push(name);
        let named = |entry: &&KdlEntry| entry.name().is_some_and(|found| found.value() == name);
        self.node.head.entries().iter().rfind(named).map(|entry| self.value(entry))
    }

    /// A property that must be there.
    pub(crate) fn need_prop(&mut self, cx: &mut Context, name: &'static str, help: &str) -> Option<Value<'k>> {
        let found = self.prop(name);
        if found.is_none() {
            let node = self.name();
            let draft = Draft::new(self.name_at(), format!("`{node}` needs `{name}=…`"));
            cx.report(draft.label(format!("`{name}` is missing here")).help(help));
        }
        found
    }

    /// All properties that nobody asked for until now: their names are data, as those of a recipe's parameters.
    pub(crate) fn every_prop(&mut self) -> Vec<(&'k str, Value<'k>)> {
        self.open = true;
        let entries = self.node.head.entries().iter();
        let named = entries.filter_map(|entry| Some((entry.name()?.value(), self.value(entry))));
        named.filter(|(name, _)| !self.properties.contains(name)).collect()
    }

    /// Reports everything that was not asked for.
    pub(crate) fn finish(self, cx: &mut Context) {
        let node = self.name();
        let mut seen: Vec<&str> = Vec::new();
        let mut arguments = 0;
        for entry in self.node.head.entries() {
            let at = self.node.place(entry.span());
            if let Some(annotation) = entry.ty() {
                annotated(cx, self.node.place(annotation.span()), annotation.value());
            }
            let Some(key) = entry.name().map(kdl::KdlIdentifier::value) else {
                arguments += 1;
                if arguments > self.arguments {
                    let takes = match self.arguments {
                        0 => "no value".to_owned(),
                        1 => "one value".to_owned(),
                        count => format!("{count} values"),
                    };
                    let help = if self.properties.is_empty() {
                        "remove it".to_owned()
                    } else {
                        format!("remove it, or say what it is: {}", suggest::list(&self.properties))
                    };
                    cx.report(Draft::new(at, format!("`{node}` takes {takes}")).label("one too many").help(help));
                }
                continue;
            };
            if seen.contains(&key) {
                cx.report(Draft::new(at, format!("`{key}` is given twice")).label("again").help("keep one of them"));
            } else if !self.open && !self.properties.contains(&key) {
                let fallback = if self.properties.is_empty() { "it takes none" } else { "see docs/file.md" };
                let help = suggest::help(key, self.properties.iter().copied(), fallback);
                cx.report(
                    Draft::new(at, format!("`{node}` has no property `{key}`")).label("not known here").help(help),
                );
            }
            seen.push(key);
        }
        if let Some(annotation) = self.node.head.ty() {
            annotated(cx, self.node.place(annotation.span()), annotation.value());
        }
        if let (Some(at), false) = (self.node.block, self.block.nodes.is_empty())
            && self.block.known.is_empty()
            && !self.block.open
        {
            let brace = At { len: 1, ..at };
            cx.report(
                Draft::new(brace, format!("`{node}` has no block"))
                    .label("nothing can stand in here")
                    .help("remove the block"),
            );
            return;
        }
        self.block.finish(cx, &format!("`{node}`"));
    }
}

fn annotated(cx: &mut Context, at: At, annotation: &str) {
    let draft = Draft::new(at, format!("the type `({annotation})` means nothing here"));
    cx.report(draft.label("a KDL type annotation").help("remove it with its parentheses"));
}

impl<'k> Block<'k> {
    /// The nodes of a file.
    pub(crate) fn of(nodes: &'k [Node]) -> Self {
        Self { nodes: nodes.iter().collect(), known: Vec::new(), open: false }
    }

    /// The nodes with a name.
    pub(crate) fn all(&mut self, name: &'static str) -> Vec<Reader<'k>> {
        self.known.push(name);
        self.nodes.iter().filter(|node| node.head.name().value() == name).map(|node| Reader::new(node)).collect()
    }

    /// The nodes that have one of some names, in the file's order.
    pub(crate) fn among(&mut self, names: &[&'static str]) -> Vec<Reader<'k>> {
        self.known.extend(names);
        let found = self.nodes.iter().filter(|node| names.contains(&node.head.name().value()));
        found.map(|node| Reader::new(node)).collect()
    }

    /// The node with a name; a second one is a mistake.
    pub(crate) fn one(&mut self, cx: &mut Context, name: &'static str) -> Option<Reader<'k>> {
        let mut all = self.all(name).into_iter();
        let first = all.next()?;
        for again in all {
            cx.report(
                Draft::new(again.name_at(), format!("`{name}` is given twice"))
                    .label("again")
                    .help("keep one of them")
                    .also(first.name_at(), "first given here"),
            );
        }
        Some(first)
    }

    /// All nodes whatever their names: they are data, as those of variables of the environment.
    pub(crate) fn every(&mut self) -> Vec<Reader<'k>> {
        self.open = true;
        self.nodes.iter().map(|node| Reader::new(node)).collect()
    }

    /// Nodes that someone else reads.
    pub(crate) fn skip(&mut self, names: &[&'static str]) {
        self.known.extend(names);
    }

    /// Reports the nodes that nobody asked for; `place` is where they stand.
    pub(crate) fn finish(self, cx: &mut Context, place: &str) {
        if self.open {
            return;
        }
        for node in self.nodes {
            let name = node.head.name().value();
            if !self.known.contains(&name) {
                if cx.is_full() {
                    return;
                }
                let help = suggest::elsewhere(name).map_or_else(
                    || suggest::help(name, self.known.iter().copied(), "docs/file.md describes every node"),
                    str::to_owned,
                );
                let at = node.place(node.head.name().span());
                cx.report(
                    Draft::new(at, format!("there is no `{name}` in {place}")).label("not known here").help(help),
                );
            }
        }
    }
}
