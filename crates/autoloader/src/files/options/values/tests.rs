//! Values as Spark writes them.

use std::time::Duration;

use proptest::prelude::*;

use super::{bytes, character, count, flag, instant, interval, names, some_interval, unescaped};
use crate::files::options::zone::Zone;

const DAY: u64 = 24 * 3600;

#[test]
fn truth_values_in_any_case() {
    for (text, expected) in [("true", true), ("TRUE", true), (" False ", false), ("false", false)] {
        assert_eq!(flag(text), Ok(expected), "{text}");
    }
    for text in ["", "1", "yes", "tru"] {
        assert!(flag(text).is_err(), "{text}");
    }
}

#[test]
fn counts_have_a_least() {
    assert_eq!(count(" 7 ", 1), Ok(7));
    assert_eq!(count("0", 0), Ok(0));
    for text in ["0", "-1", "1.5", "", "x", "99999999999999999999"] {
        assert!(count(text, 1).is_err(), "{text}");
    }
}

#[test]
fn byte_strings_are_powers_of_1024_as_in_spark() {
    for (text, expected) in [
        ("10", 10),
        ("10b", 10),
        ("1k", 1 << 10),
        ("512mb", 512 << 20),
        ("512 MiB", 512 << 20),
        ("10g", 10 << 30),
        ("10GB", 10 << 30),
        ("2t", 2 << 40),
        ("1p", 1 << 50),
    ] {
        assert_eq!(bytes(text), Ok(expected), "{text}");
    }
    for text in ["", "g", "0", "-1", "1.5g", "1x", "1g 1m", "99999999p", "10 gg", "1gé"] {
        assert!(bytes(text).is_err(), "{text}");
    }
}

#[test]
fn intervals_as_spark_writes_them() {
    for (text, seconds) in [
        ("7 days", 7 * DAY),
        ("interval 30 days", 30 * DAY),
        ("INTERVAL 1 Day", DAY),
        ("1 hour 30 minutes", 5400),
        ("1h30m", 5400),
        ("90s", 90),
        ("2 weeks", 14 * DAY),
        ("1 day 1 second", DAY + 1),
        ("0 seconds", 0),
    ] {
        assert_eq!(interval(text), Ok(Duration::from_secs(seconds)), "{text}");
    }
    assert_eq!(interval("250 milliseconds"), Ok(Duration::from_millis(250)));
    assert_eq!(interval("5us"), Ok(Duration::from_micros(5)));
    for (text, told) in [
        ("", "is no duration"),
        ("interval", "is no duration"),
        ("interval7 days", "is no duration"),
        ("7", "is no duration"),
        ("days", "is no duration"),
        ("-1 day", "is no duration"),
        ("1.5 hours", "is no duration"),
        ("7 dayz", "is no duration"),
        ("99999999 weeks", "is no duration"),
        ("1 month", "months and years differ in length"),
        ("1 year", "months and years differ in length"),
    ] {
        let problem = interval(text).expect_err(text);
        assert!(problem.contains(told), "{text}: {problem}");
    }
    assert!(some_interval("0 seconds").is_err());
}

#[test]
fn moments_with_and_without_a_zone() {
    let berlin = Zone::parse("Europe/Berlin").expect("a zone");
    for (text, expected) in [
        ("2026-01-01", "2025-12-31T23:00:00"),
        ("2026-01-01T00:00:00", "2025-12-31T23:00:00"),
        ("2026-01-01 09:30", "2026-01-01T08:30:00"),
        ("2026-07-01T00:00:00.250", "2026-06-30T22:00:00.250"),
        ("2026-01-01T00:00:00Z", "2026-01-01T00:00:00"),
        ("2026-01-01T00:00:00+02:00", "2025-12-31T22:00:00"),
        ("2026-01-01T00:00:00America/New_York", "2026-01-01T05:00:00"),
    ] {
        let moment = instant(text).expect(text).moment(berlin).expect(text);
        assert_eq!(moment.format("%FT%T%.f").to_string(), expected, "{text}");
    }
    for text in [
        "",
        "yesterday",
        "2026-13-01",
        "2026-02-30",
        "2026-01-01T",
        "2026-01-01T25:00",
        "+12026-01-01",
        "0000-01-01",
    ] {
        assert!(instant(text).is_err(), "{text}");
    }
}

#[test]
fn letters_may_be_escaped() {
    for (text, expected) in [
        ("|", Some('|')),
        ("\\t", Some('\t')),
        ("\\u0041", Some('A')),
        ("\\\\", Some('\\')),
        ("\\", Some('\\')),
        ("\\\"", Some('"')),
        ("é", Some('é')),
        ("", None),
        ("\\0", None),
        ("\\u0000", None),
    ] {
        assert_eq!(character(text), Ok(expected), "{text}");
    }
    for text in ["ab", "\\x", "\\u00", "\\ud800", "\\u+041", "\n", "\\n"] {
        assert!(character(text).is_err(), "{text}");
    }
    assert_eq!(unescaped("\\t|\\u007c"), Ok("\t||".to_owned()));
    assert!(unescaped("a\\").is_err());
}

#[test]
fn lists_of_names() {
    assert_eq!(names("year, month"), Ok(vec!["year".to_owned(), "month".to_owned()]));
    assert_eq!(names(" "), Ok(Vec::new()), "ignores what the path spells");
    for text in ["a,", ",", "a,,b", "a,A"] {
        assert!(names(text).is_err(), "{text}");
    }
}

proptest! {
    #[test]
    fn no_text_is_too_strange(text in "\\PC{0,20}") {
        let _seen = (flag(&text), count(&text, 1), bytes(&text), interval(&text));
        let _seen = (instant(&text), character(&text), unescaped(&text), names(&text));
    }

    #[test]
    fn durations_add_up(days in 0_u64..1000, minutes in 0_u64..10_000, seconds in 0_u64..10_000) {
        let expected = Duration::from_secs(days * DAY + minutes * 60 + seconds);
        let text = format!("{days} days {minutes} minutes {seconds}s");
        prop_assert_eq!(interval(&text), Ok(expected));
    }

    #[test]
    fn sizes_are_what_their_unit_says(number in 1_u64..1 << 20, power in 0_u32..5) {
        let unit = ["b", "k", "m", "g", "t"][power as usize];
        prop_assert_eq!(bytes(&format!("{number}{unit}")), Ok(number << (10 * power)));
    }
}
