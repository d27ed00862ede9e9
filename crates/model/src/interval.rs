//! Bar lengths, and the bucket of a session that a moment belongs to.

use std::{fmt, str::FromStr};

use chrono::{DateTime, TimeDelta, Utc};

use crate::session::Session;

/// The length of a bar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BarInterval {
    /// One minute.
    Minute1,
    /// Five minutes.
    Minute5,
    /// Ten minutes: served by the vendor, not built in gold.
    Minute10,
    /// Fifteen minutes.
    Minute15,
    /// Thirty minutes: served by the vendor, not built in gold.
    Minute30,
    /// One hour.
    Hour1,
    /// One trading session.
    Day1,
}

impl BarInterval {
    /// The intervals that gold keeps a table of.
    pub const GOLD: [Self; 5] =
        [Self::Minute1, Self::Minute5, Self::Minute15, Self::Hour1, Self::Day1];
    const ALL: [Self; 7] = [
        Self::Minute1,
        Self::Minute5,
        Self::Minute10,
        Self::Minute15,
        Self::Minute30,
        Self::Hour1,
        Self::Day1,
    ];

    /// Returns the short name used in tables and the API: `1m`, `1h`, `1d`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Minute1 => "1m",
            Self::Minute5 => "5m",
            Self::Minute10 => "10m",
            Self::Minute15 => "15m",
            Self::Minute30 => "30m",
            Self::Hour1 => "1h",
            Self::Day1 => "1d",
        }
    }

    /// Returns the name Marketstack uses in its `interval` parameter.
    #[must_use]
    pub const fn vendor_name(self) -> &'static str {
        match self {
            Self::Minute1 => "1min",
            Self::Minute5 => "5min",
            Self::Minute10 => "10min",
            Self::Minute15 => "15min",
            Self::Minute30 => "30min",
            Self::Hour1 => "1hour",
            Self::Day1 => "24hour",
        }
    }

    /// Returns the interval of a vendor name.
    #[must_use]
    pub fn from_vendor_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|interval| interval.vendor_name() == name)
    }

    /// Returns the length; a day counts as the longest session could be, 24 hours.
    #[must_use]
    pub const fn length(self) -> TimeDelta {
        TimeDelta::minutes(match self {
            Self::Minute1 => 1,
            Self::Minute5 => 5,
            Self::Minute10 => 10,
            Self::Minute15 => 15,
            Self::Minute30 => 30,
            Self::Hour1 => 60,
            Self::Day1 => 24 * 60,
        })
    }

    /// Returns the bucket `[start, end)` that holds `ts`, anchored at the session's open; the last
    /// bucket is cut at the close. A moment outside the session has no bucket.
    #[must_use]
    pub fn bucket(
        self,
        session: &Session,
        ts: DateTime<Utc>,
    ) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
        if !session.contains(ts) {
            return None;
        }
        if self == Self::Day1 {
            return Some((session.open, session.close));
        }
        let length = self.length().num_seconds();
        let index = (ts - session.open).num_seconds().div_euclid(length);
        let start = session.open + TimeDelta::seconds(index * length);
        Some((start, session.close.min(start + self.length())))
    }
}

impl fmt::Display for BarInterval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for BarInterval {
    type Err = UnknownInterval;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|interval| interval.as_str() == text || interval.vendor_name() == text)
            .ok_or_else(|| UnknownInterval { text: text.to_owned() })
    }
}

/// The text names no bar interval.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no bar interval; known are 1m, 5m, 10m, 15m, 30m, 1h, 1d")]
pub struct UnknownInterval {
    /// What was given.
    pub text: String,
}
