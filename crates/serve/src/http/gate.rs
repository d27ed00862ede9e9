//! How many queries run and wait at once: the lake's writers share the machine.

use tokio::sync::{Semaphore, SemaphorePermit};

use super::reply::Refusal;

/// Queries that run at once: enough for two cores to stay busy while one waits for the store.
const RUNNING_MAX: usize = 4;
/// Queries that run or wait; at 50 ms each, the last in line still answers within half a second.
const ADMITTED_MAX: usize = RUNNING_MAX + 32;

/// Lets a bounded number of queries in.
#[derive(Debug)]
pub(super) struct Gate {
    admitted: Semaphore,
    running: Semaphore,
}

/// The right to run one query; given back when dropped.
#[derive(Debug)]
pub(super) struct Turn<'a> {
    _running: SemaphorePermit<'a>,
    _admitted: SemaphorePermit<'a>,
}

impl Gate {
    pub(super) const fn new() -> Self {
        Self {
            admitted: Semaphore::const_new(ADMITTED_MAX),
            running: Semaphore::const_new(RUNNING_MAX),
        }
    }

    /// Waits for a turn, unless too many are waiting already.
    pub(super) async fn enter(&self) -> Result<Turn<'_>, Refusal> {
        let busy = || Refusal::busy("too many queries are waiting; try again in a second");
        let admitted = self.admitted.try_acquire().map_err(|_| busy())?;
        let running = self.running.acquire().await.map_err(|_| busy())?;
        Ok(Turn { _running: running, _admitted: admitted })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn whoever_would_wait_too_long_is_told_so() {
        let gate = Gate::new();
        let mut waiting = Vec::new();
        for _ in 0..ADMITTED_MAX {
            let mut turn = Box::pin(gate.enter());
            // The first ones run, the others wait.
            let polled = futures::poll!(turn.as_mut());
            waiting.push((turn, polled));
        }
        assert!(gate.enter().await.is_err());
        waiting.clear();
        assert!(gate.enter().await.is_ok());
    }
}
