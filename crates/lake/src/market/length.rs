//! The length of a bar that somebody asks for, and the bar of a session that a moment belongs to.
//! Pure.
//!
//! As in the tables of gold, bars are counted from the session's open and the last one ends at its
//! close; what lies before and after is in none of them.

use std::{fmt, str::FromStr};

use chrono::{DateTime, TimeDelta, Utc};
use model::session::{Session, trading_date};

use super::MarketError;

/// Half past nine to four. A longer bar would be the session.
const SESSION_MINUTES: i64 = 390;

/// How long a bar is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Length {
    Minutes(i64),
    Session,
}

/// Where a bar or a moment belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Before the open, after the close, or on a day without trading.
    Outside,
    /// In two bars, of which it cannot be made a part.
    Across,
    /// In the bar `[start, end)`.
    Within { start: DateTime<Utc>, end: DateTime<Utc> },
}

impl Length {
    /// Finds the bar of a moment, or the one that holds `[ts, end)` whole.
    pub(super) fn place(
        self,
        session: Option<&Session>,
        ts: DateTime<Utc>,
        end: Option<DateTime<Utc>>,
    ) -> Place {
        let Some(session) = session.filter(|session| session.contains(ts)) else {
            return Place::Outside;
        };
        let (bar_start, bar_end) = match self {
            Self::Session => (session.open, session.close),
            Self::Minutes(minutes) => {
                let index = (ts - session.open).num_minutes().div_euclid(minutes);
                let start = session.open + TimeDelta::minutes(index * minutes);
                (start, session.close.min(start + TimeDelta::minutes(minutes)))
            }
        };
        if end.is_some_and(|end| bar_end < end) {
            return Place::Across;
        }
        Place::Within { start: bar_start, end: bar_end }
    }
}

/// Remembers the session of the last moment: neighbours in a table share it.
#[derive(Debug, Default)]
pub(super) struct Sessions(Option<(chrono::NaiveDate, Option<Session>)>);

impl Sessions {
    pub(super) fn of(&mut self, ts: DateTime<Utc>) -> Option<Session> {
        let date = trading_date(ts);
        match self.0 {
            Some((known, session)) if known == date => session,
            _ => {
                let session = Session::on(date);
                self.0 = Some((date, session));
                session
            }
        }
    }
}

impl fmt::Display for Length {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Minutes(minutes) if minutes % 60 == 0 => write!(f, "{}h", minutes / 60),
            Self::Minutes(minutes) => write!(f, "{minutes}m"),
            Self::Session => f.write_str("1d"),
        }
    }
}

impl FromStr for Length {
    type Err = MarketError;

    /// Reads `15m`, `2h`, `1d`, and the words that PostgreSQL has for them: `1 hour 30 minutes`.
    fn from_str(text: &str) -> Result<Self, MarketError> {
        let unknown = || MarketError::Length { text: text.to_owned() };
        let lower = text.trim().to_ascii_lowercase();
        let mut rest = lower.as_str();
        let (mut minutes, mut days) = (0_i64, 0_i64);
        while !rest.is_empty() {
            let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
            let number: i64 = rest[..digits].parse().map_err(|_| unknown())?;
            rest = rest[digits..].trim_start();
            let letters = rest.len() - rest.trim_start_matches(char::is_alphabetic).len();
            let (total, each) = match &rest[..letters] {
                "m" | "min" | "mins" | "minute" | "minutes" => (&mut minutes, 1),
                "h" | "hour" | "hours" => (&mut minutes, 60),
                "d" | "day" | "days" => (&mut days, 1),
                _ => return Err(unknown()),
            };
            *total = number.saturating_mul(each).saturating_add(*total);
            rest = rest[letters..].trim_start();
        }
        match (minutes, days) {
            (0, 1) => Ok(Self::Session),
            (1..=SESSION_MINUTES, 0) => Ok(Self::Minutes(minutes)),
            _ => Err(unknown()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_have_many_spellings() {
        for (text, expected) in [
            ("1m", "1m"),
            ("15m", "15m"),
            (" 15 MIN ", "15m"),
            ("2h", "2h"),
            ("90 minutes", "90m"),
            ("1 hour 30 mins", "90m"),
            ("6h30m", "390m"),
            ("1d", "1d"),
            ("1 day", "1d"),
        ] {
            let length: Length = text.parse().unwrap();
            assert_eq!(length.to_string(), expected, "{text}");
        }
        for text in [
            "",
            "m",
            "15",
            "0m",
            "-5m",
            "7h",
            "391m",
            "2d",
            "1d 1h",
            "1w",
            "1.5h",
            "15 monkeys",
            "٣m",
            "99999999999999999999m",
            "9223372036854775807h",
        ] {
            let error = text.parse::<Length>().unwrap_err();
            assert_eq!(error, MarketError::Length { text: text.to_owned() });
        }
    }

    #[track_caller]
    fn check(length: &str, ts: &str, end: Option<&str>, expected: Option<Option<(&str, &str)>>) {
        let moment = |text: &str| -> DateTime<Utc> { format!("{text}:00Z").parse().unwrap() };
        let session = Sessions::default().of(moment(ts));
        let length: Length = length.parse().unwrap();
        let place = length.place(session.as_ref(), moment(ts), end.map(moment));
        let expected = match expected {
            None => Place::Outside,
            Some(None) => Place::Across,
            Some(Some((start, end))) => Place::Within { start: moment(start), end: moment(end) },
        };
        assert_eq!(place, expected, "{length} {ts}");
    }

    #[test]
    fn bars_are_counted_from_the_open_and_cut_at_the_close() {
        let whole = Some(Some(("2024-03-08T14:30", "2024-03-08T21:00")));
        check("1d", "2024-03-08T20:59", None, whole);
        check("2h", "2024-03-08T14:30", None, Some(Some(("2024-03-08T14:30", "2024-03-08T16:30"))));
        check("2h", "2024-03-08T20:59", None, Some(Some(("2024-03-08T20:30", "2024-03-08T21:00"))));
        // In summer the open is an hour earlier in UTC.
        check("1h", "2024-03-11T14:29", None, Some(Some(("2024-03-11T13:30", "2024-03-11T14:30"))));
        // The day after Thanksgiving ends at one o'clock.
        check("1h", "2024-11-29T17:59", None, Some(Some(("2024-11-29T17:30", "2024-11-29T18:00"))));
        for ts in ["2024-03-08T14:29", "2024-03-08T21:00", "2024-03-09T15:00", "2024-11-29T18:00"] {
            check("1h", ts, None, None);
        }
    }

    #[test]
    fn a_bar_across_two_belongs_to_neither() {
        let (ts, bar) = ("2024-03-08T14:40", Some(("2024-03-08T14:30", "2024-03-08T14:45")));
        check("15m", ts, Some("2024-03-08T14:45"), Some(bar));
        check("15m", ts, Some("2024-03-08T14:50"), Some(None));
        check("1d", "2024-03-08T20:55", Some("2024-03-08T21:05"), Some(None));
    }
}
