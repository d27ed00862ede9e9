//! Machines that poll, run one at a time in an order the dice decide; any may die at any await.

use std::{
    collections::BTreeSet,
    future::Future,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};

use chrono::TimeDelta;
use ingest::{
    poller::{
        PollConfig, Progress,
        losses::{Loss, Losses},
    },
    shared::{SharedConfig, SharedParts, SharedPolling},
};
use model::{Clock, clock::MarketTime};
use tokio::sync::Notify;

use super::{
    clock::{MachineClock, World},
    market::{SlowTopic, Vendor},
    store::{WatchedStore, Way},
};
use crate::landing::faulty::Dice;

/// What the machines have in common.
#[derive(Clone, Debug)]
pub(crate) struct Common {
    pub(crate) world: Arc<World>,
    pub(crate) store: Arc<WatchedStore>,
    pub(crate) vendor: Arc<Vendor>,
    pub(crate) topic: Arc<SlowTopic>,
    pub(crate) config: PollConfig,
    /// How they share; the holder is each one's own.
    pub(crate) shared: SharedConfig,
    pub(crate) told: Arc<Told>,
}

/// The losses that machines are told of.
#[derive(Debug, Default)]
pub(crate) struct Told(Mutex<Vec<Loss>>);

impl Told {
    pub(crate) fn tell(&self, loss: Loss) {
        lock(&self.0).push(loss);
    }
}

#[async_trait::async_trait]
impl Losses for Told {
    async fn losses(&self) -> Result<Vec<Loss>, ingest::Error> {
        Ok(lock(&self.0).clone())
    }
}

/// What a machine last said of itself.
#[derive(Clone, Debug, Default)]
pub(crate) struct Said {
    pub(crate) shards: BTreeSet<u32>,
    pub(crate) progress: Option<Progress>,
    pub(crate) problems: Vec<String>,
}

#[derive(Debug, Default)]
struct Ready(AtomicBool);

impl Wake for Ready {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

struct Task {
    future: Pin<Box<dyn Future<Output = ()> + Send>>,
    ready: Arc<Ready>,
}

/// A machine: one process at a time, under another name each time.
pub(crate) struct Machine {
    name: String,
    starts: u32,
    common: Common,
    clock: Arc<MachineClock>,
    task: Option<Task>,
    said: Arc<Mutex<Said>>,
    stop: Arc<Notify>,
    /// Since when it runs without a break.
    pub(crate) up_since: Duration,
    /// Nothing of it runs before this time.
    pub(crate) asleep_until: Option<Duration>,
    /// When it is started again.
    pub(crate) starts_at: Option<Duration>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Machine {
    pub(crate) fn new(common: &Common, number: usize, dice: &mut Dice) -> Self {
        let uptime = Duration::from_secs(dice.roll(100_000));
        let skew = TimeDelta::milliseconds(60_000 - dice.roll(120_000).cast_signed());
        Self {
            name: format!("machine-{number}"),
            starts: 0,
            common: common.clone(),
            clock: MachineClock::new(&common.world, uptime, skew),
            task: None,
            said: Arc::default(),
            stop: Arc::default(),
            up_since: Duration::ZERO,
            asleep_until: None,
            starts_at: None,
        }
    }

    pub(crate) fn said(&self) -> Said {
        lock(&self.said).clone()
    }

    /// Whether a process runs and is not asleep.
    pub(crate) fn is_up(&self) -> bool {
        self.task.is_some() && self.asleep_until.is_none()
    }

    pub(crate) fn has_process(&self) -> bool {
        self.task.is_some()
    }

    pub(crate) fn start(&mut self) {
        self.starts += 1;
        let now = self.clock.now();
        let polling = SharedPolling::new(SharedParts {
            shared: SharedConfig {
                holder: format!("{}.{}", self.name, self.starts),
                ..self.common.shared.clone()
            },
            config: self.common.config.clone(),
            store: Arc::new(Way(Arc::clone(&self.common.store))),
            source: Arc::<Vendor>::clone(&self.common.vendor),
            topic: Arc::<SlowTopic>::clone(&self.common.topic),
            clock: Arc::<MachineClock>::clone(&self.clock),
            market_time: MarketTime { epoch: now, start: now, speed: 1 },
            seed: u64::from(self.starts),
        })
        .expect("sound settings")
        .with_losses(Arc::<Told>::clone(&self.common.told));
        let clock = Arc::clone(&self.clock);
        self.said = Arc::default();
        self.stop = Arc::default();
        let (said, stop) = (Arc::clone(&self.said), Arc::clone(&self.stop));
        let ready = Arc::new(Ready(AtomicBool::new(true)));
        self.task = Some(Task { future: Box::pin(live(polling, clock, said, stop)), ready });
        self.up_since = self.common.world.now();
        self.asleep_until = None;
        self.starts_at = None;
    }

    /// Ends the process wherever it is.
    pub(crate) fn crash(&mut self) {
        self.task = None;
        *lock(&self.said) = Said::default();
    }

    /// Lets nothing of the process run for a while.
    pub(crate) fn sleep(&mut self, duration: Duration) {
        self.asleep_until = Some(self.common.world.now() + duration);
    }

    /// Suspends the whole machine for a while: its monotonic clock stands still as well.
    pub(crate) fn suspend(&mut self, duration: Duration) {
        self.sleep(duration);
        self.clock.suspend(duration);
    }

    /// Asks the process to stop in order.
    pub(crate) fn stop(&self) {
        self.stop.notify_one();
    }

    fn is_ready(&self) -> bool {
        let ready = self.task.as_ref().is_some_and(|task| task.ready.0.load(Ordering::Relaxed));
        ready && self.asleep_until.is_none()
    }

    /// Runs the process to its next await that has to wait.
    fn poll(&mut self) {
        let Some(task) = &mut self.task else { return };
        task.ready.0.store(false, Ordering::Relaxed);
        let waker = Waker::from(Arc::clone(&task.ready));
        if task.future.as_mut().poll(&mut Context::from_waker(&waker)) == Poll::Ready(()) {
            self.crash();
            // A stop is for an upgrade.
            self.starts_at = Some(self.common.world.now() + Duration::from_secs(1));
        }
    }

    fn wake_up(&mut self, now: Duration) {
        if self.asleep_until.is_some_and(|until| until <= now) {
            self.asleep_until = None;
            self.up_since = now;
        }
        if self.starts_at.is_some_and(|at| at <= now) {
            self.start();
        }
    }
}

/// What the binary does around a stage.
async fn live(
    mut polling: SharedPolling,
    clock: Arc<MachineClock>,
    said: Arc<Mutex<Said>>,
    stop: Arc<Notify>,
) {
    loop {
        let ran = tokio::select! {
            biased;
            () = stop.notified() => break,
            ran = polling.run_once() => ran,
        };
        let wait = {
            let mut said = lock(&said);
            said.shards = polling.shards();
            match ran {
                Ok(progress) => {
                    let wait = progress.next_due;
                    said.progress = Some(progress);
                    wait
                }
                Err(error) => {
                    said.problems.push(format!("{error:?}"));
                    Duration::from_secs(1)
                }
            }
        };
        tokio::select! {
            biased;
            () = stop.notified() => break,
            () = clock.sleep(wait) => (),
        }
    }
    if let Err(error) = polling.leave().await {
        assert_eq!(error.kind(), model::ErrorKind::Transient, "leaving: {error:?}");
    }
}

/// Runs one step of a machine that can go on, or moves time; returns which machine ran.
pub(crate) fn step(world: &World, machines: &mut [Machine], dice: &mut Dice) -> Option<usize> {
    let now = world.now();
    machines.iter_mut().for_each(|machine| machine.wake_up(now));
    let ready: Vec<usize> = (0..machines.len()).filter(|at| machines[*at].is_ready()).collect();
    if ready.is_empty() {
        let wakes = machines.iter().flat_map(|machine| [machine.asleep_until, machine.starts_at]);
        // A timer of a sleeping machine rings unheard.
        let next = wakes.flatten().chain(world.next_timer()).min();
        world.advance_to(next.expect("somebody always waits for something"));
        return None;
    }
    let pick = usize::try_from(dice.roll(ready.len() as u64)).expect("small");
    machines[ready[pick]].poll();
    Some(ready[pick])
}

/// Runs a future to its end in virtual time.
pub(crate) fn finish<T>(world: &World, future: impl Future<Output = T>) -> T {
    let mut future = Box::pin(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(value) => return value,
            Poll::Pending => world.advance_to(world.next_timer().expect("waits for time alone")),
        }
    }
}
