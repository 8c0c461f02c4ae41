//! Statements become nodes: each one's own text goes through the `kdl` parser.

use super::scan::{Scanner, Statement};
use crate::context::{At, Context, Draft};
use kdl::{KdlDiagnostic, KdlDocument, KdlNode};

/// The longest text of one node without its block, in bytes. Together with [`STACK`] it keeps `kdl` from overflowing the
/// stack: in the worst case every byte costs a recursion, of up to 4 KiB without optimisation.
const LONGEST: usize = 16 << 10;

/// The stack of the thread that parses; only what is used costs memory.
const STACK: usize = 96 << 20;

/// After so many mistakes in the syntax the rest is not looked at.
const ENOUGH: usize = 50;

/// A node with its place.
pub(crate) struct Node {
    /// Name and values, without children.
    pub(crate) head: KdlNode,
    /// Name and values in the file.
    pub(crate) at: At,
    /// The block.
    pub(crate) children: Option<Vec<Node>>,
    /// The block in the file, braces included.
    pub(crate) block: Option<At>,
}

impl Node {
    /// A piece of the head, given as `kdl` gives it, in the file.
    pub(crate) fn place(&self, span: miette::SourceSpan) -> At {
        At { file: self.at.file, start: self.at.start + span.offset(), len: span.len() }
    }
}

/// Parses a file of the context; what cannot be read is reported and left out.
pub(crate) fn nodes(cx: &mut Context, file: usize) -> Vec<Node> {
    let Some(text) = cx.files.get(file).map(|file| std::sync::Arc::clone(&file.text)) else {
        return Vec::new();
    };
    let mut scanner = Scanner::new(&text, file);
    let statements = scanner.statements();
    let mut parser = Parser { text: &text, file, mistakes: std::mem::take(&mut scanner.mistakes) };
    let parsed = std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("kdl".to_owned()).stack_size(STACK);
        let handle = thread.spawn_scoped(scope, || {
            let nodes = parser.block(statements);
            (nodes, parser.mistakes)
        });
        handle.map_err(|error| error.to_string())?.join().map_err(|_| "the parser gave up".to_owned())
    });
    match parsed {
        Ok((nodes, mistakes)) => {
            for mistake in mistakes {
                cx.report(mistake);
            }
            nodes
        }
        Err(error) => {
            let at = At { file, start: 0, len: 0 };
            cx.report(
                Draft::new(at, format!("cannot parse this file: {error}"))
                    .help("this is not your mistake; please report it"),
            );
            Vec::new()
        }
    }
}

struct Parser<'t> {
    text: &'t str,
    file: usize,
    mistakes: Vec<Draft>,
}

impl Parser<'_> {
    fn block(&mut self, statements: Vec<Statement>) -> Vec<Node> {
        let mut nodes = Vec::with_capacity(statements.len());
        for statement in statements {
            let head = self.head(&statement);
            let (block, children) = match statement.block {
                Some((range, inside)) => {
                    let at = At { file: self.file, start: range.start, len: range.len() };
                    (Some(at), Some(self.block(inside)))
                }
                None => (None, None),
            };
            nodes.extend(head.map(|(head, at)| Node { head, at, children, block }));
        }
        nodes
    }

    fn head(&mut self, statement: &Statement) -> Option<(KdlNode, At)> {
        let text = self.text.get(statement.head.clone())?;
        let at = At { file: self.file, start: statement.head.start, len: text.len() };
        if statement.broken || self.mistakes.len() >= ENOUGH {
            return None;
        }
        if text.len() > LONGEST {
            let first = At { len: text.split_whitespace().next().map_or(1, str::len).min(80), ..at };
            let first = At { len: text.floor_char_boundary(first.len), ..first };
            self.mistakes.push(
                Draft::new(first, format!("a node's values are longer than {} KiB", LONGEST >> 10))
                    .label("this node")
                    .help("is a quote or a line end missing?"),
            );
            return None;
        }
        match KdlDocument::parse_v2(text) {
            Ok(mut document) => match (document.nodes_mut().pop(), document.nodes().is_empty()) {
                (Some(node), true) => Some((node, at)),
                _ => {
                    self.mistakes.push(Draft::new(at, "this is not one node").label("expected a name and values"));
                    None
                }
            },
            Err(error) => {
                self.syntax(&error.diagnostics, text, at);
                None
            }
        }
    }

    /// Reports what `kdl` found in one head. It goes on reading after a mistake, and what it then finds is mostly the
    /// same mistake again: those are left out.
    fn syntax(&mut self, diagnostics: &[KdlDiagnostic], text: &str, at: At) {
        const ECHOES: [&str; 3] = ["Expected end of document", "Found invalid node name", "Expected identifier string"];
        let is_echo =
            |diagnostic: &KdlDiagnostic| diagnostic.message.as_deref().is_none_or(|message| ECHOES.contains(&message));
        let mut clear: Vec<&KdlDiagnostic> = diagnostics.iter().filter(|diagnostic| !is_echo(diagnostic)).collect();
        if clear.is_empty() {
            clear.extend(diagnostics.first());
        }
        for diagnostic in clear.into_iter().take(5) {
            let place = trim(diagnostic, text, at);
            let word = text.get(place.start - at.start..place.start - at.start + place.len).unwrap_or("");
            let message = diagnostic.message.as_deref().filter(|message| *message != ECHOES[0]);
            let mut message = message.map_or_else(|| "this does not belong here".to_owned(), lower_first);
            let mut help = diagnostic.help.clone();
            if matches!(word, "true" | "false" | "null") {
                message = format!("a bare `{word}` is no value in KDL 2");
                help = Some(format!("write `#{word}`; in quotes it is a text"));
            }
            let draft = Draft::new(place, message).label("not understood");
            let draft = draft.help("values are \"texts\", numbers, #true or #false; properties are name=value");
            self.mistakes.push(draft.maybe_help(help));
        }
    }
}

fn lower_first(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map_or_else(String::new, |first| first.to_lowercase().chain(characters).collect())
}

/// The place of a mistake. A span that starts with the whole node ends where the mistake is: its last word is meant.
fn trim(diagnostic: &KdlDiagnostic, text: &str, at: At) -> At {
    let start = text.floor_char_boundary(diagnostic.span.offset().min(text.len()));
    let end = text.ceil_char_boundary((diagnostic.span.offset() + diagnostic.span.len()).min(text.len()));
    let piece = text.get(start..end).unwrap_or("").trim_end();
    let from = if start == 0 { piece.rfind(char::is_whitespace).map_or(0, |space| space + 1) } else { 0 };
    // The character after the space may be wide; the one before it is the space itself.
    let from = piece.ceil_char_boundary(from);
    let start = start + from;
    let len = (piece.len() - from).max(text[start..].chars().next().map_or(0, char::len_utf8));
    At { start: at.start + start, len, ..at }
}
