//! Trading sessions of XNYS and XNAS: regular hours, holidays, early closes, daylight saving.
//!
//! Source of the rules: NYSE Rule 7.2 and the exchanges' published holiday calendars; both
//! exchanges keep the same days. Ad-hoc closures are listed one by one. Valid from 1998 on, the
//! first year of today's set of Monday holidays.

use chrono::{DateTime, Datelike, Days, NaiveDate, NaiveTime, TimeZone, Utc, Weekday};
use chrono_tz::America::New_York;

/// A regular trading session: `[open, close)`, UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Session {
    /// The trading day, in the exchange's own calendar.
    pub date: NaiveDate,
    /// The opening, inclusive.
    pub open: DateTime<Utc>,
    /// The close, exclusive; 13:00 New York on early closes.
    pub close: DateTime<Utc>,
}

/// The part of a trading day that a moment lies in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionPart {
    /// Before the opening, from 04:00 New York.
    Pre,
    /// Within the regular session.
    Regular,
    /// After the close, until 20:00 New York.
    Post,
    /// No trading at all.
    Closed,
}

impl SessionPart {
    /// Returns the name used in tables.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pre => "pre",
            Self::Regular => "regular",
            Self::Post => "post",
            Self::Closed => "closed",
        }
    }
}

impl Session {
    /// Returns whether `ts` lies in `[open, close)`.
    #[must_use]
    pub fn contains(&self, ts: DateTime<Utc>) -> bool {
        self.open <= ts && ts < self.close
    }

    /// Returns the session of `date`, or `None` when the exchanges are closed all day.
    #[must_use]
    pub fn on(date: NaiveDate) -> Option<Self> {
        if !is_trading_day(date) {
            return None;
        }
        let close_hour = if is_early_close(date) { 13 } else { 16 };
        Some(Self { date, open: new_york(date, 9, 30)?, close: new_york(date, close_hour, 0)? })
    }

    /// Returns the first session that closes after `ts`: the running one, or the next.
    #[must_use]
    pub fn current_or_next(ts: DateTime<Utc>) -> Option<Self> {
        // The longest closure on record is the week after 2001-09-10; two weeks are a safe bound.
        let first = trading_date(ts);
        (0..14)
            .filter_map(|days| first.checked_add_days(Days::new(days)))
            .filter_map(Self::on)
            .find(|session| ts < session.close)
    }

    /// Returns the sessions whose date lies in `[from, to]`, oldest first.
    pub fn between(from: NaiveDate, to: NaiveDate) -> impl Iterator<Item = Self> {
        from.iter_days().take_while(move |date| *date <= to).filter_map(Self::on)
    }
}

/// Returns the calendar date of `ts` in New York: the trading day a row belongs to.
#[must_use]
pub fn trading_date(ts: DateTime<Utc>) -> NaiveDate {
    ts.with_timezone(&New_York).date_naive()
}

/// Returns the part of its trading day that `ts` lies in.
#[must_use]
pub fn session_part(ts: DateTime<Utc>) -> SessionPart {
    let local = ts.with_timezone(&New_York);
    let Some(session) = Session::on(local.date_naive()) else {
        return SessionPart::Closed;
    };
    let time = local.time();
    let clock = |hour| NaiveTime::from_hms_opt(hour, 0, 0).unwrap_or_default();
    if session.contains(ts) {
        SessionPart::Regular
    } else if ts < session.open && clock(4) <= time {
        SessionPart::Pre
    } else if session.close <= ts && time < clock(20) {
        SessionPart::Post
    } else {
        SessionPart::Closed
    }
}

fn new_york(date: NaiveDate, hour: u32, minute: u32) -> Option<DateTime<Utc>> {
    // Clocks change at 02:00 on Sundays, so a trading hour is never ambiguous or skipped.
    let local = New_York.from_local_datetime(&date.and_hms_opt(hour, minute, 0)?).single()?;
    Some(local.with_timezone(&Utc))
}

fn is_trading_day(date: NaiveDate) -> bool {
    !matches!(date.weekday(), Weekday::Sat | Weekday::Sun)
        && !is_holiday(date)
        && !is_ad_hoc_closure(date)
}

fn is_holiday(date: NaiveDate) -> bool {
    let (year, month, day) = (date.year(), date.month(), date.day());
    let nth_monday = |nth: u32| date.weekday() == Weekday::Mon && (day - 1) / 7 + 1 == nth;
    match month {
        // A New Year's Day on a Saturday is not made up for: the Friday ends a quarter.
        1 if nth_monday(3) => true,
        1 => day == 1 || (day == 2 && date.weekday() == Weekday::Mon),
        2 => nth_monday(3),
        3 | 4 => {
            easter(year).and_then(|easter| easter.checked_sub_days(Days::new(2))) == Some(date)
        }
        5 => date.weekday() == Weekday::Mon && 24 < day,
        6 => 2022 <= year && is_observed(date, 19),
        7 => is_observed(date, 4),
        9 => nth_monday(1),
        11 => date.weekday() == Weekday::Thu && (day - 1) / 7 + 1 == 4,
        12 => is_observed(date, 25),
        _ => false,
    }
}

/// Whether a holiday on `day` of the month is kept on `date`: Saturday's on Friday, Sunday's on Monday.
fn is_observed(date: NaiveDate, day: u32) -> bool {
    match date.weekday() {
        Weekday::Fri => date.day() == day || date.day() + 1 == day,
        Weekday::Mon => date.day() == day || date.day() == day + 1,
        _ => date.day() == day,
    }
}

/// Days without trading that no rule foretold: 11 September 2001, storms, state funerals.
fn is_ad_hoc_closure(date: NaiveDate) -> bool {
    matches!(
        (date.year(), date.month(), date.day()),
        (2001, 9, 11..=14)
            | (2004, 6, 11)
            | (2007, 1, 2)
            | (2012, 10, 29 | 30)
            | (2018, 12, 5)
            | (2025, 1, 9)
    )
}

fn is_early_close(date: NaiveDate) -> bool {
    let (year, month, day, weekday) = (date.year(), date.month(), date.day(), date.weekday());
    match month {
        // The day before Independence Day. Until 2012 a Wednesday 3 July was a full day and the
        // Friday after a Thursday holiday was short instead.
        7 if 2013 <= year => {
            day == 3 && matches!(weekday, Weekday::Mon | Weekday::Tue | Weekday::Wed | Weekday::Thu)
        }
        7 => {
            (day == 3 && matches!(weekday, Weekday::Mon | Weekday::Tue | Weekday::Thu))
                || (day == 5 && weekday == Weekday::Fri && 1996 <= year)
        }
        // The day after Thanksgiving, the fourth Thursday.
        11 => weekday == Weekday::Fri && (23..=29).contains(&day),
        12 => {
            (day == 24
                && matches!(weekday, Weekday::Mon | Weekday::Tue | Weekday::Wed | Weekday::Thu))
                || (year == 1999 && day == 31)
                || (year == 2003 && day == 26)
        }
        _ => false,
    }
}

/// Easter Sunday of the Gregorian calendar, by the anonymous algorithm (Meeus, Jones, Butcher).
fn easter(year: i32) -> Option<NaiveDate> {
    let a = year % 19;
    let (b, c) = (year / 100, year % 100);
    let (d, e) = (b / 4, b % 4);
    let g = (8 * b + 13) / 25;
    let h = (19 * a + b - d - g + 15) % 30;
    let (i, k) = (c / 4, c % 4);
    let l = (32 + 2 * e + 2 * i - h - k) % 7;
    let m = (a + 11 * h + 22 * l) / 451;
    let month = (h + l - 7 * m + 114) / 31;
    let day = (h + l - 7 * m + 114) % 31 + 1;
    NaiveDate::from_ymd_opt(year, u32::try_from(month).ok()?, u32::try_from(day).ok()?)
}

#[cfg(test)]
mod tests;
