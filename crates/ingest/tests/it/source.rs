//! The Marketstack client and the poller against a server that misbehaves as the vendor does.

use std::{
    num::NonZeroU32,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use ingest::{
    Error,
    marketstack::{AccessKey, AccessKeyError, ApiVersion, Marketstack, SourceConfig},
    poller::{PollConfig, Poller, PollerParts},
    source::{MarketSource, Page, PageRequest, Window, contract::market_source_contract},
    state::{Durability, State},
    topic::{NewRecord, TopicWriter},
};
use model::{BarInterval, Clock, Dataset, ErrorKind, ManualClock, clock::MarketTime};

use crate::vendor::{Answer, Vendor, page};

/// A key that no text of ours may ever hold. Not a real one.
const CANARY: &str = "cnry-0123456789abcdef0123456789abcdef";
const NOW: &str = "2024-08-20T21:00:00Z";

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::new(NOW.parse().unwrap()))
}

fn client(base_url: &str) -> Marketstack {
    let config = SourceConfig {
        base_url: base_url.to_owned(),
        version: ApiVersion::V2,
        allow_http: false,
        connect_timeout: Duration::from_secs(5),
        request_timeout: Duration::from_secs(5),
    };
    let key = || Ok(AccessKey::new(CANARY.to_owned()));
    Marketstack::new(&config, Arc::new(key), clock()).unwrap()
}

fn request(rows_max: u32) -> PageRequest {
    PageRequest {
        dataset: Dataset::Intraday,
        symbols: vec!["AAPL".to_owned(), "BRK.B".to_owned()],
        interval: Some(BarInterval::Minute1),
        after_hours: false,
        window: Window::Times {
            from: "2024-08-20T13:30:00Z".parse().unwrap(),
            to: "2024-08-20T19:59:00Z".parse().unwrap(),
        },
        offset: 0,
        rows_max,
    }
}

fn row(symbol: &str, minute: u32) -> String {
    format!(
        r#"{{"open":226.060,"last":null,"date":"2024-08-20T14:{minute:02}:00+0000", "symbol":"{symbol}","exchange":"IEXG"}}"#
    )
}

fn rows(count: u32) -> Vec<String> {
    (0..count).map(|number| row(["AAPL", "BRK-B"][number as usize % 2], number / 2)).collect()
}

/// The whole text of an error: its message, its causes, and its `Debug` form.
fn text(error: &Error) -> String {
    let mut text = format!("{error}");
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    format!("{text} {error:?}")
}

async fn ask(answer: Answer, rows_max: u32) -> Result<Page, Error> {
    let vendor = Vendor::start(vec![answer]).await;
    client(&vendor.base_url).page(&request(rows_max)).await
}

#[tokio::test]
async fn the_client_keeps_the_contract() {
    let wanted: Vec<String> = (0..25).map(|minute| row("AAPL", minute)).collect();
    let vendor = Vendor::start(vec![Answer::Rows(wanted)]).await;
    market_source_contract(&client(&vendor.base_url), &request(10)).await;
}

#[tokio::test]
async fn a_request_says_what_it_wants_and_nothing_else() {
    let vendor = Vendor::start(vec![Answer::Rows(rows(1))]).await;
    let page = client(&vendor.base_url).page(&request(100)).await.unwrap();
    assert_eq!(page.rows[0].bytes, row("AAPL", 0).as_bytes(), "byte for byte");
    assert_eq!(page.ts_fetched, NOW.parse::<chrono::DateTime<chrono::Utc>>().unwrap());
    let head = vendor.heads().remove(0);
    let expected = format!(
        "GET /v2/intraday?symbols=AAPL%2CBRK.B&interval=1min\
         &date_from=2024-08-20T13%3A30%3A00%2B0000&date_to=2024-08-20T19%3A59%3A00%2B0000\
         &sort=ASC&limit=100&offset=0&access_key={CANARY} HTTP/1.1"
    );
    assert_eq!(head.lines().next(), Some(expected.as_str()));
    assert!(!head.to_ascii_lowercase().contains("referer"), "{head}");
}

#[tokio::test]
async fn a_ticker_is_asked_for_by_its_path_and_may_be_unknown() {
    let answers = vec![
        Answer::ok(r#"{"symbol":"BRK/B","name":"x"}"#),
        Answer::status(404, r#"{"error":{"code":"404_not_found","message":"No."}}"#),
    ];
    let vendor = Vendor::start(answers).await;
    let client = client(&vendor.base_url);
    let request = PageRequest {
        dataset: Dataset::Tickers,
        symbols: vec!["BRK/B".to_owned()],
        interval: None,
        window: Window::All,
        ..request(100)
    };
    assert_eq!(client.page(&request).await.unwrap().rows_total, 1);
    assert_eq!(client.page(&request).await.unwrap().rows_total, 0);
    assert!(vendor.heads()[0].starts_with("GET /v2/tickers/BRK%2FB?access_key="));
}

#[tokio::test]
async fn every_failure_has_its_kind_and_none_shows_the_key() {
    let echo = format!(r#"{{"error":{{"code":"invalid_access_key","message":"{CANARY} no"}}}}"#);
    let short = page(&rows(3), 0, 100).replace("\"count\":3", "\"count\":4");
    let other = page(&[row("TSLA", 0)], 0, 100);
    let late = page(&rows(1), 0, 100).replace("T14:00", "T23:00");
    let shifted = page(&rows(3), 1, 100);
    let coded = |code: &str| format!(r#"{{"error":{{"code":"{code}","message":"m"}}}}"#);
    let cases: Vec<(Answer, ErrorKind, &str)> = vec![
        (Answer::status(401, &echo), ErrorKind::Config, "check the access key"),
        (Answer::status(403, &coded("function_access_restricted")), ErrorKind::Transient, "`15m`"),
        (Answer::status(403, &coded("https_access_restricted")), ErrorKind::Config, "https"),
        (Answer::status(404, &coded("invalid_api_function")), ErrorKind::Config, "base_url"),
        (Answer::status(422, &coded("validation_error")), ErrorKind::Config, "symbols"),
        (Answer::status(422, &coded("no_valid_symbols_provided")), ErrorKind::Transient, "422"),
        (Answer::status(406, &coded("data_not_available")), ErrorKind::Transient, "406"),
        (Answer::status(429, &coded("usage_limit_reached")), ErrorKind::Config, "2024-09-01"),
        (Answer::status(429, &coded("too_many_requests")), ErrorKind::Config, "2024-09-01"),
        (Answer::status(429, &coded("rate_limit_reached")), ErrorKind::Transient, "rate_limit"),
        (Answer::status(429, ""), ErrorKind::Transient, "429"),
        (Answer::status(500, &coded("internal_error")), ErrorKind::Transient, "internal_error"),
        (Answer::status(502, "<html>Bad Gateway"), ErrorKind::Transient, "502"),
        (Answer::status(200, &coded("rate_limit_reached")), ErrorKind::Transient, "HTTP 200"),
        (Answer::status(401, r#"{"error":{"code":101}}"#), ErrorKind::Config, "access key"),
        (Answer::status(200, r#"{"error":{"code":104}}"#), ErrorKind::Config, "quota"),
        (Answer::status(404, r#"{"detail":"Gone."}"#), ErrorKind::Transient, "Gone."),
        (Answer::status(302, "").with("location", "http://127.0.0.1:1/"), ErrorKind::Config, "302"),
        (Answer::ok("<html>busy</html>"), ErrorKind::Transient, "no JSON"),
        (Answer::ok(""), ErrorKind::Transient, "empty"),
        (Answer::ok(r#"{"data":[]}"#), ErrorKind::Transient, "no pagination"),
        (
            Answer::Truncated { body: page(&rows(9), 0, 100).into() },
            ErrorKind::Transient,
            "talking",
        ),
        (Answer::Reset, ErrorKind::Transient, "talking"),
        (Answer::ok(&short), ErrorKind::Transient, "counts 4 rows and holds 3"),
        (Answer::ok(&other), ErrorKind::Transient, "nobody asked for"),
        (Answer::ok(&late), ErrorKind::Transient, "outside the window"),
        (Answer::ok(&shifted), ErrorKind::Transient, "begins at row 1"),
    ];
    for (answer, kind, expected) in cases {
        let shown = format!("{answer:?}");
        let error = ask(answer, 100).await.expect_err(&shown);
        let text = text(&error);
        assert_eq!(error.kind(), kind, "{shown}: {text}");
        assert!(text.contains(expected), "{shown}: {text}");
        assert!(!text.contains("cnry"), "{text}");
    }
}

#[tokio::test]
async fn a_body_cut_inside_valid_json_is_no_page() {
    let whole = page(&rows(9), 0, 100);
    for cut in [1, whole.len() / 3, whole.len() - 20, whole.len() - 2, whole.len() - 1] {
        let error = ask(Answer::ok(&whole[..cut]), 100).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Transient, "cut at {cut}: {error}");
    }
}

#[tokio::test]
async fn a_poisoned_row_does_not_cost_the_others() {
    let mut bytes = page(&rows(2), 0, 100)
        .replace("\"count\":2,\"total\":2", "\"count\":5,\"total\":5")
        .into_bytes();
    bytes.truncate(bytes.len() - 2);
    bytes.extend_from_slice(b",[],{\"symbol\":\"AAPL\xff\",\"date\":1},NaN]}");
    let answer = Answer::Response { status: 200, headers: Vec::new(), body: bytes };
    let page = ask(answer, 100).await.unwrap();
    let keys: Vec<Option<&str>> = page.rows.iter().map(|row| row.symbol.as_deref()).collect();
    assert_eq!(keys, [Some("AAPL"), Some("BRK-B"), None, None, None]);
    assert_eq!(page.rows[3].bytes, &b"{\"symbol\":\"AAPL\xff\",\"date\":1}"[..]);
}

#[tokio::test]
async fn the_vendors_wait_is_read_in_both_forms() {
    for (value, expected) in [
        ("7", Some(7)),
        ("Tue, 20 Aug 2024 21:00:30 GMT", Some(30)),
        ("Tue, 20 Aug 2024 20:00:00 GMT", Some(0)),
        ("99999999", Some(3600)),
        ("soon", None),
    ] {
        let answer = Answer::status(429, "").with("retry-after", value);
        let error = ask(answer, 100).await.unwrap_err();
        assert_eq!(error.retry_after(), expected.map(Duration::from_secs), "{value}");
    }
}

#[tokio::test]
async fn without_a_key_nothing_is_sent() {
    let vendor = Vendor::start(vec![Answer::Rows(rows(1))]).await;
    for kind in [ErrorKind::Transient, ErrorKind::Config] {
        let config = SourceConfig {
            base_url: vendor.base_url.clone(),
            version: ApiVersion::V1,
            allow_http: false,
            connect_timeout: Duration::from_secs(5),
            request_timeout: Duration::from_secs(5),
        };
        let key = move || Err(AccessKeyError { kind, source: "the vault is sealed".into() });
        let client = Marketstack::new(&config, Arc::new(key), clock()).unwrap();
        let error = client.page(&request(100)).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
    }
    assert_eq!(vendor.heads().len(), 0);
}

#[derive(Debug, Default)]
struct MemoryTopic(Mutex<Vec<NewRecord>>);

#[async_trait]
impl TopicWriter for MemoryTopic {
    async fn append(&self, _: &str, records: Vec<NewRecord>) -> Result<(), Error> {
        self.0.lock().unwrap().extend(records);
        Ok(())
    }
}

fn poller(vendor: &Vendor, folder: &Path, topic: &Arc<MemoryTopic>) -> Poller {
    let config = PollConfig {
        datasets: vec![Dataset::Intraday],
        symbols: vec!["AAPL".to_owned(), "BRK.B".to_owned()],
        interval: BarInterval::Minute1,
        after_hours: false,
        start_date: "2024-08-20".parse().unwrap(),
        look_back: Duration::ZERO,
        revise_days: 0,
        settle: Duration::ZERO,
        poll_every: Duration::from_secs(60),
        page_rows: NonZeroU32::new(4).unwrap(),
        pages_max: NonZeroU32::new(1000).unwrap(),
        symbols_per_request: NonZeroU32::new(100).unwrap(),
        requests_per_second: NonZeroU32::new(5).unwrap(),
        quota_month: Some(100),
        topic_prefix: String::new(),
    };
    let clock = clock();
    let now = clock.now();
    Poller::new(PollerParts {
        config,
        source: Arc::new(client(&vendor.base_url)),
        topic: Arc::<MemoryTopic>::clone(topic),
        state: Arc::new(State::open(folder, Durability::Process).unwrap()),
        clock,
        market_time: MarketTime { epoch: now, start: now, speed: 1 },
        seed: 1,
    })
    .unwrap()
}

#[tokio::test]
async fn a_vendor_that_stumbles_on_the_way_loses_and_doubles_nothing() {
    let rate = r#"{"error":{"code":"rate_limit_reached","message":"m"}}"#;
    let wanted = rows(10);
    let vendor = Vendor::start(vec![
        Answer::status(429, rate).with("retry-after", "2"),
        Answer::Rows(wanted.clone()),
        Answer::status(500, ""),
        Answer::Truncated { body: page(&wanted, 4, 4).into() },
        Answer::ok("<html>"),
        Answer::Rows(wanted.clone()),
        Answer::Rows(wanted.clone()),
    ])
    .await;
    let folder = tempfile::tempdir().unwrap();
    let topic = Arc::new(MemoryTopic::default());
    let mut poller = poller(&vendor, folder.path(), &topic);
    let progress = poller.run_once().await.unwrap();
    assert_eq!((progress.rows, vendor.answers_left()), (10, 1));
    let found: Vec<String> = topic
        .0
        .lock()
        .unwrap()
        .iter()
        .map(|record| String::from_utf8(record.value.to_vec()).unwrap())
        .collect();
    assert_eq!(found, wanted);
    // Seven requests of two symbols: failed ones count, too.
    let state = State::open(folder.path(), Durability::Process).unwrap();
    assert_eq!(state.quota_used(NOW.parse().unwrap()).unwrap(), 14);
    assert!(!poller.run_once().await.unwrap().has_moved);
}

/// Gathers everything that is logged, at every level.
#[derive(Clone, Default)]
struct LogBuffer(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for LogBuffer {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn the_access_key_is_nowhere() {
    let log = LogBuffer::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    // For all threads: with a subscriber of one thread, what other tests log first stays unseen.
    tracing::subscriber::set_global_default(subscriber).unwrap();
    let echo = format!(r#"{{"error":{{"code":"x{CANARY}","message":"{CANARY} no"}}}}"#);
    let vendor = Vendor::start(vec![
        Answer::status(500, &echo),
        Answer::Reset,
        Answer::Rows(rows(6)),
        Answer::Rows(rows(6)),
        Answer::status(302, "").with("location", "http://127.0.0.1:1/x"),
    ])
    .await;
    let folder = tempfile::tempdir().unwrap();
    let topic = Arc::new(MemoryTopic::default());
    let mut poller = poller(&vendor, folder.path(), &topic);
    let mut texts = vec![format!("{poller:?}"), format!("{:?}", client(&vendor.base_url))];
    texts.push(format!("{:?}", poller.run_once().await));
    texts.push(format!("{:?}", poller.run_once().await));
    texts.push(text(&client(&vendor.base_url).page(&request(100)).await.unwrap_err()));
    let gone = client("http://127.0.0.1:1/v2").page(&request(100)).await.unwrap_err();
    texts.push(text(&gone));

    let records = topic.0.lock().unwrap().clone();
    assert_eq!(records.len(), 6, "the test reached the topic");
    texts.push(format!("{records:?}"));
    let logged = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(logged.contains("access_key=[REDACTED]"), "requests are logged, without the key");
    texts.push(logged);
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        texts.push(String::from_utf8_lossy(&bytes).into_owned());
    }
    for text in texts {
        assert!(!text.contains("cnry"), "{text}");
        assert!(!text.contains("0123456789abcdef"), "{text}");
    }
    assert!(vendor.heads()[0].contains(CANARY), "the vendor did get it");
}
