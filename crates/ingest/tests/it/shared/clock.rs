//! Virtual time: it stands still while anybody has something to do, then jumps to the next timer.

use std::{
    collections::BTreeMap,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use model::{Clock, clock::Sleep};

/// The time of the whole world.
#[derive(Debug)]
pub(crate) struct World {
    start: DateTime<Utc>,
    timers: Mutex<Timers>,
}

#[derive(Debug, Default)]
struct Timers {
    now: Duration,
    next_id: u64,
    waiting: BTreeMap<(Duration, u64), Waker>,
}

impl World {
    pub(crate) fn new(start: &str) -> Arc<Self> {
        let start = start.parse().expect("a time");
        Arc::new(Self { start, timers: Mutex::default() })
    }

    fn lock(&self) -> MutexGuard<'_, Timers> {
        self.timers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn now(&self) -> Duration {
        self.lock().now
    }

    pub(crate) fn wall(&self) -> DateTime<Utc> {
        self.start + self.now()
    }

    /// Returns when the next sleeper wakes.
    pub(crate) fn next_timer(&self) -> Option<Duration> {
        self.lock().waiting.keys().next().map(|(at, _)| *at)
    }

    /// Moves on to a time and wakes everybody who waited for it.
    pub(crate) fn advance_to(&self, at: Duration) {
        let woken = {
            let mut timers = self.lock();
            timers.now = timers.now.max(at);
            let behind = (timers.now + Duration::from_nanos(1), 0);
            let later = timers.waiting.split_off(&behind);
            std::mem::replace(&mut timers.waiting, later)
        };
        woken.into_values().for_each(Waker::wake);
    }

    pub(crate) async fn sleep(&self, duration: Duration) {
        let (at, id) = {
            let mut timers = self.lock();
            timers.next_id += 1;
            (timers.now + duration, timers.next_id)
        };
        Timer { world: self, at, id }.await;
    }
}

struct Timer<'a> {
    world: &'a World,
    at: Duration,
    id: u64,
}

impl Future for Timer<'_> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut timers = self.world.lock();
        if self.at <= timers.now {
            return Poll::Ready(());
        }
        timers.waiting.insert((self.at, self.id), context.waker().clone());
        Poll::Pending
    }
}

impl Drop for Timer<'_> {
    fn drop(&mut self) {
        self.world.lock().waiting.remove(&(self.at, self.id));
    }
}

/// The clocks of one machine: right about how long something takes while it is not suspended, and
/// about nothing else.
#[derive(Debug)]
pub(crate) struct MachineClock {
    world: Arc<World>,
    /// Time since this machine's own fixed point.
    uptime: Duration,
    /// How wrong its wall clock is.
    skew: TimeDelta,
    /// How long it was suspended: its monotonic clock stood still, its wall clock did not.
    suspended: Mutex<Duration>,
}

impl MachineClock {
    pub(crate) fn new(world: &Arc<World>, uptime: Duration, skew: TimeDelta) -> Arc<Self> {
        let (world, suspended) = (Arc::clone(world), Mutex::default());
        Arc::new(Self { world, uptime, skew, suspended })
    }

    /// Takes a time that the machine was suspended for out of its monotonic time.
    pub(crate) fn suspend(&self, duration: Duration) {
        *self.suspended.lock().unwrap_or_else(PoisonError::into_inner) += duration;
    }
}

impl Clock for MachineClock {
    fn now(&self) -> DateTime<Utc> {
        self.world.wall() + self.skew
    }

    fn monotonic(&self) -> Duration {
        let suspended = *self.suspended.lock().unwrap_or_else(PoisonError::into_inner);
        (self.uptime + self.world.now()).saturating_sub(suspended)
    }

    fn sleep(&self, duration: Duration) -> Sleep<'_> {
        Box::pin(async move {
            let until = self.monotonic() + duration;
            // Again when the machine was suspended meanwhile: its timers stand still as well.
            loop {
                self.world.sleep(until.saturating_sub(self.monotonic())).await;
                if until <= self.monotonic() {
                    return;
                }
            }
        })
    }
}
