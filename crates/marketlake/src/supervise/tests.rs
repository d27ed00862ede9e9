//! Every row of the supervisor's table, with stages that do as they are told and no real time.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use chrono::DateTime;
use model::{Clock, ErrorKind, ManualClock, clock::Sleep, status::StageState};
use secrets::Redactor;
use tokio::sync::{Notify, mpsc};

use super::{Board, Slot, Stage, Step, Stopped, Supervisor, Until, exit_code};
use crate::failure::Failure;

/// What a fake stage does at its next call; at the end of the script it is idle.
enum Act {
    Move(u64),
    Idle,
    Pend,
    Fail(ErrorKind),
    Panic,
    Hang,
}

struct Fake {
    script: Mutex<VecDeque<Act>>,
    calls: Arc<AtomicU32>,
}

#[async_trait]
impl Stage for Fake {
    async fn run_once(&mut self) -> Result<Step, Failure> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        let act = self.script.lock().unwrap().pop_front();
        match act {
            Some(Act::Move(rows)) => Ok(Step { has_moved: true, rows, ..Step::default() }),
            Some(Act::Idle) | None => Ok(Step::default()),
            Some(Act::Pend) => Ok(Step { has_pending: true, ..Step::default() }),
            Some(Act::Fail(kind)) => Err(Failure::new(kind, anyhow::anyhow!("scripted"))),
            Some(Act::Panic) => panic!("scripted panic"),
            Some(Act::Hang) => std::future::pending().await,
        }
    }
}

fn slot(name: &'static str, script: Vec<Act>, until: Until) -> (Slot, Arc<AtomicU32>) {
    let calls = Arc::new(AtomicU32::new(0));
    let stage = Box::new(Fake { script: Mutex::new(script.into()), calls: Arc::clone(&calls) });
    let slot = Slot {
        name,
        stage,
        wake: Arc::new(Notify::new()),
        wakes: Vec::new(),
        idle_max: Duration::from_secs(1),
        until,
    };
    (slot, calls)
}

/// Stands still: a sleep never ends, so that only wake-ups and signals move a stage.
#[derive(Debug)]
struct FrozenClock;

impl Clock for FrozenClock {
    fn now(&self) -> DateTime<chrono::Utc> {
        DateTime::UNIX_EPOCH
    }

    fn monotonic(&self) -> Duration {
        Duration::ZERO
    }

    fn sleep(&self, _: Duration) -> Sleep<'_> {
        Box::pin(std::future::pending())
    }
}

fn supervisor(clock: Arc<dyn Clock>) -> (Supervisor, Board) {
    let board = Board::default();
    (Supervisor::new(clock, board.clone(), Redactor::default()), board)
}

fn manual() -> Arc<dyn Clock> {
    Arc::new(ManualClock::new(DateTime::UNIX_EPOCH))
}

async fn run_all(supervisor: Supervisor) -> Vec<Stopped> {
    let (_signal, signals) = mpsc::channel(2);
    supervisor.run(signals).await
}

/// Lets the other tasks run until `condition` holds; bounded.
async fn until(condition: impl Fn() -> bool) {
    for _ in 0..10_000 {
        if condition() {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("the condition never came true");
}

#[tokio::test]
async fn a_stage_with_work_is_called_again_at_once_and_counts_its_rows() {
    let (mut supervisor, board) = supervisor(Arc::new(FrozenClock));
    let (slot, calls) = slot("land", vec![Act::Move(2), Act::Move(3)], Until::Idle);
    supervisor.spawn_stage(slot);
    assert!(run_all(supervisor).await.is_empty());
    assert_eq!(calls.load(Ordering::SeqCst), 3);
    let health = board.get("land").unwrap();
    assert_eq!((health.rows, health.state), (5, StageState::Stopped));
}

#[tokio::test]
async fn progress_wakes_the_stage_behind_without_any_time_passing() {
    let (mut supervisor, board) = supervisor(Arc::new(FrozenClock));
    let (mut upstream, _) = slot("poll", vec![Act::Idle, Act::Move(1)], Until::Shutdown);
    let (downstream, calls) = slot("land", vec![Act::Idle, Act::Move(7)], Until::Shutdown);
    let ring = Arc::clone(&upstream.wake);
    upstream.wakes.push(Arc::clone(&downstream.wake));
    supervisor.spawn_stage(upstream);
    supervisor.spawn_stage(downstream);
    let (signal, signals) = mpsc::channel(2);
    let running = tokio::spawn(supervisor.run(signals));

    until(|| calls.load(Ordering::SeqCst) == 1).await;
    assert_eq!(board.get("land").unwrap().rows, 0);
    ring.notify_one();
    until(|| board.get("land").unwrap().rows == 7).await;

    signal.send(()).await.unwrap();
    assert!(running.await.unwrap().is_empty(), "a shutdown is no failure");
}

#[tokio::test]
async fn failures_of_the_world_are_retried_until_they_end() {
    let (mut supervisor, _) = supervisor(manual());
    let mut script: Vec<Act> = (0..5).map(|_| Act::Fail(ErrorKind::Transient)).collect();
    script.extend([Act::Fail(ErrorKind::Conflict), Act::Move(1)]);
    let (slot, calls) = slot("poll", script, Until::Idle);
    supervisor.spawn_stage(slot);
    assert!(run_all(supervisor).await.is_empty());
    assert_eq!(calls.load(Ordering::SeqCst), 8);
}

#[tokio::test]
async fn until_idle_gives_up_after_a_bounded_number_of_failures() {
    let (mut supervisor, _) = supervisor(manual());
    let script = (0..100).map(|_| Act::Fail(ErrorKind::Transient)).collect();
    let (slot, calls) = slot("poll", script, Until::Idle);
    supervisor.spawn_stage(slot);
    let stopped = run_all(supervisor).await;
    assert_eq!(calls.load(Ordering::SeqCst), super::FAILURES_MAX_UNTIL_IDLE);
    assert_eq!(exit_code(&stopped), ErrorKind::Transient.exit_code());
}

#[tokio::test]
async fn work_that_is_put_off_does_not_end_a_row_of_failures() {
    let (mut supervisor, _) = supervisor(manual());
    let script = (0..100).flat_map(|_| [Act::Fail(ErrorKind::Transient), Act::Pend]).collect();
    let (slot, calls) = slot("poll", script, Until::Idle);
    supervisor.spawn_stage(slot);
    let stopped = run_all(supervisor).await;
    assert_eq!(calls.load(Ordering::SeqCst), 2 * super::FAILURES_MAX_UNTIL_IDLE - 1);
    assert_eq!(exit_code(&stopped), ErrorKind::Transient.exit_code());
}

#[tokio::test]
async fn the_process_ends_with_its_leading_stage_whatever_runs_beside_it() {
    let (mut supervisor, _) = supervisor(Arc::new(FrozenClock));
    let (leader, _) = slot("refine", vec![Act::Fail(ErrorKind::Data)], Until::Shutdown);
    let (beside, _) = slot("maintain", Vec::new(), Until::Shutdown);
    supervisor.end_with("refine");
    supervisor.spawn_stage(leader);
    supervisor.spawn_stage(beside);
    let stopped = run_all(supervisor).await;
    assert_eq!(exit_code(&stopped), ErrorKind::Data.exit_code());
}

#[tokio::test]
async fn a_backoff_tells_the_operator_why() {
    let (mut supervisor, board) = supervisor(Arc::new(FrozenClock));
    let (slot, _) = slot("poll", vec![Act::Fail(ErrorKind::Transient)], Until::Shutdown);
    supervisor.spawn_stage(slot);
    let (signal, signals) = mpsc::channel(2);
    let running = tokio::spawn(supervisor.run(signals));
    until(|| board.get("poll").unwrap().state == StageState::Waiting).await;
    let message = board.get("poll").unwrap().message.unwrap();
    assert!(message.starts_with("scripted (attempt 1, next in "), "{message}");
    signal.send(()).await.unwrap();
    assert!(running.await.unwrap().is_empty());
}

#[tokio::test]
async fn a_wrong_setting_stops_one_stage_and_the_others_go_on() {
    let (mut supervisor, board) = supervisor(Arc::new(FrozenClock));
    let (broken, _) = slot("poll", vec![Act::Fail(ErrorKind::Config)], Until::Shutdown);
    let (healthy, _) = slot("land", vec![Act::Idle, Act::Move(4)], Until::Shutdown);
    let ring = Arc::clone(&healthy.wake);
    supervisor.spawn_stage(broken);
    supervisor.spawn_stage(healthy);
    let (signal, signals) = mpsc::channel(2);
    let running = tokio::spawn(supervisor.run(signals));

    until(|| board.get("poll").unwrap().state == StageState::Stopped).await;
    assert_eq!(board.get("poll").unwrap().message.as_deref(), Some("scripted"));
    ring.notify_one();
    until(|| board.get("land").unwrap().rows == 4).await;

    signal.send(()).await.unwrap();
    let stopped = running.await.unwrap();
    assert_eq!(stopped.len(), 1);
    assert_eq!(exit_code(&stopped), ErrorKind::Config.exit_code());
}

#[tokio::test]
async fn a_panic_or_a_bug_ends_the_process_with_the_exit_code_of_a_bug() {
    for act in [Act::Panic, Act::Fail(ErrorKind::Internal)] {
        let (mut supervisor, board) = supervisor(Arc::new(FrozenClock));
        let (broken, _) = slot("load", vec![act], Until::Shutdown);
        let (healthy, _) = slot("land", Vec::new(), Until::Shutdown);
        supervisor.spawn_stage(broken);
        supervisor.spawn_stage(healthy);
        let stopped = run_all(supervisor).await;
        assert_eq!(stopped.len(), 1, "{stopped:?}");
        assert_eq!(exit_code(&stopped), ErrorKind::Internal.exit_code());
        assert!(board.get("load").unwrap().message.unwrap().contains("scripted"));
    }
}

#[tokio::test]
async fn a_drain_ends_in_time_even_when_a_stage_hangs() {
    let (mut supervisor, _) = supervisor(manual());
    let (hanging, calls) = slot("load", vec![Act::Hang], Until::Shutdown);
    supervisor.spawn_stage(hanging);
    let (signal, signals) = mpsc::channel(2);
    signal.send(()).await.unwrap();
    assert!(supervisor.run(signals).await.is_empty());
    assert!(calls.load(Ordering::SeqCst) <= 1);
}

#[tokio::test]
async fn a_second_signal_ends_at_once() {
    let (mut supervisor, _) = supervisor(Arc::new(FrozenClock));
    let (hanging, calls) = slot("load", vec![Act::Hang], Until::Shutdown);
    supervisor.spawn_stage(hanging);
    let (signal, signals) = mpsc::channel(2);
    let running = tokio::spawn(supervisor.run(signals));
    until(|| calls.load(Ordering::SeqCst) == 1).await;
    signal.send(()).await.unwrap();
    signal.send(()).await.unwrap();
    assert!(running.await.unwrap().is_empty());
}

#[tokio::test]
async fn a_service_that_fails_is_reported_by_name() {
    let (mut supervisor, board) = supervisor(manual());
    supervisor.spawn_service("serve", async { Err(Failure::config("port in use")) });
    let stopped = run_all(supervisor).await;
    assert_eq!(stopped[0].name, "serve");
    assert_eq!(board.get("serve").unwrap().state, StageState::Stopped);
}
