//! Keeps stages running: wakes them, backs off, stops the broken one, ends the process in order.
//!
//! Every stage has one shape: `run_once` does one bounded unit of work and is safe to kill at any
//! instruction. That is why the supervisor may be simple: after anything that went wrong it may
//! call again, and at the end it may cut off.
//!
//! | a call ends with | the supervisor |
//! |---|---|
//! | progress | wakes the stages behind it and calls again at once |
//! | nothing to do | waits for a wake-up, the moment the stage named, or the idle limit |
//! | `Transient`, `Conflict` | backs off with jitter and calls again |
//! | `Config`, `Data` | leaves this stage stopped with its message; the others go on, unless it leads |
//! | `Internal`, a panic | drains the whole process |

use std::{collections::HashMap, future::Future, sync::Arc, time::Duration};

use async_trait::async_trait;
use model::{Clock, ErrorKind, status::StageState};
use secrets::Redactor;
use tokio::{
    sync::{Notify, mpsc},
    task::{Id, JoinError, JoinSet},
};
use tokio_util::sync::CancellationToken;

use crate::failure::Failure;

mod backoff;
mod board;

pub(crate) use board::Board;

/// How long stages may take to finish the unit of work they are in. SIGTERM promises an end within
/// ten seconds; two of them are left for closing files and printing.
const DRAIN_MAX: Duration = Duration::from_secs(8);

/// With [`Until::Idle`], failures in a row after which a stage gives up: with the doubling delays
/// of `backoff` that is about half a minute.
const FAILURES_MAX_UNTIL_IDLE: u32 = 8;

/// What one call of a stage brought.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Step {
    /// Whether anything moved; then the next call follows at once.
    pub(crate) has_moved: bool,
    /// Rows brought forward.
    pub(crate) rows: u64,
    /// When the stage wants to run again although nothing wakes it.
    pub(crate) next_in: Option<Duration>,
    /// Whether work is under way that ends by itself by `next_in`, such as an open object that
    /// waits to be sealed: then the stage is not idle, only early.
    pub(crate) has_pending: bool,
    /// What it waits for other than work in front of it: a session, a quota, a lease.
    pub(crate) waits_for: Option<String>,
}

/// A stage of the pipeline.
#[async_trait]
pub(crate) trait Stage: Send {
    /// Does one bounded unit of work. Dropping the future at any point loses nothing.
    ///
    /// # Errors
    /// Whatever its kind says; see the table above.
    async fn run_once(&mut self) -> Result<Step, Failure>;

    /// Gives back what others could use, before the stage ends by itself or drains. Cut off like
    /// any work that takes too long to drain.
    async fn end(&mut self) {}
}

/// When a stage's task ends by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Until {
    /// At shutdown.
    Shutdown,
    /// When there is nothing to do any more.
    Idle,
}

/// A stage and how it is connected.
pub(crate) struct Slot {
    pub(crate) name: &'static str,
    pub(crate) stage: Box<dyn Stage>,
    /// Rung when there may be new work in front of the stage.
    pub(crate) wake: Arc<Notify>,
    /// Rung when this stage made progress.
    pub(crate) wakes: Vec<Arc<Notify>>,
    /// Longest wait without a wake-up: how soon work of another process is noticed.
    pub(crate) idle_max: Duration,
    pub(crate) until: Until,
}

/// A task that ended for another reason than shutdown.
#[derive(Debug)]
pub(crate) struct Stopped {
    pub(crate) name: String,
    pub(crate) failure: Failure,
}

/// Runs stages and services as tasks of one process.
pub(crate) struct Supervisor {
    clock: Arc<dyn Clock>,
    board: Board,
    redactor: Redactor,
    shutdown: CancellationToken,
    tasks: JoinSet<Result<(), Failure>>,
    names: HashMap<Id, String>,
    leader: Option<&'static str>,
}

impl Supervisor {
    /// Creates a supervisor without tasks.
    pub(crate) fn new(clock: Arc<dyn Clock>, board: Board, redactor: Redactor) -> Self {
        Self {
            clock,
            board,
            redactor,
            shutdown: CancellationToken::new(),
            tasks: JoinSet::new(),
            names: HashMap::new(),
            leader: None,
        }
    }

    /// Makes the process end once the task `name` has ended, whatever runs beside it.
    pub(crate) fn end_with(&mut self, name: &'static str) {
        self.leader = Some(name);
    }

    /// Returns the token that is cancelled when the process is to end; services listen to it.
    pub(crate) fn shutdown_token(&self) -> CancellationToken {
        self.shutdown.clone()
    }

    /// Starts a stage.
    pub(crate) fn spawn_stage(&mut self, slot: Slot) {
        self.board.set(slot.name, StageState::Idle, None);
        let name = slot.name.to_owned();
        let runner = Runner {
            slot,
            clock: Arc::clone(&self.clock),
            board: self.board.clone(),
            redactor: self.redactor.clone(),
            shutdown: self.shutdown.clone(),
        };
        let task = self.tasks.spawn(runner.run());
        self.names.insert(task.id(), name);
    }

    /// Starts a task that runs until shutdown, such as a server. It must end by itself when the
    /// shutdown token is cancelled.
    pub(crate) fn spawn_service(
        &mut self,
        name: &'static str,
        service: impl Future<Output = Result<(), Failure>> + Send + 'static,
    ) {
        self.board.set(name, StageState::Running, None);
        let task = self.tasks.spawn(service);
        self.names.insert(task.id(), name.to_owned());
    }

    /// Waits until every task has ended; returns those that did not end because of a shutdown.
    ///
    /// The first message on `signals` begins the drain, the second ends it at once.
    pub(crate) async fn run(mut self, mut signals: mpsc::Receiver<()>) -> Vec<Stopped> {
        let mut stopped = Vec::new();
        let clock = Arc::clone(&self.clock);
        let mut drain = None;
        let mut has_signals = true;
        loop {
            if self.shutdown.is_cancelled() && drain.is_none() {
                drain = Some(clock.sleep(DRAIN_MAX));
            }
            let drained = async {
                match drain.as_mut() {
                    Some(drain) => drain.await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                // A task that has ended is counted before the deadline that would cut it off.
                biased;
                ended = self.tasks.join_next_with_id() => match ended {
                    None => return stopped,
                    Some(ended) => stopped.extend(self.ended(ended)),
                },
                signal = signals.recv(), if has_signals => {
                    has_signals = signal.is_some();
                    if has_signals && self.shutdown.is_cancelled() {
                        tracing::warn!("second signal: ending at once");
                        self.tasks.abort_all();
                        return stopped;
                    }
                    if has_signals {
                        tracing::info!("draining; a second signal ends at once");
                        self.shutdown.cancel();
                    }
                }
                () = drained => {
                    // Safe: a unit of work that is cut off is repeated at the next start.
                    tracing::warn!(
                        tasks = self.tasks.len(), "cutting off what did not drain in time"
                    );
                    self.tasks.abort_all();
                    return stopped;
                }
            }
        }
    }

    fn ended(&mut self, ended: Result<(Id, Result<(), Failure>), JoinError>) -> Option<Stopped> {
        let (id, failure) = match ended {
            Ok((id, Ok(()))) => (id, None),
            Ok((id, Err(failure))) => (id, Some(failure)),
            Err(error) => (error.id(), panic_failure(error)),
        };
        let name = self.names.remove(&id).unwrap_or_default();
        if self.leader == Some(name.as_str()) {
            self.shutdown.cancel();
        }
        let Some(failure) = failure else {
            self.board.set(&name, StageState::Stopped, None);
            return None;
        };
        let message = failure.in_one_line(&self.redactor);
        if failure.kind == ErrorKind::Internal {
            tracing::error!(stage = name, "internal error, ending the process: {message}");
            self.shutdown.cancel();
        } else {
            tracing::error!(stage = name, kind = %failure.kind, "stopped: {message}");
        }
        self.board.set(&name, StageState::Stopped, Some(message));
        Some(Stopped { name, failure })
    }
}

fn panic_failure(error: JoinError) -> Option<Failure> {
    let payload = error.try_into_panic().ok()?;
    let message = payload
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without a message".to_owned());
    Some(Failure::internal(format!("panicked: {message}")))
}

/// Returns which of two failures is to be told when only one can be: the one with more.
pub(crate) const fn gravity(kind: ErrorKind) -> u8 {
    match kind {
        ErrorKind::Internal => 4,
        ErrorKind::Data => 3,
        ErrorKind::Config => 2,
        ErrorKind::Conflict | ErrorKind::Transient => 1,
    }
}

/// Returns the exit code of a process whose tasks ended so: the gravest kind decides.
pub(crate) fn exit_code(stopped: &[Stopped]) -> u8 {
    let gravest = stopped.iter().map(|task| task.failure.kind).max_by_key(|kind| gravity(*kind));
    gravest.map_or(0, ErrorKind::exit_code)
}

/// The loop of one stage.
struct Runner {
    slot: Slot,
    clock: Arc<dyn Clock>,
    board: Board,
    redactor: Redactor,
    shutdown: CancellationToken,
}

impl Runner {
    async fn run(mut self) -> Result<(), Failure> {
        let ended = self.run_to_end().await;
        self.slot.stage.end().await;
        ended
    }

    async fn run_to_end(&mut self) -> Result<(), Failure> {
        let mut failures: u32 = 0;
        while !self.shutdown.is_cancelled() {
            let wait = match self.slot.stage.run_once().await {
                Ok(step) => {
                    // Work that is put off to be tried again is no end of the failures.
                    if step.has_moved || !step.has_pending {
                        failures = 0;
                    }
                    self.after_step(step)
                }
                Err(failure) => {
                    failures = failures.saturating_add(1);
                    Some(self.after_failure(failure, failures)?)
                }
            };
            match wait {
                // Gives way to the other tasks of this thread: a stage that always has work would
                // otherwise keep them, and the shutdown, waiting.
                None => tokio::task::yield_now().await,
                Some(Wait::Finished) => return Ok(()),
                Some(Wait::ForWork(limit)) => tokio::select! {
                    () = self.slot.wake.notified() => (),
                    () = self.clock.sleep(limit) => tokio::task::yield_now().await,
                    () = self.shutdown.cancelled() => (),
                },
                Some(Wait::BackOff(delay)) => tokio::select! {
                    () = self.clock.sleep(delay) => tokio::task::yield_now().await,
                    () = self.shutdown.cancelled() => (),
                },
            }
        }
        Ok(())
    }

    fn after_step(&self, step: Step) -> Option<Wait> {
        self.board.add_rows(self.slot.name, step.rows);
        if step.has_moved {
            self.board.set(self.slot.name, StageState::Running, None);
            for wake in &self.slot.wakes {
                wake.notify_one();
            }
            return None;
        }
        let state = if step.waits_for.is_some() { StageState::Waiting } else { StageState::Idle };
        let message = step.waits_for.map(|text| self.redactor.scrub(&text).into_owned());
        self.board.set(self.slot.name, state, message);
        if self.slot.until == Until::Idle && !step.has_pending {
            return Some(Wait::Finished);
        }
        let limit = step.next_in.map_or(self.slot.idle_max, |next| next.min(self.slot.idle_max));
        Some(Wait::ForWork(limit))
    }

    fn after_failure(&self, failure: Failure, failures: u32) -> Result<Wait, Failure> {
        let is_patient = self.slot.until == Until::Shutdown || failures < FAILURES_MAX_UNTIL_IDLE;
        let delay = backoff::delay(failure.kind, failures, failure.retry_after, rand::random());
        let Some(delay) = delay.filter(|_| is_patient) else {
            return Err(failure);
        };
        let message = failure.in_one_line(&self.redactor);
        // Contention between two instances is normal; only its persistence is news.
        if failure.kind == ErrorKind::Conflict && failures < FAILURES_MAX_UNTIL_IDLE {
            tracing::debug!(stage = self.slot.name, ?delay, "another writer came first: {message}");
        } else {
            tracing::warn!(stage = self.slot.name, failures, ?delay, "will try again: {message}");
        }
        let message = format!("{message} (attempt {failures}, next in {delay:.1?})");
        self.board.set(self.slot.name, StageState::Waiting, Some(message));
        Ok(Wait::BackOff(delay))
    }
}

enum Wait {
    Finished,
    ForWork(Duration),
    BackOff(Duration),
}

#[cfg(test)]
mod tests;
