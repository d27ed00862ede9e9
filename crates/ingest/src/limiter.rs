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
    requests_per_second: NonZeroU32,
    spacing: Duration,
    next_at: Duration,
}

impl Limiter {
    /// Creates a limiter that lets the first request through at once.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, requests_per_second: NonZeroU32) -> Self {
        let next_at = clock.monotonic();
        let spacing = spacing(requests_per_second, NonZeroU32::MIN);
        Self { clock, requests_per_second, spacing, next_at }
    }

    /// Shares the rate with others: each of `pollers` takes its part of it, however small.
    pub fn share_among(&mut self, pollers: NonZeroU32) {
        self.spacing = spacing(self.requests_per_second, pollers);
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

/// Returns the time between two requests of one of `pollers`.
///
/// Whole requests of a second each, so that no second sees too many, whatever the pollers' beats
/// are to each other. With more pollers than requests that cannot be promised, only the rate.
fn spacing(requests_per_second: NonZeroU32, pollers: NonZeroU32) -> Duration {
    let second = Duration::from_secs(1);
    match requests_per_second.get() / pollers.get() {
        0 => second * pollers.get() / requests_per_second.get(),
        each => second / each,
    }
}

#[cfg(test)]
mod tests {
    use model::ManualClock;

    use super::*;

    #[test]
    fn pollers_share_whole_requests_of_a_second_or_the_rate() {
        let spacing = |rps: u32, pollers: u32| {
            spacing(NonZeroU32::new(rps).unwrap(), NonZeroU32::new(pollers).unwrap()).as_millis()
        };
        assert_eq!([1, 2, 3, 5].map(|pollers| spacing(5, pollers)), [200, 500, 1000, 1000]);
        assert_eq!([6, 10, 50].map(|pollers| spacing(5, pollers)), [1200, 2000, 10_000]);
    }

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
