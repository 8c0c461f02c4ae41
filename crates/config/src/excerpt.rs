//! The piece of a file that a report draws.

use miette::{MietteError, MietteSpanContents, SourceCode, SourceSpan, SpanContents};
use std::sync::Arc;

/// The most bytes that are drawn around a place. `miette` pads with formatting widths, which end at 65,535, and a line of
/// a megabyte explains nothing anyway.
const MOST: usize = 4096;

/// So much of a line that is too long is drawn on both sides of the place.
const AROUND: usize = 60;

/// A file as the source of a report, with lines of any length.
#[derive(Clone, Debug)]
pub(crate) struct Excerpt {
    pub(crate) name: Arc<str>,
    pub(crate) text: Arc<str>,
}

impl SourceCode for Excerpt {
    fn read_span<'a>(
        &'a self,
        span: &SourceSpan,
        lines_before: usize,
        lines_after: usize,
    ) -> Result<Box<dyn SpanContents<'a> + 'a>, MietteError> {
        let whole = self.text.read_span(span, lines_before, lines_after)?;
        let name = self.name.to_string();
        if whole.data().len() <= MOST {
            let (data, span) = (whole.data(), *whole.span());
            let (line, column, count) = (whole.line(), whole.column(), whole.line_count());
            return Ok(Box::new(
                MietteSpanContents::new_named(name, data, span, line, column, count).with_language("kdl"),
            ));
        }
        // The place's own line, and of that what is near.
        let text: &str = &self.text;
        let (from, to) = (span.offset(), (span.offset() + span.len()).min(text.len()));
        let line_start = text[..from].rfind('\n').map_or(0, |at| at + 1);
        let line_end = text[from..].find('\n').map_or(text.len(), |length| from + length);
        let start = text.ceil_char_boundary(from.saturating_sub(AROUND)).max(line_start);
        let end = text.floor_char_boundary((to.max(from) + AROUND).min(from + MOST)).min(line_end).max(from);
        // Without the lines before it the place is on the first line of the excerpt.
        let line = self.text.read_span(span, 0, 0)?.line();
        let span = SourceSpan::from((start, end - start));
        let column = text[line_start..start].chars().count();
        Ok(Box::new(
            MietteSpanContents::new_named(name, &text.as_bytes()[start..end], span, line, column, 1)
                .with_language("kdl"),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_line_is_cut_around_the_place() {
        let text = format!("first\n{}here{}\nlast", "é".repeat(50_000), "b".repeat(50_000));
        let excerpt = Excerpt { name: "file".into(), text: text.as_str().into() };
        let offset = text.find("here").unwrap();
        let contents = excerpt.read_span(&(offset, 4).into(), 1, 1).unwrap();
        let drawn = std::str::from_utf8(contents.data()).unwrap();
        assert_eq!(drawn, format!("{}here{}", "é".repeat(30), "b".repeat(60)));
        assert_eq!((contents.line(), contents.column()), (1, 50_000 - 30));
    }
}
