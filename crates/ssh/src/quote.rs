//! Words for a POSIX shell.

/// Makes one word of a text, whatever is in it: `sh` gives the word back unchanged.
///
/// A text of harmless characters only stays as it is, so that command lines remain readable. A shell cannot hold a
/// NUL character; it is left out.
#[must_use]
pub fn quote(text: &str) -> String {
    let harmless = |c: char| c.is_ascii_alphanumeric() || "-_./:,+@%".contains(c);
    if !text.is_empty() && text.chars().all(harmless) {
        return text.to_owned();
    }
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('\'');
    for c in text.chars().filter(|c| *c != '\0') {
        match c {
            // Out of the quotes, an escaped quote, into the quotes again.
            '\'' => quoted.push_str("'\\''"),
            c => quoted.push(c),
        }
    }
    quoted.push('\'');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_texts() {
        assert_eq!(quote("spark-submit"), "spark-submit");
        assert_eq!(quote(""), "''");
        assert_eq!(quote("it's"), r"'it'\''s'");
        assert_eq!(quote("a b"), "'a b'");
        assert_eq!(quote("~"), "'~'");
        assert_eq!(quote("a\0b c"), "'ab c'");
    }

    /// What POSIX says a shell makes of one word.
    fn unquote(word: &str) -> Option<String> {
        let mut text = String::new();
        let mut chars = word.chars();
        while let Some(c) = chars.next() {
            match c {
                '\'' => loop {
                    match chars.next()? {
                        '\'' => break,
                        c => text.push(c),
                    }
                },
                '\\' => text.push(chars.next()?),
                c if " \t\n|&;<>()$`\"*?[]#~=%!{}^".contains(c) && c != '%' => return None,
                c => text.push(c),
            }
        }
        Some(text)
    }

    proptest! {
        #[test]
        fn a_shell_gives_the_text_back(text in "[^\0]*") {
            prop_assert_eq!(unquote(&quote(&text)), Some(text));
        }
    }

    #[cfg(unix)]
    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn the_real_shell_agrees(text in "[^\0]{0,40}") {
            let script = format!("printf %s {}", quote(&text));
            let output = std::process::Command::new("sh").arg("-c").arg(script).output().unwrap();
            prop_assert_eq!(output.stdout, text.into_bytes());
        }
    }
}
