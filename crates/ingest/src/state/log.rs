//! The fetch log: which fetch brought how many rows on which page.

use std::{collections::VecDeque, sync::Arc};

use chrono::{DateTime, Utc};
use model::Dataset;
use rusqlite::{OptionalExtension, params};
use serde::{Deserialize, Serialize};

use super::{State, time_text, upsert_progress};
use crate::Error;

/// How far a fetch came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FetchStatus {
    /// Under way, or its process died.
    Started,
    /// Every page of the window is in the topic, and they agree with each other.
    Done,
    /// Given up; the pages it recorded are in the topic all the same.
    Failed,
}

impl FetchStatus {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Done => "done",
            Self::Failed => "failed",
        }
    }
}

/// A page whose records are all in the topic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FetchedPage {
    /// The kind of rows.
    pub dataset: Dataset,
    /// The fetch that brought it.
    pub fetch_id: u64,
    /// The page within the fetch, from 0.
    pub page: u32,
    /// Its rows, each of them one record.
    pub rows: u64,
}

/// What the poll stage says of itself, from the database alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PollStatus {
    /// Windows that are due and not fetched yet, as the active poller last saw them.
    pub windows_behind: u64,
    /// Rows of all recorded pages.
    pub rows_total: u64,
    /// When the newest recorded page arrived.
    pub ts_newest: Option<DateTime<Utc>>,
    /// Requests of this month's quota that are used.
    pub quota_used: u64,
}

impl State {
    /// Begins a fetch and returns its id: larger than every id before, for good.
    ///
    /// The id is durable before it is returned, so no later fetch can be given it.
    ///
    /// # Errors
    /// The database cannot be written.
    pub fn begin_fetch(
        &self,
        dataset: Dataset,
        chunk: u32,
        plan: &str,
        now: DateTime<Utc>,
    ) -> Result<u64, Error> {
        let id = self.write("beginning a fetch", |connection| {
            connection.execute(
                "INSERT INTO fetch (dataset, chunk, plan, status, ts_started)
                 VALUES (?1, ?2, ?3, ?4, ?5)",
                params![
                    dataset.as_str(),
                    chunk,
                    plan,
                    FetchStatus::Started.as_str(),
                    time_text(now)
                ],
            )?;
            Ok(connection.last_insert_rowid())
        })?;
        u64::try_from(id).map_err(|_| self.broken("beginning a fetch", format!("id `{id}`")))
    }

    /// Returns the last fetch id that was given; 0 for none.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn fetch_last(&self) -> Result<u64, Error> {
        let last: Option<i64> = self.read("reading the last fetch", |connection| {
            connection.query_row("SELECT max(fetch_id) FROM fetch", [], |row| row.get(0))
        })?;
        Ok(u64::try_from(last.unwrap_or(0)).unwrap_or(0))
    }

    /// Records a page. Call it after every record of the page is acknowledged, never before.
    ///
    /// # Errors
    /// The database cannot be written, or the page was recorded already.
    pub fn record_page(
        &self,
        fetch_id: u64,
        page: u32,
        rows: usize,
        set_hash: &str,
        ts_fetched: DateTime<Utc>,
    ) -> Result<(), Error> {
        let rows = i64::try_from(rows).unwrap_or(i64::MAX);
        self.write("recording a page", |connection| {
            connection.execute(
                "INSERT INTO page (fetch_id, page, row_count, set_hash, ts_fetched)
                 VALUES (?1, ?2, ?3, ?4, ?5)",
                params![fetch_id.cast_signed(), page, rows, set_hash, time_text(ts_fetched)],
            )?;
            connection.execute(
                "INSERT INTO counter (name, value) VALUES ('rows_total', ?1)
                 ON CONFLICT (name) DO UPDATE SET value = value + excluded.value",
                [rows],
            )?;
            Ok(())
        })
    }

    /// Ends a fetch well and moves the chunk's progress in the same transaction: a crash leaves
    /// both or neither, and neither means that the window is fetched again.
    ///
    /// # Errors
    /// The database cannot be written.
    pub fn finish_fetch(
        &self,
        fetch_id: u64,
        rows_total: u64,
        set_hash: &str,
        progress: (u32, &[(String, String)]),
        now: DateTime<Utc>,
    ) -> Result<(), Error> {
        self.write("finishing a fetch", |connection| {
            connection.execute(
                "UPDATE fetch SET status = ?2, rows_total = ?3, set_hash = ?4, ts_ended = ?5
                 WHERE fetch_id = ?1",
                params![
                    fetch_id.cast_signed(),
                    FetchStatus::Done.as_str(),
                    rows_total.cast_signed(),
                    set_hash,
                    time_text(now)
                ],
            )?;
            upsert_progress(connection, progress.0, progress.1)
        })
    }

    /// Ends a fetch that cannot be completed.
    ///
    /// # Errors
    /// The database cannot be written.
    pub fn fail_fetch(
        &self,
        fetch_id: u64,
        problem: &str,
        now: DateTime<Utc>,
    ) -> Result<(), Error> {
        self.write("giving up a fetch", |connection| {
            connection.execute(
                "UPDATE fetch SET status = ?2, problem = ?3, ts_ended = ?4 WHERE fetch_id = ?1",
                params![
                    fetch_id.cast_signed(),
                    FetchStatus::Failed.as_str(),
                    problem,
                    time_text(now)
                ],
            )
        })?;
        Ok(())
    }

    /// Gives up the fetches that a dead poller left; only the lock's holder may call it.
    ///
    /// # Errors
    /// The database cannot be written.
    pub fn fail_unfinished(&self, now: DateTime<Utc>) -> Result<usize, Error> {
        self.write("giving up unfinished fetches", |connection| {
            connection.execute(
                "UPDATE fetch SET status = ?1, problem = 'its poller stopped', ts_ended = ?2
                 WHERE status = 'started'",
                params![FetchStatus::Failed.as_str(), time_text(now)],
            )
        })
    }

    /// Returns how far a fetch came; `None` when the id was never given.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn fetch_status(&self, fetch_id: u64) -> Result<Option<FetchStatus>, Error> {
        let text: Option<String> = self.read("reading a fetch", |connection| {
            connection
                .query_row(
                    "SELECT status FROM fetch WHERE fetch_id = ?1",
                    [fetch_id.cast_signed()],
                    |row| row.get(0),
                )
                .optional()
        })?;
        let known = [FetchStatus::Started, FetchStatus::Done, FetchStatus::Failed];
        text.map(|text| {
            known
                .into_iter()
                .find(|status| status.as_str() == text)
                .ok_or_else(|| self.broken("reading a fetch", format!("status `{text}`")))
        })
        .transpose()
    }

    /// Returns what the poll stage says of itself.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn status(&self, now: DateTime<Utc>) -> Result<PollStatus, Error> {
        let ts_newest: Option<String> = self.read("reading the newest page", |connection| {
            connection
                .query_row(
                    "SELECT ts_fetched FROM page ORDER BY fetch_id DESC, page DESC LIMIT 1",
                    [],
                    |row| row.get(0),
                )
                .optional()
        })?;
        Ok(PollStatus {
            windows_behind: self.counter("windows_behind")?,
            rows_total: self.counter("rows_total")?,
            ts_newest: ts_newest.and_then(|text| text.parse().ok()),
            quota_used: self.quota_used(now)?,
        })
    }
}

/// Returns every recorded page, oldest fetch first; what `verify` compares the lake with.
///
/// A page that was appended but not recorded before a crash is not among them: the lake may hold
/// more pages than this, never fewer.
#[must_use]
pub fn fetched_pages(state: Arc<State>) -> FetchedPages {
    FetchedPages { state, after: (0, -1), batch: VecDeque::new(), is_over: false }
}

/// Recorded pages, read in batches so that no read holds the database for long.
#[derive(Debug)]
pub struct FetchedPages {
    state: Arc<State>,
    after: (i64, i64),
    batch: VecDeque<(i64, i64, i64, String)>,
    is_over: bool,
}

/// Ten thousand pages are half a megabyte and a few milliseconds.
const BATCH_PAGES: u32 = 10_000;

impl FetchedPages {
    fn fill(&mut self) -> Result<(), Error> {
        let (fetch_id, page) = self.after;
        self.batch = self.state.read("reading pages", |connection| {
            connection
                .prepare_cached(
                    "SELECT page.fetch_id, page, row_count, dataset
                     FROM page JOIN fetch ON fetch.fetch_id = page.fetch_id
                     WHERE (page.fetch_id, page) > (?1, ?2)
                     ORDER BY page.fetch_id, page LIMIT ?3",
                )?
                .query_map(params![fetch_id, page, BATCH_PAGES], |row| {
                    Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
                })?
                .collect()
        })?;
        Ok(())
    }
}

impl Iterator for FetchedPages {
    type Item = Result<FetchedPage, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_over {
            return None;
        }
        if self.batch.is_empty()
            && let Err(error) = self.fill()
        {
            self.is_over = true;
            return Some(Err(error));
        }
        let Some((fetch_id, page, rows, dataset)) = self.batch.pop_front() else {
            self.is_over = true;
            return None;
        };
        self.after = (fetch_id, page);
        let broken =
            || self.state.broken("reading pages", format!("page {page} of fetch {fetch_id}"));
        let read = || {
            Some(FetchedPage {
                dataset: dataset.parse().ok()?,
                fetch_id: u64::try_from(fetch_id).ok()?,
                page: u32::try_from(page).ok()?,
                rows: u64::try_from(rows).ok()?,
            })
        };
        Some(read().ok_or_else(broken))
    }
}
