//! Decides whether a value in memory may be used, must be read again, or has to go.

use std::time::Duration;

/// After a failed refresh the last value is used this long before the service is asked again, so
/// that an outage does not make every caller wait for the retries.
pub(super) const REFRESH_PAUSE: Duration = Duration::from_secs(30);

/// A value younger than this is not read again when it was refused: whoever refuses a value that
/// was just read refuses the new one too, and a loop of refusals must not become a loop of reads.
pub(super) const INVALIDATE_MIN_AGE: Duration = Duration::from_secs(5);

/// How long values of one scope live in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lifetime {
    /// How long a value is used without asking.
    pub(crate) ttl: Duration,
    /// How much longer it is used while the service cannot be reached.
    pub(crate) stale_max: Duration,
}

/// What is known of a value in memory.
#[derive(Clone, Copy, Debug)]
pub(super) struct Age {
    /// When it was read.
    pub(super) read_at: Duration,
    /// When a refresh failed last.
    pub(super) failed_at: Option<Duration>,
    /// Whether somebody was refused with it.
    pub(super) is_refused: bool,
}

/// What to do with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Freshness {
    /// Use it.
    Fresh,
    /// Read again; use it should the service not be reachable.
    Stale,
    /// Read again; it must not be used any more.
    Gone,
}

impl Lifetime {
    /// Judges a value at the moment `now`.
    pub(super) fn judge(self, age: Age, now: Duration) -> Freshness {
        let since_read = now.saturating_sub(age.read_at);
        let is_pausing =
            age.failed_at.is_some_and(|failed| now.saturating_sub(failed) < REFRESH_PAUSE);
        if age.is_refused || self.ttl.saturating_add(self.stale_max) <= since_read {
            Freshness::Gone
        } else if since_read < self.ttl || is_pausing {
            Freshness::Fresh
        } else {
            Freshness::Stale
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Age, Freshness, Lifetime};

    #[track_caller]
    fn check(read_at: u64, failed_at: Option<u64>, is_refused: bool, now: u64) -> Freshness {
        let lifetime =
            Lifetime { ttl: Duration::from_secs(300), stale_max: Duration::from_secs(1000) };
        let age = Age {
            read_at: Duration::from_secs(read_at),
            failed_at: failed_at.map(Duration::from_secs),
            is_refused,
        };
        lifetime.judge(age, Duration::from_secs(now))
    }

    #[test]
    fn a_value_lives_for_its_ttl_and_a_bounded_while_longer() {
        assert_eq!(check(100, None, false, 399), Freshness::Fresh);
        assert_eq!(check(100, None, false, 400), Freshness::Stale);
        assert_eq!(check(100, Some(400), false, 429), Freshness::Fresh, "pause after a failure");
        assert_eq!(check(100, Some(400), false, 430), Freshness::Stale);
        assert_eq!(check(100, Some(1395), false, 1399), Freshness::Fresh);
        assert_eq!(check(100, Some(1395), false, 1400), Freshness::Gone, "no longer than that");
        assert_eq!(check(100, None, true, 101), Freshness::Gone, "refused");
        assert_eq!(check(100, None, false, 50), Freshness::Fresh, "a clock that went back");
    }
}
