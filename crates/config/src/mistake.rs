//! Mistakes of a workspace file, as a report with source, place, label and help for each.

use crate::excerpt::Excerpt;
use miette::{Diagnostic, LabeledSpan, SourceCode, SourceSpan};
use std::{error::Error, fmt};

/// Everything that is wrong with a workspace file, in the order of the file. Never empty.
///
/// As a [`Diagnostic`] it is one report whose related errors are the mistakes.
#[derive(Clone, Debug)]
pub struct Mistakes {
    /// The file that was asked for, as the user named it.
    pub(crate) file: String,
    pub(crate) list: Vec<Mistake>,
}

/// One mistake.
#[derive(Clone, Debug)]
pub struct Mistake {
    pub(crate) message: String,
    pub(crate) label: Option<String>,
    pub(crate) help: Option<String>,
    pub(crate) place: Option<Place>,
}

/// Where a mistake is.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) source: Excerpt,
    pub(crate) span: SourceSpan,
    pub(crate) line: u32,
    pub(crate) column: u32,
    /// Another place in the same file that explains the mistake.
    pub(crate) also: Option<(SourceSpan, String)>,
}

/// A mistake in plain values, for output as JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct MistakeInfo<'a> {
    /// The file as the user named it; absent when the command line is wrong, not the file.
    pub file: Option<&'a str>,
    /// The line, counted from 1.
    pub line: Option<u32>,
    /// The column in characters, counted from 1.
    pub column: Option<u32>,
    /// What is wrong.
    pub message: &'a str,
    /// What the marked place is.
    pub label: Option<&'a str>,
    /// What to do.
    pub help: Option<&'a str>,
}

impl Mistakes {
    /// The mistakes in plain values.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = MistakeInfo<'_>> {
        self.list.iter().map(Mistake::view)
    }
}

impl Mistake {
    fn view(&self) -> MistakeInfo<'_> {
        let place = self.place.as_ref();
        MistakeInfo {
            file: place.map(|place| &*place.source.name),
            line: place.map(|place| place.line),
            column: place.map(|place| place.column),
            message: &self.message,
            label: self.label.as_deref(),
            help: self.help.as_deref(),
        }
    }
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.list.len() {
            1 => write!(f, "{} has a mistake; nothing was done", self.file),
            count => write!(f, "{} has {count} mistakes; nothing was done", self.file),
        }
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for Mistakes {}
impl Error for Mistake {}

impl Diagnostic for Mistakes {
    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn Diagnostic> + 'a>> {
        Some(Box::new(self.list.iter().map(|mistake| mistake as &dyn Diagnostic)))
    }
}

impl Diagnostic for Mistake {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.help.as_ref().map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.place.as_ref().map(|place| &place.source as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let place = self.place.as_ref()?;
        let main = LabeledSpan::new_primary_with_span(self.label.clone(), place.span);
        let also = place.also.as_ref().map(|(span, label)| LabeledSpan::new_with_span(Some(label.clone()), *span));
        Some(Box::new(also.into_iter().chain(std::iter::once(main))))
    }
}
