//! From settings to components: the only place where the crates meet.
//!
//! [`Workbench`] holds what several components share; `stages` builds the stages on it, `servers`
//! the ports, `probe` the status. A command picks what it needs and hands it to the supervisor.

use std::{collections::BTreeMap, num::NonZeroU64, path::PathBuf, sync::Arc};

use ingest::{
    marketstack::{ApiVersion, Marketstack, SourceConfig},
    poller::PollConfig,
    state::State,
};
use model::{Clock, Dataset, session::trading_date};
use secrets::{Redactor, Scopes};

use crate::{
    config::{Config, Durability, OnGap, Semantics, SourceVersion},
    failure::Failure,
};

mod access_key;
mod audit;
mod certificate;
mod data_dir;
mod failures;
mod flight;
pub(crate) mod folder;
mod loading;
mod options;
mod password;
pub(crate) mod polling;
pub(crate) mod probe;
pub(crate) mod servers;
mod sharing;
mod shelf;
pub(crate) mod stages;
mod topic;

pub(crate) use access_key::CurrentKey;
pub(crate) use data_dir::DataDir;
pub(crate) use failures::ResultExt;
pub(crate) use password::{ensure_password, random_password, verifier};
pub(crate) use topic::Topic;

pub(crate) use shelf::Access;
use shelf::Shelf;

/// Longest wait for a connection to the vendor: longer than any working network needs.
const CONNECT_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(10);
/// Longest wait for one page: the vendor's slowest answers take about ten seconds.
const REQUEST_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(30);
/// The vendor's own limits: rows of a page, symbols of a request.
const PAGE_ROWS: u32 = 1000;
const SYMBOLS_PER_REQUEST: u32 = 100;
/// Most pages of one fetch, all of which repeat when it breaks: 50,000 rows, ten seconds.
const PAGES_MAX: u32 = 50;

/// What the components of one process share.
pub(crate) struct Workbench {
    pub(crate) config: Config,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) redactor: Redactor,
    pub(crate) scopes: Scopes,
    pub(crate) data: DataDir,
    shelf: Shelf,
}

impl Workbench {
    /// Puts together what is open already.
    pub(crate) fn new(
        config: Config,
        clock: Arc<dyn Clock>,
        redactor: Redactor,
        data: DataDir,
    ) -> Self {
        let scopes = Scopes::new(&config.scopes, redactor.clone());
        Self { config, clock, redactor, scopes, data, shelf: Shelf::default() }
    }

    /// Opens the poller's durable state.
    pub(crate) fn poll_state(&self) -> Result<Arc<State>, Failure> {
        let durability = match self.config.durability {
            Durability::Process => ingest::state::Durability::Process,
            Durability::Power => ingest::state::Durability::Power,
        };
        Ok(Arc::new(State::open(&self.data.ingest(), durability).or_fail()?))
    }

    /// Opens the read side of the tables.
    pub(crate) async fn reader(&self) -> Result<lake::Reader, Failure> {
        let location = self.lake(Access::Read).await?;
        let reader = lake::Reader::open(location.store, location.url).await.or_fail()?;
        // A full disk must not hide the status; only queries beyond their memory need the room.
        Ok(reader.clone().with_spill_folder(&self.data.spill()).unwrap_or_else(|error| {
            let cause: &(dyn std::error::Error + 'static) = &error;
            tracing::warn!(cause, "queries that need more than their memory will fail");
            reader
        }))
    }

    /// Returns the file that keeps the verifier of a password that was made up.
    pub(crate) fn verifier_path(&self) -> PathBuf {
        self.data.serve().join(format!("{}.scram", self.config.postgres.user))
    }

    /// Returns the topic of a dataset.
    pub(crate) fn topic_name(&self, dataset: Dataset) -> String {
        format!("{}{dataset}", self.config.topic.prefix)
    }

    /// Returns the vendor's client.
    pub(crate) fn market(&self, key: &CurrentKey) -> Result<Marketstack, Failure> {
        let source = &self.config.source;
        let settings = SourceConfig {
            base_url: source.base_url.to_string(),
            version: match source.version {
                SourceVersion::V1 => ApiVersion::V1,
                SourceVersion::V2 => ApiVersion::V2,
            },
            // The settings' own check has already decided where plain http is acceptable.
            allow_http: source.base_url.scheme() == "http",
            connect_timeout: CONNECT_TIMEOUT,
            request_timeout: REQUEST_TIMEOUT,
        };
        Marketstack::new(&settings, Arc::new(key.clone()), Arc::clone(&self.clock)).or_fail()
    }

    fn poll_config(&self) -> Result<PollConfig, Failure> {
        let poll = &self.config.poll;
        let market_now = self.config.market_time.market_time().at(self.clock.now());
        let start_date = match poll.start_date {
            Some(date) => date,
            None => self.data.remembered_start_date(trading_date(market_now))?,
        };
        let at_least_one = |number| std::num::NonZeroU32::new(number).expect("constants over zero");
        Ok(PollConfig {
            datasets: poll.datasets.clone(),
            symbols: poll.symbols.clone(),
            interval: poll.interval,
            after_hours: poll.after_hours,
            start_date,
            look_back: poll.look_back,
            revise_days: poll.revise_days,
            settle: poll.settle,
            poll_every: poll.poll_every,
            page_rows: at_least_one(PAGE_ROWS),
            pages_max: at_least_one(PAGES_MAX),
            symbols_per_request: at_least_one(SYMBOLS_PER_REQUEST),
            requests_per_second: self.config.source.requests_per_second,
            quota_month: self.config.source.quota_month.map(NonZeroU64::get),
            topic_prefix: self.config.topic.prefix.clone(),
        })
    }

    fn landing_config(&self, dataset: Dataset) -> ingest::landing::LandingConfig {
        let landing = &self.config.landing;
        ingest::landing::LandingConfig {
            generation: landing.generation,
            topic: self.topic_name(dataset),
            bytes_max: landing.bytes_max,
            rows_max: u64::from(landing.rows_max.get()),
            age_max: landing.age_max,
            on_gap: match landing.on_gap {
                OnGap::Stop => ingest::landing::OnGap::Stop,
                OnGap::Record => ingest::landing::OnGap::Record,
            },
        }
    }

    /// Returns how intraday rows are to be read.
    pub(crate) fn semantics(&self) -> lake::Semantics {
        match self.config.refine.semantics {
            Semantics::Auto => lake::Semantics::Auto,
            Semantics::Reading => lake::Semantics::Reading,
            Semantics::Bar => lake::Semantics::Bar,
        }
    }
}

/// What stages publish for the status of their own process, by stage name.
pub(crate) type Gauges = Arc<std::sync::Mutex<BTreeMap<&'static str, Gauge>>>;

/// A stage's own view of its lag.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Gauge {
    pub(crate) lag: u64,
    pub(crate) rows_total: Option<u64>,
}

/// Notes a stage's own view of its lag.
fn publish(gauges: &Gauges, stage: &'static str, gauge: Gauge) {
    gauges.lock().unwrap_or_else(std::sync::PoisonError::into_inner).insert(stage, gauge);
}
