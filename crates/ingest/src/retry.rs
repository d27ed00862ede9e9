//! When to ask again: exponential waits with full jitter, bounded in count and in time.

use std::time::Duration;

/// The bounds of one operation's retries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// The longest first wait; each further one may be twice as long.
    pub first_max: Duration,
    /// The longest of all waits, unless the other side asks for more.
    pub wait_max: Duration,
    /// Most attempts, the first one included.
    pub attempts_max: u32,
    /// Longest time from the first attempt to the begin of the last.
    pub total_max: Duration,
}

impl Backoff {
    /// For requests to the vendor: five attempts pass over a hiccup; after two minutes the rest of
    /// the market is more urgent than this page.
    pub const VENDOR: Self = Self {
        first_max: Duration::from_millis(500),
        wait_max: Duration::from_secs(20),
        attempts_max: 5,
        total_max: Duration::from_secs(120),
    };

    /// Returns how long to wait before the next attempt, or `None` to give up.
    ///
    /// `attempts` were made, the first one `elapsed` ago. `jitter` in `[0, 1)` spreads the waits
    /// of many callers over the whole range. `retry_after` is a promise to the other side: the
    /// wait is never shorter, and rather than break it the operation is given up.
    #[must_use]
    pub fn wait(
        &self,
        attempts: u32,
        elapsed: Duration,
        retry_after: Option<Duration>,
        jitter: f64,
    ) -> Option<Duration> {
        if self.attempts_max <= attempts {
            return None;
        }
        let doublings = attempts.saturating_sub(1).min(31);
        let longest = self.first_max.saturating_mul(1 << doublings).min(self.wait_max);
        let jittered = longest.mul_f64(jitter.clamp(0.0, 1.0));
        let wait = jittered.saturating_add(retry_after.unwrap_or_default());
        (elapsed.saturating_add(wait) <= self.total_max).then_some(wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BACKOFF: Backoff = Backoff {
        first_max: Duration::from_secs(1),
        wait_max: Duration::from_secs(5),
        attempts_max: 6,
        total_max: Duration::from_secs(60),
    };

    #[track_caller]
    fn check(attempts: u32, elapsed: u64, retry_after: Option<u64>, expected: Option<f64>) {
        let wait = BACKOFF.wait(
            attempts,
            Duration::from_secs(elapsed),
            retry_after.map(Duration::from_secs),
            0.5,
        );
        assert_eq!(wait, expected.map(Duration::from_secs_f64), "attempt {attempts}");
    }

    #[test]
    fn waits_double_up_to_the_longest() {
        check(1, 0, None, Some(0.5));
        check(2, 0, None, Some(1.0));
        check(3, 0, None, Some(2.0));
        check(4, 0, None, Some(2.5));
        check(5, 0, None, Some(2.5));
    }

    #[test]
    fn gives_up_after_the_last_attempt_or_the_last_moment() {
        check(6, 0, None, None);
        check(u32::MAX, 0, None, None);
        check(1, 60, None, None);
    }

    #[test]
    fn keeps_the_wait_it_was_asked_for_or_gives_up() {
        check(1, 0, Some(10), Some(10.5));
        check(1, 0, Some(3600), None);
    }

    #[test]
    fn jitter_covers_the_whole_range() {
        let wait = |jitter| BACKOFF.wait(2, Duration::ZERO, None, jitter);
        assert_eq!(wait(0.0), Some(Duration::ZERO));
        assert_eq!(wait(1.0), Some(Duration::from_secs(2)));
        assert_eq!(wait(-3.0), Some(Duration::ZERO));
    }
}
