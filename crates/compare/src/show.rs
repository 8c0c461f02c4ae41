//! Numbers as people read them. Every sentence, table and page writes them with these, so that they agree.

use crate::{
    catalogue::{GRADES, Unit},
    statistics::Ratio,
};
use rig_model::Bytes;

/// A number with its unit: `4.2 s`, `774MiB`, `1,908`, `the same files`, `yes`.
#[must_use]
pub fn shown(unit: Unit, value: f64) -> String {
    match unit {
        Unit::Seconds => seconds(value),
        // Negative and absurd amounts end at the ends of what can be counted.
        Unit::Bytes => Bytes(value.round() as u64).to_string(),
        Unit::Count => count(value),
        Unit::CpuSeconds => format!("{} of CPU", seconds(value)),
        Unit::Grade => grade(value),
        Unit::Flag => flag(value).to_owned(),
    }
}

/// About three digits, in the unit that needs no zeros.
fn seconds(value: f64) -> String {
    if value == 0.0 {
        "0 s".to_owned()
    } else if value.abs() < 0.0995 {
        format!("{:.0} ms", value * 1000.0)
    } else if value.abs() < 9.995 {
        format!("{value:.2} s")
    } else if value.abs() < 99.95 {
        format!("{value:.1} s")
    } else if value.abs() < 999.5 {
        format!("{value:.0} s")
    } else {
        format!("{:.1} min", value / 60.0)
    }
}

/// Whole numbers with commas; a median of two counts may have a half.
fn count(value: f64) -> String {
    let whole = value.trunc();
    // In range: counts are far below 2^53.
    let mut text = grouped(whole.abs() as u64);
    if value < 0.0 {
        text.insert(0, '-');
    }
    if value == whole {
        text
    } else {
        format!("{text}{}", format!("{:.1}", (value - whole).abs()).trim_start_matches('0'))
    }
}

fn grouped(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::new();
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn grade(value: f64) -> String {
    let word = |value: f64| GRADES.get(value.max(0.0) as usize).copied().unwrap_or("an unknown grade");
    if value == value.trunc() {
        return word(value).to_owned();
    }
    format!("{} or {}", word(value.floor()), word(value.ceil()))
}

fn flag(value: f64) -> &'static str {
    if value == 0.0 {
        "no"
    } else if value == 1.0 {
        "yes"
    } else {
        "in some runs"
    }
}

/// A ratio: two digits behind the point, more where it is small or close to 1, fewer where it is large.
#[must_use]
pub(crate) fn times(value: f64) -> String {
    let from_one = (value - 1.0).abs();
    if value >= 999.5 {
        grouped(value.round() as u64)
    } else if value >= 99.95 {
        format!("{value:.0}")
    } else if value >= 9.995 {
        format!("{value:.1}")
    } else if value == 1.0 {
        "1".to_owned()
    } else if from_one < 0.0095 || (0.00095..0.0995).contains(&value) {
        format!("{value:.3}")
    } else if value < 0.00095 {
        format!("{value:.1e}")
    } else {
        format!("{value:.2}")
    }
}

/// A ratio with its interval: `3.72 (3.51 to 3.90)`; without it where every run gave the same.
#[must_use]
pub(crate) fn ratio(ratio: &Ratio) -> String {
    let interval = interval(ratio);
    if interval.is_empty() { times(ratio.value) } else { format!("{} ({interval})", times(ratio.value)) }
}

/// The interval alone; empty where both ends are the ratio.
#[must_use]
pub(crate) fn interval(ratio: &Ratio) -> String {
    if ratio.low == ratio.high { String::new() } else { format!("{} to {}", times(ratio.low), times(ratio.high)) }
}

/// Words with commas and an `and`.
#[must_use]
pub(crate) fn listed(words: &[String]) -> String {
    match words {
        [] => String::new(),
        [one] => one.clone(),
        [rest @ .., last] => format!("{} and {last}", rest.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_about_three_digits_and_a_unit() {
        for (value, text) in
            [(0.0, "0 s"), (0.0123, "12 ms"), (0.4, "0.40 s"), (4.2, "4.20 s"), (51.72, "51.7 s"), (286.0, "286 s")]
        {
            assert_eq!(shown(Unit::Seconds, value), text);
        }
        assert_eq!(shown(Unit::Seconds, 1800.0), "30.0 min");
        assert_eq!(shown(Unit::CpuSeconds, 31.2), "31.2 s of CPU");
        assert_eq!(shown(Unit::Bytes, 774_000_000.0), "738.1MiB");
        assert_eq!(shown(Unit::Count, 1908.0), "1,908");
        assert_eq!(shown(Unit::Count, 1_234_567.5), "1,234,567.5");
        assert_eq!(shown(Unit::Count, 0.0), "0");
    }

    #[test]
    fn grades_and_flags_are_words() {
        assert_eq!(shown(Unit::Grade, 4.0), "the same digest");
        assert_eq!(shown(Unit::Grade, 1.5), "the same checks or the same packages");
        assert_eq!(shown(Unit::Grade, 9.0), "an unknown grade");
        assert_eq!(shown(Unit::Flag, 1.0), "yes");
        assert_eq!(shown(Unit::Flag, 0.5), "in some runs");
    }

    #[test]
    fn a_ratio_that_is_not_one_is_never_written_as_one() {
        assert_eq!(times(1.0), "1");
        assert_eq!(times(1.004), "1.004");
        assert_eq!(times(0.998), "0.998");
        assert_eq!(times(0.19), "0.19");
        assert_eq!(times(0.0123), "0.012");
        assert_eq!(times(5.238), "5.24");
        assert_eq!(times(1909.2), "1,909");
    }

    #[test]
    fn constants_have_no_interval() {
        assert_eq!(ratio(&Ratio { value: 3.225, low: 3.225, high: 3.225 }), "3.23");
        assert_eq!(ratio(&Ratio { value: 3.72, low: 3.51, high: 3.9 }), "3.72 (3.51 to 3.90)");
        assert_eq!(listed(&["a".to_owned(), "b".to_owned(), "c".to_owned()]), "a, b and c");
    }
}
