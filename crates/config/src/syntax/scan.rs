//! Finds statements and their blocks; knows strings and comments, but no values.

use crate::context::{At, Draft};
use std::ops::Range;

/// The deepest nesting that is read. A workspace needs six.
const DEEPEST: usize = 64;

/// After so many mistakes the rest is not looked at.
const ENOUGH: usize = 100;

/// A node's own text and its block, as bytes of the file.
pub(super) struct Statement {
    /// From the node's name to its last value.
    pub(super) head: Range<usize>,
    /// A mistake in the head is reported already.
    pub(super) broken: bool,
    /// The block's braces and statements.
    pub(super) block: Option<(Range<usize>, Vec<Statement>)>,
}

/// Walks over a text.
pub(super) struct Scanner<'t> {
    text: &'t str,
    file: usize,
    position: usize,
    /// Set when reading on makes no sense; the rest of the text then counts as read.
    stopped: bool,
    pub(super) mistakes: Vec<Draft>,
}

impl<'t> Scanner<'t> {
    pub(super) fn new(text: &'t str, file: usize) -> Self {
        Self { text, file, position: 0, stopped: false, mistakes: Vec::new() }
    }

    /// All statements of the text.
    pub(super) fn statements(&mut self) -> Vec<Statement> {
        if self.text.starts_with('\u{feff}') {
            self.position = '\u{feff}'.len_utf8();
        }
        self.block(0, None)
    }

    fn rest(&self) -> &'t str {
        self.text.get(self.position..).unwrap_or("")
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn at(&self, range: Range<usize>) -> At {
        At { file: self.file, start: range.start, len: range.len() }
    }

    fn stop(&mut self) {
        self.stopped = true;
        self.position = self.text.len();
    }

    /// Statements up to the brace that closes the block, or to the end of the text. `opened` is where the block starts.
    fn block(&mut self, depth: usize, opened: Option<usize>) -> Vec<Statement> {
        let mut statements = Vec::new();
        loop {
            if self.mistakes.len() >= ENOUGH {
                self.stop();
            }
            self.skip_lines();
            match (self.peek(), opened) {
                (None, Some(start)) if !self.stopped => {
                    self.mistakes.push(
                        Draft::new(self.at(start..start + 1), "this block is never closed")
                            .label("opened here")
                            .help("add the missing `}`"),
                    );
                    // The blocks around it are open as well, for the same reason.
                    self.stopped = true;
                    return statements;
                }
                (None, _) => return statements,
                (Some('}'), Some(_)) => {
                    self.position += 1;
                    return statements;
                }
                (Some('}'), None) => {
                    self.mistakes.push(
                        Draft::new(
                            self.at(self.position..self.position + 1),
                            "a block is closed that was never opened",
                        )
                        .label("no `{` belongs to this")
                        .help("remove the `}`, or find the `{` that is missing above"),
                    );
                    self.position += 1;
                }
                (Some(';'), _) => self.position += 1,
                (Some(_), _) => statements.extend(self.statement(depth)),
            }
        }
    }

    /// One statement; nothing when it is commented out by `/-` or has no name.
    fn statement(&mut self, depth: usize) -> Option<Statement> {
        let dropped = self.slashdash();
        let mut head = self.position..self.position;
        let mut block: Option<(Range<usize>, Vec<Statement>)> = None;
        let mut ended = false;
        let mut broken = false;
        while let Some(next) = self.peek() {
            let start = self.position;
            let mut counts = true;
            match next {
                ';' | '}' => break,
                '{' => {
                    counts = false;
                    let braces = self.braces(depth);
                    let inside = braces.1;
                    if head.is_empty() {
                        self.wrong(
                            start,
                            "a block without a node in front of it",
                            "name the node: `name { … }` on one line",
                        );
                    } else if block.is_some() {
                        self.wrong(start, "a node has one block, this is its second", "put everything into one block");
                    } else {
                        block = Some((braces.0, inside));
                    }
                    ended = true;
                }
                _ if is_newline(next) => break,
                _ if next.is_whitespace() => {
                    counts = false;
                    self.position += next.len_utf8();
                }
                '/' if self.rest().starts_with("//") => {
                    counts = false;
                    self.skip_comment_line();
                }
                '/' if self.rest().starts_with("/*") => {
                    counts = false;
                    self.skip_comment();
                }
                '/' if self.slashdash() => {
                    if self.peek() == Some('{') {
                        counts = false;
                        self.braces(depth);
                        ended = true;
                    }
                }
                '\\' => counts = !self.continuation(),
                '"' => broken |= !self.quoted(),
                '#' => broken |= !self.hash(),
                _ => self.position += next.len_utf8(),
            }
            if counts && ended {
                let line = self.rest().find(is_newline).map_or(self.text.len(), |length| self.position + length);
                self.wrong(start, "a node ends after its block", "put what follows on a line of its own");
                self.position = line;
            } else if counts {
                head.end = self.position;
            }
        }
        (!dropped && !head.is_empty()).then_some(Statement { head, broken, block })
    }

    fn wrong(&mut self, start: usize, message: &str, help: &str) {
        let end = start + self.text[start..].chars().next().map_or(0, char::len_utf8);
        self.mistakes.push(Draft::new(self.at(start..end), message).label("here").help(help));
    }

    /// A block with its braces; the position is at the opening one.
    fn braces(&mut self, depth: usize) -> (Range<usize>, Vec<Statement>) {
        let start = self.position;
        self.position += 1;
        if depth >= DEEPEST {
            self.mistakes.push(
                Draft::new(self.at(start..start + 1), format!("blocks are nested more than {DEEPEST} deep"))
                    .label("the first one too many")
                    .help("a workspace needs no more than six; is a `}` missing above?"),
            );
            self.stop();
            return (start..start, Vec::new());
        }
        let inside = self.block(depth + 1, Some(start));
        (start..self.position, inside)
    }

    /// Steps over `/-` and the blank space that may follow it.
    fn slashdash(&mut self) -> bool {
        let found = self.rest().starts_with("/-");
        if found {
            self.position += 2;
            self.skip_lines();
        }
        found
    }

    /// Steps over blank space, line ends and comments.
    fn skip_lines(&mut self) {
        while let Some(next) = self.peek() {
            if next.is_whitespace() || next == '\u{feff}' {
                self.position += next.len_utf8();
            } else if self.rest().starts_with("//") {
                self.skip_comment_line();
            } else if self.rest().starts_with("/*") {
                self.skip_comment();
            } else {
                let start = self.position;
                if next != '\\' || !self.continuation() {
                    self.position = start;
                    return;
                }
            }
        }
    }

    fn skip_comment_line(&mut self) {
        self.position += self.rest().find(is_newline).unwrap_or(self.rest().len());
    }

    /// Steps over `/* … */`, which nests.
    fn skip_comment(&mut self) {
        let start = self.position;
        let mut depth = 0_usize;
        while let Some(offset) = self.rest().find(['*', '/']) {
            self.position += offset;
            let pair = self.rest().as_bytes().get(..2);
            if pair == Some(b"/*") {
                depth += 1;
                self.position += 2;
            } else if pair == Some(b"*/") {
                depth -= 1;
                self.position += 2;
                if depth == 0 {
                    return;
                }
            } else {
                self.position += 1;
            }
            if depth > DEEPEST {
                self.mistakes.push(
                    Draft::new(self.at(start..start + 2), format!("comments are nested more than {DEEPEST} deep"))
                        .label("the outermost")
                        .help("is a `*/` missing?"),
                );
                return self.stop();
            }
        }
        self.mistakes.push(
            Draft::new(self.at(start..start + 2), "this comment is never closed")
                .label("opened here")
                .help("add the missing `*/`"),
        );
        self.stop();
    }

    /// Steps over a `\` that continues the statement on the next line; or over the `\` alone, which `kdl` complains about.
    fn continuation(&mut self) -> bool {
        let start = self.position;
        self.position += 1;
        while let Some(next) = self.peek() {
            if is_newline(next) {
                self.position += next.len_utf8();
                if next == '\r' && self.peek() == Some('\n') {
                    self.position += 1;
                }
                return true;
            } else if next.is_whitespace() {
                self.position += next.len_utf8();
            } else if self.rest().starts_with("//") {
                self.skip_comment_line();
            } else if self.rest().starts_with("/*") {
                self.skip_comment();
            } else {
                break;
            }
        }
        if self.peek().is_none() {
            return true;
        }
        self.position = start + 1;
        false
    }

    /// Steps over a string in quotes; false when it is never closed.
    fn quoted(&mut self) -> bool {
        let start = self.position;
        let long = self.rest().starts_with("\"\"\"");
        self.position += if long { 3 } else { 1 };
        while let Some(next) = self.peek() {
            if next == '\\' {
                self.position += 1;
                self.escaped();
            } else if next == '"' && (!long || self.rest().starts_with("\"\"\"")) {
                self.position += if long { 3 } else { 1 };
                return true;
            } else if is_newline(next) && !long {
                break;
            } else {
                self.position += next.len_utf8();
            }
        }
        self.unclosed(start, long);
        false
    }

    /// Steps over what follows a `\` in a string: one character, or blank space with line ends.
    fn escaped(&mut self) {
        match self.peek() {
            Some(next) if next.is_whitespace() => {
                let blank = self.rest().find(|c: char| !c.is_whitespace()).unwrap_or(self.rest().len());
                self.position += blank;
            }
            Some(next) => self.position += next.len_utf8(),
            None => {}
        }
    }

    /// Steps over a raw string, or over the hashes that begin a keyword; false when the string is never closed.
    fn hash(&mut self) -> bool {
        let start = self.position;
        let hashes = self.rest().bytes().take_while(|byte| *byte == b'#').count();
        self.position += hashes;
        if self.peek() != Some('"') {
            return true;
        }
        let long = self.rest().starts_with("\"\"\"");
        let close = format!("{}{}", if long { "\"\"\"" } else { "\"" }, "#".repeat(hashes));
        self.position += close.len() - hashes;
        let closed = if long { self.rest().find(&close) } else { self.find_on_line(&close) };
        match closed {
            Some(length) => self.position += length + close.len(),
            None => self.unclosed(start, long),
        }
        closed.is_some()
    }

    /// Where a text begins on the rest of this line; looks no further than it must, however long the line is.
    fn find_on_line(&self, text: &str) -> Option<usize> {
        let rest = self.rest();
        for (offset, found) in rest.match_indices(|c| c == '"' || is_newline(c)) {
            if found != "\"" {
                return None;
            } else if rest[offset..].starts_with(text) {
                return Some(offset);
            }
        }
        None
    }

    fn unclosed(&mut self, start: usize, long: bool) {
        let end = self.text[start..].find(is_newline).map_or(self.text.len(), |length| start + length);
        let draft = Draft::new(self.at(start..end), "this text is never closed").label("opened here");
        self.mistakes.push(if long {
            draft.help("add the missing `\"\"\"`")
        } else {
            draft.help("add the missing quote; a text of several lines stands between `\"\"\"` and `\"\"\"`")
        });
        self.position = self.position.max(end);
        if long {
            self.stop();
        }
    }
}

/// The characters that end a line in KDL 2.
fn is_newline(c: char) -> bool {
    matches!(c, '\n' | '\r' | '\u{85}' | '\u{b}' | '\u{c}' | '\u{2028}' | '\u{2029}')
}
