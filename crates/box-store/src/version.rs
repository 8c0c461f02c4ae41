//! Versions of boxes, ordered as RubyGems orders them: boxes are numbered that way, dates included.

use serde::{Deserialize, Serialize};
use std::{cmp::Ordering, fmt, str::FromStr};

/// The longest version, in characters.
const LONGEST: usize = 64;

/// A version (`1.2.0`, `20240207.0.0`, `2.0.0.beta1`, `1.0-rc.1`). Zeros at the end do not count: `1.0` is `1`. A part with
/// letters makes it a prerelease, which is older than the release.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Version {
    text: String,
    segments: Vec<Segment>,
}

/// Words are older than numbers.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Segment {
    Word(String),
    Number(u64),
}

const ZERO: Segment = Segment::Number(0);

/// Why a text is no [`Version`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no version: {why}")]
pub struct VersionError {
    /// The text.
    pub text: String,
    /// What is wrong with it.
    pub why: &'static str,
}

impl Version {
    /// Whether a part of it has letters.
    #[must_use]
    pub fn is_prerelease(&self) -> bool {
        self.segments.iter().any(|segment| matches!(segment, Segment::Word(_)))
    }

    /// The version as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// What the prerelease is a prerelease of: the numbers before its first word.
    pub(crate) fn release(&self) -> Self {
        Self::of(self.numbers())
    }

    /// The first version that `~>` this one does not mean: the number before the last one more (`1.2` → `2`), a single
    /// number itself (`1` → `2`).
    pub(crate) fn bump(&self) -> Self {
        let mut numbers = self.numbers();
        if numbers.len() > 1 {
            numbers.pop();
        }
        if let Some(last) = numbers.last_mut() {
            *last = last.saturating_add(1);
        }
        Self::of(numbers)
    }

    fn numbers(&self) -> Vec<u64> {
        let number = |segment: &Segment| match segment {
            Segment::Number(number) => Some(*number),
            Segment::Word(_) => None,
        };
        self.segments.iter().map_while(number).collect()
    }

    fn of(numbers: Vec<u64>) -> Self {
        let text: Vec<String> = numbers.iter().map(ToString::to_string).collect();
        Self { text: text.join("."), segments: numbers.into_iter().map(Segment::Number).collect() }
    }

    /// What is compared: without the zeros at the end of the numbers, and at the end of all.
    fn canonical(&self) -> impl Iterator<Item = &Segment> {
        let numbers = self.segments.iter().take_while(|segment| matches!(segment, Segment::Number(_))).count();
        let (numbers, rest) = self.segments.split_at(numbers);
        without_zeros(numbers).iter().chain(without_zeros(rest))
    }
}

fn without_zeros(segments: &[Segment]) -> &[Segment] {
    let end = segments.iter().rposition(|segment| *segment != ZERO).map_or(0, |last| last + 1);
    &segments[..end]
}

impl FromStr for Version {
    type Err = VersionError;

    fn from_str(text: &str) -> Result<Self, VersionError> {
        let text = text.trim();
        let wrong = |why| VersionError { text: text.to_owned(), why };
        if text.len() > LONGEST {
            return Err(wrong("it is too long"));
        }
        let (main, behind) = match text.split_once('-') {
            Some((main, behind)) => (main, Some(behind)),
            None => (text, None),
        };
        let mut parts = main.split('.');
        if parts.next().is_none_or(|first| first.is_empty() || !first.bytes().all(|byte| byte.is_ascii_digit())) {
            return Err(wrong("it does not begin with a number"));
        }
        let is_word = |part: &str, hyphen: bool| {
            !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || (hyphen && byte == b'-'))
        };
        if !parts.all(|part| is_word(part, false))
            || !behind.is_none_or(|behind| behind.split('.').all(|part| is_word(part, true)))
        {
            return Err(wrong("its parts are numbers and letters with points between them"));
        }
        // A hyphen says that what follows comes before the release.
        let segments = segments(&text.replace('-', ".pre.")).ok_or_else(|| wrong("one of its numbers is too large"))?;
        Ok(Self { text: text.to_owned(), segments })
    }
}

/// The runs of digits and of letters.
fn segments(text: &str) -> Option<Vec<Segment>> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let digit = first.is_ascii_digit();
        let same = |c: char| if digit { c.is_ascii_digit() } else { c.is_ascii_alphabetic() };
        let end = rest.find(|c: char| !same(c)).unwrap_or(rest.len());
        if end == 0 {
            rest = &rest[first.len_utf8()..];
            continue;
        }
        let (run, behind) = rest.split_at(end);
        found.push(if digit { Segment::Number(run.parse().ok()?) } else { Segment::Word(run.to_owned()) });
        rest = behind;
    }
    Some(found)
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        let (mut ours, mut theirs) = (self.canonical(), other.canonical());
        loop {
            let (our, their) = (ours.next(), theirs.next());
            if our.is_none() && their.is_none() {
                return Ordering::Equal;
            }
            match our.unwrap_or(&ZERO).cmp(their.unwrap_or(&ZERO)) {
                Ordering::Equal => {}
                unequal => return unequal,
            }
        }
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Version {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Version {}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

impl TryFrom<String> for Version {
    type Error = VersionError;
    fn try_from(text: String) -> Result<Self, VersionError> {
        text.parse()
    }
}

impl From<Version> for String {
    fn from(version: Version) -> Self {
        version.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn version(text: &str) -> Version {
        text.parse().unwrap()
    }

    #[test]
    fn versions_are_ordered_as_rubygems_orders_them() {
        let ascending = [
            "0",
            "0.1.a",
            "0.1.b",
            "0.1.b2",
            "0.1",
            "0.1.1",
            "1.0-alpha",
            "1.0-rc.1",
            "1.0.pre2",
            "1.0",
            "1.0.1",
            "1.9",
            "1.10.a",
            "1.10",
            "2",
            // A date of six digits is a smaller number than one of eight.
            "202510.26.0",
            "20240207.0.0",
            "20240207.1.0",
        ];
        let mut sorted: Vec<Version> = ascending.iter().rev().map(|text| version(text)).collect();
        sorted.sort();
        assert_eq!(sorted.iter().map(Version::as_str).collect::<Vec<_>>(), ascending);
    }

    #[test]
    fn zeros_at_the_end_do_not_count() {
        assert_eq!(version("1"), version("1.0.0"));
        assert_eq!(version("1.0.a"), version("1.a"));
        assert_eq!(version("1.a.0"), version("1.a"));
        assert_ne!(version("1.0.1"), version("1.1"));
        assert_eq!(version(" 1.0 ").as_str(), "1.0");
    }

    #[test]
    fn other_texts_are_no_versions() {
        for text in
            ["", "v1", "1..2", "1.", ".1", "1 2", "1.0+build", "1-", "1-a..b", "../1", "1/2", "99999999999999999999"]
        {
            assert!(text.parse::<Version>().is_err(), "{text:?}");
        }
        assert!("1".repeat(100).parse::<Version>().is_err());
    }

    #[test]
    fn a_bump_is_of_the_number_before_the_last() {
        for (from, to) in [("1", "2"), ("1.0", "2"), ("1.2.3", "1.3"), ("1.2.3.beta", "1.3"), ("0.0.9", "0.1")] {
            assert_eq!(version(from).bump(), version(to), "{from}");
        }
        assert_eq!(version("1.2.b3").release(), version("1.2"));
    }

    proptest! {
        #[test]
        fn the_order_is_total(
            a in r"[0-9]{1,3}(\.([0-9]{1,2}|[ab][0-9]?)){0,3}",
            b in r"[0-9]{1,3}(\.([0-9]{1,2}|[ab][0-9]?)){0,3}",
            c in r"[0-9]{1,3}(\.([0-9]{1,2}|[ab][0-9]?)){0,3}",
        ) {
            let [a, b, c] = [version(&a), version(&b), version(&c)];
            prop_assert_eq!(a.cmp(&b), b.cmp(&a).reverse());
            if a <= b && b <= c {
                prop_assert!(a <= c);
            }
            if a == b {
                prop_assert_eq!(a.cmp(&c), b.cmp(&c));
            }
            prop_assert!(a.release() >= a || !a.is_prerelease());
            prop_assert!(a.bump() > a);
        }

        #[test]
        fn what_is_read_is_written_again(text in r"[0-9]{1,8}(\.[0-9a-z]{1,5}){0,4}(-[a-z0-9-]{1,4})?") {
            let read = version(&text);
            prop_assert_eq!(read.to_string(), text);
        }

        #[test]
        fn no_text_makes_it_panic(text in any::<String>()) {
            let _ = text.parse::<Version>();
        }
    }
}
