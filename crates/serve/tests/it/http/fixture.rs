//! A small lake: three symbols, two sessions, and a feed of changes that tests add to.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use chrono::{DateTime, NaiveDate, Utc};
use lake::{
    Change, Reader,
    arrow::{
        array::{
            Array, ArrayRef, Date32Array, Decimal128Array, Int32Array, Int64Array, RecordBatch,
            StringArray, TimestampMicrosecondArray,
        },
        datatypes::{DataType, Field, Schema},
    },
};
use model::{
    Clock,
    clock::Sleep,
    decimal,
    session::trading_date,
    status::{PipelineStatus, StageState, StageStatus, TableStatus},
};
use serve::{
    http::{self, BarFeed, Doors, HttpConfig, Services, StatusProbe},
    postgres::QueryLimits,
};
use tokio::{sync::oneshot, task::JoinHandle};

/// Of statements. The patience of the client is longer.
pub(super) const LIMITS: QueryLimits =
    QueryLimits { timeout: Duration::from_secs(60), rows_max: 100_000 };

/// The real clock of the test's runtime.
#[derive(Debug)]
pub(super) struct TestClock {
    started: tokio::time::Instant,
}

impl TestClock {
    fn start() -> Arc<Self> {
        Arc::new(Self { started: tokio::time::Instant::now() })
    }
}

impl Clock for TestClock {
    fn now(&self) -> DateTime<Utc> {
        ts("2026-01-06T21:00:00Z") + self.monotonic()
    }

    fn monotonic(&self) -> Duration {
        self.started.elapsed()
    }

    #[expect(clippy::disallowed_methods, reason = "this is the injected clock")]
    fn sleep(&self, duration: Duration) -> Sleep<'_> {
        Box::pin(tokio::time::sleep(duration))
    }
}

/// A pipeline that always says the same of itself.
#[derive(Debug)]
struct FixedStatus;

#[async_trait]
impl StatusProbe for FixedStatus {
    async fn status(&self) -> PipelineStatus {
        PipelineStatus {
            ts: ts("2026-01-06T21:00:00Z"),
            ts_market: ts("2026-01-06T20:59:00Z"),
            is_simulated: true,
            stages: vec![StageStatus {
                name: "refine".to_owned(),
                state: StageState::Idle,
                lag: 0,
                lag_unit: "versions".to_owned(),
                rows_total: 42,
                ts_newest: Some(ts("2026-01-06T20:59:59.5Z")),
                freshness_ms: Some(500),
                message: None,
            }],
            tables: vec![TableStatus {
                name: "gold.bar_1m".to_owned(),
                version: 7,
                rows: 6,
                files: 1,
                bytes: 1024,
            }],
        }
    }
}

/// Changes that a test adds one version at a time.
#[derive(Debug, Default)]
pub(super) struct FakeFeed {
    versions: Mutex<Vec<Change>>,
}

impl FakeFeed {
    /// Commits one version with a bar of each of `symbols`; versions count from 1.
    pub(super) fn commit(&self, symbols: &[&str]) {
        let mut versions = self.versions.lock().unwrap();
        let version = versions.len() as u64 + 1;
        let bars: Vec<Bar> = symbols
            .iter()
            .map(|symbol| bar(symbol, "2026-01-06T14:30:00Z", "10.5", Some("100")))
            .collect();
        versions.push(Change { version, rows: vec![silver_bars(&bars)] });
    }
}

#[async_trait]
impl BarFeed for FakeFeed {
    async fn version(&self) -> Result<u64, lake::Error> {
        Ok(self.versions.lock().unwrap().len() as u64)
    }

    async fn changes(&self, after: u64) -> Result<Vec<Change>, lake::Error> {
        let versions = self.versions.lock().unwrap();
        Ok(versions.iter().filter(|change| after < change.version).cloned().collect())
    }
}

/// A running server. Dropping it stops it without waiting.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) addr: SocketAddr,
    shutdown: oneshot::Sender<()>,
    task: JoinHandle<Result<(), serve::Error>>,
}

impl Server {
    pub(super) async fn start() -> Self {
        Self::start_with(lake_tables(), Arc::new(FakeFeed::default())).await
    }

    pub(super) async fn with_feed(feed: &Arc<FakeFeed>) -> Self {
        Self::start_with(lake_tables(), Arc::clone(feed)).await
    }

    pub(super) async fn start_with(
        tables: Vec<(&'static str, &'static str, RecordBatch)>,
        feed: Arc<FakeFeed>,
    ) -> Self {
        Self::start_limited(tables, feed, Some(LIMITS)).await
    }

    /// Starts a server that answers SQL within `limits`, or not at all.
    pub(super) async fn start_limited(
        tables: Vec<(&'static str, &'static str, RecordBatch)>,
        feed: Arc<FakeFeed>,
        limits: Option<QueryLimits>,
    ) -> Self {
        let services = services(tables).with_feed(feed);
        let services = match limits {
            Some(limits) => services.with_sql(limits).unwrap(),
            None => services,
        };
        Self::start_as(config("127.0.0.1:0"), services).await
    }

    pub(super) async fn start_as(config: HttpConfig, services: Services) -> Self {
        let listener = http::bind(&config).await.unwrap();
        let addr = listener.local_addr().unwrap();
        let (shutdown, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(async move {
            let stopped = async move { drop(stopped.await) };
            http::serve(listener, &config, services, stopped).await
        });
        Self { addr, shutdown, task }
    }

    /// Stops the server and waits until it has.
    pub(super) async fn stop(self) {
        self.shutdown.send(()).unwrap();
        self.task.await.unwrap().unwrap();
    }
}

/// What is served over `tables`, without SQL.
pub(super) fn services(tables: Vec<(&'static str, &'static str, RecordBatch)>) -> Services {
    services_at(TestClock::start(), tables)
}

pub(super) fn services_at(
    clock: Arc<dyn Clock>,
    tables: Vec<(&'static str, &'static str, RecordBatch)>,
) -> Services {
    let reader = Reader::in_memory(tables).unwrap();
    Services::new(reader, Arc::new(FixedStatus), clock).with_doors(Doors {
        postgres: "127.0.0.1:5439".parse().unwrap(),
        user: "analyst".to_owned(),
        database: "marketlake".to_owned(),
    })
}

pub(super) fn config(bind: &str) -> HttpConfig {
    HttpConfig {
        bind: bind.parse().unwrap(),
        tls: None,
        login: false,
        allowed_hosts: vec!["lake.example".to_owned()],
    }
}

pub(super) fn ts(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

#[derive(Clone, Debug)]
struct Bar {
    source: &'static str,
    symbol: String,
    ts_start: DateTime<Utc>,
    close: &'static str,
    volume: Option<&'static str>,
}

fn bar(symbol: &str, ts_start: &str, close: &'static str, volume: Option<&'static str>) -> Bar {
    let symbol = symbol.to_owned();
    Bar { source: "marketstack-v2", symbol, ts_start: ts(ts_start), close, volume }
}

/// What every test starts from.
pub(super) fn lake_tables() -> Vec<(&'static str, &'static str, RecordBatch)> {
    let minutes = [
        bar("AAPL", "2025-11-03T14:30:00Z", "90", Some("5")),
        bar("AAPL", "2026-01-05T14:30:00Z", "100.10", Some("1000")),
        bar("AAPL", "2026-01-06T14:30:00Z", "101.5", Some("1200.5")),
        bar("AAPL", "2026-01-06T14:31:00Z", "102", None),
        bar("AAPL", "2026-01-06T14:32:00Z", "102.000001", Some("7")),
        bar("MSFT", "2026-01-06T14:30:00Z", "400", Some("1")),
        Bar { source: "older", ..bar("AAPL", "2026-01-06T14:31:00Z", "1", Some("1")) },
    ];
    vec![
        ("gold", "bar_1m", gold_bars(&minutes)),
        ("gold", "bar_1d", gold_bars(&[bar("AAPL", "2026-01-06T14:30:00Z", "102", Some("9"))])),
        ("gold", "quote_latest", quotes()),
        ("silver", "instrument", instruments()),
    ]
}

fn quotes() -> RecordBatch {
    let symbols = ["MSFT", "AAPL", "AAPL", "NEW"];
    batch(vec![
        ("source", texts(["marketstack-v2", "marketstack-v2", "older", "marketstack-v2"])),
        ("symbol", texts(symbols)),
        ("mic", texts(["XNAS"; 4])),
        ("price", prices(["400.00", "102.000001", "1", "5"].map(Some))),
        ("open", prices([Some("398"), Some("101"), Some("1"), None])),
        ("high", prices([Some("401"), Some("103"), Some("1"), None])),
        ("low", prices([Some("397.5"), Some("100.9"), Some("1"), None])),
        ("previous_close", prices([Some("410"), Some("100"), Some("1"), None])),
        ("volume", volumes([Some("12345"), Some("1207.5"), Some("1"), None])),
        (
            "ts_quote",
            moments(
                ["2026-01-06T14:31:00Z", "2026-01-06T14:33:00Z", "2026-01-05T14:33:00Z"]
                    .into_iter()
                    .chain(["2026-01-06T14:30:00.25Z"])
                    .map(ts),
            ),
        ),
        ("session_date", dates(["2026-01-06", "2026-01-06", "2026-01-05", "2026-01-06"])),
    ])
}

fn instruments() -> RecordBatch {
    batch(vec![
        ("symbol", texts(["AAPL", "AAPL", "UNPOLLED"])),
        ("name", texts(["Apple <Inc>", "Apple Computer", "Nobody asks"])),
        ("fetch_id", Arc::new(Int64Array::from(vec![2, 1, 1]))),
    ])
}

fn gold_bars(bars: &[Bar]) -> RecordBatch {
    batch(bar_columns(bars))
}

fn silver_bars(bars: &[Bar]) -> RecordBatch {
    let mut columns = bar_columns(bars);
    columns.push(("interval", texts(bars.iter().map(|_| "1m"))));
    batch(columns)
}

fn bar_columns(bars: &[Bar]) -> Vec<(&'static str, ArrayRef)> {
    let close = || prices(bars.iter().map(|bar| Some(bar.close)));
    let day = |bar: &Bar| trading_date(bar.ts_start).to_string();
    vec![
        ("source", texts(bars.iter().map(|bar| bar.source))),
        ("symbol", texts(bars.iter().map(|bar| bar.symbol.as_str()))),
        ("mic", texts(bars.iter().map(|_| "XNAS"))),
        ("ts_start", moments(bars.iter().map(|bar| bar.ts_start))),
        ("ts_end", moments(bars.iter().map(|bar| bar.ts_start + Duration::from_secs(60)))),
        (
            "session_date",
            dates(bars.iter().map(day).collect::<Vec<_>>().iter().map(String::as_str)),
        ),
        ("open", close()),
        ("high", close()),
        ("low", close()),
        ("close", close()),
        ("volume", volumes(bars.iter().map(|bar| bar.volume))),
        ("revision", Arc::new(Int32Array::from(vec![1; bars.len()]))),
    ]
}

pub(super) fn batch(columns: Vec<(&'static str, ArrayRef)>) -> RecordBatch {
    let fields: Vec<Field> = columns
        .iter()
        .map(|(name, array)| Field::new(*name, array.data_type().clone(), true))
        .collect();
    let arrays = columns.into_iter().map(|(_, array)| array).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).unwrap()
}

pub(super) fn texts<'a>(values: impl IntoIterator<Item = &'a str>) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(values))
}

fn moments(values: impl IntoIterator<Item = DateTime<Utc>>) -> ArrayRef {
    let micros = values.into_iter().map(|ts| ts.timestamp_micros());
    Arc::new(TimestampMicrosecondArray::from_iter_values(micros).with_timezone("UTC"))
}

fn dates<'a>(values: impl IntoIterator<Item = &'a str>) -> ArrayRef {
    let days = values.into_iter().map(|text| {
        let date: NaiveDate = text.parse().unwrap();
        i32::try_from((date - NaiveDate::default()).num_days()).unwrap()
    });
    Arc::new(Date32Array::from_iter_values(days))
}

fn prices<'a>(values: impl IntoIterator<Item = Option<&'a str>>) -> ArrayRef {
    decimals(decimal::PRICE, values)
}

fn volumes<'a>(values: impl IntoIterator<Item = Option<&'a str>>) -> ArrayRef {
    decimals(decimal::VOLUME, values)
}

fn decimals<'a>(
    kind: decimal::DecimalType,
    values: impl IntoIterator<Item = Option<&'a str>>,
) -> ArrayRef {
    let values = values.into_iter().map(|text| text.map(|text| kind.parse(text).unwrap()));
    let array: Decimal128Array = values.collect();
    let array = array.with_precision_and_scale(kind.precision, kind.scale).unwrap();
    assert_eq!(array.data_type(), &DataType::Decimal128(kind.precision, kind.scale));
    Arc::new(array)
}
