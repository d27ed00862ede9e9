//! Where market data comes from: one page of vendor rows at a time, as the vendor's bytes.

use std::fmt::Debug;

use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use model::{BarInterval, Dataset};
use serde::{Deserialize, Serialize};

use crate::Error;

#[cfg(any(test, feature = "test-util"))]
pub mod contract;
#[cfg(any(test, feature = "test-util"))]
pub mod recorded;

/// A closed window: both ends belong to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Window {
    /// Rows labelled with a moment in `[from, to]`.
    Times {
        /// The first label.
        from: DateTime<Utc>,
        /// The last label.
        to: DateTime<Utc>,
    },
    /// Rows of the dates in `[from, to]`.
    Dates {
        /// The first date.
        from: NaiveDate,
        /// The last date.
        to: NaiveDate,
    },
    /// Everything there is; for datasets whose rows carry no date.
    All,
}

impl Window {
    /// Returns whether a row labelled `ts` may be in the window.
    #[must_use]
    pub fn contains(&self, ts: DateTime<Utc>) -> bool {
        match self {
            Self::Times { from, to } => (*from..=*to).contains(&ts),
            Self::Dates { from, to } => (*from..=*to).contains(&ts.date_naive()),
            Self::All => true,
        }
    }
}

/// What is asked for: the rows from `offset` on, in the order of their dates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageRequest {
    /// The kind of rows.
    pub dataset: Dataset,
    /// The symbols; empty only for exchanges, exactly one for tickers.
    pub symbols: Vec<String>,
    /// The bar interval; only for intraday.
    pub interval: Option<BarInterval>,
    /// Whether rows before the open and after the close are wanted; only for intraday.
    pub after_hours: bool,
    /// The window the rows lie in.
    pub window: Window,
    /// The first row within the window, from 0.
    pub offset: u64,
    /// Most rows of the page.
    pub rows_max: u32,
}

/// One vendor row.
#[derive(Clone, Debug)]
pub struct SourceRow {
    /// The row, byte for byte; not necessarily well-formed.
    pub bytes: Bytes,
    /// The symbol, or the MIC of an exchange; `None` when it cannot be read.
    pub symbol: Option<String>,
    /// The market's time or date of the row; `None` when it has none or it cannot be read.
    pub ts: Option<DateTime<Utc>>,
    /// The exchange that the row names: part of the row's identity.
    pub mic: Option<String>,
}

/// One page of rows.
#[derive(Clone, Debug)]
pub struct Page {
    /// The rows in the order they were served.
    pub rows: Vec<SourceRow>,
    /// How many rows the whole window holds.
    pub rows_total: u64,
    /// When the response had arrived, wall time.
    pub ts_fetched: DateTime<Utc>,
}

/// A vendor of market data.
///
/// A source is asked for one page and answers once: retries, the quota and the rate limit are
/// the poller's. Every page it returns was checked: no more rows than asked for, none of a symbol
/// nobody asked for, none outside the window. Rows that cannot be read are handed on as they are.
#[async_trait]
pub trait MarketSource: Debug + Send + Sync {
    /// Returns the vendor and API version, such as `marketstack-v2`.
    fn name(&self) -> &str;

    /// Fetches one page; past the end it is an empty page.
    ///
    /// # Errors
    /// `Error::Fetch` when the page did not arrive whole and right; `Error::Refused`,
    /// `Error::QuotaExhausted` or `Error::AccessKey` when asking again is of no use.
    async fn page(&self, request: &PageRequest) -> Result<Page, Error>;
}

/// Reads the vendor's time: with a zone (`+0000`, `+00:00`, `Z`), or a plain date.
pub(crate) fn parse_ts(text: &str) -> Option<DateTime<Utc>> {
    if let Ok(date) = NaiveDate::parse_from_str(text, "%Y-%m-%d") {
        return Some(date.and_time(chrono::NaiveTime::MIN).and_utc());
    }
    DateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f%z")
        .or_else(|_| DateTime::parse_from_rfc3339(text))
        .ok()
        .map(|ts| ts.to_utc())
}

/// Rounds down to a multiple of `step` since midnight UTC.
pub(crate) fn floor(ts: DateTime<Utc>, step: TimeDelta) -> DateTime<Utc> {
    let step = step.num_seconds().max(1);
    let seconds = ts.timestamp().div_euclid(step) * step;
    DateTime::from_timestamp(seconds, 0).unwrap_or(ts)
}
