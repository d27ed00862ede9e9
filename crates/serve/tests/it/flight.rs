//! The Flight SQL door, asked by Arrow's own client.
#![expect(clippy::unwrap_used, reason = "the helpers of these tests fail the test as a test does")]

mod admission;
mod audit;
mod limits;
mod roles;
mod statements;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use arrow_flight::{
    FlightInfo, decode::FlightRecordBatchStream, error::FlightError,
    sql::client::FlightSqlServiceClient,
};
use chrono::{DateTime, Utc};
use futures::TryStreamExt as _;
use lake::arrow::array::RecordBatch;
use model::{Clock, clock::Sleep};
use serve::{
    FlightMeter,
    flight::FlightConfig,
    postgres::{Users, Verifier},
};
use tokio::{sync::oneshot, task::JoinHandle};
use tonic::{Code, Status, transport::Channel};

use crate::postgres::tables;

const USER: &str = "analyst";
const OTHER: &str = "visitor";
const PASSWORD: &str = "pass word, with: signs";

/// Longest wait for anything: a test that hangs must fail.
const PATIENCE: Duration = Duration::from_secs(30);

/// How often a wait looks whether it is to hurry.
const TICK: Duration = Duration::from_millis(20);

/// A result without an end.
const ENDLESS: &str = "select * from generate_series(1, 1000000000000)";

/// A result that takes for ever to begin.
const SILENT: &str = "select count(*) from generate_series(1, 1000000000000)";

type Client = FlightSqlServiceClient<Channel>;

/// Real time, in which waits are shorter by `speed`, those under way as well; at 0 they do not end.
#[derive(Debug)]
struct QuickClock {
    started: tokio::time::Instant,
    speed: AtomicU32,
}

impl QuickClock {
    fn new(speed: u32) -> Self {
        Self { started: tokio::time::Instant::now(), speed: AtomicU32::new(speed) }
    }
}

#[expect(clippy::disallowed_methods, reason = "the one place where these tests meet real time")]
impl Clock for QuickClock {
    fn now(&self) -> DateTime<Utc> {
        Utc::now()
    }

    fn monotonic(&self) -> Duration {
        self.started.elapsed()
    }

    fn sleep(&self, duration: Duration) -> Sleep<'_> {
        Box::pin(async move {
            let mut left = duration;
            while !left.is_zero() {
                let speed = self.speed.load(Ordering::Relaxed);
                let part = left.checked_div(speed).unwrap_or(TICK).min(TICK);
                tokio::time::sleep(part).await;
                left = left.saturating_sub(part.max(Duration::from_micros(1)) * speed);
            }
        })
    }
}

/// A running server; stops when dropped or when told to.
struct Server {
    port: u16,
    clock: Arc<QuickClock>,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<Result<(), serve::Error>>,
}

fn config() -> FlightConfig {
    FlightConfig {
        bind: "127.0.0.1:0".parse().unwrap(),
        tls: None,
        connections_max: 8,
        statement_timeout: Duration::from_secs(20),
        rows_max: 1_000_000,
        audit: None,
    }
}

fn verifier() -> Verifier {
    Verifier::from_password(PASSWORD, b"0123456789abcdef")
}

impl Server {
    async fn start() -> Self {
        Self::start_with(1, |_| ()).await
    }

    async fn start_with(speed: u32, change: impl FnOnce(&mut FlightConfig)) -> Self {
        let mut users = Users::new();
        for user in [USER, OTHER] {
            users.insert(user, verifier());
        }
        Self::start_for(users, speed, change).await
    }

    async fn start_for(users: Users, speed: u32, change: impl FnOnce(&mut FlightConfig)) -> Self {
        let mut config = config();
        change(&mut config);
        let listener = config.listen().await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let clock = Arc::new(QuickClock::new(speed));
        let (stop, stopped) = oneshot::channel();
        let shutdown = async {
            stopped.await.ok();
        };
        let observed = (Arc::clone(&clock) as Arc<dyn Clock>, FlightMeter::default());
        let server =
            serve::flight::serve(listener, config, users, tables::reader(), observed, shutdown);
        Self { port, clock, stop: Some(stop), task: tokio::spawn(server) }
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    async fn channel(&self) -> Channel {
        let channel = Channel::from_shared(self.url()).unwrap().connect_timeout(PATIENCE);
        channel.connect().await.unwrap()
    }

    /// Somebody who has not logged in.
    async fn stranger(&self) -> Client {
        FlightSqlServiceClient::new(self.channel().await)
    }

    async fn connect(&self) -> Client {
        self.connect_as(USER).await
    }

    async fn connect_as(&self, user: &str) -> Client {
        let mut client = self.stranger().await;
        client.handshake(user, PASSWORD).await.unwrap();
        client
    }

    /// From here on waits are shorter by `speed`.
    fn hurry(&self, speed: u32) {
        self.clock.speed.store(speed, Ordering::Relaxed);
    }

    async fn stop(mut self) {
        self.stop.take().unwrap().send(()).unwrap();
        let ended = tokio::time::timeout(PATIENCE, &mut self.task).await;
        ended.expect("the server stops in time").unwrap().unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Opens the stream of what was announced.
async fn open(
    client: &mut Client,
    info: &FlightInfo,
) -> Result<FlightRecordBatchStream, FlightError> {
    client.do_get(info.endpoint[0].ticket.clone().unwrap()).await
}

async fn rows(client: &mut Client, info: &FlightInfo) -> Result<Vec<RecordBatch>, FlightError> {
    let stream = open(client, info).await?;
    let rows = tokio::time::timeout(PATIENCE, stream.try_collect()).await;
    rows.expect("the rows come in time")
}

/// Runs a query and reads it to its end.
async fn query(client: &mut Client, text: &str) -> Result<Vec<RecordBatch>, FlightError> {
    let info = client.execute(text.to_owned(), None).await?;
    rows(client, &info).await
}

fn count(batches: &[RecordBatch]) -> usize {
    batches.iter().map(RecordBatch::num_rows).sum()
}

/// The status behind an error of the client.
fn status(error: FlightError) -> Status {
    match error {
        FlightError::Tonic(status) => *status,
        FlightError::ExternalError(source) => {
            *source.downcast::<Status>().expect("the client passes a status on")
        }
        other => {
            // The client wraps what it is told into texts of its own.
            let text = other.to_string();
            let codes = [Code::Unauthenticated, Code::PermissionDenied, Code::NotFound];
            let code = codes.into_iter().find(|code| text.contains(&format!("{code:?}")));
            Status::new(code.unwrap_or(Code::Unknown), text)
        }
    }
}

#[track_caller]
fn refused<T>(outcome: Result<T, FlightError>, code: Code, words: &str) {
    let error = outcome.err().expect("it is refused");
    let status = status(error);
    assert_eq!(status.code(), code, "{status:?}");
    assert!(status.message().contains(words), "no `{words}` in {status:?}");
}
