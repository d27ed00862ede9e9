//! Requests per second: a bucket of tokens on the injected clock.

use std::{num::NonZeroU32, sync::Arc, time::Duration};

use model::Clock;

/// Lets at most `requests_per_second` requests begin in any second.
///
/// The bucket holds one token: requests are spread evenly. A full bucket on top of a second's
/// rate would pass the vendor's count of a second, which begins when it likes.
#[derive(Debug)]
pub struct Limiter {
    clock: Arc<dyn Clock>,
    /// The spacing of one poller alone.
    whole: Duration,
    spacing: Duration,
    next_at: Duration,
}

impl Limiter {
    /// Creates a limiter that lets the first request through at once.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, requests_per_second: NonZeroU32) -> Self {
        let next_at = clock.monotonic();
        let whole = Duration::from_secs(1) / requests_per_second.get();
        Self { clock, whole, spacing: whole, next_at }
    }

    /// Shares the rate with others: each of `pollers` takes its part of every second, however small.
    pub fn share_among(&mut self, pollers: NonZeroU32) {
        self.spacing = self.whole.saturating_mul(pollers.get());
    }

    /// Waits until a request may begin. Dropping the future gives the turn back.
    pub async fn acquire(&mut self) {
        let now = self.clock.monotonic();
        if let Some(wait) = self.next_at.checked_sub(now).filter(|wait| !wait.is_zero()) {
            self.clock.sleep(wait).await;
        }
        self.next_at = self.clock.monotonic().saturating_add(self.spacing);
    }
}

#[cfg(test)]
mod tests {
    use model::ManualClock;

    use super::*;

    #[tokio::test]
    async fn no_second_sees_more_requests_than_allowed() {
        let clock = Arc::new(ManualClock::new(chrono::DateTime::UNIX_EPOCH));
        let shared: Arc<dyn Clock> = Arc::<ManualClock>::clone(&clock);
        let mut limiter = Limiter::new(shared, NonZeroU32::new(5).unwrap());
        let mut begun = Vec::new();
        for step in 0..50_u64 {
            limiter.acquire().await;
            begun.push(clock.monotonic());
            // Work of its own between the requests must not add up to a burst.
            clock.advance(Duration::from_millis(step * 13 % 400));
        }
        assert_eq!(begun[0], Duration::ZERO, "the first one does not wait");
        for five_later in begun.windows(6) {
            assert!(Duration::from_secs(1) <= five_later[5] - five_later[0], "{five_later:?}");
        }
    }
}
