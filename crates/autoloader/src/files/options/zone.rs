//! Time zones as options and files name them: `UTC`, `+02:00`, `America/New_York`.

use std::fmt;

use chrono::{
    DateTime, FixedOffset, MappedLocalTime, NaiveDateTime, Offset, TimeDelta, TimeZone, Utc,
};
use chrono_tz::Tz;

/// Largest offset from UTC that Java accepts, and thereby Spark.
const OFFSET_HOURS_MAX: i32 = 18;

/// Further back than any offset reaches, so before any change of clocks that is near.
const BEFORE_A_CHANGE: TimeDelta = TimeDelta::hours(26);

/// Abbreviations that files use, with the zone they mean most of the time.
const ABBREVIATIONS: [(&str, Tz); 14] = [
    ("EST", Tz::America__New_York),
    ("EDT", Tz::America__New_York),
    ("CST", Tz::America__Chicago),
    ("CDT", Tz::America__Chicago),
    ("MST", Tz::America__Denver),
    ("MDT", Tz::America__Denver),
    ("PST", Tz::America__Los_Angeles),
    ("PDT", Tz::America__Los_Angeles),
    ("CET", Tz::Europe__Paris),
    ("CEST", Tz::Europe__Paris),
    ("BST", Tz::Europe__London),
    ("JST", Tz::Asia__Tokyo),
    ("HKT", Tz::Asia__Hong_Kong),
    ("IST", Tz::Asia__Kolkata),
];

/// A time zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Zone {
    /// Always the same distance from UTC.
    Fixed(FixedOffset),
    /// A zone of the IANA database, with its changes of clocks.
    Named(Tz),
}

impl Zone {
    /// Zero distance from UTC.
    #[must_use]
    pub fn utc() -> Self {
        Self::Fixed(Utc.fix())
    }

    /// Parses `Z`, `UTC`, `GMT+2`, `-08:30` and names of the IANA database.
    ///
    /// # Errors
    /// What is wrong, with an example.
    pub fn parse(text: &str) -> Result<Self, String> {
        Self::read(text).ok_or_else(|| {
            format!("`{text}` is no time zone; write for example UTC, +02:00, America/New_York")
        })
    }

    /// Reads what [`Self::parse`] reads.
    pub(super) fn read(text: &str) -> Option<Self> {
        if matches!(text, "Z" | "UTC" | "GMT" | "UT") {
            return Some(Self::utc());
        }
        let offset = ["UTC", "GMT", "UT"]
            .iter()
            .find_map(|prefix| {
                text.strip_prefix(prefix).filter(|rest| rest.starts_with(['+', '-']))
            })
            .unwrap_or(text);
        match offset.starts_with(['+', '-']) {
            true => written_offset(offset),
            false => text.parse().ok().map(Self::Named),
        }
    }

    /// Reads an abbreviation such as `PST`, or whatever [`Self::parse`] reads.
    pub(super) fn read_name(text: &str) -> Option<Self> {
        ABBREVIATIONS
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(text))
            .map(|(_, zone)| Self::Named(*zone))
            .or_else(|| Self::read(text))
    }

    /// Returns the zone of a distance from UTC, if it is one that occurs.
    pub(super) fn at(is_west: bool, hours: i32, minutes: i32, seconds: i32) -> Option<Self> {
        let total = hours * 3600 + minutes * 60 + seconds;
        let is_sound = minutes < 60 && seconds < 60 && total <= OFFSET_HOURS_MAX * 3600;
        let east = if is_west { -total } else { total };
        FixedOffset::east_opt(east).filter(|_| is_sound).map(Self::Fixed)
    }

    /// Returns the moment at which clocks of this zone show `local`; the earlier one when they show
    /// it twice, and when they skip it, the moment they would have shown it without the skip.
    #[must_use]
    pub fn moment(self, local: NaiveDateTime) -> Option<DateTime<Utc>> {
        match self {
            Self::Fixed(offset) => utc(local, offset),
            Self::Named(zone) => {
                let offset = match zone.offset_from_local_datetime(&local) {
                    MappedLocalTime::Single(offset) | MappedLocalTime::Ambiguous(offset, _) => {
                        offset
                    }
                    MappedLocalTime::None => {
                        let before = local.checked_sub_signed(BEFORE_A_CHANGE)?;
                        zone.offset_from_utc_datetime(&before)
                    }
                };
                utc(local, offset.fix())
            }
        }
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(offset) if offset.local_minus_utc() == 0 => f.write_str("UTC"),
            Self::Fixed(offset) => write!(f, "{offset}"),
            Self::Named(zone) => f.write_str(zone.name()),
        }
    }
}

fn utc(local: NaiveDateTime, offset: FixedOffset) -> Option<DateTime<Utc>> {
    let seconds = TimeDelta::seconds(i64::from(offset.local_minus_utc()));
    local.checked_sub_signed(seconds).map(|moment| moment.and_utc())
}

/// Reads `+8`, `+08`, `+0830`, `+08:30` and the same with seconds.
fn written_offset(text: &str) -> Option<Zone> {
    let is_west = text.starts_with('-');
    let (hours, mut rest) = leading_digits(text.get(1..)?, 2);
    let has_colons = rest.starts_with(':');
    let mut parts = [0, 0];
    for part in &mut parts {
        if !rest.is_empty() {
            (*part, rest) = clock_part(has_colons, rest)?;
        }
    }
    let [minutes, seconds] = parts;
    let is_whole = rest.is_empty();
    is_whole.then(|| Zone::at(is_west, hours.parse().ok()?, minutes, seconds))?
}

/// Splits two digits off the front, and the colon in front of them where there has to be one.
pub(super) fn clock_part(has_colon: bool, text: &str) -> Option<(i32, &str)> {
    let (digits, rest) = leading_digits(if has_colon { text.strip_prefix(':')? } else { text }, 2);
    let value = digits.parse().ok().filter(|_| digits.len() == 2)?;
    Some((value, rest))
}

/// Splits at most `max` digits off the front.
pub(super) fn leading_digits(text: &str, max: usize) -> (&str, &str) {
    let count = text.bytes().take(max).take_while(u8::is_ascii_digit).count();
    text.split_at(count)
}

#[cfg(test)]
mod tests {
    use chrono::NaiveDateTime;
    use proptest::prelude::*;

    use super::Zone;

    #[test]
    fn zones_read_as_written() {
        for (text, shown) in [
            ("Z", "UTC"),
            ("UTC", "UTC"),
            ("GMT", "UTC"),
            ("+02:00", "+02:00"),
            ("-0830", "-08:30"),
            ("+8", "+08:00"),
            ("GMT+8", "+08:00"),
            ("UTC-08:00", "-08:00"),
            ("+08:30:15", "+08:30:15"),
            ("+083015", "+08:30:15"),
            ("America/New_York", "America/New_York"),
        ] {
            assert_eq!(Zone::parse(text).map(|zone| zone.to_string()), Ok(shown.to_owned()));
        }
        for text in
            ["", "+", "+19", "+1:2:3:4", "+08:60", "+083", "Mars/Base", "new york", "+é", "+0é"]
        {
            assert!(Zone::parse(text).is_err(), "{text}");
        }
    }

    #[track_caller]
    fn moment(zone: &str, local: &str) -> String {
        let local: NaiveDateTime = local.parse().expect("a local time");
        let zone = Zone::parse(zone).expect("a zone");
        zone.moment(local).expect("a moment").format("%FT%T").to_string()
    }

    #[test]
    fn clocks_that_skip_or_repeat_an_hour_are_read_as_java_reads_them() {
        let new_york = "America/New_York";
        assert_eq!(moment(new_york, "2026-07-01T12:00:00"), "2026-07-01T16:00:00");
        assert_eq!(moment(new_york, "2026-03-08T02:30:00"), "2026-03-08T07:30:00", "skipped");
        assert_eq!(moment(new_york, "2026-11-01T01:30:00"), "2026-11-01T05:30:00", "repeated");
        assert_eq!(moment("Pacific/Apia", "2011-12-30T12:00:00"), "2011-12-30T22:00:00", "a day");
        assert_eq!(moment("+02:00", "2026-01-01T00:00:00"), "2025-12-31T22:00:00");
    }

    proptest! {
        #[test]
        fn no_text_is_too_strange(text in "[-+A-Za-z0-9:/é]{0,12}") {
            drop(Zone::parse(&text));
        }

        #[test]
        fn what_is_shown_reads_the_same(hours in 0_i32..18, minutes in 0_i32..60, is_west: bool) {
            let zone = Zone::at(is_west, hours, minutes, 0).expect("an offset");
            prop_assert_eq!(Zone::parse(&zone.to_string()), Ok(zone));
        }
    }
}
