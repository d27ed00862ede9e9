//! Texts that are days and moments: ISO 8601 unless the options name patterns.

mod short;

use std::fmt;

use chrono::DateTime;
use short::in_full;

use crate::{
    decode::value,
    files::{
        options::TextOptions,
        schema::{Iso, TimeTexts},
    },
};

/// Reads texts as days and moments.
pub trait ReadTimes: TimeTexts + fmt::Debug + Send + Sync {
    /// Returns the day, counted from 1970-01-01.
    fn day(&self, text: &str) -> Option<i32>;
    /// Returns the moment, in microseconds UTC from 1970.
    fn moment(&self, text: &str) -> Option<i64>;
    /// Returns what a clock shows, in microseconds from 1970; a zone in the text does not count.
    fn local(&self, text: &str) -> Option<i64>;
}

/// Times without a zone are in UTC. Most are written in full; only what is not is looked at again.
impl ReadTimes for Iso {
    fn day(&self, text: &str) -> Option<i32> {
        value::date(text.as_bytes()).or_else(|| value::date(in_full(text)?.as_bytes()))
    }

    fn moment(&self, text: &str) -> Option<i64> {
        value::timestamp(text.as_bytes()).or_else(|| value::timestamp(in_full(text)?.as_bytes()))
    }

    fn local(&self, text: &str) -> Option<i64> {
        local(text).or_else(|| local(&in_full(text)?))
    }
}

/// Reads what a clock shows from a time in full.
fn local(text: &str) -> Option<i64> {
    // Without the zone the text is a moment in UTC, and so shows what the clock shows.
    let end = zone_at(text).unwrap_or(text.len());
    value::timestamp(text.as_bytes())?;
    value::timestamp(text.get(..end)?.as_bytes())
}

/// Returns where the zone of an ISO 8601 time begins, if it says one.
fn zone_at(text: &str) -> Option<usize> {
    Some(text.get(10..)?.find(['Z', 'z', '+', '-'])? + 10)
}

impl TimeTexts for TextOptions {
    fn is_date(&self, text: &str) -> bool {
        match &self.date_format {
            Some(pattern) => pattern.parse(text).is_some(),
            None => Iso.is_date(text),
        }
    }

    fn is_timestamp(&self, text: &str) -> bool {
        match &self.timestamp_format {
            Some(pattern) => pattern.parse(text).is_some(),
            None => Iso.is_timestamp(text),
        }
    }
}

/// As the options say: their patterns, else ISO 8601, and their zone for times that name none.
impl ReadTimes for TextOptions {
    fn day(&self, text: &str) -> Option<i32> {
        match &self.date_format {
            Some(pattern) => Some(pattern.parse(text)?.date.to_epoch_days()),
            None => Iso.day(text),
        }
    }

    fn moment(&self, text: &str) -> Option<i64> {
        let moment = match &self.timestamp_format {
            Some(pattern) => pattern.parse(text)?.moment(self.time_zone)?,
            None if zone_at(text).is_some() => return Iso.moment(text),
            None => {
                let clock = DateTime::from_timestamp_micros(Iso.local(text)?)?;
                self.time_zone.moment(clock.naive_utc())?
            }
        };
        Some(moment.timestamp_micros())
    }

    fn local(&self, text: &str) -> Option<i64> {
        match &self.timestamp_format {
            Some(pattern) => Some(pattern.parse(text)?.local().and_utc().timestamp_micros()),
            None => Iso.local(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::options::{TimePattern, Zone};

    #[test]
    fn options_say_how_times_are_written_and_where() {
        let new_york = Zone::parse("America/New_York").expect("a zone");
        let plain = TextOptions { time_zone: new_york, ..TextOptions::default() };
        let micros = |text: &str| {
            Some(text.parse::<DateTime<chrono::Utc>>().expect("a time").timestamp_micros())
        };
        assert_eq!(plain.moment("2026-01-05 09:30:00"), micros("2026-01-05T14:30:00Z"));
        assert_eq!(plain.moment("2026-01-05T09:30:00+00:00"), micros("2026-01-05T09:30:00Z"));
        assert_eq!(plain.local("2026-01-05 09:30:00"), micros("2026-01-05T09:30:00Z"));
        let pattern = |text| Some(TimePattern::compile(text).expect("a pattern"));
        let german = TextOptions {
            date_format: pattern("dd.MM.yyyy"),
            timestamp_format: pattern("dd.MM.yyyy HH:mm"),
            ..plain
        };
        assert_eq!(german.day("05.01.2026"), Iso.day("2026-01-05"));
        assert_eq!(german.moment("05.01.2026 09:30"), micros("2026-01-05T14:30:00Z"));
        assert_eq!(german.moment("2026-01-05 09:30:00"), None);
        assert_eq!(german.day("2026-01-05"), None);
    }

    #[test]
    fn times_in_short_are_what_spark_casts_them_to() {
        let berlin = TextOptions {
            time_zone: Zone::parse("Europe/Berlin").expect("a zone"),
            ..TextOptions::default()
        };
        for (text, date, in_utc, in_berlin) in [
            ("2026", "2026-01-01", "2026-01-01T00:00:00Z", "2025-12-31T23:00:00Z"),
            ("2026-01", "2026-01-01", "2026-01-01T00:00:00Z", "2025-12-31T23:00:00Z"),
            ("2026-1-5", "2026-01-05", "2026-01-05T00:00:00Z", "2026-01-04T23:00:00Z"),
            ("2024-2-29", "2024-02-29", "2024-02-29T00:00:00Z", "2024-02-28T23:00:00Z"),
            // A day with a time is rescued, if the time is not midnight.
            ("2026-1-5T00:00", "2026-01-05", "2026-01-05T00:00:00Z", "2026-01-04T23:00:00Z"),
            ("2026-03-04T05:06", "", "2026-03-04T05:06:00Z", "2026-03-04T04:06:00Z"),
            ("2026-07-04 5:6", "", "2026-07-04T05:06:00Z", "2026-07-04T03:06:00Z"),
            ("2026-03-04T05", "", "2026-03-04T05:00:00Z", "2026-03-04T04:00:00Z"),
            ("2026-3-4T5:6:7-0530", "", "2026-03-04T10:36:07Z", "2026-03-04T10:36:07Z"),
            ("2023-2-29", "", "", ""),
            ("2026-13", "", "", ""),
            ("2026-03-04T24:00", "", "", ""),
            ("2026-03-04T23:60", "", "", ""),
            ("2026-03-04T05:06:60", "", "", ""),
            ("2026-03-04T05:06Z", "", "", ""),
        ] {
            let moment = |options: &TextOptions| {
                let shown = options.moment(text).and_then(DateTime::from_timestamp_micros);
                shown.map_or_else(String::new, |at| {
                    at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
                })
            };
            let plain = TextOptions::default();
            let found = plain.day(text).and_then(chrono::NaiveDate::from_epoch_days);
            assert_eq!(found.map_or_else(String::new, |day| day.to_string()), date, "{text}");
            assert_eq!(moment(&plain), in_utc, "{text}");
            assert_eq!(moment(&berlin), in_berlin, "{text}");
        }
        let micros = |text: &str| Iso.moment(text);
        assert_eq!(Iso.local("2026-3-4T5:6:7-0530"), micros("2026-03-04T05:06:07"));
        assert_eq!(berlin.local("2026-03-04T05:06"), micros("2026-03-04T05:06:00"));
    }

    #[test]
    fn times_in_short_are_not_inferred() {
        for text in ["2026", "2026-01", "2026-1-5", "2026-03-04T05:06"] {
            let plain = TextOptions::default();
            assert!(!plain.is_date(text) && !plain.is_timestamp(text), "{text}");
        }
    }

    #[test]
    fn a_pattern_replaces_iso_8601_and_only_for_what_it_is_given() {
        let plain = TextOptions::default();
        let date_format = TimePattern::compile("dd.MM.yyyy").ok();
        let german = TextOptions { date_format, ..TextOptions::default() };
        for (text, options, is_date, is_timestamp) in [
            ("2026-09-03", &plain, true, false),
            ("2026-09-03T01:02:03Z", &plain, false, true),
            ("03.09.2026", &plain, false, false),
            ("03.09.2026", &german, true, false),
            ("2026-09-03", &german, false, false),
            ("2026-09-03T01:02:03Z", &german, false, true),
        ] {
            assert_eq!(options.is_date(text), is_date, "{text}");
            assert_eq!(options.is_timestamp(text), is_timestamp, "{text}");
        }
    }
}
