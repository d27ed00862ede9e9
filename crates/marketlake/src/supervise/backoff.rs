//! How long to wait after a failure: a pure function.

use std::time::Duration;

use model::ErrorKind;

/// First and longest wait after a failure of the world. The number of attempts has no bound: a
/// vendor that is down all weekend must not end the pipeline; the wait between them does.
const TRANSIENT: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(30));

/// First and longest wait after a lost race: the winner needs a few milliseconds.
const CONFLICT: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(2));

/// A longer demand of the other side is a mistake or an attack.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(3600);

/// Returns the wait after the `failures`th failure in a row, or `None` when the kind is not to be
/// retried. `random` picks the moment within the second half of the wait, so that instances that
/// failed together do not come back together.
pub(super) fn delay(
    kind: ErrorKind,
    failures: u32,
    retry_after: Option<Duration>,
    random: u32,
) -> Option<Duration> {
    let (first, longest) = match kind {
        ErrorKind::Transient => TRANSIENT,
        ErrorKind::Conflict => CONFLICT,
        ErrorKind::Config | ErrorKind::Data | ErrorKind::Internal => return None,
    };
    // 2^16 times the first wait is beyond the longest of both.
    let doublings = failures.saturating_sub(1).min(16);
    let full = first.saturating_mul(1 << doublings).min(longest);
    let half = full / 2;
    let jittered = half + half.mul_f64(f64::from(random) / f64::from(u32::MAX));
    Some(jittered.max(retry_after.unwrap_or_default().min(RETRY_AFTER_MAX)))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use model::ErrorKind;

    use super::delay;

    #[test]
    fn waits_double_up_to_a_limit_and_honor_the_other_side() {
        let wait = |failures, random| delay(ErrorKind::Transient, failures, None, random);
        assert_eq!(wait(1, u32::MAX), Some(Duration::from_millis(200)));
        assert_eq!(wait(1, 0), Some(Duration::from_millis(100)));
        assert_eq!(wait(4, u32::MAX), Some(Duration::from_millis(1600)));
        assert_eq!(wait(u32::MAX, u32::MAX), Some(Duration::from_secs(30)));
        let asked = Some(Duration::from_secs(90));
        assert_eq!(delay(ErrorKind::Transient, 1, asked, 0), asked);
        let absurd = delay(ErrorKind::Transient, 1, Some(Duration::MAX), 0);
        assert_eq!(absurd, Some(Duration::from_secs(3600)));
        assert!(delay(ErrorKind::Conflict, 99, None, u32::MAX) <= Some(Duration::from_secs(2)));
        for kind in [ErrorKind::Config, ErrorKind::Data, ErrorKind::Internal] {
            assert_eq!(delay(kind, 1, asked, 0), None, "{kind}");
        }
    }
}
