//! Patterns against texts, and against chrono's formatting.

use chrono::{NaiveDate, NaiveDateTime};
use proptest::prelude::*;

use super::TimePattern;
use crate::files::options::zone::Zone;

fn read(pattern: &str, text: &str) -> Option<String> {
    let pattern = TimePattern::compile(pattern).expect(pattern);
    let time = pattern.parse(text)?;
    let zone = time.zone.map(|zone| format!(" {zone}")).unwrap_or_default();
    Some(format!("{}{zone}", time.local()))
}

#[track_caller]
fn check(pattern: &str, text: &str, expected: &str) {
    assert_eq!(read(pattern, text).as_deref(), Some(expected), "`{text}` by `{pattern}`");
}

#[track_caller]
fn refuses(pattern: &str, texts: &[&str]) {
    for text in texts {
        assert_eq!(read(pattern, text), None, "`{text}` by `{pattern}`");
    }
}

#[test]
fn spark_s_own_defaults() {
    check("yyyy-MM-dd", "2026-11-23", "2026-11-23 00:00:00");
    refuses("yyyy-MM-dd", &["2026-11-3", "26-11-23", "2026-13-01", "2026-02-29", "2026-11-23 "]);
    let timestamp = "yyyy-MM-dd'T'HH:mm:ss[.SSS][XXX]";
    check(timestamp, "2026-11-23T01:02:03", "2026-11-23 01:02:03");
    check(timestamp, "2026-11-23T01:02:03.5", "2026-11-23 01:02:03.500");
    check(timestamp, "2026-11-23T01:02:03.456Z", "2026-11-23 01:02:03.456 UTC");
    check(timestamp, "2026-11-23T01:02:03-08:30", "2026-11-23 01:02:03 -08:30");
    refuses(timestamp, &["2026-11-23 01:02:03", "2026-11-23T01:02:03.4567", "2026-11-23T24:00:00"]);
}

#[test]
fn letters_alone_take_digits_as_they_come_and_more_are_a_width() {
    check("d.M.yyyy", "3.9.2026", "2026-09-03 00:00:00");
    check("d.M.yyyy", "03.09.2026", "2026-09-03 00:00:00");
    check("yyyyMMdd", "20260903", "2026-09-03 00:00:00");
    check("yyyyMMddHHmmss", "20260903040506", "2026-09-03 04:05:06");
    check("yyyyMMddHHmmssSSS", "20260903040506789", "2026-09-03 04:05:06.789");
    check("yMMdd", "20260903", "2026-09-03 00:00:00");
    check("dd/MM/yy", "03/09/26", "2026-09-03 00:00:00");
    check("uuuu-DDD", "2026-045", "2026-02-14 00:00:00");
    check("y-D", "2024-366", "2024-12-31 00:00:00");
    check("yyyy-MM-dd", "+12026-09-03", "+12026-09-03 00:00:00");
    check("yyyy-MM-dd", "-0044-03-15", "-0044-03-15 00:00:00");
    refuses("dd/MM/yy", &["3/09/26", "03/09/2026"]);
    refuses("uuuu-DDD", &["2026-366", "2026-000", "2026-45"]);
    refuses("yyyy-MM-dd", &["12026-09-03", "+2026-09-03", "--2026-09-03", "+-026-09-03"]);
    refuses("yyyyMMdd", &["2026093", "120260903", ""]);
}

#[test]
fn names_are_english_in_any_case() {
    check("d MMM yyyy", "3 Sep 2026", "2026-09-03 00:00:00");
    check("d MMM yyyy", "3 SEP 2026", "2026-09-03 00:00:00");
    check("MMMM d, yyyy", "september 3, 2026", "2026-09-03 00:00:00");
    check("LLL d, yyyy", "May 3, 2026", "2026-05-03 00:00:00");
    check("EEE, d MMM yyyy", "Thu, 3 Sep 2026", "2026-09-03 00:00:00");
    check("EEEE d/M/y", "Thursday 3/9/2026", "2026-09-03 00:00:00");
    check("yyyy-MM-dd'T'HH", "2026-09-03t07", "2026-09-03 07:00:00");
    refuses("EEE, d MMM yyyy", &["Fri, 3 Sep 2026", "Thursday, 3 Sep 2026", "Thu, 3 Sept 2026"]);
    refuses("d MMM yyyy", &["3 Mär 2026", "3 é", "3 "]);
}

#[test]
fn hours_of_half_and_whole_days() {
    check("yyyy-MM-dd h:mm a", "2026-09-03 1:05 PM", "2026-09-03 13:05:00");
    check("yyyy-MM-dd h:mm a", "2026-09-03 12:05 am", "2026-09-03 00:05:00");
    check("yyyy-MM-dd K a", "2026-09-03 11 PM", "2026-09-03 23:00:00");
    check("yyyy-MM-dd kk", "2026-09-03 24", "2026-09-03 00:00:00");
    check("HH h a", "13 1 PM", "1970-01-01 13:00:00");
    refuses("HH h a", &["13 2 PM", "13 1 AM"]);
    refuses("yyyy-MM-dd h a", &["2026-09-03 13 PM", "2026-09-03 0 PM", "2026-09-03 1 XM"]);
    refuses(
        "yyyy-MM-dd HH:mm:ss",
        &["2026-09-03 24:00:00", "2026-09-03 00:60:00", "2026-09-03 00:00:60"],
    );
}

#[test]
fn what_a_text_leaves_out_is_the_beginning_of_1970() {
    check("HH:mm", "09:30", "1970-01-01 09:30:00");
    check("yyyy", "2026", "2026-01-01 00:00:00");
    check("MM/dd", "09/03", "1970-09-03 00:00:00");
}

#[test]
fn fractions_have_one_digit_up_to_as_many_as_letters() {
    check("ss.SSSSSS", "01.000001", "1970-01-01 00:00:01.000001");
    check("ss.SSSSSSSSS", "01.123456789", "1970-01-01 00:00:01.123456789");
    check("ss.SSS", "01.5", "1970-01-01 00:00:01.500");
    refuses("ss.SSS", &["01.", "01.1234", "01.x"]);
}

#[test]
fn zones_in_every_notation() {
    for (pattern, text, expected) in [
        ("X", "Z", " UTC"),
        ("X", "+08", " +08:00"),
        ("X", "+0830", " +08:30"),
        ("XX", "-0830", " -08:30"),
        ("XXX", "-08:30", " -08:30"),
        ("XXXX", "+083015", " +08:30:15"),
        ("XXXXX", "+08:30:15", " +08:30:15"),
        ("XXXXX", "+08:30", " +08:30"),
        ("x", "+00", " UTC"),
        ("xx", "+0000", " UTC"),
        ("xxx", "+00:00", " UTC"),
        ("Z", "+0000", " UTC"),
        ("ZZZ", "-0500", " -05:00"),
        ("ZZZZ", "GMT+08:00", " +08:00"),
        ("ZZZZZ", "-05:00", " -05:00"),
        ("ZZZZZ", "Z", " UTC"),
        ("O", "GMT+8", " +08:00"),
        ("O", "GMT", " UTC"),
        ("OOOO", "GMT-08:30", " -08:30"),
        ("VV", "Europe/Paris", " Europe/Paris"),
        ("VV", "Z", " UTC"),
        ("VV", "+02:00", " +02:00"),
        ("z", "PST", " America/Los_Angeles"),
        ("z", "UTC", " UTC"),
        ("zzz", "edt", " America/New_York"),
    ] {
        let expected = format!("1970-01-01 09:00:00{expected}");
        check(&format!("HH {pattern}"), &format!("09 {text}"), &expected);
    }
    for (pattern, text) in [
        ("x", "Z"),
        ("XX", "-08"),
        ("XXX", "-0830"),
        ("XXX", "+19:00"),
        ("XXX", "+08:60"),
        ("Z", "Z"),
        ("O", "PST"),
        ("VV", "PST8"),
        ("VV", "Mars"),
        ("z", ""),
    ] {
        refuses(&format!("HH {pattern}"), &[&format!("09 {text}")]);
    }
}

#[test]
fn quotes_and_brackets() {
    check("yyyy'year'", "2026year", "2026-01-01 00:00:00");
    check("''yyyy'o''clock'", "'2026o'clock", "2026-01-01 00:00:00");
    check("yyyy[-MM[-dd]]", "2026", "2026-01-01 00:00:00");
    check("yyyy[-MM[-dd]]", "2026-09", "2026-09-01 00:00:00");
    check("yyyy[-MM[-dd]]", "2026-09-03", "2026-09-03 00:00:00");
    check("[dd/MM/yyyy][yyyy-MM-dd]", "2026-09-03", "2026-09-03 00:00:00");
    check("[dd/MM/yyyy][yyyy-MM-dd]", "03/09/2026", "2026-09-03 00:00:00");
    check("yyyy'{'MM", "2026{09", "2026-09-01 00:00:00");
    check("yyyy年MM月dd日", "2026年09月03日", "2026-09-03 00:00:00");
    refuses("yyyy[-MM[-dd]]", &["2026-", "2026-09-", "2026-09-03-"]);
    check("yyyy-MM-dd yyyy", "2026-09-03 2026", "2026-09-03 00:00:00");
    refuses("yyyy-MM-dd yyyy", &["2026-09-03 2027"]);
}

#[test]
fn what_is_no_pattern_says_why() {
    for (pattern, told) in [
        ("", "it is empty"),
        ("yyyy-MM-dd'T", "a quote is never closed"),
        ("[yyyy", "a `[` is never closed"),
        ("yyyy]", "a `]` closes nothing"),
        ("YYYY-MM-dd", "`Y` counts weeks"),
        ("yyyy-'W'ww", "`w` counts weeks"),
        ("yyyy-MM-ddTHH", "`T` means nothing"),
        ("GG", "`G` means nothing"),
        ("yyyyyyy", "`y` stands 6 times at most"),
        ("MMMMM", "`M` stands 4 times at most"),
        ("ddd", "`d` stands 2 times at most"),
        ("SSSSSSSSSS", "`S` stands 9 times at most"),
        ("aa", "`a` stands 1 times at most"),
        ("V", "`V` stands twice"),
        ("OO", "`O` stands once or four times"),
        ("{", "`{` is reserved"),
        (&"[".repeat(9), "brackets nest 8 deep at most"),
        (&"y".repeat(257), "256 letters at most"),
    ] {
        let problem = TimePattern::compile(pattern).expect_err(pattern);
        assert!(problem.contains(told), "{pattern}: {problem}");
    }
}

#[test]
fn a_zone_in_the_text_wins_over_the_option_s() {
    let pattern = TimePattern::compile("yyyy-MM-dd HH:mm[ VV]").expect("a pattern");
    let tokyo = Zone::parse("Asia/Tokyo").expect("a zone");
    for (text, expected) in [
        ("2026-09-03 09:00", "2026-09-03T00:00:00Z"),
        ("2026-09-03 09:00 UTC", "2026-09-03T09:00:00Z"),
    ] {
        let moment = pattern.parse(text).and_then(|time| time.moment(tokyo)).expect(text);
        assert_eq!(moment.format("%FT%TZ").to_string(), expected, "{text}");
    }
}

/// Patterns, and how chrono writes the same.
const SAME: [(&str, &str); 10] = [
    ("yyyy-MM-dd HH:mm:ss", "%Y-%m-%d %H:%M:%S"),
    ("yyyyMMddHHmmss", "%Y%m%d%H%M%S"),
    ("dd/MM/yyyy hh:mm:ss a", "%d/%m/%Y %I:%M:%S %p"),
    ("d.M.yyyy H:m:s", "%-d.%-m.%Y %-H:%-M:%-S"),
    ("EEE, dd MMM yyyy HH:mm:ss", "%a, %d %b %Y %H:%M:%S"),
    ("EEEE d MMMM yyyy HH:mm:ss", "%A %-d %B %Y %H:%M:%S"),
    ("yyyy-DDD'T'HH:mm:ss", "%Y-%jT%H:%M:%S"),
    ("yyyy-MM-dd'T'HH:mm:ss[.SSS][XXX]", "%Y-%m-%dT%H:%M:%SZ"),
    ("yyyy-MM-dd HH:mm:ss.SSSSSS", "%Y-%m-%d %H:%M:%S.000000"),
    ("yyyy-MM-dd K:mm:ss a", "%Y-%m-%d %-I:%M:%S %p"),
];

fn moment() -> impl Strategy<Value = NaiveDateTime> {
    (1000_i32..10_000, 1_u32..367, 0_u32..86_400).prop_filter_map("a day", |(year, day, second)| {
        let date = NaiveDate::from_yo_opt(year, day)?;
        date.and_hms_opt(second / 3600, second / 60 % 60, second % 60)
    })
}

proptest! {
    #[test]
    fn what_chrono_writes_is_read_back(moment in moment(), index in 0_usize..SAME.len()) {
        let (pattern, format) = SAME[index];
        let text = moment.format(format).to_string();
        // chrono has no hour from 0 to 11; only 12 is written differently.
        let text = if pattern.contains('K') { text.replace(" 12:", " 0:") } else { text };
        let read = TimePattern::compile(pattern).expect(pattern).parse(&text);
        prop_assert_eq!(read.map(|time| time.local()), Some(moment), "{} by {}", text, pattern);
    }

    #[test]
    fn no_pattern_and_no_text_is_too_strange(
        pattern in "[yMdDEaHkKhmsSVzOXxZ'\\[\\]:/. é-]{0,12}",
        text in "[0-9A-Za-z:/. +é-]{0,16}",
    ) {
        if let Ok(pattern) = TimePattern::compile(&pattern) {
            let _seen = pattern.parse(&text).map(|time| time.moment(Zone::utc()));
        }
    }

    #[test]
    fn texts_that_only_look_like_a_day_are_read_as_chrono_reads_them(
        year in 1000_u32..10_000, month in 0_u32..15, day in 0_u32..35,
    ) {
        let text = format!("{year:04}-{month:02}-{day:02}");
        let read = TimePattern::compile("yyyy-MM-dd").expect("a pattern").parse(&text);
        prop_assert_eq!(read.map(|time| time.date), text.parse().ok());
    }
}
