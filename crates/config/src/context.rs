//! What a decoder carries along: the files that were read, and the mistakes found so far.

use crate::{
    excerpt::Excerpt,
    mistake::{Mistake, Mistakes, Place},
};
use camino::Utf8PathBuf;
use rig_model::Origin;
use std::{collections::HashSet, sync::Arc};

/// So many mistakes are reported; a file with more is not the file that was meant.
const MOST_MISTAKES: usize = 100;

/// So many bytes of a place are marked at most.
const MOST_MARKED: usize = 120;

/// A piece of a file: its number in the [`Context`], and bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct At {
    pub(crate) file: usize,
    pub(crate) start: usize,
    pub(crate) len: usize,
}

/// A value and where it was written.
#[derive(Clone, Debug)]
pub(crate) struct Spotted<T> {
    pub(crate) value: T,
    pub(crate) at: At,
}

/// A file that was read.
pub(crate) struct File {
    /// As the user named it.
    pub(crate) name: Arc<str>,
    /// Relative to the workspace file's folder.
    pub(crate) path: Utf8PathBuf,
    pub(crate) text: Arc<str>,
    /// Where lines start, in bytes.
    lines: Vec<usize>,
}

/// A mistake while it is put together.
#[must_use]
pub(crate) struct Draft {
    at: Option<At>,
    message: String,
    label: Option<String>,
    help: Option<String>,
    also: Option<(At, String)>,
}

/// Files and mistakes.
#[derive(Default)]
pub(crate) struct Context {
    pub(crate) files: Vec<File>,
    drafts: Vec<Draft>,
    messages: HashSet<(Option<At>, String)>,
    places: HashSet<At>,
    /// How many mistakes were left out because there are too many.
    left_out: usize,
    /// Set while the second and later machines of a group are read: a place that has a mistake gets no second one.
    pub(crate) repeating: bool,
}

impl Draft {
    /// A mistake at a place.
    pub(crate) fn new(at: At, message: impl Into<String>) -> Self {
        Self { at: Some(at), message: message.into(), label: None, help: None, also: None }
    }

    /// A mistake that is in no file: of the command line.
    pub(crate) fn nowhere(message: impl Into<String>) -> Self {
        Self { at: None, message: message.into(), label: None, help: None, also: None }
    }

    /// What the place is.
    pub(crate) fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// What to do.
    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// What to do, if anything is known.
    pub(crate) fn maybe_help(mut self, help: Option<String>) -> Self {
        self.help = help.or(self.help);
        self
    }

    /// Another place that explains it.
    pub(crate) fn also(mut self, at: At, label: impl Into<String>) -> Self {
        self.also = Some((at, label.into()));
        self
    }
}

impl File {
    pub(crate) fn new(name: &str, path: Utf8PathBuf, text: String) -> Self {
        let lines = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Self { name: name.into(), path, text: text.into(), lines }
    }

    /// The line of a byte, from 0, and where it starts.
    fn line(&self, byte: usize) -> (usize, usize) {
        let line = self.lines.partition_point(|start| *start <= byte).saturating_sub(1);
        (line, self.lines.get(line).copied().unwrap_or(0))
    }

    /// Whether the line of a place, or one beside it, is too long to be drawn whole.
    fn is_wide(&self, at: At) -> bool {
        let (line, _) = self.line(at.start);
        let from = self.lines.get(line.saturating_sub(1)).copied().unwrap_or(0);
        let to = self.lines.get(line + 2).copied().unwrap_or(self.text.len());
        to - from > 1000
    }

    /// What of a place is marked: its first line, and not too much of that.
    fn span(&self, at: At) -> miette::SourceSpan {
        let text = self.text.get(at.start..at.start + at.len).unwrap_or("");
        let first = text.lines().next().unwrap_or("");
        (at.start, first.floor_char_boundary(MOST_MARKED)).into()
    }

    /// Line and column of a byte, from 1; the column counts characters.
    fn position(&self, byte: usize) -> (u32, u32) {
        let (line, start) = self.line(byte);
        let column = self.text.get(start..byte).map_or(0, |before| before.chars().count()) + 1;
        // Both are at most the size limit of a file.
        (u32::try_from(line + 1).unwrap_or(u32::MAX), u32::try_from(column).unwrap_or(u32::MAX))
    }
}

impl Context {
    /// Adds a file and returns its number.
    pub(crate) fn add_file(&mut self, file: File) -> usize {
        self.files.push(file);
        self.files.len() - 1
    }

    /// The text of a place.
    pub(crate) fn slice(&self, at: At) -> &str {
        self.files.get(at.file).and_then(|file| file.text.get(at.start..at.start + at.len)).unwrap_or("")
    }

    /// The place in a form that outlives the file.
    pub(crate) fn origin(&self, at: At) -> Origin {
        self.files.get(at.file).map_or_else(Origin::default, |file| Origin {
            file: Arc::clone(&file.name),
            line: file.position(at.start).0,
        })
    }

    /// Notes a mistake, unless the same one is known already.
    pub(crate) fn report(&mut self, draft: Draft) {
        if let Some(at) = draft.at
            && !self.places.insert(at)
            && self.repeating
        {
            return;
        }
        if !self.messages.insert((draft.at, draft.message.clone())) {
            return;
        }
        if self.drafts.len() >= MOST_MISTAKES {
            self.left_out += 1;
        } else {
            self.drafts.push(draft);
        }
    }

    /// Whether there is any mistake.
    pub(crate) fn has_mistakes(&self) -> bool {
        !self.drafts.is_empty()
    }

    /// Whether further mistakes would not be shown.
    pub(crate) fn is_full(&self) -> bool {
        self.drafts.len() >= MOST_MISTAKES
    }

    /// The report; `file` is the name that the user gave.
    pub(crate) fn into_mistakes(mut self, file: &str) -> Mistakes {
        let mut drafts = std::mem::take(&mut self.drafts);
        // Stable: mistakes of one place stay in the order in which they were found.
        drafts.sort_by_key(|draft| draft.at.map(|at| (at.file, at.start)));
        let mut list: Vec<Mistake> = drafts.into_iter().map(|draft| self.finish(draft)).collect();
        if self.left_out > 0 {
            let message = format!("{} more mistakes are not shown; repair these first", self.left_out);
            list.push(Mistake { message, label: None, help: None, place: None });
        }
        Mistakes { file: file.to_owned(), list }
    }

    fn finish(&self, draft: Draft) -> Mistake {
        // A place in another file, or far away in a long line, cannot be drawn into the same excerpt: it is named instead.
        let near = |other: At| {
            draft.at.is_some_and(|at| {
                at.file == other.file
                    && self.files.get(at.file).is_some_and(|file| !file.is_wide(at) && !file.is_wide(other))
            })
        };
        let (drawn, named) = match draft.also {
            Some((other, label)) if near(other) => (Some((other, label)), None),
            Some((other, label)) => (None, Some(format!("{label}: {}", self.origin(other)))),
            None => (None, None),
        };
        let place = draft.at.and_then(|at| {
            let file = self.files.get(at.file)?;
            let (line, column) = file.position(at.start);
            let also = drawn.map(|(other, label)| (file.span(other), label));
            let source = Excerpt { name: Arc::clone(&file.name), text: Arc::clone(&file.text) };
            Some(Place { source, span: file.span(at), line, column, also })
        });
        let help = match (draft.help, named) {
            (Some(help), Some(named)) => Some(format!("{help} ({named})")),
            (help, named) => help.or(named),
        };
        Mistake { message: draft.message, label: draft.label, help, place }
    }
}
