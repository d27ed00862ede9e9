//! Texts that are days and moments: ISO 8601 unless the options name patterns.

use std::fmt;

use crate::{decode::value, files::schema::TimeTexts};

/// Reads texts as days and moments. `dateFormat`, `timestampFormat` and `timeZone` make another one
/// of these than [`IsoTimes`].
pub trait ReadTimes: TimeTexts + fmt::Debug + Send + Sync {
    /// Returns the day, counted from 1970-01-01.
    fn day(&self, text: &str) -> Option<i32>;
    /// Returns the moment, in microseconds UTC from 1970.
    fn moment(&self, text: &str) -> Option<i64>;
    /// Returns what a clock shows, in microseconds from 1970; a zone in the text does not count.
    fn local(&self, text: &str) -> Option<i64>;
}

/// ISO 8601, times without a zone in UTC.
#[derive(Clone, Copy, Debug, Default)]
pub struct IsoTimes;

impl TimeTexts for IsoTimes {
    fn is_date(&self, text: &str) -> bool {
        // Ten characters are a day without a time.
        text.len() == 10 && value::timestamp(text.as_bytes()).is_some()
    }

    fn is_timestamp(&self, text: &str) -> bool {
        10 < text.len() && value::timestamp(text.as_bytes()).is_some()
    }
}

impl ReadTimes for IsoTimes {
    fn day(&self, text: &str) -> Option<i32> {
        value::date(text.as_bytes())
    }

    fn moment(&self, text: &str) -> Option<i64> {
        value::timestamp(text.as_bytes())
    }

    fn local(&self, text: &str) -> Option<i64> {
        // Without the zone the text is a moment in UTC, and so shows what the clock shows.
        let clock = text.get(10..).and_then(|clock| clock.find(['Z', 'z', '+', '-']));
        let end = clock.map_or(text.len(), |zone| zone + 10);
        value::timestamp(text.as_bytes())?;
        value::timestamp(text.get(..end)?.as_bytes())
    }
}
