//! Texts with `{references}`.

/// A piece of a text.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Piece<'t> {
    /// Characters as they are.
    Text(String),
    /// What stands between braces.
    Reference(&'t str),
}

/// Why a text cannot be taken apart: the piece that is wrong, and what is wrong.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Broken<'t> {
    pub(crate) piece: &'t str,
    pub(crate) message: &'static str,
}

/// Whether a text refers to anything or holds doubled braces.
pub(crate) fn is_plain(text: &str) -> bool {
    !text.contains(['{', '}'])
}

/// Takes a text apart. `{{` and `}}` are braces.
pub(crate) fn pieces(text: &str) -> Result<Vec<Piece<'_>>, Broken<'_>> {
    let mut pieces = Vec::new();
    let mut plain = String::new();
    let mut rest = text;
    while let Some(brace) = rest.find(['{', '}']) {
        plain.push_str(&rest[..brace]);
        let from = &rest[brace..];
        if let Some(after) = from.strip_prefix("{{") {
            plain.push('{');
            rest = after;
        } else if let Some(after) = from.strip_prefix("}}") {
            plain.push('}');
            rest = after;
        } else if from.starts_with('}') {
            return Err(Broken { piece: &from[..1], message: "a `}` without its `{`" });
        } else {
            let Some(end) = from.find('}') else {
                return Err(Broken { piece: &from[..1], message: "a `{` without its `}`" });
            };
            let name = from[1..end].trim();
            // `{if-first a b}` is the one reference with words behind it.
            let words = name.strip_prefix("if-first ").map_or(name, |words| words).split(' ');
            let is_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
            let count = if name.starts_with("if-first ") { 2 } else { 1 };
            if words.clone().count() != count
                || !words.clone().all(|word| !word.is_empty() && word.chars().all(is_word))
            {
                return Err(Broken { piece: &from[..=end], message: "this is not the name of a variable or fact" });
            }
            if !plain.is_empty() {
                pieces.push(Piece::Text(std::mem::take(&mut plain)));
            }
            pieces.push(Piece::Reference(name));
            rest = &from[end + 1..];
        }
    }
    plain.push_str(rest);
    if !plain.is_empty() {
        pieces.push(Piece::Text(plain));
    }
    Ok(pieces)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_and_braces_are_told_apart() {
        let text = |text: &str| Piece::Text(text.to_owned());
        assert_eq!(pieces("plain"), Ok(vec![text("plain")]));
        assert_eq!(pieces(""), Ok(vec![]));
        assert_eq!(pieces("a{n}b"), Ok(vec![text("a"), Piece::Reference("n"), text("b")]));
        assert_eq!(pieces("{{n}} { spark.ip }"), Ok(vec![text("{n} "), Piece::Reference("spark.ip")]));
        assert_eq!(pieces("{{{n}}}"), Ok(vec![text("{"), Piece::Reference("n"), text("}")]));
        assert_eq!(pieces("{if-first a b}"), Ok(vec![Piece::Reference("if-first a b")]));
        for broken in
            ["{if-first a}", "{if-first a b c}", "{if-first  a b}", "{", "}", "{}", "{a b}", "a{\"x\": 1}", "{ü}"]
        {
            assert!(pieces(broken).is_err(), "{broken}");
        }
    }
}
