//! Time and chance as arguments: how long ago a value was read, how long to wait before a retry.

use std::{
    fmt::Debug,
    hash::{BuildHasher, Hasher, RandomState},
    time::{Duration, Instant},
};

use async_trait::async_trait;

/// What the cache and the retries know of time.
#[async_trait]
pub(crate) trait Clock: Debug + Send + Sync {
    /// Returns the time since some fixed moment; never goes back.
    fn elapsed(&self) -> Duration;

    /// Waits. Dropping the future ends the wait.
    async fn sleep(&self, duration: Duration);

    /// Returns a number from 0 to below 1, another one at every call, so that many processes that
    /// failed together do not come back together.
    fn jitter(&self) -> f64;
}

/// The clock of this machine.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SystemClock {
    start: Instant,
}

impl Default for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the clock everybody else is given")]
    fn default() -> Self {
        Self { start: Instant::now() }
    }
}

#[async_trait]
impl Clock for SystemClock {
    fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    #[expect(clippy::disallowed_methods, reason = "this is the clock everybody else is given")]
    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }

    fn jitter(&self) -> f64 {
        // Every `RandomState` has other keys; good enough for a delay, and no further package.
        let bits = u32::try_from(RandomState::new().build_hasher().finish() >> 32).unwrap_or(0);
        f64::from(bits) / (f64::from(u32::MAX) + 1.0)
    }
}

/// A clock that tests wind by hand; a wait winds it on and ends at once.
#[cfg(test)]
#[derive(Debug, Default)]
pub(crate) struct ManualClock {
    elapsed: std::sync::Mutex<Duration>,
}

#[cfg(test)]
impl ManualClock {
    /// Lets time pass.
    pub(crate) fn advance(&self, duration: Duration) {
        let mut elapsed = self.elapsed.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        *elapsed += duration;
    }
}

#[cfg(test)]
#[async_trait]
impl Clock for ManualClock {
    fn elapsed(&self) -> Duration {
        *self.elapsed.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    async fn sleep(&self, duration: Duration) {
        self.advance(duration);
        tokio::task::yield_now().await;
    }

    fn jitter(&self) -> f64 {
        0.5
    }
}
