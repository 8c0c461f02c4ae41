//! No input brings the reader down.

use super::support::folders;
use proptest::prelude::*;
use rig_config::{Overrides, parse};

const FILE: &str = include_str!("../../../../workspace.kdl");

fn read(text: &str) -> bool {
    match parse("workspace.kdl", text, &Overrides::default(), &folders()) {
        Ok(_) => true,
        Err(mistakes) => {
            assert!(mistakes.iter().len() > 0, "rejected without a reason: {text:?}");
            // Drawing a report reads all its spans.
            super::support::render(&mistakes);
            false
        }
    }
}

#[test]
fn endless_repetition_is_survived() {
    let pieces = [
        "{",
        "}",
        "a {\n",
        "a {",
        "/-{",
        "a /-{\n",
        "a /-{}",
        "/-a {",
        "/*",
        "*/",
        "\"",
        "\"\"\"",
        "#\"",
        "##\"",
        "#",
        "(",
        ")",
        "(a)",
        "=",
        "a=",
        "a b=1=2\n",
        "true\n",
        "\\",
        "\\\n",
        "/-",
        "/- ",
        ";",
        "[",
        ",",
        "1.",
        "0x",
        "é{",
        "\u{feff}",
        "\r",
        "\u{2028}",
        "\\u{",
        "\"\\q\" ",
        "a \"\"\"\n",
        "include \"workspace.kdl\"\n",
        "workspace \"a\"\n",
        "flavor \"a\"\n",
        "variable \"a\" \"{\"\n",
    ];
    for piece in pieces {
        assert!(!read(&piece.repeat(100_000 / piece.len())), "{piece}");
        assert!(!read(&format!("a {{\n{}\n}}", piece.repeat(20_000 / piece.len()))), "{piece}");
    }
}

#[test]
fn nesting_of_a_hundred_thousand_is_one_mistake() {
    let text = "a {\n".repeat(100_000) + &"}\n".repeat(100_000);
    let mistakes = parse("workspace.kdl", &text, &Overrides::default(), &folders()).unwrap_err();
    let found: Vec<_> = mistakes.iter().collect();
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].message, found[0].line), ("blocks are nested more than 64 deep", Some(65)));
}

#[test]
fn braces_in_texts_and_comments_are_no_nesting() {
    let braces = "{".repeat(200);
    let text = format!(
        "workspace \"t\" // {braces}\n/* {braces} /* {braces} */ */\nvariable \"a\" \"{braces}\"\nvariable \"b\" #\"\"{braces}\"#\nvariable \"c\" \"\"\"\n  {braces} \" \\\"\"\"\n  \"\"\"\n/-variable \"d\" {{ x {{ y }} }}\nvariable \"e\" \\ // {braces}\n  1\n"
    );
    assert!(read(&text));
}

#[test]
fn a_thousand_mistakes_are_cut_short() {
    let text = format!("workspace \"t\"\n{}", "frobnicate\n".repeat(1000));
    let mistakes = parse("workspace.kdl", &text, &Overrides::default(), &folders()).unwrap_err();
    assert!(mistakes.iter().len() <= 101);
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut files = folders();
        files.add("other.kdl", &bytes);
        let main = "workspace \"t\"\ninclude \"other.kdl\"";
        if let Err(mistakes) = parse("workspace.kdl", main, &Overrides::default(), &files) {
            super::support::render(&mistakes);
        }
    }

    #[test]
    fn any_text_is_read_or_refused(text in ".{0,200}") {
        read(&text);
    }

    #[test]
    fn any_kdl_like_text_is_read_or_refused(
        words in prop::collection::vec(
            prop::sample::select(vec![
                "workspace", "topology", "machine", "box", "check", "ready", "port", "defaults", "\"a\"", "\"{n}\"", "\"{a.ip}\"", "1", "-1",
                "1.5", "#true", "#null", "count=2", "idiom=\"mutable\"", "on=\"a\"", "tcp=1", "{", "}", "{", "}", "\n", "\n", ";", "=", "/-", "\\", "\"", "é",
            ]),
            0..60,
        )
    ) {
        read(&words.join(" "));
        read(&format!("workspace \"t\"\ntopology \"a\" idiom=\"mutable\" {{ machine \"a\" {{\n{}\n}}\n}}", words.join(" ")));
    }

    #[test]
    fn any_mutation_of_a_good_file_is_read_or_refused(
        changes in prop::collection::vec((any::<prop::sample::Index>(), 0_usize..20, "[ -~\n{}\"=é]{0,6}"), 1..4)
    ) {
        let mut characters: Vec<char> = FILE.chars().collect();
        for (at, cut, put) in changes {
            let at = at.index(characters.len());
            let end = (at + cut).min(characters.len());
            characters.splice(at..end, put.chars());
        }
        read(&characters.into_iter().collect::<String>());
    }
}
