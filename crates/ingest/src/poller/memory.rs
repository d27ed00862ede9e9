//! What a poller remembers: behind it is a file of this machine, or a shard in a shared store.
//!
//! The poller decides nothing from memory that is not durable: a method that changes something
//! returns when the change survives this process, and a method that reads answers at once.

use std::fmt;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use model::Dataset;

use crate::{
    Error,
    quota::Reservation,
    state::{Chunk, PollerLock, State},
};

/// A completed fetch: what is saved of it in one step with the progress it brings.
#[derive(Clone, Copy, Debug)]
pub struct Finished<'a> {
    /// The fetch.
    pub fetch_id: u64,
    /// Its rows.
    pub rows_total: u64,
    /// The hash of the set of its rows.
    pub set_hash: &'a str,
    /// The chunk it was for.
    pub chunk: u32,
    /// The parts of the chunk's progress that changed.
    pub progress: &'a [(String, String)],
}

/// A page whose records are all in the topic.
#[derive(Clone, Copy, Debug)]
pub struct RecordedPage<'a> {
    /// The fetch that brought it.
    pub fetch_id: u64,
    /// The page within the fetch, from 0.
    pub page: u32,
    /// Its rows.
    pub rows: usize,
    /// The hash of its rows in their order.
    pub set_hash: &'a str,
    /// When it arrived.
    pub ts_fetched: DateTime<Utc>,
}

/// A poller's durable memory.
#[async_trait]
pub trait Memory: fmt::Debug + Send + Sync {
    /// Returns the proof that this poller alone may write; `None` while another one may.
    ///
    /// # Errors
    /// Who may write cannot be found out.
    fn try_lock(&self) -> Result<Option<PollerLock>, Error>;

    /// Checks that this poller may still act. Asked before anything that the outside notices: a
    /// request, an append.
    ///
    /// # Errors
    /// It may not, or not be sure of it.
    fn confirm(&self) -> Result<(), Error>;

    /// Returns the chunks of a dataset and interval, oldest first.
    ///
    /// # Errors
    /// They cannot be read.
    fn chunks(&self, dataset: Dataset, interval: &str) -> Result<Vec<Chunk>, Error>;

    /// Adds a chunk and returns it with its number.
    ///
    /// # Errors
    /// It cannot be written.
    async fn add_chunk(
        &self,
        dataset: Dataset,
        interval: &str,
        symbols: Vec<String>,
    ) -> Result<Chunk, Error>;

    /// Saves that a chunk has fewer symbols than before.
    ///
    /// # Errors
    /// It cannot be written.
    async fn shrink_chunk(&self, chunk: &Chunk) -> Result<(), Error>;

    /// Returns the saved progress as `(chunk, part, state)`.
    ///
    /// # Errors
    /// It cannot be read.
    fn progress(&self) -> Result<Vec<(u32, String, String)>, Error>;

    /// Returns the last fetch id that was given; 0 for none.
    ///
    /// # Errors
    /// It cannot be read.
    fn fetch_last(&self) -> Result<u64, Error>;

    /// Saves progress as `(chunk, part, state)` outside a fetch, all of it or nothing.
    ///
    /// # Errors
    /// It cannot be written.
    async fn save_progress(&self, progress: &[(u32, String, String)]) -> Result<(), Error>;

    /// Begins a fetch and returns its id: larger than every id before, for every symbol.
    ///
    /// # Errors
    /// It cannot be written; no id was given.
    async fn begin_fetch(
        &self,
        dataset: Dataset,
        chunk: u32,
        plan: &str,
        now: DateTime<Utc>,
    ) -> Result<u64, Error>;

    /// Records a page. Call it after every record of the page is acknowledged, never before.
    ///
    /// # Errors
    /// It cannot be written.
    async fn record_page(&self, page: RecordedPage<'_>) -> Result<(), Error>;

    /// Ends a fetch well and moves the chunk's progress, both or neither.
    ///
    /// # Errors
    /// It cannot be written.
    async fn finish_fetch(&self, finished: Finished<'_>, now: DateTime<Utc>) -> Result<(), Error>;

    /// Ends a fetch that cannot be completed.
    ///
    /// # Errors
    /// It cannot be written.
    async fn fail_fetch(
        &self,
        fetch_id: u64,
        problem: &str,
        now: DateTime<Utc>,
    ) -> Result<(), Error>;

    /// Gives up the fetches that a dead poller left and returns their number.
    ///
    /// # Errors
    /// It cannot be written.
    async fn fail_unfinished(&self, now: DateTime<Utc>) -> Result<usize, Error>;

    /// Notes how many windows are due and not fetched, for whoever asks this poller's status.
    ///
    /// # Errors
    /// It cannot be written.
    fn note_windows_behind(&self, windows: u64) -> Result<(), Error>;

    /// Counts `requests` against the month of `now`, unless they would pass `limit`.
    ///
    /// # Errors
    /// It cannot be written; nothing may be sent.
    async fn reserve_quota(
        &self,
        requests: u64,
        limit: Option<u64>,
        now: DateTime<Utc>,
    ) -> Result<Reservation, Error>;

    /// Notes that the vendor itself says the month's quota is used up; returns until when.
    ///
    /// # Errors
    /// It cannot be written.
    async fn refuse_quota(
        &self,
        limit: Option<u64>,
        now: DateTime<Utc>,
    ) -> Result<DateTime<Utc>, Error>;

    /// Returns the requests left in the month of `now`.
    ///
    /// # Errors
    /// It cannot be read.
    fn quota_left(&self, limit: Option<u64>, now: DateTime<Utc>) -> Result<u64, Error>;

    /// Returns when requests that are not granted now may be.
    ///
    /// # Errors
    /// It cannot be read.
    fn quota_reset(&self, limit: Option<u64>, now: DateTime<Utc>) -> Result<DateTime<Utc>, Error>;

    /// Returns the error for something found that this release did not write.
    fn broken(&self, doing: &'static str, problem: String) -> Error;
}

// The methods of the same names on `State` itself; they are synchronous, a few milliseconds each.
#[async_trait]
impl Memory for State {
    fn try_lock(&self) -> Result<Option<PollerLock>, Error> {
        Self::try_lock(self)
    }

    /// The lock is the system's, and holds as long as the process.
    fn confirm(&self) -> Result<(), Error> {
        Ok(())
    }

    fn chunks(&self, dataset: Dataset, interval: &str) -> Result<Vec<Chunk>, Error> {
        Self::chunks(self, dataset, interval)
    }

    async fn add_chunk(
        &self,
        dataset: Dataset,
        interval: &str,
        symbols: Vec<String>,
    ) -> Result<Chunk, Error> {
        Self::add_chunk(self, dataset, interval, symbols)
    }

    async fn shrink_chunk(&self, chunk: &Chunk) -> Result<(), Error> {
        Self::shrink_chunk(self, chunk)
    }

    fn progress(&self) -> Result<Vec<(u32, String, String)>, Error> {
        Self::progress(self)
    }

    fn fetch_last(&self) -> Result<u64, Error> {
        Self::fetch_last(self)
    }

    async fn save_progress(&self, progress: &[(u32, String, String)]) -> Result<(), Error> {
        Self::save_progress(self, progress)
    }

    async fn begin_fetch(
        &self,
        dataset: Dataset,
        chunk: u32,
        plan: &str,
        now: DateTime<Utc>,
    ) -> Result<u64, Error> {
        Self::begin_fetch(self, dataset, chunk, plan, now)
    }

    async fn record_page(&self, page: RecordedPage<'_>) -> Result<(), Error> {
        let RecordedPage { fetch_id, page, rows, set_hash, ts_fetched } = page;
        Self::record_page(self, fetch_id, page, rows, set_hash, ts_fetched)
    }

    async fn finish_fetch(&self, finished: Finished<'_>, now: DateTime<Utc>) -> Result<(), Error> {
        let Finished { fetch_id, rows_total, set_hash, chunk, progress } = finished;
        Self::finish_fetch(self, fetch_id, rows_total, set_hash, (chunk, progress), now)
    }

    async fn fail_fetch(
        &self,
        fetch_id: u64,
        problem: &str,
        now: DateTime<Utc>,
    ) -> Result<(), Error> {
        Self::fail_fetch(self, fetch_id, problem, now)
    }

    async fn fail_unfinished(&self, now: DateTime<Utc>) -> Result<usize, Error> {
        Self::fail_unfinished(self, now)
    }

    fn note_windows_behind(&self, windows: u64) -> Result<(), Error> {
        self.set_counter("windows_behind", windows)
    }

    async fn reserve_quota(
        &self,
        requests: u64,
        limit: Option<u64>,
        now: DateTime<Utc>,
    ) -> Result<Reservation, Error> {
        Self::reserve_quota(self, requests, limit, now)
    }

    async fn refuse_quota(
        &self,
        limit: Option<u64>,
        now: DateTime<Utc>,
    ) -> Result<DateTime<Utc>, Error> {
        Self::refuse_quota(self, limit, now)
    }

    fn quota_left(&self, limit: Option<u64>, now: DateTime<Utc>) -> Result<u64, Error> {
        Self::quota_left(self, limit, now)
    }

    fn quota_reset(&self, limit: Option<u64>, now: DateTime<Utc>) -> Result<DateTime<Utc>, Error> {
        Self::quota_reset(self, limit, now)
    }

    fn broken(&self, doing: &'static str, problem: String) -> Error {
        Self::broken(self, doing, problem)
    }
}
