//! The machine's clock: the only reader of wall time, and the only sleeper.

use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use model::{Clock, clock::Sleep};

/// The wall clock and the monotonic clock of this machine.
#[derive(Debug)]
pub(crate) struct SystemClock {
    started: Instant,
}

impl SystemClock {
    /// Creates the clock; its monotonic time starts at zero now.
    #[expect(clippy::disallowed_methods, reason = "this is the clock everybody else is given")]
    pub(crate) fn new() -> Self {
        Self { started: Instant::now() }
    }
}

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the clock everybody else is given")]
    fn now(&self) -> DateTime<Utc> {
        std::time::SystemTime::now().into()
    }

    fn monotonic(&self) -> Duration {
        self.started.elapsed()
    }

    #[expect(clippy::disallowed_methods, reason = "this is the clock everybody else is given")]
    fn sleep(&self, duration: Duration) -> Sleep<'_> {
        Box::pin(tokio::time::sleep(duration))
    }
}
