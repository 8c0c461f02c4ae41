//! The one place that decides how a command speaks.

use super::{bars::Bars, json::JsonLines, plain::Plain};
use crate::cli::{Color, Global};
use rig_engine::EventSink;
use rig_model::Event;
use serde::Serialize;
use std::{io::IsTerminal, sync::Arc};

/// How progress is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Bars on a terminal.
    Bars,
    /// Lines with times.
    Plain,
    /// JSON lines.
    Json,
    /// Only what went wrong.
    Quiet,
}

/// How a command speaks.
#[derive(Clone)]
pub(crate) struct Ui {
    pub(crate) mode: Mode,
    pub(crate) verbose: bool,
    sink: Arc<dyn EventSink>,
}

struct Silence;

impl EventSink for Silence {
    fn emit(&self, _: Event) {}
}

impl Ui {
    /// Decides by arguments and surroundings.
    pub(crate) fn new(global: &Global, interactive: bool) -> Self {
        match global.color {
            Color::Auto => {}
            Color::Always => anstream::ColorChoice::Always.write_global(),
            Color::Never => anstream::ColorChoice::Never.write_global(),
        }
        let mode = if global.json {
            Mode::Json
        } else if global.quiet {
            Mode::Quiet
        } else if interactive && std::io::stderr().is_terminal() {
            Mode::Bars
        } else {
            Mode::Plain
        };
        let sink: Arc<dyn EventSink> = match mode {
            Mode::Bars => {
                let colored = anstream::AutoStream::choice(&std::io::stderr()) != anstream::ColorChoice::Never;
                Arc::new(Bars::new(global.verbose, colored))
            }
            Mode::Plain => Arc::new(Plain::new(global.verbose)),
            Mode::Json => Arc::new(JsonLines::new()),
            Mode::Quiet => Arc::new(Silence),
        };
        Self { mode, verbose: global.verbose, sink }
    }

    /// The same without a word of its own, unless everything is to be said: for what is done on the way to something else.
    pub(crate) fn inner(&self) -> Self {
        if self.verbose { self.clone() } else { Self { mode: Mode::Quiet, verbose: false, sink: Arc::new(Silence) } }
    }

    /// Where events go.
    pub(crate) fn sink(&self) -> Arc<dyn EventSink> {
        self.sink.clone()
    }

    /// Whether results are JSON.
    pub(crate) fn is_json(&self) -> bool {
        self.mode == Mode::Json
    }

    /// A line of a result.
    pub(crate) fn result(&self, line: impl AsRef<str>) {
        out(line.as_ref());
    }

    /// A line that is said beside the result.
    pub(crate) fn say(&self, line: impl AsRef<str>) {
        if matches!(self.mode, Mode::Bars | Mode::Plain) {
            err(line.as_ref());
        }
    }

    /// A remark that may need action.
    pub(crate) fn warn(&self, text: impl Into<String>) {
        self.sink.emit(Event::Warning { text: text.into() });
    }

    /// A result as one JSON document, with the name and version of its shape.
    pub(crate) fn document<T: Serialize>(&self, schema: &str, value: &T) {
        #[derive(Serialize)]
        struct Document<'a, T> {
            schema: &'a str,
            #[serde(flatten)]
            value: &'a T,
        }
        // Shapes are maps of plain data: writing them cannot fail.
        let text = serde_json::to_string_pretty(&Document { schema, value }).unwrap_or_default();
        out(&text);
    }

    /// A last JSON line behind those of events.
    pub(crate) fn last_line<T: Serialize>(&self, schema: &str, value: &T) {
        #[derive(Serialize)]
        struct Line<'a, T> {
            event: &'static str,
            schema: &'a str,
            #[serde(flatten)]
            value: &'a T,
        }
        let text = serde_json::to_string(&Line { event: "result", schema, value }).unwrap_or_default();
        out(&text);
    }
}

/// Writes to standard output. A reader that went away misses the rest; the command goes on, and its exit code counts.
pub(crate) fn out(line: &str) {
    use std::io::Write;
    let _ = writeln!(anstream::stdout().lock(), "{line}");
}

/// Writes to standard error.
pub(crate) fn err(line: &str) {
    use std::io::Write;
    // There is nowhere left to say that it failed.
    let _ = writeln!(anstream::stderr().lock(), "{line}");
}
