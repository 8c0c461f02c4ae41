//! What is refused before anything looks at the text.

use crate::context::{At, Context, Draft, File};
use camino::Utf8Path;

/// The largest file that is read: far more than thousands of machines need.
pub(crate) const MOST_BYTES: u64 = 1 << 20;

/// Makes a file of bytes and returns its number, or reports why they are no text.
pub(crate) fn text(cx: &mut Context, name: &str, path: &Utf8Path, bytes: Vec<u8>) -> Option<usize> {
    if bytes.len() as u64 > MOST_BYTES {
        let message = format!("{name} is larger than {} KiB, the most that rig reads", MOST_BYTES >> 10);
        cx.report(
            Draft::nowhere(message)
                .help("is it the right file? parts of a workspace can be files of their own: `include`"),
        );
        return None;
    }
    match String::from_utf8(bytes) {
        Ok(text) => {
            let forbidden = text.char_indices().find(|(at, c)| is_forbidden(*c) && !(*at == 0 && *c == '\u{feff}'));
            let file = cx.add_file(File::new(name, path.to_owned(), text));
            let Some((start, bad)) = forbidden else {
                return Some(file);
            };
            let at = At { file, start, len: bad.len_utf8() };
            cx.report(
                Draft::new(at, format!("the character U+{:04X} cannot stand in a KDL file", u32::from(bad)))
                    .label("an invisible character")
                    .help("remove it, or write it in a text as \"\\u{…}\"; is this the right file?"),
            );
            None
        }
        Err(error) => {
            let start = error.utf8_error().valid_up_to();
            let bad = error.as_bytes().get(start).copied().unwrap_or_default();
            // Up to the bad byte the replaced text has the same offsets as the file.
            let text = String::from_utf8_lossy(error.as_bytes()).into_owned();
            let file = cx.add_file(File::new(name, path.to_owned(), text));
            let at = At { file, start, len: char::REPLACEMENT_CHARACTER.len_utf8() };
            cx.report(
                Draft::new(at, format!("{name} is not UTF-8: byte {start} is 0x{bad:02x}"))
                    .label("not a character")
                    .help("save the file with the encoding UTF-8"),
            );
            None
        }
    }
}

/// Characters that KDL 2 does not allow anywhere: control characters, and those that change the direction of writing, which
/// can make a file look like something else than it is.
fn is_forbidden(c: char) -> bool {
    matches!(c,
        '\0'..='\u{8}' | '\u{e}'..='\u{1f}' | '\u{7f}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}
