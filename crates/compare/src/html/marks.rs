//! Shapes, scales and texts that the drawings share.

use crate::{catalogue::Unit, show};
use std::fmt::Write;

/// How many shapes there are; a fifth topology takes the first one again, in another colour.
pub(super) const SHAPES: usize = 4;

/// How many colours topologies have.
pub(super) const COLOURS: usize = 6;

/// Where a scale begins and ends in its drawing, in percent: a mark at either end is not cut.
const START: f64 = 1.5;
const END: f64 = 97.5;

/// A scale from zero to a round number.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scale {
    /// The round number.
    pub(super) end: f64,
}

impl Scale {
    /// A scale that has room for `largest`.
    pub(super) fn to(largest: f64) -> Self {
        if !largest.is_finite() || largest <= 0.0 {
            return Self { end: 1.0 };
        }
        let power = 10_f64.powf(largest.log10().floor());
        let steps = [1.0, 1.2, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0];
        let end = steps.into_iter().map(|step| step * power).find(|end| *end >= largest);
        Self { end: end.unwrap_or(largest) }
    }

    /// The round number as people write it.
    pub(super) fn label(self, unit: Unit) -> String {
        let text = show::shown(unit, self.end);
        let (number, rest) = text.split_once(' ').unwrap_or((&text, ""));
        if number.contains('.') {
            return format!("{} {rest}", number.trim_end_matches('0').trim_end_matches('.'));
        }
        text
    }

    /// Where a value is, in percent of the drawing's width.
    pub(super) fn at(self, value: f64) -> f64 {
        START + self.length(value)
    }

    /// How long a value is, in percent of the drawing's width.
    pub(super) fn length(self, value: f64) -> f64 {
        (value / self.end).clamp(0.0, 1.0) * (END - START)
    }
}

/// Two digits behind the point: a thousandth of a drawing is not seen.
pub(super) fn percent(value: f64) -> String {
    format!("{value:.2}%")
}

/// A text between tags or in quotes.
pub(super) fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            _ => safe.push(character),
        }
    }
    safe
}

/// Adds to a text. Writing to a string cannot fail.
pub(super) fn add(text: &mut String, parts: std::fmt::Arguments<'_>) {
    let _ = text.write_fmt(parts);
}

/// The beginning of a text that is too long for a line.
pub(super) fn shortened(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(most).collect();
    short.push('…');
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scale_ends_at_a_round_number_above_the_largest_value() {
        assert_eq!(Scale::to(51.7).end, 60.0);
        assert_eq!(Scale::to(100.0).end, 100.0);
        assert_eq!(Scale::to(0.0).end, 1.0);
        assert!(Scale::to(13.9).at(13.9) <= END);
        assert_eq!(Scale::to(5.0).at(0.0), START);
        assert_eq!(Scale::to(51.7).label(Unit::Seconds), "60 s");
        assert_eq!(Scale::to(2.4).label(Unit::Seconds), "2.5 s");
        assert_eq!(Scale::to(1850.0).label(Unit::Count), "2,000");
    }

    #[test]
    fn texts_cannot_leave_their_place() {
        assert_eq!(escaped(r#"<a href="x">&'"#), "&lt;a href=&quot;x&quot;&gt;&amp;&#39;");
        assert_eq!(shortened("äöüß", 3), "äöü…");
    }
}
