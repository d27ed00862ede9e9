//! Chunks that failed: each has to wait for its next turn while the others go on.

use std::{
    collections::{BTreeMap, BTreeSet},
    error::Error as _,
    time::Duration,
};

use crate::{Error, marketstack::FetchFailure};

/// The first pause of a chunk that failed after all its retries; doubled up to the longest.
const PARK_FIRST: Duration = Duration::from_secs(5);
const PARK_MAX: Duration = Duration::from_secs(3600);

/// A chunk stays here until a fetch of it succeeds, or nothing of it is due any more.
#[derive(Debug, Default)]
pub(super) struct ParkedChunks {
    chunks: BTreeMap<u32, Parked>,
    failures_total: u64,
}

#[derive(Debug, Default)]
struct Parked {
    until: Duration,
    failures: u32,
    /// The number of the newest failure among those of all chunks.
    number: u64,
    problem: String,
}

impl ParkedChunks {
    /// Leaves a chunk alone for a while that grows with its failures; `now` is monotonic.
    pub(super) fn park(&mut self, chunk: u32, error: &Error, now: Duration) {
        self.failures_total += 1;
        let parked = self.chunks.entry(chunk).or_default();
        let pause = match error {
            // Only another setting or another plan mends it: often enough to notice the latter.
            Error::Fetch { source: FetchFailure::NotInPlan { .. }, .. } => PARK_MAX,
            _ => PARK_FIRST.saturating_mul(1 << parked.failures.min(16)).min(PARK_MAX),
        };
        let pause = pause.max(error.retry_after().unwrap_or_default());
        parked.until = now.saturating_add(pause);
        parked.failures = parked.failures.saturating_add(1);
        parked.number = self.failures_total;
        parked.problem = text(error);
    }

    /// Lets a chunk go: it was fetched.
    pub(super) fn release(&mut self, chunk: u32) {
        self.chunks.remove(&chunk);
    }

    /// Lets the chunks go whose pause is over, when nothing of them is due.
    pub(super) fn release_rested(&mut self, now: Duration) {
        self.chunks.retain(|_, parked| now < parked.until);
    }

    /// Returns the chunks that have to wait.
    pub(super) fn waiting(&self, now: Duration) -> BTreeSet<u32> {
        self.chunks.iter().filter(|(_, parked)| now < parked.until).map(|(id, _)| *id).collect()
    }

    /// Returns the time to the next turn of a chunk that has to wait.
    pub(super) fn next_retry(&self, now: Duration) -> Option<Duration> {
        let waits = self.chunks.values().filter_map(|parked| parked.until.checked_sub(now));
        waits.filter(|wait| !wait.is_zero()).min()
    }

    /// Returns the latest failure; `None` when no chunk is parked.
    pub(super) fn problem(&self) -> Option<String> {
        let latest = self.chunks.values().max_by_key(|parked| parked.number);
        latest.map(|parked| parked.problem.clone())
    }
}

/// Returns the message with all its causes.
fn text(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}
