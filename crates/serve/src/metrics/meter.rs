//! Counts the requests and how long they took.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use axum::http::{Method, StatusCode};

/// Upper bounds of the histogram's buckets, milliseconds: from an answer out of memory to the
/// request's timeout.
const BOUNDS_MS: [u64; 12] = [1, 2, 5, 10, 25, 50, 100, 250, 500, 1_000, 5_000, 30_000];

/// Counts requests. The number of counters is bounded: routes, two methods and one for all
/// others, and the statuses this server sends.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    report: Mutex<Report>,
}

/// What was counted so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Report {
    pub(super) counts: BTreeMap<Key, u64>,
    pub(super) durations: BTreeMap<String, Histogram>,
}

/// What requests are told apart by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) route: String,
    pub(super) method: &'static str,
    pub(super) status: u16,
}

/// How long requests of one route took.
#[derive(Clone, Debug, Default)]
pub(super) struct Histogram {
    /// Requests at most as long as the bound of the same index, and longer than the one before.
    buckets: [u64; BOUNDS_MS.len()],
    pub(super) count: u64,
    pub(super) sum: Duration,
}

impl Meter {
    /// Counts one answer. `route` is the route's pattern, never the path that was asked for.
    pub(crate) fn record(&self, route: &str, method: &Method, status: StatusCode, took: Duration) {
        let method = match *method {
            Method::GET => "GET",
            Method::HEAD => "HEAD",
            _ => "other",
        };
        let key = Key { route: route.to_owned(), method, status: status.as_u16() };
        let mut report = self.report.lock().unwrap_or_else(PoisonError::into_inner);
        *report.counts.entry(key).or_default() += 1;
        report.durations.entry(route.to_owned()).or_default().add(took);
    }

    pub(crate) fn report(&self) -> Report {
        self.report.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Histogram {
    pub(super) fn add(&mut self, took: Duration) {
        let bucket = BOUNDS_MS.iter().position(|bound| took <= Duration::from_millis(*bound));
        if let Some(count) = bucket.and_then(|bucket| self.buckets.get_mut(bucket)) {
            *count += 1;
        }
        self.count += 1;
        self.sum += took;
    }

    /// Returns each bound with the number of requests up to it; `None` is the bound of all.
    pub(super) fn cumulative(&self) -> impl Iterator<Item = (Option<Duration>, u64)> {
        let mut seen = 0;
        let bounded = BOUNDS_MS.iter().zip(self.buckets).map(move |(bound, count)| {
            seen += count;
            (Some(Duration::from_millis(*bound)), seen)
        });
        bounded.chain([(None, self.count)])
    }
}
