//! The vendor's monthly quota: what was used, what is left, and whether the wish can fit.
//!
//! A request is counted before it is sent, one for each symbol in it, whatever its answer: a
//! crash in between counts a request that was never made, and never misses one that was.

use chrono::{DateTime, Datelike, NaiveDate, TimeDelta, Utc};
use model::session::Session;
use rusqlite::{OptionalExtension, params};

use crate::{
    Error,
    state::{State, time_text},
};

/// How long the vendor's refusal holds. A late answer at the turn of the month, or the vendor's
/// clock, must not cost the new month; asking again four times a day costs next to nothing.
pub(crate) const REFUSAL_MAX: TimeDelta = TimeDelta::hours(6);

/// What the ledger answers to a wish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reservation {
    /// The requests are counted and may be made.
    Granted,
    /// They would pass the month's limit; nothing was counted.
    Exhausted,
}

/// Returns the start of the month after `now`, UTC: when the vendor's counter begins again.
#[must_use]
pub fn next_month(now: DateTime<Utc>) -> DateTime<Utc> {
    let (year, month) = match now.month() {
        12 => (now.year() + 1, 1),
        month => (now.year(), month + 1),
    };
    NaiveDate::from_ymd_opt(year, month, 1)
        .map_or(now, |date| date.and_time(chrono::NaiveTime::MIN).and_utc())
}

/// Returns the ledger's name of a month, UTC.
pub(crate) fn month(now: DateTime<Utc>) -> String {
    format!("{:04}-{:02}", now.year(), now.month())
}

impl State {
    /// Counts `requests` against the month of `now`, unless they would pass `limit`.
    ///
    /// # Errors
    /// The database cannot be written; nothing was counted and nothing may be sent.
    pub fn reserve_quota(
        &self,
        requests: u64,
        limit: Option<u64>,
        now: DateTime<Utc>,
    ) -> Result<Reservation, Error> {
        let month = month(now);
        self.write("reserving quota", |connection| {
            let ledger = read_month(connection, &month)?;
            let sum = ledger.used.saturating_add(requests);
            let is_over = limit.is_some_and(|limit| limit < sum);
            if is_over || ledger.refused_until(limit, now).is_some() {
                return Ok(Reservation::Exhausted);
            }
            connection.execute(
                "INSERT INTO quota (month, used) VALUES (?1, ?2)
                 ON CONFLICT (month) DO UPDATE SET used = excluded.used",
                params![month, i64::try_from(sum).unwrap_or(i64::MAX)],
            )?;
            Ok(Reservation::Granted)
        })
    }

    /// Notes that the vendor itself says the month's quota is used up; returns until when.
    ///
    /// Holds for six hours, and no longer than the month, or until the operator sets another
    /// `limit`: the sign that the account was upgraded.
    ///
    /// # Errors
    /// The database cannot be written.
    pub fn refuse_quota(
        &self,
        limit: Option<u64>,
        now: DateTime<Utc>,
    ) -> Result<DateTime<Utc>, Error> {
        let until = (now + REFUSAL_MAX).min(next_month(now));
        let limit = i64::try_from(limit.unwrap_or(0)).unwrap_or(i64::MAX);
        self.write("noting a used quota", |connection| {
            connection.execute(
                "INSERT INTO quota (month, used, refused_at_limit, refused_until)
                 VALUES (?1, 0, ?2, ?3)
                 ON CONFLICT (month) DO UPDATE SET
                   refused_at_limit = excluded.refused_at_limit,
                   refused_until = excluded.refused_until",
                params![month(now), limit, time_text(until)],
            )
        })?;
        Ok(until)
    }

    /// Returns when requests that are not granted now may be: at the end of the vendor's refusal,
    /// or with the new month.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn quota_reset(
        &self,
        limit: Option<u64>,
        now: DateTime<Utc>,
    ) -> Result<DateTime<Utc>, Error> {
        let month = month(now);
        let ledger = self.read("reading the quota", |connection| read_month(connection, &month))?;
        let is_used_up = limit.is_some_and(|limit| limit <= ledger.used);
        let refused_until = ledger.refused_until(limit, now).filter(|_| !is_used_up);
        Ok(refused_until.unwrap_or_else(|| next_month(now)))
    }

    /// Returns the requests used in the month of `now`.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn quota_used(&self, now: DateTime<Utc>) -> Result<u64, Error> {
        let month = month(now);
        Ok(self.read("reading the quota", |connection| read_month(connection, &month))?.used)
    }

    /// Returns the requests left in the month of `now`; without a limit there is no end.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn quota_left(&self, limit: Option<u64>, now: DateTime<Utc>) -> Result<u64, Error> {
        let month = month(now);
        let ledger = self.read("reading the quota", |connection| read_month(connection, &month))?;
        Ok(match limit {
            _ if ledger.refused_until(limit, now).is_some() => 0,
            Some(limit) => limit.saturating_sub(ledger.used),
            None => u64::MAX,
        })
    }
}

/// One month of the ledger.
#[derive(Default)]
struct Ledger {
    used: u64,
    /// The limit that was set when the vendor refused, 0 for none.
    refused_at_limit: Option<u64>,
    refused_until: Option<DateTime<Utc>>,
}

impl Ledger {
    /// Returns how long the vendor's refusal holds; `None` when it does not.
    fn refused_until(&self, limit: Option<u64>, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let is_same_limit = self.refused_at_limit == Some(limit.unwrap_or(0));
        self.refused_until.filter(|until| is_same_limit && now < *until)
    }
}

fn read_month(connection: &rusqlite::Connection, month: &str) -> rusqlite::Result<Ledger> {
    let number = |value: i64| u64::try_from(value).unwrap_or(0);
    let found = connection
        .query_row(
            "SELECT used, refused_at_limit, refused_until FROM quota WHERE month = ?1",
            [month],
            |row| {
                let until: Option<String> = row.get(2)?;
                Ok(Ledger {
                    used: number(row.get(0)?),
                    refused_at_limit: row.get::<_, Option<i64>>(1)?.map(number),
                    // A file of an older release has none: the vendor will say it again.
                    refused_until: until.and_then(|text| text.parse().ok()),
                })
            },
        )
        .optional()?;
    Ok(found.unwrap_or_default())
}

/// One kind of request that the settings ask for again and again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wish {
    /// Symbols of each round.
    pub symbols: u64,
    /// Pages of each round; every page counts every symbol of its request.
    pub pages: u64,
    /// Rounds in one trading session.
    pub rounds_per_session: u64,
}

/// Whether the settings fit the quota for the rest of the month.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forecast {
    /// Sessions left in the month, a running one included.
    pub sessions_left: u64,
    /// Requests that one session takes.
    pub per_session: u64,
    /// Requests that the rest of the month takes.
    pub needed: u64,
    /// Requests that are left; `u64::MAX` without a limit.
    pub left: u64,
}

impl Forecast {
    /// Adds up the wishes for the sessions left in the month of `now`.
    #[must_use]
    pub fn new(wishes: &[Wish], left: u64, now: DateTime<Utc>) -> Self {
        let end = next_month(now).date_naive().pred_opt().unwrap_or(NaiveDate::MAX);
        let sessions =
            Session::between(now.date_naive(), end).filter(|session| now < session.close);
        let sessions_left = u64::try_from(sessions.count()).unwrap_or(u64::MAX);
        let per_session = wishes.iter().fold(0_u64, |sum, wish| {
            let round = wish.symbols.saturating_mul(wish.pages);
            sum.saturating_add(round.saturating_mul(wish.rounds_per_session))
        });
        let needed = per_session.saturating_mul(sessions_left);
        Self { sessions_left, per_session, needed, left }
    }

    /// Returns what an operator should know when the wish does not fit.
    #[must_use]
    pub fn warning(&self) -> Option<String> {
        if self.needed <= self.left {
            return None;
        }
        let Self { sessions_left, per_session, needed, left } = self;
        let sessions = left.checked_div(*per_session).unwrap_or(0);
        Some(format!(
            "the settings take {per_session} requests a session, {needed} for the {sessions_left} \
             sessions left this month, but {left} are left: enough for {sessions}. Fewer symbols, \
             a longer `poll_every`, a shorter `look_back` or a longer `interval` take less"
        ))
    }
}

#[cfg(test)]
mod tests;
