//! The vendor's monthly quota, shared: pollers take ranges of the month's requests, each once.
//!
//! A range is an object named by the requests taken before it, so the ranges of a month are a
//! chain, and nobody takes a request that somebody has. What a poller took and did not use is lost
//! when it dies: at most a hundredth of what was left, so a crash loop does not eat the month.

use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{
    chain::key,
    objects::{Created, Listed, Objects},
};
use crate::{
    Error,
    quota::{REFUSAL_MAX, Reservation, month, next_month},
};

/// A range is what is asked for and a hundredth of what is left.
const SPARE_DIVISOR: u64 = 100;
/// At most as much to spare as twenty seconds of the vendor's most requests, five a second of 100
/// symbols: seldom enough not to matter, and little to lose when a poller dies.
const SPARE_MAX: u64 = 10_000;
/// Ranges that others take in between before the answer is left to the next call.
const RACES_MAX: u32 = 32;

/// One range of a month's requests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Range {
    holder: String,
    requests: u64,
}

/// The month's quota as this process knows it.
#[derive(Debug)]
pub(super) struct SharedQuota {
    objects: Objects,
    holder: String,
    known: Mutex<Known>,
    taking: tokio::sync::Mutex<()>,
}

#[derive(Clone, Debug, Default)]
struct Known {
    month: String,
    /// Where the last range that we know of begins.
    newest: Option<u64>,
    /// Requests that anybody took.
    taken: u64,
    /// Requests that we took and have not used.
    spare: u64,
    /// The vendor's refusals: until when, and at which limit.
    refusals: Vec<(DateTime<Utc>, u64)>,
}

impl Known {
    /// Notes a range.
    fn note(&mut self, first: u64, end: u64) {
        self.newest = self.newest.max(Some(first));
        self.taken = self.taken.max(end);
    }

    fn refused_until(&self, limit: Option<u64>, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let holds =
            |refusal: &&(DateTime<Utc>, u64)| refusal.1 == limit.unwrap_or(0) && now < refusal.0;
        self.refusals.iter().filter(holds).map(|(until, _)| *until).max()
    }

    fn left(&self, limit: Option<u64>) -> u64 {
        limit.map_or(u64::MAX, |limit| limit.saturating_sub(self.taken).saturating_add(self.spare))
    }
}

/// Returns how many requests to take when `wanted` are needed beyond the spare ones and `left` can
/// be taken; `None` when they do not suffice.
fn range_size(wanted: u64, left: u64) -> Option<u64> {
    let after = left.checked_sub(wanted)?;
    Some(wanted + (after / SPARE_DIVISOR).min(SPARE_MAX))
}

fn month_folder(month: &str) -> String {
    format!("quota/{month}")
}

/// Returns the name of a refusal: it says all there is to say.
fn refusal_key(month: &str, until: DateTime<Utc>, limit: u64) -> String {
    format!("quota/{month}/refused/{}-{limit}", until.format("%Y%m%dT%H%M%SZ"))
}

fn parse_refusal(key: &str) -> Option<(DateTime<Utc>, u64)> {
    let (folder, name) = key.rsplit_once('/')?;
    let (until, limit) = name.split_once('-')?;
    let until = chrono::NaiveDateTime::parse_from_str(until, "%Y%m%dT%H%M%SZ").ok()?;
    folder.ends_with("/refused").then_some((until.and_utc(), limit.parse().ok()?))
}

/// What the store has of a month.
#[derive(Clone, Debug, Default)]
struct News {
    /// Where the last range begins and ends; `None` when there is none that was not known.
    newest: Option<(u64, u64)>,
    refusals: Vec<(DateTime<Utc>, u64)>,
}

/// Returns what is new in a month, beyond the range that begins at `known`.
///
/// Refusals are always among it: their names come after all ranges.
async fn read_month(objects: &Objects, month: &str, known: Option<u64>) -> Result<News, Error> {
    let folder = month_folder(month);
    let known = known.map(|first| key(&folder, first));
    let listed = objects.list(&folder, known.as_deref()).await?;
    let refusals = listed.iter().filter_map(|listed| parse_refusal(&listed.key)).collect();
    let newest = match listed.iter().rev().find_map(Listed::number) {
        Some(first) => Some((first, end_of(objects, &key(&folder, first), first).await?)),
        None => None,
    };
    Ok(News { newest, refusals })
}

/// Returns where the range after a range begins.
async fn end_of(objects: &Objects, key: &str, first: u64) -> Result<u64, Error> {
    let broken = |problem: String| Error::PollObject { key: key.to_owned(), problem };
    let body = objects.read(key).await?.ok_or_else(|| broken("it is gone".to_owned()))?;
    let range: Range = serde_json::from_slice(&body)
        .map_err(|error| broken(format!("this release cannot read it: {error}")))?;
    Ok(first.saturating_add(range.requests))
}

/// Returns the requests of the month of `now` that are taken: used, or set aside by a poller.
pub(super) async fn quota_taken(objects: &Objects, now: DateTime<Utc>) -> Result<u64, Error> {
    Ok(read_month(objects, &month(now), None).await?.newest.map_or(0, |(_, end)| end))
}

/// Takes one request of the month of `now`, for somebody who is no poller and sends no more.
pub(super) async fn take_one(
    objects: &Objects,
    holder: &str,
    limit: Option<u64>,
    now: DateTime<Utc>,
) -> Result<Reservation, Error> {
    let range = Range { holder: holder.to_owned(), requests: 1 };
    let body = serde_json::to_vec(&range).expect("text and numbers always serialise");
    let folder = month_folder(&month(now));
    for _ in 0..RACES_MAX {
        let taken = quota_taken(objects, now).await?;
        if limit.is_some_and(|limit| limit <= taken) {
            return Ok(Reservation::Exhausted);
        }
        if objects.create(&key(&folder, taken), &body).await? == Created::Ours {
            return Ok(Reservation::Granted);
        }
    }
    Err(overtaken(folder))
}

/// Others took every range first.
fn overtaken(folder: String) -> Error {
    let source = object_store::Error::Generic {
        store: "shared quota",
        source: "other pollers took every range first".into(),
    };
    Error::PollStore { doing: "taking quota of", key: folder, source }
}

impl SharedQuota {
    pub(super) fn new(objects: Objects, holder: String) -> Self {
        let (known, taking) = (Mutex::default(), tokio::sync::Mutex::default());
        Self { objects, holder, known, taking }
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads what the others took, and what the vendor told them.
    pub(super) async fn refresh(&self, now: DateTime<Utc>) -> Result<(), Error> {
        let month = month(now);
        let known = {
            let known = self.lock();
            known.newest.filter(|_| known.month == month)
        };
        let News { newest, refusals } = read_month(&self.objects, &month, known).await?;
        let mut known = self.lock();
        if known.month != month {
            // What was set aside for the old month is worth nothing in the new one.
            *known = Known { month, ..Known::default() };
        }
        if let Some((first, end)) = newest {
            known.note(first, end);
        }
        known.refusals = refusals;
        Ok(())
    }

    /// As [`crate::state::State::reserve_quota`], for all pollers together.
    pub(super) async fn reserve(
        &self,
        requests: u64,
        limit: Option<u64>,
        now: DateTime<Utc>,
    ) -> Result<Reservation, Error> {
        let _taking = self.taking.lock().await;
        let month = month(now);
        if self.lock().month != month {
            self.refresh(now).await?;
        }
        for _ in 0..RACES_MAX {
            let (first, size) = {
                let mut known = self.lock();
                // The month may have turned under us; the planner will ask again.
                if known.month != month || known.refused_until(limit, now).is_some() {
                    return Ok(Reservation::Exhausted);
                }
                if let Some(spare) = known.spare.checked_sub(requests) {
                    known.spare = spare;
                    return Ok(Reservation::Granted);
                }
                let left = limit.unwrap_or(u64::MAX).saturating_sub(known.taken);
                match range_size(requests - known.spare, left) {
                    Some(size) => (known.taken, size),
                    None => return Ok(Reservation::Exhausted),
                }
            };
            let range = Range { holder: self.holder.clone(), requests: size };
            let body = serde_json::to_vec(&range).expect("text and numbers always serialise");
            let key = key(&month_folder(&month), first);
            // An open outcome takes nothing here. If the range exists after all it is used up by
            // nobody, and the next one begins behind it.
            match self.objects.create(&key, &body).await? {
                Created::Ours => {
                    let mut known = self.lock();
                    if known.month == month {
                        known.note(first, first + size);
                        known.spare += size;
                    }
                }
                Created::Others => self.refresh(now).await?,
            }
        }
        Err(overtaken(month_folder(&month)))
    }

    /// As [`crate::state::State::refuse_quota`], for all pollers together.
    pub(super) async fn refuse(
        &self,
        limit: Option<u64>,
        now: DateTime<Utc>,
    ) -> Result<DateTime<Utc>, Error> {
        let until = (now + REFUSAL_MAX).min(next_month(now));
        let limit = limit.unwrap_or(0);
        self.lock().refusals.push((until, limit));
        let key = refusal_key(&month(now), until, limit);
        self.objects.create(&key, self.holder.as_bytes()).await?;
        Ok(until)
    }

    /// Returns the requests that are left for this process.
    pub(super) fn left(&self, limit: Option<u64>, now: DateTime<Utc>) -> u64 {
        let known = self.lock();
        if known.month != month(now) {
            return limit.unwrap_or(u64::MAX);
        }
        if known.refused_until(limit, now).is_some() { 0 } else { known.left(limit) }
    }

    /// Returns when requests that are not granted now may be.
    pub(super) fn reset(&self, limit: Option<u64>, now: DateTime<Utc>) -> DateTime<Utc> {
        let known = self.lock();
        let is_used_up = known.month == month(now) && known.left(limit) == 0;
        let refused_until = known.refused_until(limit, now).filter(|_| !is_used_up);
        refused_until.unwrap_or_else(|| next_month(now))
    }
}

#[cfg(test)]
mod tests;
