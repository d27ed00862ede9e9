//! The poller against a source in memory: what reaches the topic, and what the log says of it.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use async_trait::async_trait;
use model::{ManualClock, record};

use super::*;
use crate::{
    marketstack::FetchFailure,
    source::{
        PageRequest, Window,
        contract::market_source_contract,
        recorded::{Reaction, RecordedSource},
    },
    state::{Durability, FetchStatus, FetchedPage, State, fetched_pages},
    topic::NewRecord,
};

mod failures;
mod losses;

#[derive(Debug, Default)]
struct MemoryTopic {
    records: Mutex<Vec<(String, NewRecord)>>,
    failures: Mutex<u32>,
}

impl MemoryTopic {
    fn records(&self) -> Vec<(String, NewRecord)> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[async_trait]
impl TopicWriter for MemoryTopic {
    async fn append(&self, topic: &str, records: Vec<NewRecord>) -> Result<(), Error> {
        let mut failures = self.failures.lock().unwrap();
        if 0 < *failures {
            *failures -= 1;
            let source = std::io::Error::other("the broker is away");
            return Err(Error::File { doing: "appending to", path: topic.into(), source });
        }
        let records = records.into_iter().map(|record| (topic.to_owned(), record));
        self.records.lock().unwrap().extend(records);
        Ok(())
    }
}

struct Rig {
    folder: tempfile::TempDir,
    clock: Arc<ManualClock>,
    source: Arc<RecordedSource>,
    topic: Arc<MemoryTopic>,
    state: Arc<State>,
    config: PollConfig,
}

const NOW: &str = "2024-03-13T22:00:00Z";

impl Rig {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::new(NOW.parse().unwrap()));
        let shared: Arc<dyn Clock> = Arc::<ManualClock>::clone(&clock);
        let config = PollConfig {
            datasets: vec![Dataset::Eod],
            symbols: vec!["AAPL".to_owned(), "MSFT".to_owned()],
            interval: BarInterval::Minute1,
            after_hours: false,
            start_date: "2024-03-11".parse().unwrap(),
            look_back: Duration::from_secs(600),
            revise_days: 0,
            settle: Duration::from_secs(5),
            poll_every: Duration::from_secs(60),
            page_rows: NonZeroU32::new(2).unwrap(),
            pages_max: NonZeroU32::new(20).unwrap(),
            symbols_per_request: NonZeroU32::new(100).unwrap(),
            requests_per_second: NonZeroU32::new(5).unwrap(),
            quota_month: None,
            topic_prefix: "test.".to_owned(),
        };
        let rig = Self {
            state: Arc::new(State::open(folder.path(), Durability::Process).unwrap()),
            folder,
            source: Arc::new(RecordedSource::new(shared)),
            clock,
            topic: Arc::default(),
            config,
        };
        for date in ["2024-03-11", "2024-03-12", "2024-03-13"] {
            for symbol in ["AAPL", "MSFT"] {
                rig.put(symbol, date, "1.50");
            }
        }
        rig
    }

    fn put(&self, symbol: &str, date: &str, close: &str) {
        let row =
            format!(r#"{{"close":{close}, "symbol":"{symbol}","date":"{date}T00:00:00+0000"}}"#);
        self.source.put(Dataset::Eod, symbol, date, row);
    }

    fn poller(&self) -> Poller {
        let now = NOW.parse().unwrap();
        Poller::new(PollerParts {
            config: self.config.clone(),
            source: Arc::<RecordedSource>::clone(&self.source),
            topic: Arc::<MemoryTopic>::clone(&self.topic),
            state: Arc::new(State::open(self.folder.path(), Durability::Process).unwrap()),
            clock: Arc::<ManualClock>::clone(&self.clock),
            market_time: MarketTime { epoch: now, start: now, speed: 1 },
            seed: 7,
        })
        .unwrap()
    }

    fn react(&self, reactions: Vec<Option<Reaction>>) {
        self.source.react(reactions);
    }

    /// Rows of the topic as `(fetch_id, page, row, key, value)`.
    fn rows(&self) -> Vec<(String, String, String, String, String)> {
        let header = |record: &NewRecord, name: &str| {
            let found = record.headers.iter().find(|(header, _)| header == name);
            found.map(|(_, value)| value.clone()).unwrap_or_default()
        };
        let records = self.topic.records();
        records
            .iter()
            .map(|(topic, found)| {
                assert_eq!(topic, "test.eod");
                (
                    header(found, record::FETCH_ID),
                    header(found, record::PAGE),
                    header(found, record::ROW),
                    found.key.clone(),
                    String::from_utf8(found.value.to_vec()).unwrap(),
                )
            })
            .collect()
    }

    fn pages(&self) -> Vec<FetchedPage> {
        fetched_pages(Arc::clone(&self.state)).map(Result::unwrap).collect()
    }

    /// The topic holds exactly what the log says, page by page.
    fn check_log_agrees(&self) {
        let mut in_topic: BTreeMap<(u64, u32), u64> = BTreeMap::new();
        for (fetch_id, page, ..) in self.rows() {
            *in_topic.entry((fetch_id.parse().unwrap(), page.parse().unwrap())).or_default() += 1;
        }
        let in_log: BTreeMap<(u64, u32), u64> = self
            .pages()
            .into_iter()
            .filter(|page| page.rows != 0)
            .map(|page| ((page.fetch_id, page.page), page.rows))
            .collect();
        assert_eq!(in_topic, in_log);
    }
}

fn boxed(
    reaction: impl FnOnce(&PageRequest, crate::source::Page) -> Result<crate::source::Page, Error>
    + Send
    + 'static,
) -> Option<Reaction> {
    Some(Box::new(reaction))
}

fn broken(passes_soon: bool) -> Option<Reaction> {
    boxed(move |request, _| {
        Err(Error::Fetch {
            dataset: request.dataset,
            offset: request.offset,
            retry_after: None,
            source: FetchFailure::Vendor {
                status: 500,
                code: "internal_error".to_owned(),
                message: String::new(),
                passes_soon,
            },
        })
    })
}

#[tokio::test]
async fn rows_reach_the_topic_verbatim_with_their_provenance() {
    let rig = Rig::new();
    let mut poller = rig.poller();
    let progress = poller.run_once().await.unwrap();
    assert!(progress.has_moved);
    while poller.run_once().await.unwrap().has_moved {}
    let rows = rig.rows();
    assert_eq!(rows.len(), 6);
    let value = r#"{"close":1.50, "symbol":"AAPL","date":"2024-03-13T00:00:00+0000"}"#;
    let expected = ("1", "0", "0", "AAPL", value);
    let (fetch_id, page, row, key, found) = &rows[0];
    assert_eq!((&fetch_id[..], &page[..], &row[..], &key[..], &found[..]), expected);
    let names: Vec<String> =
        rig.topic.records()[0].1.headers.iter().map(|(name, _)| name.clone()).collect();
    assert_eq!(names, ["source", "fetch_id", "page", "row", "interval", "ts_fetched"]);
    rig.check_log_agrees();
    let progress = poller.run_once().await.unwrap();
    assert_eq!(progress.waits_for, Some(WaitsFor::Market));
    assert_eq!(progress.windows_behind, 0);
    assert_eq!(rig.state.status(rig.clock.now()).unwrap().rows_total, 6);
}

#[tokio::test]
async fn a_second_poller_waits_and_takes_over() {
    let rig = Rig::new();
    let (mut first, mut second) = (rig.poller(), rig.poller());
    assert!(first.run_once().await.unwrap().has_moved);
    let standby = second.run_once().await.unwrap();
    assert_eq!(standby.waits_for, Some(WaitsFor::ActivePoller));
    while first.run_once().await.unwrap().has_moved {}
    drop(first);
    let after = second.run_once().await.unwrap();
    assert_eq!(after.waits_for, Some(WaitsFor::Market), "nothing is fetched twice");
    assert_eq!(rig.rows().len(), 6);
}

#[tokio::test]
async fn a_poller_that_dies_in_the_middle_is_followed_by_a_larger_fetch_id() {
    let rig = Rig::new();
    // The second page fails for good, after the first one is in the topic.
    rig.react(vec![None, None, broken(false)]);
    let mut poller = rig.poller();
    assert!(poller.run_once().await.unwrap().has_moved, "the live session");
    let error = poller.run_once().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Transient);
    // As if killed: the fetch it had begun is still open for the next one.
    let open = rig.state.begin_fetch(Dataset::Eod, 1, "{}", rig.clock.now()).unwrap();
    drop(poller);
    let mut next = rig.poller();
    while next.run_once().await.unwrap().has_moved {}
    assert_eq!(rig.state.fetch_status(open).unwrap(), Some(FetchStatus::Failed));
    let ids: BTreeSet<u64> = rig.pages().iter().map(|page| page.fetch_id).collect();
    assert!(ids.iter().max() > Some(&open), "{ids:?}");
    rig.check_log_agrees();
    let values: BTreeSet<String> = rig.rows().into_iter().map(|row| row.4).collect();
    assert_eq!(values.len(), 6, "every row is there, some twice");
}

#[tokio::test]
async fn a_failure_that_passes_is_outwaited() {
    let rig = Rig::new();
    rig.react(vec![broken(true), broken(true), broken(true)]);
    let before = rig.clock.now();
    assert!(rig.poller().run_once().await.unwrap().has_moved);
    assert!(before < rig.clock.now(), "it waited in between");
    rig.check_log_agrees();
}

#[tokio::test]
async fn a_failure_that_stays_parks_its_chunk_and_not_the_others() {
    let mut rig = Rig::new();
    rig.config.symbols_per_request = NonZeroU32::new(1).unwrap();
    rig.react(vec![broken(false)]);
    let mut poller = rig.poller();
    poller.run_once().await.unwrap_err();
    let mut keys = BTreeSet::new();
    for _ in 0..10 {
        let progress = poller.run_once().await.unwrap();
        if !progress.has_moved {
            assert_eq!(progress.waits_for, Some(WaitsFor::Retry));
            break;
        }
        keys.extend(rig.rows().into_iter().map(|row| row.3));
    }
    assert_eq!(keys, BTreeSet::from(["MSFT".to_owned()]), "the other chunk goes on");
    rig.clock.advance(Duration::from_secs(6));
    while poller.run_once().await.unwrap().has_moved {}
    assert_eq!(rig.rows().len(), 6);
}

#[tokio::test]
async fn a_window_that_moves_is_scanned_again_under_a_new_fetch_id() {
    let rig = Rig::new();
    rig.react(vec![
        None,
        // The total grows between two pages.
        None,
        boxed(|_, mut page| {
            page.rows_total += 1;
            Ok(page)
        }),
    ]);
    let mut poller = rig.poller();
    while poller.run_once().await.unwrap().has_moved {}
    let statuses: Vec<_> = (1..=3).map(|id| rig.state.fetch_status(id).unwrap().unwrap()).collect();
    assert_eq!(statuses, [FetchStatus::Done, FetchStatus::Failed, FetchStatus::Done]);
    rig.check_log_agrees();
}

#[tokio::test]
async fn a_row_that_slips_from_page_to_page_is_noticed() {
    let rig = Rig::new();
    rig.react(vec![
        None,
        None,
        // A row was inserted at the head: the second page repeats one and misses one.
        boxed(|_, mut page| {
            page.rows[1] = page.rows[0].clone();
            Ok(page)
        }),
    ]);
    let mut poller = rig.poller();
    while poller.run_once().await.unwrap().has_moved {}
    assert_eq!(rig.state.fetch_status(2).unwrap(), Some(FetchStatus::Failed));
    assert_eq!(rig.state.fetch_status(3).unwrap(), Some(FetchStatus::Done));
    let values: BTreeSet<String> = rig.rows().into_iter().map(|row| row.4).collect();
    assert_eq!(values.len(), 6);
}

#[tokio::test]
async fn duplicates_that_the_vendor_always_serves_are_taken_as_served() {
    let rig = Rig::new();
    let twice = || {
        boxed(|_, mut page| {
            page.rows[1] = page.rows[0].clone();
            Ok(page)
        })
    };
    rig.react(vec![twice(), twice()]);
    let progress = rig.poller().run_once().await.unwrap();
    assert_eq!(progress.rows, 4, "both scans are in the topic");
    assert_eq!(rig.state.fetch_status(2).unwrap(), Some(FetchStatus::Done));
}

#[tokio::test]
async fn a_window_that_never_rests_is_given_up_for_now() {
    let rig = Rig::new();
    let moving = |more: u64| {
        boxed(move |_, mut page| {
            page.rows_total += more;
            Ok(page)
        })
    };
    rig.react((1..20).map(moving).collect());
    let error = rig.poller().run_once().await.unwrap_err();
    assert!(matches!(error, Error::Unstable { restarts: 3, .. }), "{error}");
    assert_eq!(error.kind(), ErrorKind::Transient);
    rig.check_log_agrees();
}

#[tokio::test]
async fn an_append_without_acknowledgement_records_nothing() {
    let rig = Rig::new();
    *rig.topic.failures.lock().unwrap() = 1;
    let mut poller = rig.poller();
    poller.run_once().await.unwrap_err();
    assert_eq!(rig.pages(), []);
    assert_eq!(rig.state.fetch_status(1).unwrap(), Some(FetchStatus::Failed));
    while poller.run_once().await.unwrap().has_moved {}
    rig.check_log_agrees();
    assert_eq!(rig.rows().len(), 6);
}

#[tokio::test]
async fn the_quota_is_kept_to_the_request_and_work_resumes_in_the_new_month() {
    let mut rig = Rig::new();
    // One page of two symbols for the live session, and one of the two pages of the past.
    rig.config.quota_month = Some(5);
    let mut poller = rig.poller();
    assert!(poller.run_once().await.unwrap().has_moved);
    for _ in 0..5 {
        let progress = poller.run_once().await.unwrap();
        assert!(matches!(progress.waits_for, Some(WaitsFor::Quota { .. })), "{progress:?}");
    }
    assert_eq!(rig.source.requests().len(), 2, "no request is sent that is not in the quota");
    assert_eq!(rig.state.quota_used(rig.clock.now()).unwrap(), 4);
    rig.clock.advance(Duration::from_secs(19 * 24 * 3600));
    rig.config.quota_month = Some(1000);
    drop(poller);
    let mut poller = rig.poller();
    for _ in 0..50 {
        poller.run_once().await.unwrap();
    }
    let values: BTreeSet<String> = rig.rows().into_iter().map(|row| row.4).collect();
    assert_eq!(values.len(), 6);
}

#[tokio::test]
async fn the_vendors_own_word_on_the_quota_stops_requests() {
    let rig = Rig::new();
    rig.react(vec![boxed(|request, _| {
        let ts_reset = "2024-04-01T00:00:00Z".parse().unwrap();
        Err(Error::QuotaExhausted { dataset: request.dataset, ts_reset })
    })]);
    let mut poller = rig.poller();
    for _ in 0..4 {
        let progress = poller.run_once().await.unwrap();
        let ts_reset = "2024-03-14T04:00:00Z".parse().unwrap();
        assert_eq!(progress.waits_for, Some(WaitsFor::Quota { ts_reset }));
    }
    assert_eq!(rig.source.requests().len(), 1);
    rig.clock.advance(Duration::from_secs(6 * 3600));
    assert!(poller.run_once().await.unwrap().has_moved, "the vendor is asked again");
}

#[tokio::test]
async fn a_symbol_keeps_its_chunk_when_others_come_and_go() {
    let mut rig = Rig::new();
    let state = Arc::clone(&rig.state);
    let chunks =
        async |config: &PollConfig, dataset| chunks_of(&*state, config, dataset).await.unwrap();
    let before = chunks(&rig.config, Dataset::Eod).await;
    rig.config.symbols = ["NVDA", "MSFT", "TSLA"].map(str::to_owned).to_vec();
    let after = chunks(&rig.config, Dataset::Eod).await;
    let shown = |chunks: &[Chunk]| -> Vec<(u32, String)> {
        chunks.iter().map(|chunk| (chunk.id, chunk.symbols.join(","))).collect()
    };
    assert_eq!(shown(&before), [(1, "AAPL,MSFT".to_owned())]);
    assert_eq!(shown(&after), [(1, "MSFT".to_owned()), (2, "NVDA,TSLA".to_owned())]);
    assert_eq!(
        shown(&chunks(&rig.config, Dataset::Eod).await),
        shown(&after),
        "asking twice adds nothing"
    );
    assert_eq!(chunks(&rig.config, Dataset::Tickers).await.len(), 3);

    // AAPL comes back: what was fetched without it must not count for it.
    rig.config.symbols = ["AAPL", "MSFT", "NVDA", "TSLA"].map(str::to_owned).to_vec();
    let third = (3 + 3, "AAPL".to_owned());
    let back = shown(&chunks(&rig.config, Dataset::Eod).await);
    assert_eq!(back, [(1, "MSFT".to_owned()), (2, "NVDA,TSLA".to_owned()), third]);
    rig.config.symbols_per_request = NonZeroU32::new(1).unwrap();
    let small = chunks(&rig.config, Dataset::Eod).await;
    assert!(small.iter().all(|chunk| chunk.symbols.len() == 1), "{small:?}");
    assert_eq!(small.len(), 4);
}

#[tokio::test]
async fn the_source_in_memory_keeps_the_contract() {
    let rig = Rig::new();
    let request = PageRequest {
        dataset: Dataset::Eod,
        symbols: rig.config.symbols.clone(),
        interval: None,
        after_hours: false,
        window: Window::Dates {
            from: "2024-03-11".parse().unwrap(),
            to: "2024-03-12".parse().unwrap(),
        },
        offset: 0,
        rows_max: 3,
    };
    market_source_contract(&*rig.source, &request).await;
}

#[test]
fn settings_that_cannot_work_are_refused() {
    let config = Rig::new().config;
    let check = |config: PollConfig| config.check().unwrap_err().to_string();
    let rows = NonZeroU32::new(1001).unwrap();
    assert!(check(PollConfig { page_rows: rows, ..config.clone() }).contains("page_rows"));
    let symbols = vec!["A,B".to_owned()];
    assert!(check(PollConfig { symbols, ..config.clone() }).contains("comma"));
    assert!(check(PollConfig { symbols: vec![], ..config.clone() }).contains("at least one"));
    let topic_prefix = "../".to_owned();
    assert!(check(PollConfig { topic_prefix, ..config }).contains("topic"));
}
