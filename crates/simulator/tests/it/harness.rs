//! A running simulator with a clock of its own, and the smallest HTTP client that can read it.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use model::{Clock, clock::MarketTime, clock::Sleep};
use serde_json::Value;
use simulator::{Error, Simulator, SimulatorConfig, Source};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::oneshot,
    task::JoinHandle,
};

/// An answer takes milliseconds; this only keeps a broken test from hanging.
const PATIENCE: Duration = Duration::from_secs(20);

/// The opening of the first session of every test.
pub(crate) fn open() -> DateTime<Utc> {
    "2019-02-11T14:30:00Z".parse().unwrap()
}

/// A clock that only tests move; whoever sleeps on it waits for ever.
#[derive(Debug)]
pub(crate) struct TestClock {
    now: Mutex<DateTime<Utc>>,
}

impl TestClock {
    pub(crate) fn advance(&self, delta: TimeDelta) {
        *self.now.lock().unwrap() += delta;
    }
}

impl Clock for TestClock {
    fn now(&self) -> DateTime<Utc> {
        *self.now.lock().unwrap()
    }

    fn monotonic(&self) -> Duration {
        (self.now() - open()).to_std().unwrap_or_default()
    }

    fn sleep(&self, duration: Duration) -> Sleep<'_> {
        // A slow answer ends when the test has waited for it; only long waits never end.
        if duration <= Duration::from_secs(2) {
            return Box::pin(std::future::ready(()));
        }
        Box::pin(std::future::pending())
    }
}

/// A simulator that serves, market time equal to the test clock's.
pub(crate) struct Server {
    pub(crate) clock: Arc<TestClock>,
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    task: JoinHandle<Result<(), Error>>,
}

/// Status, headers and body of an answer.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: String,
    pub(crate) body: String,
}

pub(crate) fn config(source: &str) -> SimulatorConfig {
    let source: Source = source.parse().unwrap();
    let time = MarketTime { epoch: open(), start: open(), speed: 1 };
    let mut config = SimulatorConfig::new(source, time);
    config.requests_per_second = 1_000_000.try_into().unwrap();
    config.quota_monthly = Some(1_000_000);
    config
}

impl Server {
    pub(crate) async fn start(config: SimulatorConfig) -> Self {
        let clock = Arc::new(TestClock { now: Mutex::new(open()) });
        let simulator = Simulator::new(config, Arc::clone(&clock) as Arc<dyn Clock>).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(simulator.serve(listener, async {
            stopped.await.ok();
        }));
        Self { clock, address, stop, task }
    }

    pub(crate) async fn stop(self) {
        self.stop.send(()).unwrap();
        tokio::time::timeout(PATIENCE, self.task).await.unwrap().unwrap().unwrap();
    }

    /// Asks for `path` and returns whatever arrives before the connection closes.
    pub(crate) async fn raw(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: sim\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut bytes = Vec::new();
        // A reset connection is an end like any other: what came before it counts.
        let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut bytes)).await.unwrap();
        read.ok();
        String::from_utf8(bytes).unwrap()
    }

    /// Asks for `path`; `None` when the connection closes before the answer is whole.
    pub(crate) async fn try_get(&self, path: &str) -> Option<Answer> {
        let text = self.raw(path).await;
        let (headers, body) = text.split_once("\r\n\r\n")?;
        let headers = headers.to_lowercase();
        let length = headers.lines().find_map(|line| line.strip_prefix("content-length: "))?;
        (length.parse() == Ok(body.len())).then(|| Answer {
            status: headers.split(' ').nth(1).unwrap().parse().unwrap(),
            body: body.to_owned(),
            headers,
        })
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.try_get(path).await.unwrap()
    }

    pub(crate) async fn json(&self, path: &str) -> Value {
        serde_json::from_str(&self.get(path).await.body).unwrap()
    }

    /// Returns the lines of the truth that are of `kind`.
    pub(crate) async fn truth(&self, kind: &str) -> Vec<Value> {
        let text = self.get("/__sim/truth").await.body;
        let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines.filter(|line| line["kind"] == kind).collect()
    }
}
