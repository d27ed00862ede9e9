//! What a call of the poller did, and what it waits for.

use std::time::Duration;

use chrono::{DateTime, Utc};

/// What one call of [`Poller::run_once`](super::Poller::run_once) did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Rows that went to the topic.
    pub rows: u64,
    /// Whether anything was fetched.
    pub has_moved: bool,
    /// When to call again, wall time from now. Calling earlier is harmless.
    pub next_due: Duration,
    /// What it waits for; `None` after a fetch.
    pub waits_for: Option<WaitsFor>,
    /// Windows that are due and not fetched.
    pub windows_behind: u64,
    /// Whether a chunk failed and has not been fetched since, whatever else is waited for.
    pub is_retrying: bool,
    /// The latest failure of such a chunk, with its causes.
    pub problem: Option<String>,
}

/// What a poller without work waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitsFor {
    /// The next interval to close, session to open, or list to be published.
    Market,
    /// A new month of quota, or the end of the vendor's refusal.
    Quota {
        /// When requests are made again.
        ts_reset: DateTime<Utc>,
    },
    /// The active poller of this folder to stop.
    ActivePoller,
    /// A chunk that failed to have its next turn.
    Retry,
}

impl Progress {
    /// Nothing was done.
    pub(super) const fn idle(waits_for: WaitsFor, next_due: Duration, windows_behind: u64) -> Self {
        Self {
            rows: 0,
            has_moved: false,
            next_due,
            waits_for: Some(waits_for),
            windows_behind,
            is_retrying: false,
            problem: None,
        }
    }

    /// A plan was carried out.
    pub(super) const fn moved(rows: u64, windows_behind: u64) -> Self {
        Self {
            rows,
            has_moved: true,
            next_due: Duration::ZERO,
            waits_for: None,
            windows_behind,
            is_retrying: false,
            problem: None,
        }
    }
}
