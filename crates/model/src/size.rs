//! Quantities: memory in bytes, processors in thousandths, time.

use serde::{Deserialize, Serialize};
use std::{fmt, time::Duration};

/// An amount of memory or disk, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Bytes(pub u64);

/// Processor time in thousandths of one processor: 1500 is one and a half.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct MilliCpus(pub u32);

/// Why a text or number is not a quantity.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SizeError {
    /// No number at the start.
    #[error("{0:?} does not start with a number")]
    NoNumber(String),
    /// A unit that is not known.
    #[error("{unit:?} is not a unit of {of}; use {known}")]
    Unit {
        /// What stood behind the number.
        unit: String,
        /// What is measured.
        of: &'static str,
        /// The units that are understood.
        known: &'static str,
    },
    /// Zero or less.
    #[error("must be more than zero")]
    NotPositive,
    /// Beyond what the machine can count.
    #[error("is too large")]
    TooLarge,
    /// Not a duration.
    #[error("{0:?} is not a duration such as \"30s\", \"5m\" or \"1h 30m\"")]
    Duration(String),
}

/// The largest amount of memory that is taken for meant, not for a slip of the pen: one pebibyte.
const MOST_BYTES: u64 = 1 << 50;

impl Bytes {
    /// One kibibyte, mebibyte, gibibyte.
    pub const KIB: u64 = 1 << 10;
    /// Bytes in a mebibyte.
    pub const MIB: u64 = 1 << 20;
    /// Bytes in a gibibyte.
    pub const GIB: u64 = 1 << 30;

    /// Reads `"512MiB"`, `"1.5GiB"`, `"2GB"` (decimal), `"1g"` (binary, as Docker and Java take it).
    ///
    /// # Errors
    /// When there is no number, the unit is unknown, or the amount is not between 1 byte and 1 PiB.
    pub fn parse(text: &str) -> Result<Self, SizeError> {
        let text = text.trim();
        let split = text.find(|c: char| !(c.is_ascii_digit() || c == '.' || c == '-')).unwrap_or(text.len());
        let (number, unit) = text.split_at(split);
        let number: f64 = number.parse().map_err(|_| SizeError::NoNumber(text.to_owned()))?;
        let factor: f64 = match unit.trim().to_ascii_lowercase().as_str() {
            "" | "b" => 1.0,
            "k" | "kib" => Self::KIB as f64,
            "m" | "mib" => Self::MIB as f64,
            "g" | "gib" => Self::GIB as f64,
            "t" | "tib" => (1_u64 << 40) as f64,
            "kb" => 1e3,
            "mb" => 1e6,
            "gb" => 1e9,
            "tb" => 1e12,
            _ => {
                return Err(SizeError::Unit {
                    unit: unit.trim().to_owned(),
                    of: "memory",
                    known: "KiB, MiB, GiB, TiB or kB, MB, GB, TB",
                });
            }
        };
        let bytes = number * factor;
        if bytes < 1.0 {
            return Err(SizeError::NotPositive);
        }
        if !bytes.is_finite() || bytes > MOST_BYTES as f64 {
            return Err(SizeError::TooLarge);
        }
        // In range and positive: the cast only drops a fraction of a byte.
        Ok(Self(bytes as u64))
    }

    /// Whole mebibytes, rounded down.
    #[must_use]
    pub fn mib(self) -> u64 {
        self.0 / Self::MIB
    }
}

impl fmt::Display for Bytes {
    /// The shortest exact binary form, or one decimal: `1GiB`, `640MiB`, `1.4GiB`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (unit, name) in [(1_u64 << 40, "TiB"), (Self::GIB, "GiB"), (Self::MIB, "MiB"), (Self::KIB, "KiB")] {
            if self.0 >= unit {
                return if self.0.is_multiple_of(unit) {
                    f.pad(&format!("{}{name}", self.0 / unit))
                } else if unit > Self::KIB && self.0.is_multiple_of(unit >> 10) && self.0 < unit * 10 {
                    let below = if unit == 1 << 40 {
                        "GiB"
                    } else if unit == Self::GIB {
                        "MiB"
                    } else {
                        "KiB"
                    };
                    f.pad(&format!("{}{below}", self.0 / (unit >> 10)))
                } else {
                    f.pad(&format!("{:.1}{name}", self.0 as f64 / unit as f64))
                };
            }
        }
        f.pad(&format!("{}B", self.0))
    }
}

impl MilliCpus {
    /// Processors as a number: `1`, `0.5`. At most 100,000 processors.
    ///
    /// # Errors
    /// When the number is not positive, smaller than a thousandth, or absurd.
    pub fn from_cpus(cpus: f64) -> Result<Self, SizeError> {
        let milli = (cpus * 1000.0).round();
        if milli.is_nan() || milli < 1.0 {
            return Err(SizeError::NotPositive);
        }
        if milli > 1e8 {
            return Err(SizeError::TooLarge);
        }
        Ok(Self(milli as u32))
    }
}

impl fmt::Display for MilliCpus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_multiple_of(1000) {
            f.pad(&(self.0 / 1000).to_string())
        } else {
            f.pad(format!("{:.3}", f64::from(self.0) / 1000.0).trim_end_matches('0'))
        }
    }
}

/// Reads `"30s"`, `"5m"`, `"1h 30m"`, `"250ms"`; at most ten days.
///
/// # Errors
/// When the text is no duration, negative, zero or longer than ten days.
pub fn parse_duration(text: &str) -> Result<Duration, SizeError> {
    let span: jiff::SignedDuration = text.trim().parse().map_err(|_| SizeError::Duration(text.to_owned()))?;
    if span <= jiff::SignedDuration::ZERO {
        return Err(SizeError::NotPositive);
    }
    if span > jiff::SignedDuration::from_hours(240) {
        return Err(SizeError::TooLarge);
    }
    Ok(span.unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn memory_is_read_in_the_units_people_write() {
        assert_eq!(Bytes::parse("1GiB"), Ok(Bytes(1 << 30)));
        assert_eq!(Bytes::parse("1g"), Ok(Bytes(1 << 30)));
        assert_eq!(Bytes::parse("1.5 GiB"), Ok(Bytes(3 << 29)));
        assert_eq!(Bytes::parse("2MB"), Ok(Bytes(2_000_000)));
        assert_eq!(Bytes::parse("-1GiB"), Err(SizeError::NotPositive));
        assert_eq!(Bytes::parse("0"), Err(SizeError::NotPositive));
        assert_eq!(Bytes::parse("99999999TiB"), Err(SizeError::TooLarge));
        assert!(matches!(Bytes::parse("1GiBB"), Err(SizeError::Unit { .. })));
        assert!(matches!(Bytes::parse("lots"), Err(SizeError::NoNumber(_))));
    }

    #[test]
    fn memory_is_shown_exactly_where_it_can_be() {
        assert_eq!(Bytes(1 << 30).to_string(), "1GiB");
        assert_eq!(Bytes(640 << 20).to_string(), "640MiB");
        assert_eq!(Bytes(1536 << 20).to_string(), "1536MiB");
        assert_eq!(Bytes(774_000_000).to_string(), "738.1MiB");
        assert_eq!(Bytes(12).to_string(), "12B");
    }

    #[test]
    fn processors_are_thousandths() {
        assert_eq!(MilliCpus::from_cpus(0.5).unwrap().to_string(), "0.5");
        assert_eq!(MilliCpus::from_cpus(2.0).unwrap().to_string(), "2");
        assert!(MilliCpus::from_cpus(-1.0).is_err());
        assert!(MilliCpus::from_cpus(f64::NAN).is_err());
        assert!(MilliCpus::from_cpus(1e9).is_err());
    }

    #[test]
    fn durations_have_units() {
        assert_eq!(parse_duration("1m 30s"), Ok(Duration::from_secs(90)));
        assert_eq!(parse_duration("250ms"), Ok(Duration::from_millis(250)));
        assert!(parse_duration("90").is_err());
        assert!(parse_duration("-5s").is_err());
        assert!(parse_duration("1000h").is_err());
    }

    proptest! {
        #[test]
        fn reading_never_panics(text in ".{0,40}") {
            let _ = Bytes::parse(&text);
            let _ = parse_duration(&text);
            let _ = Name::new(text);
        }
    }
    use crate::Name;
}
