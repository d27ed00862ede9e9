//! One task reads the changes for all connections; it reads only while somebody listens.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use model::Clock;
use tokio::sync::{Notify, Semaphore, broadcast};
use tokio_util::sync::CancellationToken;

use super::feed::{BarEvent, BarFeed, TABLE, read_events};
use crate::Error;

/// How often the table's version is looked at: a tenth of the promised second of freshness.
const POLL_EVERY: Duration = Duration::from_millis(100);
/// Pause after a failed look; the failure is logged once until a look succeeds.
const POLL_AFTER_FAILURE: Duration = Duration::from_secs(1);
/// Steps a slow connection may be behind before it has to read the table itself: 25 s of looks.
const STEPS_MAX: usize = 256;
/// Most bars sent one by one from one look, about 12 MB. More is a backfill, and whoever shows
/// bars had better load them again.
pub(super) const BURST_BARS_MAX: usize = 50_000;

/// Clients that read missed versions at the same time; each may hold a burst in memory.
const CATCH_UPS_MAX: usize = 2;

/// What one look at the table found. Covers the versions in `(after, upto]`.
#[derive(Debug)]
pub(super) enum Step {
    /// These bars changed.
    Bars { after: u64, upto: u64, events: Vec<Arc<BarEvent>> },
    /// More bars changed than are sent one by one.
    Burst { upto: u64 },
    /// The table is another one now: it is at a lower version than before.
    Replaced { at: u64 },
}

/// Hands every change to every connection.
#[derive(Debug)]
pub(super) struct Hub {
    pub(super) feed: Arc<dyn BarFeed>,
    pub(super) catch_ups: Semaphore,
    clock: Arc<dyn Clock>,
    stop: CancellationToken,
    sender: broadcast::Sender<Arc<Step>>,
    is_started: AtomicBool,
    wake: Notify,
}

impl Hub {
    pub(super) fn new(
        feed: Arc<dyn BarFeed>,
        clock: Arc<dyn Clock>,
        stop: CancellationToken,
    ) -> Arc<Self> {
        let (sender, _) = broadcast::channel(STEPS_MAX);
        let (is_started, wake) = (AtomicBool::new(false), Notify::new());
        let catch_ups = Semaphore::new(CATCH_UPS_MAX);
        Arc::new(Self { feed, catch_ups, clock, stop, sender, is_started, wake })
    }

    /// Returns the steps from now on. The first of them says where the hub stands, so a listener
    /// that read the version before can tell what it missed.
    pub(super) fn subscribe(self: &Arc<Self>) -> broadcast::Receiver<Arc<Step>> {
        let receiver = self.sender.subscribe();
        if !self.is_started.swap(true, Ordering::AcqRel) {
            tokio::spawn(Arc::clone(self).run());
        }
        self.wake.notify_one();
        receiver
    }

    async fn run(self: Arc<Self>) {
        let stop = self.stop.clone();
        tokio::select! {
            () = stop.cancelled() => (),
            () = self.poll() => (),
        }
    }

    async fn poll(&self) {
        let mut position = None;
        let mut is_failing = false;
        loop {
            if self.sender.receiver_count() == 0 {
                // Nobody listens. Whoever comes next is told anew where the hub stands.
                position = None;
                self.wake.notified().await;
                continue;
            }
            let pause = match self.look(&mut position).await {
                Ok(step) => {
                    is_failing = false;
                    if let Some(step) = step {
                        // Sending fails only when the last listener has just left.
                        drop(self.sender.send(Arc::new(step)));
                    }
                    POLL_EVERY
                }
                Err(error) => {
                    if !is_failing {
                        let error = &error as &dyn std::error::Error;
                        tracing::warn!(error, "following the changes of bars");
                    }
                    is_failing = true;
                    POLL_AFTER_FAILURE
                }
            };
            self.clock.sleep(pause).await;
            // A clock of a test may not really wait; other tasks still get their turn.
            tokio::task::yield_now().await;
        }
    }

    /// Looks once. The position moves only after the rows were read, so a failure repeats them.
    async fn look(&self, position: &mut Option<u64>) -> Result<Option<Step>, Error> {
        let version =
            self.feed.version().await.map_err(Error::lake(format!("version of {TABLE}")))?;
        let Some(after) = *position else {
            *position = Some(version);
            return Ok(Some(Step::Bars { after: version, upto: version, events: Vec::new() }));
        };
        if version == after {
            return Ok(None);
        }
        if version < after {
            *position = Some(version);
            return Ok(Some(Step::Replaced { at: version }));
        }
        let changes =
            self.feed.changes(after).await.map_err(Error::lake(format!("changes of {TABLE}")))?;
        // Versions without rows, such as compactions, are in no change; versions newer than the
        // one asked for may be.
        let upto = changes.iter().map(|change| change.version).fold(version, u64::max);
        let bars = changes.iter().flat_map(|change| &change.rows).map(|rows| rows.num_rows()).sum();
        let step = if BURST_BARS_MAX < bars {
            Step::Burst { upto }
        } else {
            let mut events = Vec::with_capacity(bars);
            for change in &changes {
                events.extend(read_events(change)?.into_iter().map(Arc::new));
            }
            Step::Bars { after, upto, events }
        };
        *position = Some(upto);
        Ok(Some(step))
    }
}
