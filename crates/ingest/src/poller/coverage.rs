//! What was fetched of each session and each daily list, and how one more fetch changes that.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, NaiveDate, Utc};
use model::{Dataset, session::Session};
use serde::{Deserialize, Serialize};

use super::{
    PollConfig,
    labels::{Labels, daily_key},
    memory::Memory,
    plan::{FetchPlan, Reason},
};
use crate::{Error, source::Window, state::Chunk};

/// What is known of one session of one chunk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DayState {
    /// Every label before this one was scanned.
    pub fetched_to: DateTime<Utc>,
    /// Market time at which the newest scan began.
    pub ts_scanned: DateTime<Utc>,
    /// Scans so far.
    pub scans: u32,
    /// The newest scan that reached the last label, to compare the next one with.
    pub tail: Option<Tail>,
    /// No more scans but the daily revisions.
    pub is_closed: bool,
    /// Where an unfinished revision scan goes on.
    pub revise_to: Option<DateTime<Utc>>,
    /// Revision scans so far.
    pub revisions: u32,
    /// The day of the newest scan of the whole session.
    pub seen_on: Option<NaiveDate>,
}

impl DayState {
    /// A session of which nothing was scanned; its first label is `first`.
    const fn unseen(first: DateTime<Utc>) -> Self {
        Self {
            fetched_to: first,
            ts_scanned: first,
            scans: 0,
            tail: None,
            is_closed: false,
            revise_to: None,
            revisions: 0,
            seen_on: None,
        }
    }
}

/// One scan's window and what it held.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tail {
    /// What was scanned.
    pub window: Window,
    /// The hash of the set of rows.
    pub set_hash: String,
}

/// What is known of one chunk of a dataset that is fetched once a day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DailyState {
    /// The first date that was ever asked for.
    pub fetched_from: Option<NaiveDate>,
    /// The last date that was asked for.
    pub fetched_to: Option<NaiveDate>,
    /// The day on which the newest scan reached today.
    pub seen_on: Option<NaiveDate>,
}

/// What a completed fetch brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Market time at which the scan began.
    pub ts_started: DateTime<Utc>,
    /// The hash of the set of rows, whatever their order.
    pub set_hash: String,
    /// Symbols with a row, by the row's UTC date.
    pub symbols_by_date: BTreeMap<NaiveDate, BTreeSet<String>>,
}

/// All that is known, in memory; the state database holds the same.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    days: BTreeMap<(u32, NaiveDate), DayState>,
    daily: BTreeMap<u32, DailyState>,
    /// Per chunk: no session before this date needs a scan.
    settled: BTreeMap<u32, NaiveDate>,
    /// Per chunk: how often its windows were halved because they held too many rows.
    halvings: BTreeMap<u32, u32>,
}

/// The name under which a daily state is saved; the others are saved under their date.
const DAILY_PART: &str = "daily";

impl Coverage {
    /// Reads what was saved.
    ///
    /// # Errors
    /// The database cannot be read or holds something else.
    pub fn load(state: &dyn Memory) -> Result<Self, Error> {
        let mut progress = Self::default();
        for (chunk, part, text) in state.progress()? {
            let broken = |error: serde_json::Error| {
                state.broken("reading progress", format!("`{part}` of chunk {chunk}: {error}"))
            };
            if part == DAILY_PART {
                let daily = serde_json::from_str(&text).map_err(broken)?;
                progress.daily.insert(chunk, daily);
            } else if let Ok(date) = part.parse() {
                let day = serde_json::from_str(&text).map_err(broken)?;
                progress.days.insert((chunk, date), day);
            }
        }
        Ok(progress)
    }

    /// Returns what is known of a session.
    #[must_use]
    pub fn day(&self, chunk: u32, date: NaiveDate) -> Option<&DayState> {
        self.days.get(&(chunk, date))
    }

    /// Returns what is known of a daily list.
    #[must_use]
    pub fn daily(&self, chunk: u32) -> DailyState {
        self.daily.get(&chunk).copied().unwrap_or_default()
    }

    /// Returns the date before which no session needs a scan; `start` when nothing is known.
    #[must_use]
    pub fn settled(&self, chunk: u32, start: NaiveDate) -> NaiveDate {
        self.settled.get(&chunk).copied().unwrap_or(start).max(start)
    }

    /// Returns how often the windows of a chunk were halved.
    #[must_use]
    pub fn halvings(&self, chunk: u32) -> u32 {
        self.halvings.get(&chunk).copied().unwrap_or(0)
    }

    /// Halves the next windows of a chunk: the last one held more rows than a plan may.
    pub fn halve(&mut self, chunk: u32) {
        *self.halvings.entry(chunk).or_default() += 1;
    }

    /// Applies a completed fetch and returns the changed parts as they are to be saved.
    pub fn record(
        &mut self,
        config: &PollConfig,
        plan: &FetchPlan,
        outcome: &Outcome,
    ) -> Vec<(String, String)> {
        match plan.dataset {
            Dataset::Intraday | Dataset::Eod => self.record_sessions(config, plan, outcome),
            _ => {
                let daily = self.daily.entry(plan.chunk).or_default();
                record_daily(daily, plan, outcome.ts_started);
                vec![(DAILY_PART.to_owned(), to_json(daily))]
            }
        }
    }

    fn record_sessions(
        &mut self,
        config: &PollConfig,
        plan: &FetchPlan,
        outcome: &Outcome,
    ) -> Vec<(String, String)> {
        let Some((from, to)) = plan.bounds() else {
            return Vec::new();
        };
        let mut saved = Vec::new();
        // The last hours after a close lie on the next day in UTC.
        let first = from.date_naive().pred_opt().unwrap_or_default();
        for session in Session::between(first, to.date_naive()) {
            let labels = Labels::new(config, plan.dataset, &session);
            if labels.last < from || to < labels.first {
                continue;
            }
            let day = self.days.entry((plan.chunk, session.date));
            let day = day.or_insert_with(|| DayState {
                ts_scanned: outcome.ts_started,
                ..DayState::unseen(labels.first)
            });
            let part = (from.max(labels.first), to.min(labels.last));
            match plan.reason {
                Reason::Revision => record_revision(day, &labels, part, outcome),
                _ => record_scan(day, &labels, part, plan, outcome),
            }
            saved.push((session.date.to_string(), to_json(day)));
        }
        self.settle(config, plan.chunk, to.date_naive());
        saved
    }

    /// Returns whether no scan of a session counts, or none was made.
    #[must_use]
    pub fn is_unseen(&self, chunk: u32, date: NaiveDate) -> bool {
        self.day(chunk, date).is_none_or(|day| day.scans == 0)
    }

    /// Makes due again what of `chunks` was fetched at or after `since`, market time; all of it for
    /// `None`. Returns the changed parts as they are to be saved, with their chunks.
    ///
    /// Of a session the newest scan is known, and it is fetched again as a whole. Lists are begun
    /// anew as well: they are short, and what is known of them does not say which part is how old.
    pub fn lose(
        &mut self,
        config: &PollConfig,
        chunks: &[&Chunk],
        since: Option<DateTime<Utc>>,
    ) -> Vec<(u32, String, String)> {
        let mut saved = Vec::new();
        let seen_since = |seen_on: Option<NaiveDate>| {
            seen_on.is_some_and(|seen| since.is_none_or(|since| daily_key(since) <= seen))
        };
        for chunk in chunks {
            if let Some(daily) = self.daily.get_mut(&chunk.id)
                && (daily.seen_on.is_none() || seen_since(daily.seen_on))
            {
                *daily = DailyState::default();
                saved.push((chunk.id, DAILY_PART.to_owned(), to_json(daily)));
            }
            let all = (chunk.id, NaiveDate::MIN)..=(chunk.id, NaiveDate::MAX);
            for ((_, date), day) in self.days.range_mut(all) {
                let is_lost = since.is_none_or(|since| since <= day.ts_scanned)
                    || seen_since(day.seen_on)
                    || day.revise_to.is_some();
                let Some(session) = Session::between(*date, *date).next().filter(|_| is_lost)
                else {
                    continue;
                };
                // As if nothing were known, but for the revisions: they were not the loss.
                let first = Labels::new(config, chunk.dataset, &session).first;
                let revisions = day.revisions;
                *day = DayState { revisions, ..DayState::unseen(first) };
                saved.push((chunk.id, date.to_string(), to_json(day)));
            }
            self.settled.remove(&chunk.id);
        }
        saved
    }

    /// Moves the settled date over closed sessions, no further than `to`.
    fn settle(&mut self, config: &PollConfig, chunk: u32, to: NaiveDate) {
        let from = self.settled(chunk, config.start_date);
        let open = Session::between(from, to)
            .find(|session| !self.day(chunk, session.date).is_some_and(|day| day.is_closed));
        let settled = open.map_or(to.succ_opt().unwrap_or(to), |session| session.date);
        self.settled.insert(chunk, settled.max(from));
    }

    /// Finds the settled dates again, after loading.
    pub fn settle_all(&mut self, config: &PollConfig, chunks: &[u32], today: NaiveDate) {
        for chunk in chunks {
            self.settle(config, *chunk, today);
        }
    }
}

fn record_scan(
    day: &mut DayState,
    labels: &Labels,
    part: (DateTime<Utc>, DateTime<Utc>),
    plan: &FetchPlan,
    outcome: &Outcome,
) {
    if part.0 <= day.fetched_to {
        day.fetched_to = day.fetched_to.max(part.1 + labels.step);
    }
    day.ts_scanned = outcome.ts_started;
    day.scans = day.scans.saturating_add(1);
    if day.fetched_to <= labels.last {
        return;
    }
    let tail = Tail { window: plan.window, set_hash: outcome.set_hash.clone() };
    let is_complete = match plan.dataset {
        // An official row for every symbol: there is nothing more to wait for today.
        Dataset::Eod => outcome
            .symbols_by_date
            .get(&labels.date)
            .is_some_and(|symbols| plan.symbols.len() <= symbols.len()),
        // Anti-entropy: the same rows twice in a row.
        _ => day.tail.as_ref() == Some(&tail),
    };
    day.tail = Some(tail);
    if is_complete || labels.horizon <= outcome.ts_started {
        day.is_closed = true;
        day.tail = None;
        day.seen_on = Some(daily_key(outcome.ts_started));
    }
}

fn record_revision(
    day: &mut DayState,
    labels: &Labels,
    part: (DateTime<Utc>, DateTime<Utc>),
    outcome: &Outcome,
) {
    if part.1 < labels.last {
        day.revise_to = Some(part.1 + labels.step);
        return;
    }
    day.revise_to = None;
    day.revisions = day.revisions.saturating_add(1);
    day.seen_on = Some(daily_key(outcome.ts_started));
}

fn record_daily(daily: &mut DailyState, plan: &FetchPlan, ts_started: DateTime<Utc>) {
    if let Window::Dates { from, to } = plan.window {
        daily.fetched_from = Some(daily.fetched_from.map_or(from, |known| known.min(from)));
        daily.fetched_to = Some(to);
        if to < ts_started.date_naive() {
            return;
        }
    }
    daily.seen_on = Some(daily_key(ts_started));
}

fn to_json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("dates, numbers and text always serialise")
}
