//! Values of the file become values of Rust: interpolated, checked for their type, with a mistake that says what is
//! expected.

use crate::{
    context::{At, Context, Draft},
    reader::{Reader, Value},
    scope::Scope,
    suggest,
    template::{self, Piece},
};
use kdl::KdlValue;
use rig_model::{Bytes, MilliCpus, Name, Part, Text, parse_duration};
use std::{net::Ipv4Addr, ops::RangeInclusive, time::Duration};

/// A context and a scope: what is needed to read values at a place. Every method reports what is wrong and then returns
/// nothing. `what` names the value in messages, as the user wrote it.
pub(crate) struct Eval<'c, 's> {
    pub(crate) cx: &'c mut Context,
    pub(crate) scope: Scope<'s>,
}

/// The value of a scalar as a user would write it. Fractions keep their digits: a version `3.10` is not `3.1`.
pub(crate) fn scalar(value: Value<'_>) -> Option<String> {
    Some(match value.entry.value() {
        KdlValue::String(text) => text.clone(),
        KdlValue::Integer(number) => number.to_string(),
        KdlValue::Float(number) => {
            let written = value.entry.format().map(|format| format.value_repr.replace('_', ""));
            written.filter(|written| !written.is_empty()).unwrap_or_else(|| number.to_string())
        }
        KdlValue::Bool(yes) => yes.to_string(),
        KdlValue::Null => return None,
    })
}

impl Eval<'_, '_> {
    pub(crate) fn wrong_type(&mut self, value: Value<'_>, what: &str, expected: &str) {
        let draft = Draft::new(value.at, format!("`{what}` takes {expected}, this is {}", value.kind()));
        self.cx.report(draft.label(format!("expected {expected}")));
    }

    /// A value that has the right type and still cannot be.
    pub(crate) fn wrong(&mut self, at: At, message: impl Into<String>, help: impl Into<String>) {
        self.cx.report(Draft::new(at, message).label("here").help(help));
    }

    /// The place of a piece of a value's text; the whole value when it is written with escapes.
    fn piece_at(&self, value: Value<'_>, piece: &str) -> At {
        match self.cx.slice(value.at).find(piece) {
            Some(offset) if !piece.is_empty() => At { start: value.at.start + offset, len: piece.len(), ..value.at },
            _ => value.at,
        }
    }

    fn parts(&mut self, value: Value<'_>, text: &str) -> Option<Vec<Part>> {
        if template::is_plain(text) {
            return Some(vec![Part::Literal(text.to_owned())]);
        }
        let pieces = match template::pieces(text) {
            Ok(pieces) => pieces,
            Err(broken) => {
                let at = self.piece_at(value, broken.piece);
                let draft = Draft::new(at, broken.message).label("here");
                self.cx.report(draft.help("`{name}` stands for a variable or fact; write `{{` and `}}` for braces"));
                return None;
            }
        };
        let mut parts: Option<Vec<Part>> = Some(Vec::new());
        let push = |part: Part, parts: &mut Vec<Part>| match (part, parts.last_mut()) {
            (Part::Literal(more), Some(Part::Literal(text))) => text.push_str(&more),
            (part, _) => parts.push(part),
        };
        for piece in pieces {
            match piece {
                Piece::Text(text) => {
                    if let Some(parts) = &mut parts {
                        push(Part::Literal(text), parts);
                    }
                }
                Piece::Reference(reference) => match self.scope.lookup(reference) {
                    Ok(found) => {
                        if let Some(parts) = &mut parts {
                            found.into_iter().for_each(|part| push(part, parts));
                        }
                    }
                    Err(miss) => {
                        let at = self.piece_at(value, reference);
                        self.cx.report(Draft::new(at, miss.message).label("unknown here").help(miss.help));
                        parts = None;
                    }
                },
            }
        }
        parts
    }

    /// Any scalar as text, addresses of machines left open.
    pub(crate) fn text(&mut self, value: Value<'_>, what: &str) -> Option<Text> {
        if let Some(text) = value.as_str() {
            return self.parts(value, text).map(Text);
        }
        let text = scalar(value);
        if text.is_none() {
            self.wrong_type(value, what, "a text");
        }
        text.map(Text::literal)
    }

    /// Any scalar as text that is known now.
    pub(crate) fn closed_text(&mut self, value: Value<'_>, what: &str) -> Option<String> {
        let text = self.text(value, what)?;
        let closed = text.resolve(&|_| None);
        if closed.is_none() {
            self.wrong(
                value.at,
                format!("`{what}` cannot hold the address of a machine: addresses are given out later"),
                "use the machine's host name: `{name.host}`",
            );
        }
        closed
    }

    /// A text; a number is not taken for one.
    pub(crate) fn string(&mut self, value: Value<'_>, what: &str) -> Option<String> {
        if value.as_str().is_none() {
            self.wrong_type(value, what, "a text");
            return None;
        }
        self.closed_text(value, what)
    }

    /// A text that is not empty.
    pub(crate) fn word(&mut self, value: Value<'_>, what: &str) -> Option<String> {
        let text = self.string(value, what)?;
        if text.trim().is_empty() {
            self.wrong(value.at, format!("`{what}` is empty"), "write something between the quotes, or remove it");
            return None;
        }
        Some(text)
    }

    /// A name by the rules of [`Name`].
    pub(crate) fn name(&mut self, value: Value<'_>, what: &str) -> Option<Name> {
        let text = self.string(value, what)?;
        match Name::new(text) {
            Ok(name) => Some(name),
            Err(error) => {
                self.wrong(value.at, error.to_string(), "names become host names: `spark-master`, `db2`");
                None
            }
        }
    }

    /// The value of a text that consists of references, for numbers and booleans.
    fn indirect(&mut self, value: Value<'_>, what: &str, expected: &str) -> Option<String> {
        match value.as_str() {
            Some(text) if !template::is_plain(text) => self.closed_text(value, what),
            _ => {
                self.wrong_type(value, what, expected);
                None
            }
        }
    }

    /// A whole number in a range.
    pub(crate) fn integer<T: TryFrom<i128>>(
        &mut self,
        value: Value<'_>,
        what: &str,
        range: RangeInclusive<i128>,
    ) -> Option<T> {
        let number = match value.entry.value() {
            KdlValue::Integer(number) => *number,
            _ => {
                let text = self.indirect(value, what, "an integer")?;
                let Ok(number) = text.parse() else {
                    self.wrong(
                        value.at,
                        format!("`{what}` takes an integer, this is {text:?}"),
                        "give the variable an integer",
                    );
                    return None;
                };
                number
            }
        };
        if !range.contains(&number) {
            let (low, high) = (range.start(), range.end());
            self.wrong(
                value.at,
                format!("`{what}` is from {low} to {high}, not {number}"),
                "choose a number in that range",
            );
            return None;
        }
        T::try_from(number).ok()
    }

    /// Processors, with or without a fraction.
    pub(crate) fn cpus(&mut self, value: Value<'_>, what: &str) -> Option<MilliCpus> {
        let number = match value.entry.value() {
            // Beyond 2^53 digits are lost; such a number is refused anyway.
            KdlValue::Integer(number) => *number as f64,
            KdlValue::Float(number) => *number,
            _ => {
                let text = self.indirect(value, what, "a number")?;
                let Ok(number) = text.parse() else {
                    self.wrong(
                        value.at,
                        format!("`{what}` takes a number, this is {text:?}"),
                        "give the variable a number",
                    );
                    return None;
                };
                number
            }
        };
        self.sized(value, what, MilliCpus::from_cpus(number), "processors are a number such as 1, 0.5 or 4")
    }

    /// An amount of memory.
    pub(crate) fn bytes(&mut self, value: Value<'_>, what: &str) -> Option<Bytes> {
        if let KdlValue::Integer(number) = value.entry.value() {
            let help = "a bare number could be bytes or mebibytes: write \"512MiB\" or \"2GiB\"";
            self.wrong(value.at, format!("`{what}` is {number} of which unit?"), help);
            return None;
        }
        let text = self.string(value, what)?;
        if text.trim().parse::<f64>().is_ok() && !text.trim().starts_with('-') {
            self.wrong(value.at, format!("`{what}` is {} of which unit?", text.trim()), "write \"512MiB\" or \"2GiB\"");
            return None;
        }
        self.sized(value, what, Bytes::parse(&text), "memory is written as \"512MiB\" or \"2GiB\"")
    }

    /// A length of time.
    pub(crate) fn duration(&mut self, value: Value<'_>, what: &str) -> Option<Duration> {
        if value.as_str().is_none() {
            self.wrong_type(value, what, "a duration as \"30s\" or \"5m\"");
            return None;
        }
        let text = self.string(value, what)?;
        self.sized(value, what, parse_duration(&text), "write \"30s\", \"5m\" or \"1h 30m\"; at most ten days")
    }

    fn sized<T>(
        &mut self,
        value: Value<'_>,
        what: &str,
        sized: Result<T, rig_model::SizeError>,
        help: &str,
    ) -> Option<T> {
        sized.map_err(|error| self.wrong(value.at, format!("`{what}`: {error}"), help)).ok()
    }

    /// `#true` or `#false`.
    pub(crate) fn boolean(&mut self, value: Value<'_>, what: &str) -> Option<bool> {
        if let KdlValue::Bool(yes) = value.entry.value() {
            return Some(*yes);
        }
        let text = self.indirect(value, what, "#true or #false")?;
        let parsed = text.parse().ok();
        if parsed.is_none() {
            self.wrong(
                value.at,
                format!("`{what}` takes a boolean, this is {text:?}"),
                "give the variable #true or #false",
            );
        }
        parsed
    }

    /// An IPv4 address.
    pub(crate) fn ipv4(&mut self, value: Value<'_>, what: &str) -> Option<Ipv4Addr> {
        let text = self.string(value, what)?;
        let parsed = text.parse().ok();
        if parsed.is_none() {
            self.wrong(value.at, format!("{text:?} is not an IPv4 address"), "write it as \"10.8.0.5\"");
        }
        parsed
    }

    /// One of some words.
    pub(crate) fn choice<T: Copy>(&mut self, value: Value<'_>, what: &str, choices: &[(&str, T)]) -> Option<T> {
        let text = self.string(value, what)?;
        if let Some((_, found)) = choices.iter().find(|(word, _)| *word == text) {
            return Some(*found);
        }
        let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
        let near = suggest::nearest(&text, words.iter().copied()).map(|near| format!("did you mean `{near}`?"));
        let help = near.unwrap_or_else(|| format!("choose one of {}", suggest::list(&words)));
        self.wrong(value.at, format!("`{what}` cannot be {text:?}"), help);
        None
    }

    /// The value of a node that has one and nothing else.
    pub(crate) fn only_value<T>(
        &mut self,
        node: Option<Reader<'_>>,
        needs: &str,
        read: impl FnOnce(&mut Self, Value<'_>) -> Option<T>,
    ) -> Option<T> {
        let mut node = node?;
        let value = node.arg(self.cx, needs);
        node.finish(self.cx);
        read(self, value?)
    }

    /// A node that says yes by being there, or has a boolean.
    pub(crate) fn flag(&mut self, node: Option<Reader<'_>>) -> Option<bool> {
        let mut node = node?;
        let name = node.name();
        let value = node.maybe_arg();
        node.finish(self.cx);
        value.map_or(Some(true), |value| self.boolean(value, name))
    }
}
