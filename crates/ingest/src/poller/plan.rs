//! Decides the next fetch: a pure function of the settings, market time, and what is known.
//!
//! | what | when it is due |
//! |---|---|
//! | live scan | a label of the running session closed and `poll_every` passed; reaches back `look_back` |
//! | tail scan | after the last label, until two scans agree or the horizon passed |
//! | end of day | after close and publication, again with growing waits until every row is there |
//! | revision | once a day for the last `revise_days` sessions |
//! | daily list | splits, dividends, tickers, exchanges: once a day |
//! | catch-up | any session before that, oldest first |
//!
//! A window never reaches beyond the last closed label and never begins behind what was fetched:
//! there is no hole, and no row is asked for while it still changes by itself.

use std::collections::BTreeSet;

use chrono::{DateTime, Days, NaiveDate, TimeDelta, Utc};
use model::{Dataset, session::Session, session::trading_date};
use serde::Serialize;

use super::{
    PollConfig,
    coverage::{Coverage, DayState},
    labels::{Labels, daily_key, next_daily, time_delta},
};
use crate::{
    source::{PageRequest, Window},
    state::Chunk,
};

/// Why a window is fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The newest session.
    Live,
    /// A session of the past.
    CatchUp,
    /// A closed session once more.
    Revision,
    /// A list that is fetched once a day.
    Daily,
}

/// One fetch: a closed window of one chunk, read page by page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FetchPlan {
    /// The kind of rows.
    pub dataset: Dataset,
    /// The chunk the symbols belong to.
    pub chunk: u32,
    /// The symbols, all in one request.
    pub symbols: Vec<String>,
    /// The vendor's interval name, or empty.
    pub interval: String,
    /// What is asked for.
    pub window: Window,
    /// Most rows of one page.
    pub page_rows: u32,
    /// Most pages; a window that turns out to hold more is halved.
    pub pages_max: u32,
    /// Why.
    pub reason: Reason,
}

impl FetchPlan {
    /// Returns the request for the page that begins at row `offset`.
    #[must_use]
    pub fn request(&self, config: &PollConfig, offset: u64) -> PageRequest {
        let is_intraday = self.dataset == Dataset::Intraday;
        PageRequest {
            dataset: self.dataset,
            symbols: self.symbols.clone(),
            interval: is_intraday.then_some(config.interval),
            after_hours: is_intraday && config.after_hours,
            window: self.window,
            offset,
            rows_max: self.page_rows,
        }
    }

    /// Returns what one page costs: the vendor counts every symbol as a request.
    #[must_use]
    pub fn page_cost(&self) -> u64 {
        u64::try_from(self.symbols.len()).unwrap_or(u64::MAX).max(1)
    }

    /// Returns the window as moments; `None` when it has no bounds.
    #[must_use]
    pub fn bounds(&self) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
        let midnight = |date: NaiveDate| date.and_time(chrono::NaiveTime::MIN).and_utc();
        match self.window {
            Window::Times { from, to } => Some((from, to)),
            Window::Dates { from, to } => Some((midnight(from), midnight(to))),
            Window::All => None,
        }
    }
}

/// What the planner must know of the moment.
#[derive(Clone, Debug)]
pub struct Situation {
    /// Market time.
    pub now: DateTime<Utc>,
    /// Requests left of the month's quota.
    pub quota_left: u64,
    /// Chunks that failed a moment ago and have to wait.
    pub parked: BTreeSet<u32>,
    /// Whether the last plan was a live one; then another one has its turn.
    pub was_live: bool,
}

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Fetch this.
    Fetch(FetchPlan),
    /// Nothing is due before this market time; `None` when nothing ever will be.
    Wait(Option<DateTime<Utc>>),
    /// Something is due and the month's quota does not reach for one page of it.
    QuotaShort,
}

/// A plan holds at most a year of sessions, however few rows: what is lost when it fails.
const SESSIONS_PER_PLAN_MAX: usize = 260;

/// Rows a plan aims at, of a hundred it may hold: a vendor's extra rows need not break it.
const FILL_PERCENT: u64 = 90;

/// Splits and dividends are corrected for weeks after their date.
const ACTIONS_LOOK_BACK: Days = Days::new(60);

/// The densest dividends are paid weekly: one row for each symbol in seven days.
const ACTION_DAYS_PER_ROW: u64 = 7;

/// The first wait for missing end-of-day rows; it doubles, so a symbol that never has any costs
/// five requests a day, not forty.
const EOD_RETRY: TimeDelta = TimeDelta::minutes(15);
const EOD_RETRY_DOUBLINGS_MAX: u32 = 5;

/// A window of one label or day cannot be halved; its rows are bounded all the same.
const SMALLEST_WINDOW_PAGES_MAX: u32 = 1_000;

/// What a chunk's session needs.
enum Need {
    Scan { from: DateTime<Utc> },
    At(DateTime<Utc>),
    Nothing,
}

/// The planner's view; holds nothing of its own.
#[derive(Clone, Copy, Debug)]
pub struct Planner<'a> {
    /// The settings.
    pub config: &'a PollConfig,
    /// Every chunk.
    pub chunks: &'a [Chunk],
    /// What was fetched.
    pub coverage: &'a Coverage,
}

#[derive(Default)]
struct Candidates {
    live: Vec<(DateTime<Utc>, FetchPlan)>,
    other: Vec<((u8, DateTime<Utc>), FetchPlan)>,
    wake: Option<DateTime<Utc>>,
}

impl Candidates {
    fn wake_at(&mut self, ts: DateTime<Utc>) {
        self.wake = Some(self.wake.map_or(ts, |known| known.min(ts)));
    }
}

impl Planner<'_> {
    /// Returns what to do next.
    #[must_use]
    pub fn decide(&self, situation: &Situation) -> Decision {
        let mut found = Candidates::default();
        for chunk in self.chunks.iter().filter(|chunk| !situation.parked.contains(&chunk.id)) {
            match chunk.dataset {
                Dataset::Intraday | Dataset::Eod => {
                    self.sessions_of(chunk, situation.now, &mut found);
                }
                _ => self.daily_of(chunk, situation.now, &mut found),
            }
        }
        let affordable = |plan: &FetchPlan| plan.page_cost() <= situation.quota_left;
        let is_due = !found.live.is_empty() || !found.other.is_empty();
        found.live.retain(|(_, plan)| affordable(plan));
        found.other.retain(|(_, plan)| affordable(plan));
        let live = found.live.into_iter().min_by_key(|(ts, plan)| (*ts, plan.chunk));
        let other = found.other.into_iter().min_by_key(|(order, plan)| (*order, plan.chunk));
        // Freshness first, but the past gets every other turn, or a fast market would starve it.
        let plan = match (live, other) {
            (Some(_), Some((_, plan))) if situation.was_live => Some(plan),
            (Some((_, plan)), _) | (None, Some((_, plan))) => Some(plan),
            (None, None) => None,
        };
        match plan {
            Some(plan) => Decision::Fetch(plan),
            None if is_due => Decision::QuotaShort,
            None => Decision::Wait(found.wake),
        }
    }

    /// Returns how many windows are due and not fetched: sessions not closed, lists not of today.
    #[must_use]
    pub fn windows_behind(&self, now: DateTime<Utc>) -> u64 {
        let start = self.config.start_date;
        let behind = |chunk: &Chunk| match chunk.dataset {
            Dataset::Intraday | Dataset::Eod => {
                let open = self.coverage.settled(chunk.id, start);
                let due = Session::between(open, trading_date(now)).filter(|session| {
                    let labels = Labels::new(self.config, chunk.dataset, session);
                    let day = self.coverage.day(chunk.id, session.date);
                    matches!(self.scan_need(chunk, &labels, day, now), Need::Scan { .. })
                });
                u64::try_from(due.count()).unwrap_or(u64::MAX)
            }
            _ => {
                let seen_on = self.coverage.daily(chunk.id).seen_on;
                u64::from(seen_on.is_none_or(|seen| seen < daily_key(now)))
            }
        };
        self.chunks.iter().map(behind).fold(0, u64::saturating_add)
    }

    fn sessions_of(&self, chunk: &Chunk, now: DateTime<Utc>, found: &mut Candidates) {
        let today = trading_date(now);
        self.live_of(chunk, now, found);
        let settled = self.coverage.settled(chunk.id, self.config.start_date);
        for session in Session::between(settled, today) {
            let labels = Labels::new(self.config, chunk.dataset, &session);
            if now < labels.horizon {
                // This one and all later ones are live.
                break;
            }
            let day = self.coverage.day(chunk.id, session.date);
            if let Need::Scan { from } = self.scan_need(chunk, &labels, day, now) {
                let can_join = |next: &Labels| {
                    next.horizon <= now && self.coverage.is_unseen(chunk.id, next.date)
                };
                let to = self.reach(chunk, &labels, from, now, &can_join);
                let plan = self.session_plan(chunk, Reason::CatchUp, (from, to));
                found.other.push(((2, from), plan));
                break;
            }
        }
        self.revisions_of(chunk, now, found);
    }

    /// Looks at the sessions that are not final yet: at most today's and the one before.
    fn live_of(&self, chunk: &Chunk, now: DateTime<Utc>, found: &mut Candidates) {
        let start = self.config.start_date;
        let first = trading_date(now).checked_sub_days(Days::new(1)).unwrap_or(start).max(start);
        for session in Session::between(first, trading_date(now)) {
            let labels = Labels::new(self.config, chunk.dataset, &session);
            if labels.horizon <= now {
                continue;
            }
            let day = self.coverage.day(chunk.id, session.date);
            match self.scan_need(chunk, &labels, day, now) {
                Need::Scan { from } => {
                    let to = self.reach(chunk, &labels, from, now, &|_| false);
                    let plan = self.session_plan(chunk, Reason::Live, (from, to));
                    let order = day.map_or(labels.first, |day| day.ts_scanned);
                    found.live.push((order, plan));
                }
                Need::At(ts) => found.wake_at(ts),
                Need::Nothing => (),
            }
        }
        // The longest closure on record is a week; the first session after it wakes the poller.
        let tomorrow = trading_date(now).succ_opt().unwrap_or(start).max(start);
        let soon = tomorrow.checked_add_days(Days::new(14)).unwrap_or(tomorrow);
        if let Some(session) = Session::between(tomorrow, soon).next() {
            let labels = Labels::new(self.config, chunk.dataset, &session);
            found.wake_at(labels.available_at(labels.first));
        }
    }

    fn scan_need(
        &self,
        chunk: &Chunk,
        labels: &Labels,
        day: Option<&DayState>,
        now: DateTime<Utc>,
    ) -> Need {
        let Some(available) = labels.available(now) else {
            return Need::At(labels.available_at(labels.first));
        };
        let Some(day) = day else {
            return Need::Scan { from: labels.first };
        };
        if day.is_closed {
            return Need::Nothing;
        }
        let look_back = time_delta(self.config.look_back);
        let next_scan = day.ts_scanned + self.scan_every(chunk.dataset, day);
        if labels.last < day.fetched_to {
            if labels.horizon <= now || next_scan <= now {
                let from = labels.at_or_before(labels.last - look_back + labels.step);
                return Need::Scan { from };
            }
            return Need::At(next_scan.min(labels.horizon));
        }
        // What a stopped poller left, or a full plan left over, does not wait for its turn.
        let is_gap = day.fetched_to + time_delta(self.config.poll_every) <= available
            || labels.available(day.ts_scanned).is_some_and(|label| day.fetched_to <= label);
        if day.fetched_to <= available && (next_scan <= now || is_gap) {
            // Rows that were scanned while young may have changed since.
            let was_young = day.ts_scanned < day.fetched_to + look_back;
            let from = if was_young { day.fetched_to - look_back } else { day.fetched_to };
            let from = labels.at_or_before(from);
            let fits = labels.count(from, day.fetched_to) <= self.labels_max(chunk);
            return Need::Scan { from: if fits { from } else { day.fetched_to } };
        }
        Need::At(labels.available_at(day.fetched_to).max(next_scan))
    }

    fn scan_every(&self, dataset: Dataset, day: &DayState) -> TimeDelta {
        match dataset {
            Dataset::Eod => {
                let doublings = day.scans.saturating_sub(1).min(EOD_RETRY_DOUBLINGS_MAX);
                EOD_RETRY * (1 << doublings)
            }
            _ => time_delta(self.config.poll_every),
        }
    }

    fn revisions_of(&self, chunk: &Chunk, now: DateTime<Utc>, found: &mut Candidates) {
        let days = u64::from(self.config.revise_days);
        // Four weekend days and holidays for a week of sessions, and some to be sure.
        let first = trading_date(now).checked_sub_days(Days::new(days * 2 + 7));
        let first = first.unwrap_or(self.config.start_date).max(self.config.start_date);
        let sessions: Vec<Session> = Session::between(first, trading_date(now))
            .filter(|session| session.close <= now)
            .collect();
        let skipped = sessions.len().saturating_sub(usize::try_from(days).unwrap_or(usize::MAX));
        let is_due = |date: NaiveDate| {
            let day = self.coverage.day(chunk.id, date)?;
            let seen_on = day.seen_on.filter(|_| day.is_closed)?.max(date);
            (day.revisions < self.config.revise_days).then(|| next_daily(seen_on))
        };
        for session in sessions.iter().skip(skipped) {
            let Some(due_at) = is_due(session.date) else { continue };
            if now < due_at {
                found.wake_at(due_at);
                continue;
            }
            let labels = Labels::new(self.config, chunk.dataset, session);
            let day = self.coverage.day(chunk.id, session.date);
            let from = day.and_then(|day| day.revise_to).unwrap_or(labels.first);
            let can_join = |next: &Labels| {
                let is_begun = self
                    .coverage
                    .day(chunk.id, next.date)
                    .is_some_and(|day| day.revise_to.is_some());
                !is_begun && is_due(next.date).is_some_and(|due_at| due_at <= now)
            };
            let to = self.reach(chunk, &labels, from, now, &can_join);
            let plan = self.session_plan(chunk, Reason::Revision, (from, to));
            found.other.push(((1, from), plan));
            break;
        }
    }

    /// Returns the last label of the plan that begins at `from`: as far as its rows allow, into
    /// the sessions that follow without a session between that may not join.
    fn reach(
        &self,
        chunk: &Chunk,
        labels: &Labels,
        from: DateTime<Utc>,
        now: DateTime<Utc>,
        can_join: &dyn Fn(&Labels) -> bool,
    ) -> DateTime<Utc> {
        let mut left = self.labels_max(chunk);
        let last = labels.available(now).unwrap_or(labels.first);
        let take = labels.count(from, last).min(left);
        let mut to = labels.after(from, take.saturating_sub(1));
        left -= take;
        if to < labels.last {
            return to;
        }
        let next_date = labels.date.succ_opt().unwrap_or(labels.date);
        for session in Session::between(next_date, trading_date(now)).take(SESSIONS_PER_PLAN_MAX) {
            let next = Labels::new(self.config, chunk.dataset, &session);
            // Only whole sessions join: a part of one would be a scan of its own.
            let count = next.count(next.first, next.last);
            if left < count || !can_join(&next) {
                break;
            }
            left -= count;
            to = next.last;
        }
        to
    }

    /// Returns how many labels of all the chunk's symbols fit a plan.
    pub(super) fn labels_max(&self, chunk: &Chunk) -> u64 {
        let symbols = u64::try_from(chunk.symbols.len()).unwrap_or(u64::MAX).max(1);
        (self.rows_max(chunk) / symbols).max(1)
    }

    fn rows_max(&self, chunk: &Chunk) -> u64 {
        let rows = u64::from(self.config.page_rows.get()) * u64::from(self.config.pages_max.get());
        (rows * FILL_PERCENT / 100) >> self.coverage.halvings(chunk.id).min(63)
    }

    fn session_plan(
        &self,
        chunk: &Chunk,
        reason: Reason,
        (from, to): (DateTime<Utc>, DateTime<Utc>),
    ) -> FetchPlan {
        let window = match chunk.dataset {
            Dataset::Eod => Window::Dates { from: from.date_naive(), to: to.date_naive() },
            _ => Window::Times { from, to },
        };
        self.plan(chunk, reason, window, to <= from)
    }

    fn plan(&self, chunk: &Chunk, reason: Reason, window: Window, is_smallest: bool) -> FetchPlan {
        let pages_max = self.config.pages_max.get();
        FetchPlan {
            dataset: chunk.dataset,
            chunk: chunk.id,
            symbols: chunk.symbols.clone(),
            interval: match chunk.dataset {
                Dataset::Intraday => self.config.interval.vendor_name().to_owned(),
                _ => String::new(),
            },
            window,
            page_rows: self.config.page_rows.get(),
            pages_max: if is_smallest {
                pages_max.max(SMALLEST_WINDOW_PAGES_MAX)
            } else {
                pages_max
            },
            reason,
        }
    }

    fn daily_of(&self, chunk: &Chunk, now: DateTime<Utc>, found: &mut Candidates) {
        let known = self.coverage.daily(chunk.id);
        let start = self.config.start_date;
        // An earlier start than before: everything once more, as if nothing were known.
        let fetched_to = known
            .fetched_to
            .filter(|_| known.fetched_from.is_some_and(|fetched_from| fetched_from <= start));
        let is_list = !matches!(chunk.dataset, Dataset::Splits | Dataset::Dividends);
        let is_known = is_list || fetched_to.is_some();
        if let Some(seen_on) = known.seen_on.filter(|seen| is_known && daily_key(now) <= *seen) {
            found.wake_at(next_daily(seen_on));
            return;
        }
        if is_list {
            let plan = self.plan(chunk, Reason::Daily, Window::All, true);
            found.other.push(((0, now), plan));
            return;
        }
        let today = now.date_naive();
        let Some((from, to)) = self.actions_window(chunk, fetched_to, today) else {
            found.wake_at(start.and_time(chrono::NaiveTime::MIN).and_utc());
            return;
        };
        let plan = self.plan(chunk, Reason::Daily, Window::Dates { from, to }, from == to);
        found.other.push(((0, now), plan));
    }

    fn actions_window(
        &self,
        chunk: &Chunk,
        fetched_to: Option<NaiveDate>,
        today: NaiveDate,
    ) -> Option<(NaiveDate, NaiveDate)> {
        let start = self.config.start_date;
        let days_max = (self.labels_max(chunk).saturating_mul(ACTION_DAYS_PER_ROW)).max(1);
        let from = match fetched_to {
            None => start,
            Some(to) => {
                let from = to.checked_sub_days(ACTIONS_LOOK_BACK).unwrap_or(start).max(start);
                let reaches = (to - from).num_days().cast_unsigned() + 1 < days_max;
                // A look-back that fills the whole plan would never get anywhere.
                if reaches { from } else { to.succ_opt()?.min(today).max(start) }
            }
        };
        if today < from {
            return None;
        }
        let last = from.checked_add_days(Days::new(days_max - 1)).unwrap_or(today);
        Some((from, last.min(today)))
    }
}

#[cfg(test)]
mod tests;
