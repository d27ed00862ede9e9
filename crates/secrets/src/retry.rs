//! How often a service is asked again: bounded in number and time, in one place for all services.

use std::{future::Future, time::Duration};

use crate::{Clock, ErrorClass, RemoteError};

/// How a question is repeated.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Retries {
    /// Most attempts, the first included.
    pub(crate) attempts_max: u32,
    /// No attempt begins later than this after the first one.
    pub(crate) total: Duration,
    /// Wait before the second attempt; each further wait is twice as long.
    pub(crate) pause_first: Duration,
    /// Longest wait that is not the service's own wish.
    pub(crate) pause_max: Duration,
}

impl Default for Retries {
    fn default() -> Self {
        Self {
            attempts_max: 4,
            // A poller or a start that waits longer than this for a credential looks hung. After
            // it, the last value is used or the caller's own back-off takes over.
            total: Duration::from_secs(30),
            pause_first: Duration::from_millis(200),
            pause_max: Duration::from_secs(5),
        }
    }
}

impl Retries {
    /// Returns how long to wait before the next attempt, or `None` to give up.
    ///
    /// A wish of the service is granted in full or not at all: coming back early would only be
    /// counted against us.
    pub(crate) fn pause(
        &self,
        attempts: u32,
        elapsed: Duration,
        wish: Option<Duration>,
        jitter: f64,
    ) -> Option<Duration> {
        if self.attempts_max <= attempts {
            return None;
        }
        let doubled = self
            .pause_first
            .saturating_mul(1_u32.checked_shl(attempts.saturating_sub(1)).unwrap_or(u32::MAX))
            .min(self.pause_max);
        // Half of the pause is fixed, half is chance.
        let own = doubled.mul_f64(0.5 + 0.5 * jitter.clamp(0.0, 1.0));
        let pause = wish.map_or(own, |wish| wish.max(own));
        (elapsed.saturating_add(pause) <= self.total).then_some(pause)
    }
}

/// Asks until there is an answer, or an error that another attempt would not mend.
///
/// # Errors
/// The last attempt's.
pub(crate) async fn retry<T, F, Fut>(
    clock: &dyn Clock,
    retries: &Retries,
    ask: F,
) -> Result<T, RemoteError>
where
    F: Fn() -> Fut + Send,
    Fut: Future<Output = Result<T, RemoteError>> + Send,
{
    let start = clock.elapsed();
    let mut attempts = 0;
    loop {
        attempts += 1;
        let error = match ask().await {
            Ok(answer) => return Ok(answer),
            Err(error) => error,
        };
        let elapsed = clock.elapsed().saturating_sub(start);
        let pause = match error.class() {
            ErrorClass::Transient => {
                retries.pause(attempts, elapsed, error.retry_after(), clock.jitter())
            }
            ErrorClass::Config | ErrorClass::Permission => None,
        };
        let Some(pause) = pause else { return Err(error) };
        clock.sleep(pause).await;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::{prop_assert, proptest};

    use super::Retries;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn the_wish_of_the_service_is_granted_in_full_or_not_at_all() {
        let retries = Retries::default();
        assert_eq!(retries.pause(1, Duration::ZERO, Some(7 * SECOND), 0.0), Some(7 * SECOND));
        assert_eq!(retries.pause(1, Duration::ZERO, Some(31 * SECOND), 0.0), None);
        assert_eq!(retries.pause(1, 25 * SECOND, Some(7 * SECOND), 0.0), None);
        let own = retries.pause(1, Duration::ZERO, Some(Duration::ZERO), 1.0);
        assert_eq!(own, Some(retries.pause_first), "a wish of nothing is no hurry");
    }

    proptest! {
        #[test]
        fn attempts_and_time_are_bounded(
            attempts in 1..40_u32, elapsed in 0..100_u64, wish in 0..100_u64, jitter in 0.0..1.0_f64
        ) {
            let retries = Retries::default();
            let elapsed = Duration::from_secs(elapsed);
            let wish = (0 < wish).then(|| Duration::from_secs(wish));
            match retries.pause(attempts, elapsed, wish, jitter) {
                Some(pause) => {
                    prop_assert!(attempts < retries.attempts_max);
                    prop_assert!(elapsed + pause <= retries.total);
                    prop_assert!(retries.pause_first / 2 <= pause);
                    prop_assert!(wish.is_none_or(|wish| wish <= pause));
                    prop_assert!(wish.is_some() || pause <= retries.pause_max);
                }
                None => prop_assert!(
                    retries.attempts_max <= attempts
                        || retries.total < elapsed + retries.pause_max.max(wish.unwrap_or_default())
                ),
            }
        }
    }
}
