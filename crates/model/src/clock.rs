//! Time as an argument: the clock every component is given instead of reading one.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use chrono::{DateTime, Utc};

/// A future that ends when a [`Clock`] has let the asked time pass.
pub type Sleep<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// Where a component gets the time from.
///
/// Wall time decides windows, retention and provenance only; nothing is ever ordered by it.
pub trait Clock: fmt::Debug + Send + Sync {
    /// Returns the wall time, UTC.
    fn now(&self) -> DateTime<Utc>;

    /// Returns time since an arbitrary fixed point; never goes back, even when wall time does.
    fn monotonic(&self) -> Duration;

    /// Waits for `duration`. Dropping the future cancels the wait and loses nothing.
    fn sleep(&self, duration: Duration) -> Sleep<'_>;
}

/// A clock that moves only when told to, for tests. A sleep moves it and ends at once.
#[derive(Debug)]
pub struct ManualClock {
    start: DateTime<Utc>,
    now: Mutex<DateTime<Utc>>,
}

impl ManualClock {
    /// Creates a clock that stands at `start`.
    #[must_use]
    pub const fn new(start: DateTime<Utc>) -> Self {
        Self { start, now: Mutex::new(start) }
    }

    /// Moves the clock forward.
    pub fn advance(&self, duration: Duration) {
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        *now += duration;
    }
}

impl Clock for ManualClock {
    fn now(&self) -> DateTime<Utc> {
        *self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn monotonic(&self) -> Duration {
        (self.now() - self.start).to_std().unwrap_or_default()
    }

    fn sleep(&self, duration: Duration) -> Sleep<'_> {
        self.advance(duration);
        Box::pin(std::future::ready(()))
    }
}

/// Market time that runs at `speed` from `start`, beginning at the wall time `epoch`.
///
/// A pure function of the wall clock, so every process that is given the same three values sees
/// the same market time, before and after a restart. `speed` 1 with `start == epoch` is real time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MarketTime {
    /// Wall time at which market time was `start`.
    pub epoch: DateTime<Utc>,
    /// Market time at `epoch`.
    pub start: DateTime<Utc>,
    /// Market seconds that pass in one wall second.
    pub speed: u32,
}

impl MarketTime {
    /// Returns the market time at the wall time `now`; before the epoch it stands at `start`.
    #[must_use]
    pub fn at(&self, now: DateTime<Utc>) -> DateTime<Utc> {
        let passed = (now - self.epoch).max(chrono::TimeDelta::zero());
        let speed = i32::try_from(self.speed).unwrap_or(i32::MAX);
        passed
            .checked_mul(speed)
            .and_then(|scaled| self.start.checked_add_signed(scaled))
            .unwrap_or(self.start)
    }
}
