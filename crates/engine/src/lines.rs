//! Cutting a stream of bytes into lines.

use regex::Regex;
use std::sync::LazyLock;

/// A line longer than this is told in pieces, in bytes.
const LONGEST: usize = 64 << 10;

/// Cuts a stream of bytes into lines, without their ends. What is no UTF-8 is replaced, and a line that does not end is
/// told in pieces.
#[derive(Debug, Default)]
pub struct Lines(Vec<u8>);

impl Lines {
    /// Adds bytes; gives the lines that are whole.
    pub fn take(&mut self, bytes: &[u8]) -> Vec<String> {
        self.0.extend_from_slice(bytes);
        let mut lines = Vec::new();
        let mut start = 0;
        loop {
            let rest = &self.0[start..];
            match rest.iter().position(|byte| *byte == b'\n') {
                Some(end) if end <= LONGEST => {
                    lines.push(line(&rest[..end]));
                    start += end + 1;
                }
                _ if rest.len() > LONGEST => {
                    lines.push(line(&rest[..LONGEST]));
                    start += LONGEST;
                }
                _ => break,
            }
        }
        self.0.drain(..start);
        lines
    }

    /// What is left at the end of the stream.
    pub fn rest(self) -> Option<String> {
        (!self.0.is_empty()).then(|| line(&self.0))
    }
}

fn line(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim_end_matches('\r').to_owned()
}

/// A line without what speaks to a terminal: colours, titles and the like are not for the one that rig runs in. Of a line
/// that draws over itself, as progress bars do, only the last state counts.
pub(crate) fn plain(line: &str) -> String {
    let last = line.rsplit('\r').next().unwrap_or_default();
    let plain = ESCAPES.replace_all(last, "");
    plain.chars().filter(|c| !c.is_control() || *c == '\t').collect()
}

/// Sequences for terminals (ECMA-48): CSI, OSC, and those of two characters.
static ESCAPES: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)|.)").unwrap_or_else(|_| never())
});

#[expect(clippy::expect_used, reason = "a constant that a test covers")]
fn never() -> Regex {
    Regex::new("$^").expect("a constant")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lines_are_cut() {
        let mut lines = Lines::default();
        assert_eq!(lines.take(b"one\r\ntw"), ["one"]);
        assert_eq!(lines.take(b"o\n\xff\n"), ["two", "\u{fffd}"]);
        assert_eq!(lines.take(&vec![b'x'; LONGEST * 2 + 1]).len(), 2);
        assert_eq!(lines.rest().as_deref(), Some("x"));
        assert_eq!(Lines::default().rest(), None);
    }

    #[test]
    fn lines_are_cleaned() {
        assert_eq!(plain("10%\r100%"), "100%");
        assert_eq!(plain("\x1b[1;31mred\x1b[0m\x1b]0;title\x07\ttab\x07"), "red\ttab");
    }

    proptest! {
        #[test]
        fn the_same_lines_come_whatever_the_pieces(text in "[a-z\n]{0,200}", cut in 0_usize..200) {
            let cut = cut.min(text.len());
            let mut lines = Lines::default();
            let mut all = lines.take(&text.as_bytes()[..cut]);
            all.extend(lines.take(&text.as_bytes()[cut..]));
            all.extend(lines.rest());
            prop_assert_eq!(all, text.lines().map(str::to_owned).collect::<Vec<_>>());
        }
    }
}
