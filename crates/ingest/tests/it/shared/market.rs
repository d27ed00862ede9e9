//! The vendor and the topic of a simulation: what goes through them is written down.

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use ingest::{
    Error,
    marketstack::FetchFailure,
    source::{MarketSource, Page, PageRequest, recorded::RecordedSource},
    topic::{NewRecord, TopicWriter},
};
use model::{Dataset, record, session::Session};

use super::clock::{MachineClock, World};
use crate::landing::{faulty::Dice, memory_topic::MemoryTopic};

/// The vendor: end-of-day rows of every symbol, and a meter.
pub(crate) struct Vendor {
    world: Arc<World>,
    rows: RecordedSource,
    state: Mutex<State>,
    is_faulty: AtomicBool,
}

struct State {
    dice: Dice,
    requests: Vec<(Duration, PageRequest)>,
    failures: u64,
}

impl fmt::Debug for Vendor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vendor").finish_non_exhaustive()
    }
}

impl Vendor {
    pub(crate) fn new(
        world: &Arc<World>,
        seed: u64,
        symbols: &[String],
        sessions: &[Session],
    ) -> Arc<Self> {
        let (uptime, skew) = (Duration::ZERO, chrono::TimeDelta::zero());
        let rows = RecordedSource::new(MachineClock::new(world, uptime, skew));
        for session in sessions {
            for symbol in symbols {
                let date = session.date.to_string();
                let row = format!(r#"{{"close":1.5,"symbol":"{symbol}","date":"{date}"}}"#);
                rows.put(Dataset::Eod, symbol, &date, row);
            }
        }
        let state = State { dice: Dice::new(seed), requests: Vec::new(), failures: 0 };
        let is_faulty = AtomicBool::new(false);
        Arc::new(Self { world: Arc::clone(world), rows, state: Mutex::new(state), is_faulty })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn set_faulty(&self, is_faulty: bool) {
        self.is_faulty.store(is_faulty, Ordering::Relaxed);
    }

    /// Returns every request and when it arrived.
    pub(crate) fn requests(&self) -> Vec<(Duration, PageRequest)> {
        self.lock().requests.clone()
    }

    /// Returns what the requests cost: the vendor counts every symbol as one.
    pub(crate) fn cost(&self) -> u64 {
        let cost = |(_, request): &(Duration, PageRequest)| request.symbols.len() as u64;
        self.lock().requests.iter().map(cost).sum()
    }

    /// Returns how many requests it failed to answer.
    pub(crate) fn failures(&self) -> u64 {
        self.lock().failures
    }
}

#[async_trait]
impl MarketSource for Vendor {
    fn name(&self) -> &'static str {
        "simulated"
    }

    async fn page(&self, request: &PageRequest) -> Result<Page, Error> {
        self.lock().requests.push((self.world.now(), request.clone()));
        let millis = 20 + self.lock().dice.roll(200);
        self.world.sleep(Duration::from_millis(millis)).await;
        if self.is_faulty.load(Ordering::Relaxed) && self.lock().dice.percent(2) {
            self.lock().failures += 1;
            let source = FetchFailure::Vendor {
                status: 503,
                code: "unavailable".to_owned(),
                message: String::new(),
                passes_soon: true,
            };
            let PageRequest { dataset, offset, .. } = *request;
            return Err(Error::Fetch { dataset, offset, retry_after: None, source });
        }
        self.rows.page(request).await
    }
}

/// A row as it lies in the topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TopicRow {
    pub(crate) symbol: String,
    pub(crate) fetch_id: u64,
    pub(crate) page: u32,
    pub(crate) value: String,
}

/// A topic that takes its time, and whose acknowledgements get lost.
#[derive(Debug)]
pub(crate) struct SlowTopic {
    world: Arc<World>,
    log: MemoryTopic,
    dice: Mutex<Dice>,
    failures: AtomicU64,
    is_faulty: AtomicBool,
}

impl SlowTopic {
    pub(crate) fn new(world: &Arc<World>, seed: u64) -> Arc<Self> {
        let dice = Mutex::new(Dice::new(seed));
        let (log, world) = (MemoryTopic::new(1), Arc::clone(world));
        let (failures, is_faulty) = (AtomicU64::new(0), AtomicBool::new(false));
        Arc::new(Self { world, log, dice, failures, is_faulty })
    }

    fn roll(&self, sides: u64) -> u64 {
        self.dice.lock().unwrap_or_else(PoisonError::into_inner).roll(sides)
    }

    pub(crate) fn set_faulty(&self, is_faulty: bool) {
        self.is_faulty.store(is_faulty, Ordering::Relaxed);
    }

    /// Returns how many appends it did not acknowledge.
    pub(crate) fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    /// Returns all rows in the order of their appends.
    pub(crate) fn rows(&self) -> Vec<TopicRow> {
        let logs = self.log.logs("eod");
        let rows = logs.iter().flat_map(|log| &log.records).map(|record| {
            let header = |name: &str| {
                let found = record.headers.iter().find(|(header, _)| header == name);
                found.expect("every record has it").1.parse::<u64>().expect("a number")
            };
            TopicRow {
                symbol: record.key.clone(),
                fetch_id: header(record::FETCH_ID),
                page: u32::try_from(header(record::PAGE)).expect("small"),
                value: String::from_utf8(record.value.to_vec()).expect("text"),
            }
        });
        rows.collect()
    }
}

#[async_trait]
impl TopicWriter for SlowTopic {
    async fn append(&self, topic: &str, records: Vec<NewRecord>) -> Result<(), Error> {
        self.world.sleep(Duration::from_millis(self.roll(30))).await;
        self.log.append(topic, records).await?;
        self.world.sleep(Duration::from_millis(self.roll(30))).await;
        if self.is_faulty.load(Ordering::Relaxed) && self.roll(100) < 2 {
            self.failures.fetch_add(1, Ordering::Relaxed);
            let source =
                object_store::Error::Generic { store: "broker", source: "no answer".into() };
            return Err(Error::LandingStore { doing: "appending", key: topic.to_owned(), source });
        }
        Ok(())
    }
}
