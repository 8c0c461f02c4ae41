//! Which versions somebody wants.

use crate::{Version, VersionError};
use std::{cmp::Ordering, fmt, str::FromStr};

/// Conditions with commas between them, all of which hold: `>= 1.0, < 3`, `~> 1.2`, `= 1.0` or just `1.0`. The default
/// is any version.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Constraint {
    conditions: Vec<(Operator, Version)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Equal,
    Unequal,
    Greater,
    Less,
    AtLeast,
    AtMost,
    /// At least this, and below the next number before its last one.
    About,
}

/// Longer ones first: `>` is the beginning of `>=`.
const OPERATORS: [(&str, Operator); 7] = [
    ("~>", Operator::About),
    (">=", Operator::AtLeast),
    ("<=", Operator::AtMost),
    ("!=", Operator::Unequal),
    ("=", Operator::Equal),
    (">", Operator::Greater),
    ("<", Operator::Less),
];

/// Why a text is no [`Constraint`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no version constraint: {why}")]
pub struct ConstraintError {
    /// The text.
    pub text: String,
    /// What is wrong with it.
    pub why: String,
}

impl Constraint {
    /// Exactly this version.
    #[must_use]
    pub fn exactly(version: Version) -> Self {
        Self { conditions: vec![(Operator::Equal, version)] }
    }

    /// Whether a version meets all conditions.
    #[must_use]
    pub fn is_met_by(&self, version: &Version) -> bool {
        self.conditions.iter().all(|(operator, wanted)| match operator {
            Operator::Equal => version == wanted,
            Operator::Unequal => version != wanted,
            Operator::Greater => version > wanted,
            Operator::Less => version < wanted,
            Operator::AtLeast => version >= wanted,
            Operator::AtMost => version <= wanted,
            Operator::About => version >= wanted && version.release() < wanted.bump(),
        })
    }

    /// The newest that meets the constraint. A prerelease is taken where the constraint names one, or where there is
    /// nothing else: nobody gets it by accident.
    #[must_use]
    pub fn newest<T>(&self, candidates: impl IntoIterator<Item = T>, version: impl Fn(&T) -> &Version) -> Option<T> {
        let met = candidates.into_iter().filter(|candidate| self.is_met_by(version(candidate)));
        met.max_by(|a, b| self.order(version(a), version(b)))
    }

    /// Which of two versions is older for whoever has this constraint: prereleases come before all releases, unless the
    /// constraint names one.
    pub(crate) fn order(&self, a: &Version, b: &Version) -> Ordering {
        let prereleases_count = self.conditions.iter().any(|(_, wanted)| wanted.is_prerelease());
        let rank = |version: &Version| prereleases_count || !version.is_prerelease();
        (rank(a), a).cmp(&(rank(b), b))
    }
}

impl FromStr for Constraint {
    type Err = ConstraintError;

    fn from_str(text: &str) -> Result<Self, ConstraintError> {
        let wrong = |why: String| ConstraintError { text: text.to_owned(), why };
        let condition = |part: &str| {
            let part = part.trim();
            let (operator, rest) = OPERATORS
                .iter()
                .find_map(|(sign, operator)| Some((*operator, part.strip_prefix(sign)?)))
                .unwrap_or((Operator::Equal, part));
            if rest.trim().is_empty() {
                return Err(wrong(format!("{part:?} has no version")));
            }
            let version = rest.parse().map_err(|error: VersionError| wrong(error.to_string()))?;
            Ok((operator, version))
        };
        Ok(Self { conditions: text.split(',').map(condition).collect::<Result<_, _>>()? })
    }
}

impl fmt::Display for Constraint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.conditions.is_empty() {
            return f.write_str("any version");
        }
        for (index, (operator, version)) in self.conditions.iter().enumerate() {
            let sign = OPERATORS.iter().find(|(_, known)| known == operator).map_or("=", |(sign, _)| sign);
            write!(f, "{}{sign} {version}", if index == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn meets(constraint: &str, version: &str) -> bool {
        constraint.parse::<Constraint>().unwrap().is_met_by(&version.parse().unwrap())
    }

    #[test]
    fn each_operator_means_what_it_says() {
        for (constraint, yes, no) in [
            ("1.0", &["1", "1.0.0"][..], &["1.0.1", "1.0.a"][..]),
            ("= 1.0", &["1"], &["1.1"]),
            ("!= 1.0", &["1.1"], &["1"]),
            ("> 1.0", &["1.0.1", "2"], &["1", "0.9", "1.0.pre"]),
            ("<1.0", &["0.9", "1.0.pre"], &["1"]),
            (">= 1.0", &["1", "2"], &["0.9"]),
            ("<= 1.0", &["1", "0.9"], &["1.0.1"]),
            ("~> 1.0", &["1.0", "1.9.9"], &["2.0", "0.9", "2.0.beta"]),
            ("~> 1.2.3", &["1.2.3", "1.2.10"], &["1.3", "1.2.2"]),
            ("~> 20240101.0", &["20240101.5"], &["20240102.0"]),
            (">= 1.0, < 2, != 1.5", &["1.4"], &["1.5", "2", "0.1"]),
        ] {
            for version in yes {
                assert!(meets(constraint, version), "{constraint} / {version}");
            }
            for version in no {
                assert!(!meets(constraint, version), "{constraint} / {version}");
            }
        }
    }

    #[test]
    fn other_texts_are_no_constraints() {
        for text in ["", ",", "> ", "~> x", ">= 1,", "=> 1", "1 - 2", "^1.0", "latest", "~>1.0 <2"] {
            let error = text.parse::<Constraint>().unwrap_err().to_string();
            assert!(error.starts_with(&format!("{text:?} is no version constraint: ")), "{error}");
        }
    }

    #[test]
    fn nobody_gets_a_prerelease_by_accident() {
        let versions: Vec<Version> = ["1.0", "2.0.beta1", "1.5"].iter().map(|text| text.parse().unwrap()).collect();
        let newest = |constraint: &str| {
            let constraint: Constraint = constraint.parse().unwrap();
            constraint.newest(&versions, |version| version).map(Version::as_str)
        };
        assert_eq!(newest(">= 0"), Some("1.5"));
        assert_eq!(newest(">= 2.0.a"), Some("2.0.beta1"));
        assert_eq!(newest("> 1.5"), Some("2.0.beta1"));
        assert_eq!(newest("> 3"), None);
        assert_eq!(Constraint::default().newest(&versions, |version| version).map(Version::as_str), Some("1.5"));
    }

    proptest! {
        #[test]
        fn about_is_between_a_version_and_its_bump(
            wanted in r"[0-9]{1,2}(\.[0-9]{1,2}){0,3}",
            version in r"[0-9]{1,2}(\.[0-9]{1,2}){0,3}",
        ) {
            let (wanted, version): (Version, Version) = (wanted.parse().unwrap(), version.parse().unwrap());
            let about: Constraint = format!("~> {wanted}").parse().unwrap();
            let between: Constraint = format!(">= {wanted}, < {}", wanted.bump()).parse().unwrap();
            prop_assert_eq!(about.is_met_by(&version), between.is_met_by(&version));
            prop_assert!(about.is_met_by(&wanted));
        }

        #[test]
        fn what_is_written_means_the_same(text in r"(~> |>= |< |= |!= )[0-9]\.[0-9](, (>|<=) [0-9]\.[0-9])?") {
            let read: Constraint = text.parse().unwrap();
            prop_assert_eq!(read.to_string().parse::<Constraint>().unwrap(), read);
        }

        #[test]
        fn no_text_makes_it_panic(text in any::<String>()) {
            let _ = text.parse::<Constraint>();
        }
    }
}
