//! Which labels the rows of a session carry, and from when on the vendor can have them.

use chrono::{DateTime, Days, NaiveDate, TimeDelta, Utc};
use model::{BarInterval, Dataset, session::Session};

use super::PollConfig;
use crate::source::floor;

/// How long after the close the official end-of-day rows appear: measured at 70 minutes.
const EOD_DELAY: TimeDelta = TimeDelta::minutes(70);

/// When the vendor has the revised rows of the day before, UTC: they appear around 06:00.
const REVISED_AT: TimeDelta = TimeDelta::minutes(6 * 60 + 30);

/// The labels of one session's rows: `first`, `first + step`, … `last`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Labels {
    pub(super) date: NaiveDate,
    pub(super) first: DateTime<Utc>,
    pub(super) last: DateTime<Utc>,
    pub(super) step: TimeDelta,
    /// From a label to the moment its row can be asked for.
    delay: TimeDelta,
    /// From this moment on a scan is final, but for the daily revisions.
    pub(super) horizon: DateTime<Utc>,
}

impl Labels {
    /// Returns the labels of `session` in a dataset that has rows for sessions.
    pub(super) fn new(config: &PollConfig, dataset: Dataset, session: &Session) -> Self {
        let date = session.date;
        let midnight = date.and_time(chrono::NaiveTime::MIN).and_utc();
        if dataset == Dataset::Eod {
            let delay = session.close + EOD_DELAY - midnight;
            let horizon = midnight + TimeDelta::days(1) + REVISED_AT;
            let step = TimeDelta::days(1);
            return Self { date, first: midnight, last: midnight, step, delay, horizon };
        }
        let step = config.interval.length();
        let (open, close) = if config.after_hours {
            // 04:00 and 20:00 in New York, 5.5 hours before and 10.5 hours after the opening.
            (session.open - TimeDelta::minutes(330), session.open + TimeDelta::minutes(630))
        } else {
            (session.open, session.close)
        };
        // A label counts from midnight, so the first one may begin before the opening.
        let first = floor(open, step);
        let last = if config.interval == BarInterval::Day1 {
            first
        } else {
            floor(close - TimeDelta::seconds(1), step)
        };
        let delay = step + time_delta(config.settle);
        let horizon = last + delay + time_delta(config.look_back);
        Self { date, first, last, step, delay, horizon }
    }

    /// Returns when the row of `label` can be asked for.
    pub(super) fn available_at(&self, label: DateTime<Utc>) -> DateTime<Utc> {
        label + self.delay
    }

    /// Returns the last label that can be asked for at `now`; `None` before the first.
    pub(super) fn available(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let since_first = now - self.available_at(self.first);
        if since_first < TimeDelta::zero() {
            return None;
        }
        let steps = since_first.num_seconds() / self.step.num_seconds().max(1);
        let label = self.first + TimeDelta::seconds(steps * self.step.num_seconds());
        Some(label.min(self.last))
    }

    /// Returns the label at or before `ts`; the first or last when there is none on that side.
    pub(super) fn at_or_before(&self, ts: DateTime<Utc>) -> DateTime<Utc> {
        let step = self.step.num_seconds().max(1);
        let steps = (ts - self.first).num_seconds().div_euclid(step);
        (self.first + TimeDelta::seconds(steps * step)).clamp(self.first, self.last)
    }

    /// Returns how many labels `[from, to]` holds.
    pub(super) fn count(&self, from: DateTime<Utc>, to: DateTime<Utc>) -> u64 {
        let steps = (to - from).num_seconds().div_euclid(self.step.num_seconds().max(1)) + 1;
        u64::try_from(steps).unwrap_or(0)
    }

    /// Returns the label `steps` after `from`.
    pub(super) fn after(&self, from: DateTime<Utc>, steps: u64) -> DateTime<Utc> {
        let steps = i32::try_from(steps).unwrap_or(i32::MAX);
        from.checked_add_signed(self.step * steps).unwrap_or(self.last)
    }
}

/// Returns the day that counts as today for what is fetched once a day: it begins when the
/// vendor has the day before revised, not at midnight.
pub(super) fn daily_key(now: DateTime<Utc>) -> NaiveDate {
    (now - REVISED_AT).date_naive()
}

/// Returns when the day after `key` begins.
pub(super) fn next_daily(key: NaiveDate) -> DateTime<Utc> {
    let next = key.checked_add_days(Days::new(1)).unwrap_or(key);
    next.and_time(chrono::NaiveTime::MIN).and_utc() + REVISED_AT
}

pub(super) fn time_delta(duration: std::time::Duration) -> TimeDelta {
    TimeDelta::from_std(duration).unwrap_or(TimeDelta::MAX)
}
