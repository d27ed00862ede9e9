//! A market source that serves rows given to it: the double behind tests and replays.

use std::{
    collections::VecDeque,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use model::{Clock, Dataset};

use super::{MarketSource, Page, PageRequest, SourceRow, parse_ts};
use crate::Error;

/// What a [`RecordedSource`] does instead of serving the asked page.
pub type Reaction = Box<dyn FnOnce(&PageRequest, Page) -> Result<Page, Error> + Send>;

/// Rows in memory, served like a vendor would.
pub struct RecordedSource {
    clock: Arc<dyn Clock>,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    rows: Vec<(Dataset, DateTime<Utc>, SourceRow)>,
    reactions: VecDeque<Option<Reaction>>,
    requests: Vec<PageRequest>,
}

impl fmt::Debug for RecordedSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecordedSource").finish_non_exhaustive()
    }
}

impl RecordedSource {
    /// Creates a source without rows.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, inner: Mutex::default() }
    }

    /// Adds or replaces the row of a symbol and time; `date` as the vendor writes it.
    pub fn put(&self, dataset: Dataset, symbol: &str, date: &str, bytes: impl Into<Bytes>) {
        let Some(ts) = parse_ts(date) else { return };
        let row = SourceRow {
            bytes: bytes.into(),
            symbol: Some(symbol.to_owned()),
            ts: Some(ts),
            mic: None,
        };
        let mut inner = self.lock();
        inner.rows.retain(|(kept, kept_ts, kept_row)| {
            (*kept, *kept_ts, kept_row.symbol.as_deref()) != (dataset, ts, Some(symbol))
        });
        inner.rows.push((dataset, ts, row));
        inner.rows.sort_by(|left, right| (left.1, &left.2.symbol).cmp(&(right.1, &right.2.symbol)));
    }

    /// Queues what happens to the next requests, one each; `None` serves as usual.
    pub fn react(&self, reactions: impl IntoIterator<Item = Option<Reaction>>) {
        self.lock().reactions.extend(reactions);
    }

    /// Returns every request so far.
    #[must_use]
    pub fn requests(&self) -> Vec<PageRequest> {
        self.lock().requests.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl MarketSource for RecordedSource {
    fn name(&self) -> &'static str {
        "recorded"
    }

    async fn page(&self, request: &PageRequest) -> Result<Page, Error> {
        let ts_fetched = self.clock.now();
        let mut inner = self.lock();
        inner.requests.push(request.clone());
        let reaction = inner.reactions.pop_front().flatten();
        let matching: Vec<SourceRow> = inner
            .rows
            .iter()
            .filter(|(dataset, ts, row)| {
                *dataset == request.dataset
                    && request.window.contains(*ts)
                    && (request.symbols.is_empty()
                        || row.symbol.as_ref().is_some_and(|name| request.symbols.contains(name)))
            })
            .map(|(_, _, row)| row.clone())
            .collect();
        let rows_total = u64::try_from(matching.len()).unwrap_or(u64::MAX);
        let rows = matching
            .into_iter()
            .skip(usize::try_from(request.offset).unwrap_or(usize::MAX))
            .take(usize::try_from(request.rows_max).unwrap_or(usize::MAX))
            .collect();
        let page = Page { rows, rows_total, ts_fetched };
        match reaction {
            Some(reaction) => reaction(request, page),
            None => Ok(page),
        }
    }
}
