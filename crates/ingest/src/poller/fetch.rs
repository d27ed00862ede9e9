//! Carries out one fetch plan: pages to the topic, then the proof that they were one whole.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, SecondsFormat, Utc};
use model::record;
use rand::RngExt;
use sha2::{Digest, Sha256};

use super::{
    Poller,
    coverage::Outcome,
    memory::{Finished, RecordedPage},
    plan::FetchPlan,
};
use crate::{
    Error,
    hex::hex,
    quota::Reservation,
    retry::Backoff,
    source::{Page, PageRequest, SourceRow, Window},
    topic::NewRecord,
};

/// Scans of one window before the plan gives way to others. Two that agree are enough; a third
/// forgives one row that came in between.
const SCANS_MAX: u32 = 3;

/// What one pass over the pages of a window saw.
#[derive(Debug, PartialEq, Eq)]
struct Scan {
    rows: u64,
    rows_total: u64,
    outcome: Outcome,
    /// Why the pages cannot be one whole; `None` when they are.
    problem: Option<String>,
    /// The window holds more rows than the plan may.
    is_too_large: bool,
}

/// Gathers what all pages of a scan say together.
#[derive(Debug, Default)]
struct Seen {
    keys: BTreeSet<(String, DateTime<Utc>, Option<String>)>,
    rows_without_key: u64,
    hashes: Vec<[u8; 32]>,
    symbols_by_date: BTreeMap<chrono::NaiveDate, BTreeSet<String>>,
}

impl Seen {
    /// Adds a page and returns its own hash.
    fn add(&mut self, rows: &[SourceRow]) -> String {
        let mut page = Sha256::new();
        for row in rows {
            let hash: [u8; 32] = Sha256::digest(&row.bytes).into();
            page.update(hash);
            self.hashes.push(hash);
            // Datasets without dates are told apart by the row itself.
            match (&row.symbol, row.ts) {
                (Some(symbol), Some(ts)) => {
                    self.keys.insert((symbol.clone(), ts, row.mic.clone()));
                    let symbols = self.symbols_by_date.entry(ts.date_naive()).or_default();
                    symbols.insert(symbol.clone());
                }
                _ => self.rows_without_key += 1,
            }
        }
        hex(&page.finalize())
    }

    fn keys(&self) -> u64 {
        u64::try_from(self.keys.len()).unwrap_or(u64::MAX).saturating_add(self.rows_without_key)
    }

    /// The hash of the set of rows: the order of symbols within a date is the vendor's whim.
    fn set_hash(&mut self) -> String {
        self.hashes.sort_unstable();
        let mut set = Sha256::new();
        for hash in &self.hashes {
            set.update(hash);
        }
        hex(&set.finalize())
    }
}

impl Poller {
    /// Fetches a window until one scan of it is whole, and moves the progress; returns the rows
    /// that went to the topic.
    pub(super) async fn fetch(
        &mut self,
        plan: &FetchPlan,
        ts_started: DateTime<Utc>,
    ) -> Result<u64, Error> {
        let text = serde_json::to_string(plan).expect("dates, numbers and text always serialise");
        let mut rows = 0;
        let mut last: Option<Scan> = None;
        let unstable = |fetch_id, restarts, problem| {
            Err(Error::Unstable { dataset: plan.dataset, fetch_id, restarts, problem })
        };
        let mut given_up = (0, String::new());
        for scans in 1..=SCANS_MAX {
            let now = self.parts.clock.now();
            let state = &self.parts.state;
            let fetch_id = state.begin_fetch(plan.dataset, plan.chunk, &text, now).await?;
            let scan = match self.scan(plan, fetch_id, ts_started).await {
                Ok(scan) => scan,
                Err(error) => {
                    self.give_up(fetch_id, &error.to_string()).await;
                    return Err(error);
                }
            };
            rows += scan.rows;
            if scan.is_too_large {
                let problem = "the window holds more rows than a plan may";
                self.give_up(fetch_id, problem).await;
                if self.halve(plan) {
                    return Ok(rows);
                }
                let problem = format!("{problem}, and cannot be cut into smaller ones");
                return unstable(fetch_id, scans, problem);
            }
            let Some(problem) = &scan.problem else {
                self.finish(plan, fetch_id, &scan).await?;
                return Ok(rows);
            };
            // The same rows twice in a row: the vendor is odd, but it is not moving.
            // A row that was counted and never read is missing, however often that is repeated.
            if last.as_ref() == Some(&scan) && scan.rows_total <= scan.rows {
                tracing::warn!(fetch_id, problem, "taken as served: a second scan was the same");
                self.finish(plan, fetch_id, &scan).await?;
                return Ok(rows);
            }
            self.give_up(fetch_id, problem).await;
            given_up = (fetch_id, problem.clone());
            last = Some(scan);
        }
        let (fetch_id, problem) = given_up;
        unstable(fetch_id, SCANS_MAX, problem)
    }

    /// Makes the next windows of the plan's chunk smaller; returns `false` when they cannot be.
    fn halve(&mut self, plan: &FetchPlan) -> bool {
        let Some(active) = &mut self.active else { return true };
        let is_smallest = match plan.window {
            Window::Times { from, to } => to <= from,
            Window::Dates { from, to } => to <= from,
            Window::All => true,
        };
        let planner = active.planner(&self.parts.config);
        let chunk = active.chunks.iter().find(|chunk| chunk.id == plan.chunk);
        // A plan for one label is not made smaller by halving its rows.
        if is_smallest || chunk.is_some_and(|chunk| planner.labels_max(chunk) <= 1) {
            return false;
        }
        active.coverage.halve(plan.chunk);
        true
    }

    /// Reads the pages of a window once; every page that is recorded is in the topic.
    async fn scan(
        &mut self,
        plan: &FetchPlan,
        fetch_id: u64,
        ts_started: DateTime<Utc>,
    ) -> Result<Scan, Error> {
        let mut seen = Seen::default();
        let mut rows_total = 0;
        let mut offset = 0;
        let mut problem = None;
        let mut is_too_large = true;
        for number in 0..plan.pages_max {
            let request = plan.request(&self.parts.config, offset);
            let page = self.page(&request).await?;
            if number == 0 {
                rows_total = page.rows_total;
                let rows_max = u64::from(plan.page_rows) * u64::from(plan.pages_max);
                if rows_max < rows_total {
                    break;
                }
            }
            let page_hash = seen.add(&page.rows);
            let rows = page.rows.len();
            self.append(plan, fetch_id, number, &page).await?;
            // Recorded after the acknowledgement: a crash in between repeats the page under
            // another fetch id, and silver knows a row it has seen.
            let state = &self.parts.state;
            let (set_hash, ts_fetched) = (&*page_hash, page.ts_fetched);
            let recorded = RecordedPage { fetch_id, page: number, rows, set_hash, ts_fetched };
            state.record_page(recorded).await?;
            offset += u64::try_from(rows).unwrap_or(u64::MAX);
            // The window is read to its end all the same: a vendor that always contradicts itself
            // must not hide the pages behind.
            if page.rows_total != rows_total && problem.is_none() {
                problem = Some(format!("its total went from {rows_total} to {}", page.rows_total));
            }
            rows_total = rows_total.max(page.rows_total);
            if rows == 0 || rows_total <= offset {
                is_too_large = false;
                break;
            }
        }
        let keys = seen.keys();
        if problem.is_none() && keys != rows_total {
            problem = Some(format!("it has {keys} different rows and a total of {rows_total}"));
        }
        let set_hash = seen.set_hash();
        let symbols_by_date = seen.symbols_by_date;
        let outcome = Outcome { ts_started, set_hash, symbols_by_date };
        Ok(Scan { rows: offset, rows_total, outcome, problem, is_too_large })
    }

    /// Fetches one page: counted, paced, and asked for again while that may help.
    async fn page(&mut self, request: &PageRequest) -> Result<Page, Error> {
        let parts = &self.parts;
        let limit = parts.config.quota_month;
        let cost = u64::try_from(request.symbols.len()).unwrap_or(u64::MAX).max(1);
        let begun = parts.clock.monotonic();
        let mut attempts = 0;
        loop {
            self.limiter.lock().await.acquire().await;
            parts.state.confirm()?;
            let now = parts.clock.now();
            // Counted before it is sent: a crash in between must not make the ledger too low.
            if parts.state.reserve_quota(cost, limit, now).await? == Reservation::Exhausted {
                let ts_reset = parts.state.quota_reset(limit, now)?;
                return Err(Error::QuotaExhausted { dataset: request.dataset, ts_reset });
            }
            attempts += 1;
            let error = match parts.source.page(request).await {
                Ok(page) => return Ok(page),
                Err(error) => error,
            };
            if matches!(error, Error::QuotaExhausted { .. }) {
                let ts_reset = parts.state.refuse_quota(limit, now).await?;
                return Err(Error::QuotaExhausted { dataset: request.dataset, ts_reset });
            }
            let wait = match &error {
                Error::Fetch { source, retry_after, .. } if source.passes_soon() => {
                    let elapsed = parts.clock.monotonic().saturating_sub(begun);
                    let jitter = self.rng.random::<f64>();
                    Backoff::VENDOR.wait(attempts, elapsed, *retry_after, jitter)
                }
                _ => None,
            };
            let Some(wait) = wait else { return Err(error) };
            tracing::debug!(attempts, ?wait, %error, "asking again");
            parts.clock.sleep(wait).await;
        }
    }

    /// Appends a page; returns when every record is durable.
    async fn append(
        &self,
        plan: &FetchPlan,
        fetch_id: u64,
        number: u32,
        page: &Page,
    ) -> Result<(), Error> {
        if page.rows.is_empty() {
            return Ok(());
        }
        let ts_fetched = page.ts_fetched.to_rfc3339_opts(SecondsFormat::Micros, true);
        let record = |(row, source): (usize, &SourceRow)| NewRecord {
            key: source.symbol.clone().unwrap_or_default(),
            value: source.bytes.clone(),
            headers: [
                (record::SOURCE, self.parts.source.name().to_owned()),
                (record::FETCH_ID, fetch_id.to_string()),
                (record::PAGE, number.to_string()),
                (record::ROW, row.to_string()),
                (record::INTERVAL, plan.interval.clone()),
                (record::TS_FETCHED, ts_fetched.clone()),
            ]
            .map(|(name, value)| (name.to_owned(), value))
            .into(),
        };
        let records = page.rows.iter().enumerate().map(record).collect();
        self.parts.state.confirm()?;
        self.parts.topic.append(&self.parts.config.topic(plan.dataset), records).await
    }

    async fn finish(&mut self, plan: &FetchPlan, fetch_id: u64, scan: &Scan) -> Result<(), Error> {
        let Some(mut active) = self.active.take() else { return Ok(()) };
        let parts = &self.parts;
        let saved = active.coverage.record(&parts.config, plan, &scan.outcome);
        let finished = Finished {
            fetch_id,
            rows_total: scan.rows,
            set_hash: &scan.outcome.set_hash,
            chunk: plan.chunk,
            progress: &saved,
        };
        // Not durable yet, or never: what `active` knows would then be too much. The next call
        // begins from what was saved.
        parts.state.finish_fetch(finished, parts.clock.now()).await?;
        self.active = Some(active);
        Ok(())
    }

    /// Notes why a fetch is given up; the reason it was is the better error to return.
    async fn give_up(&self, fetch_id: u64, problem: &str) {
        let now = self.parts.clock.now();
        if let Err(error) = self.parts.state.fail_fetch(fetch_id, problem, now).await {
            tracing::warn!(fetch_id, %error, "the fetch stays open until the next start");
        }
    }
}
