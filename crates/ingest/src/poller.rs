//! The poll stage: fetches what is due and appends it to the topic, one fetch plan at a time.
//!
//! [`plan`] decides, [`coverage`] remembers, this file acts. What may happen at any instruction:
//!
//! | a crash after | leaves | the next poller |
//! |---|---|---|
//! | the fetch id is allocated | an unused id | uses a larger one |
//! | some records are appended | records of a page that is not recorded | fetches the window again |
//! | a page is recorded | a fetch that never ends | gives it up, fetches the window again |
//! | the fetch is finished | progress, in the same transaction | goes on |
//!
//! So a row may be in the topic twice, under different fetch ids, and is never missing.

use std::{collections::BTreeSet, fmt, num::NonZeroU32, sync::Arc, time::Duration};

use chrono::{DateTime, NaiveDate, Utc};
use model::{
    BarInterval, Clock, Dataset, ErrorKind, clock::MarketTime, landing::LandingKey,
    session::trading_date,
};
use rand::{SeedableRng, rngs::StdRng};

use crate::{
    Error,
    limiter::Limiter,
    quota::{Forecast, Wish},
    source::MarketSource,
    state::{Chunk, PollerLock},
    topic::TopicWriter,
};

pub mod coverage;
mod fetch;
mod labels;
pub mod losses;
pub mod memory;
mod parked;
pub mod plan;
mod progress;

pub use progress::{Progress, WaitsFor};

use coverage::Coverage;
use memory::Memory;
use parked::ParkedChunks;
use plan::{Decision, FetchPlan, Planner, Reason, Situation};

/// What to fetch, and how eagerly.
#[derive(Clone, Debug)]
pub struct PollConfig {
    /// The kinds of rows to fetch.
    pub datasets: Vec<Dataset>,
    /// The symbols as the vendor writes them.
    pub symbols: Vec<String>,
    /// The bar interval of intraday rows.
    pub interval: BarInterval,
    /// Whether intraday rows before the open and after the close are wanted.
    pub after_hours: bool,
    /// The first trading day to fetch.
    pub start_date: NaiveDate,
    /// How far a live poll reaches back, market time: rows may appear or change that late. Every
    /// symbol costs one request per page, so a long one is paid for with quota.
    pub look_back: Duration,
    /// How many sessions are fetched once more on each of as many days.
    pub revise_days: u32,
    /// How long after its end an interval is left to settle before it is asked for, market time.
    pub settle: Duration,
    /// Time between two live polls of a chunk, market time.
    pub poll_every: Duration,
    /// Rows of one page; the vendor's most is 1,000.
    pub page_rows: NonZeroU32,
    /// Most pages of one fetch plan: what is repeated when it breaks.
    pub pages_max: NonZeroU32,
    /// Most symbols of one request; the vendor's most is 100.
    pub symbols_per_request: NonZeroU32,
    /// Requests per second; the vendor's most is 5.
    pub requests_per_second: NonZeroU32,
    /// Requests per month, every symbol counting as one; `None` when there is no end.
    pub quota_month: Option<u64>,
    /// What topic names begin with.
    pub topic_prefix: String,
}

/// The vendor's own limits.
const PAGE_ROWS_MAX: u32 = 1_000;
const SYMBOLS_PER_REQUEST_MAX: u32 = 100;

impl PollConfig {
    /// Checks what the vendor and the topic ask of the settings.
    ///
    /// # Errors
    /// `Error::Settings` with the first setting that cannot work.
    pub fn check(&self) -> Result<(), Error> {
        let refuse =
            |setting, problem: &str| Err(Error::Settings { setting, problem: problem.to_owned() });
        if PAGE_ROWS_MAX < self.page_rows.get() {
            return refuse("poll.page_rows", "the vendor serves at most 1000 rows a page");
        }
        if SYMBOLS_PER_REQUEST_MAX < self.symbols_per_request.get() {
            return refuse("poll.symbols_per_request", "the vendor takes at most 100 symbols");
        }
        if self.poll_every.is_zero() {
            return refuse("poll.poll_every", "must be longer than zero");
        }
        let is_broken = |symbol: &String| symbol.is_empty() || symbol.contains([',', ' ']);
        if self.symbols.iter().any(is_broken) {
            return refuse("poll.symbols", "a symbol is empty or holds a comma or a space");
        }
        if self.symbols.is_empty() && self.datasets.iter().any(|found| *found != Dataset::Exchanges)
        {
            return refuse("poll.symbols", "must name at least one symbol");
        }
        if self.datasets.iter().any(|dataset| !LandingKey::is_topic_name(&self.topic(*dataset))) {
            return refuse("topic.prefix", "must keep topic names to 64 of `A-Z a-z 0-9 . _ -`");
        }
        Ok(())
    }

    /// Returns the topic of a dataset.
    #[must_use]
    pub fn topic(&self, dataset: Dataset) -> String {
        format!("{}{dataset}", self.topic_prefix)
    }

    /// Compares what these settings ask for with the quota that is left.
    #[must_use]
    pub fn forecast(&self, left: u64, now: DateTime<Utc>) -> Forecast {
        /// Minutes of a regular session.
        const SESSION_MINUTES: u64 = 390;
        let symbols = u64::try_from(self.symbols.len()).unwrap_or(u64::MAX);
        let chunk = symbols.min(u64::from(self.symbols_per_request.get()));
        let minutes = |duration: Duration| duration.as_secs().div_ceil(60).max(1);
        let step = self.interval.length().num_minutes().cast_unsigned().max(1);
        let pages = |labels: u64| {
            chunk.saturating_mul(labels).div_ceil(u64::from(self.page_rows.get())).max(1)
        };
        let rounds = u64::from(self.revise_days);
        let wish = |dataset: &Dataset| match dataset {
            Dataset::Intraday => {
                let poll_every = minutes(self.poll_every).max(step);
                let live = Wish {
                    symbols,
                    pages: pages(minutes(self.look_back).max(poll_every).div_ceil(step)),
                    rounds_per_session: SESSION_MINUTES.div_ceil(poll_every),
                };
                let again = Wish {
                    symbols,
                    pages: pages(SESSION_MINUTES.div_ceil(step)),
                    rounds_per_session: rounds,
                };
                vec![live, again]
            }
            Dataset::Eod => vec![Wish { symbols, pages: 1, rounds_per_session: 1 + rounds }],
            Dataset::Exchanges => vec![Wish { symbols: 1, pages: 3, rounds_per_session: 1 }],
            _ => vec![Wish { symbols, pages: 1, rounds_per_session: 1 }],
        };
        let wishes: Vec<Wish> = self.datasets.iter().flat_map(wish).collect();
        Forecast::new(&wishes, left, now)
    }
}

/// What the poller works with.
pub struct PollerParts {
    /// What to fetch.
    pub config: PollConfig,
    /// Where from.
    pub source: Arc<dyn MarketSource>,
    /// Where to.
    pub topic: Arc<dyn TopicWriter>,
    /// What was fetched already.
    pub state: Arc<dyn Memory>,
    /// Wall time.
    pub clock: Arc<dyn Clock>,
    /// Market time.
    pub market_time: MarketTime,
    /// Seeds the jitter of retries.
    pub seed: u64,
}

impl fmt::Debug for PollerParts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PollerParts")
            .field("config", &self.config)
            .field("source", &self.source)
            .finish_non_exhaustive()
    }
}

/// The poll stage. Any number may run on one folder; one of them is active.
#[derive(Debug)]
pub struct Poller {
    parts: PollerParts,
    limiter: Arc<tokio::sync::Mutex<Limiter>>,
    rng: StdRng,
    watch: losses::Watch,
    active: Option<Active>,
}

/// What only the holder of the lock has.
#[derive(Debug)]
struct Active {
    chunks: Vec<Chunk>,
    coverage: Coverage,
    parked: ParkedChunks,
    was_live: bool,
    windows_behind: u64,
    behind_counted_at: Option<Duration>,
    _lock: PollerLock,
}

/// A standby looks for the lock this often; a take-over is late by as much.
const STANDBY_WAIT: Duration = Duration::from_secs(1);
/// The longest a poller sleeps without looking at the clocks again.
const WAIT_MAX: Duration = Duration::from_secs(60);
/// The shortest wait: a fast market must not turn waiting into spinning.
const WAIT_MIN: Duration = Duration::from_millis(2);
/// How often the windows that are behind are counted while there is much to do.
const COUNT_EVERY: Duration = Duration::from_secs(2);

impl Poller {
    /// Creates a poller; nothing is locked or fetched yet.
    ///
    /// # Errors
    /// `Error::Settings` when the settings cannot work.
    pub fn new(parts: PollerParts) -> Result<Self, Error> {
        let limiter = Limiter::new(Arc::clone(&parts.clock), parts.config.requests_per_second);
        Self::with_limiter(parts, Arc::new(tokio::sync::Mutex::new(limiter)))
    }

    /// Creates a poller that shares its requests per second with others of this process.
    pub(crate) fn with_limiter(
        parts: PollerParts,
        limiter: Arc<tokio::sync::Mutex<Limiter>>,
    ) -> Result<Self, Error> {
        parts.config.check()?;
        let rng = StdRng::seed_from_u64(parts.seed);
        Ok(Self { parts, limiter, rng, watch: losses::Watch::default(), active: None })
    }

    /// Compares what the settings ask for with what is left of this month's quota.
    ///
    /// # Errors
    /// The state database cannot be read.
    pub fn forecast(&self) -> Result<Forecast, Error> {
        let now = self.parts.clock.now();
        let left = self.parts.state.quota_left(self.parts.config.quota_month, now)?;
        Ok(self.parts.config.forecast(left, now))
    }

    /// Fetches what is due next, at most one plan, and returns when there is more to do.
    ///
    /// Dropping the future loses nothing: the window is fetched again under a new fetch id.
    ///
    /// # Errors
    /// A failure that outlived its retries. A transient one concerns one chunk, which is left
    /// alone for a while: the next call goes on with the others.
    pub async fn run_once(&mut self) -> Result<Progress, Error> {
        let progress = self.step().await?;
        let problem = self.active.as_ref().and_then(|active| active.parked.problem());
        Ok(Progress { is_retrying: problem.is_some(), problem, ..progress })
    }

    async fn step(&mut self) -> Result<Progress, Error> {
        if self.active.is_none() {
            self.active = self.activate().await?;
        }
        if self.active.is_some() && self.see_to_losses().await? {
            self.active = self.activate().await?;
        }
        let Some(active) = &mut self.active else {
            return Ok(Progress::idle(WaitsFor::ActivePoller, STANDBY_WAIT, 0));
        };
        let now = self.parts.clock.now();
        let market_now = self.parts.market_time.at(now);
        let monotonic = self.parts.clock.monotonic();
        let next_retry = active.parked.next_retry(monotonic);
        let limit = self.parts.config.quota_month;
        let situation = Situation {
            now: market_now,
            quota_left: self.parts.state.quota_left(limit, now)?,
            parked: active.parked.waiting(monotonic),
            was_live: active.was_live,
        };
        let decision = active.planner(&self.parts.config).decide(&situation);
        active.count_behind(&self.parts, market_now, !matches!(decision, Decision::Fetch(_)))?;
        let behind = active.windows_behind;
        let retry = |wait: Duration, waits_for| match next_retry {
            Some(retry) if retry < wait => Progress::idle(WaitsFor::Retry, retry, behind),
            _ => Progress::idle(waits_for, wait, behind),
        };
        match decision {
            Decision::Fetch(plan) => self.fetch_and_park(plan, market_now).await,
            Decision::QuotaShort => {
                let ts_reset = self.parts.state.quota_reset(limit, now)?;
                let wait = (ts_reset - now).to_std().unwrap_or_default();
                Ok(retry(wait.clamp(WAIT_MIN, WAIT_MAX), WaitsFor::Quota { ts_reset }))
            }
            Decision::Wait(until) => {
                active.parked.release_rested(monotonic);
                Ok(retry(self.wall_wait(market_now, until), WaitsFor::Market))
            }
        }
    }

    /// Takes the lock, gives up what a dead poller left, and reads what was fetched.
    async fn activate(&self) -> Result<Option<Active>, Error> {
        let PollerParts { state, config, clock, market_time, .. } = &self.parts;
        let Some(lock) = state.try_lock()? else {
            return Ok(None);
        };
        let abandoned = state.fail_unfinished(clock.now()).await?;
        if abandoned != 0 {
            tracing::info!(abandoned, "fetches of a stopped poller are begun again");
        }
        let mut chunks = Vec::new();
        for dataset in &config.datasets {
            chunks.extend(chunks_of(&**state, config, *dataset).await?);
        }
        let mut coverage = Coverage::load(&**state)?;
        let ids: Vec<u32> = chunks
            .iter()
            .filter(|chunk| matches!(chunk.dataset, Dataset::Intraday | Dataset::Eod))
            .map(|chunk| chunk.id)
            .collect();
        coverage.settle_all(config, &ids, trading_date(market_time.at(clock.now())));
        if let Some(warning) = self.forecast()?.warning() {
            tracing::warn!("{warning}");
        }
        Ok(Some(Active {
            chunks,
            coverage,
            parked: ParkedChunks::default(),
            was_live: false,
            windows_behind: 0,
            behind_counted_at: None,
            _lock: lock,
        }))
    }

    async fn fetch_and_park(
        &mut self,
        plan: FetchPlan,
        market_now: DateTime<Utc>,
    ) -> Result<Progress, Error> {
        let result = self.fetch(&plan, market_now).await;
        let monotonic = self.parts.clock.monotonic();
        let Some(active) = &mut self.active else {
            return result.map(|rows| Progress::moved(rows, 0));
        };
        active.was_live = plan.reason == Reason::Live;
        match result {
            Ok(rows) => {
                active.parked.release(plan.chunk);
                Ok(Progress::moved(rows, active.windows_behind))
            }
            // The ledger knows; the planner will wait for the reset, or plan something cheaper.
            Err(Error::QuotaExhausted { dataset, ts_reset }) => {
                tracing::warn!(%dataset, %ts_reset, "the month's quota is used up");
                Ok(Progress::idle(WaitsFor::Quota { ts_reset }, WAIT_MIN, active.windows_behind))
            }
            Err(error) => {
                if error.kind() == ErrorKind::Transient {
                    active.parked.park(plan.chunk, &error, monotonic);
                }
                Err(error)
            }
        }
    }

    /// Turns market time into a wall wait: at speed 60, a market minute is a second.
    fn wall_wait(&self, market_now: DateTime<Utc>, until: Option<DateTime<Utc>>) -> Duration {
        let Some(until) = until else { return WAIT_MAX };
        let wait = (until - market_now).to_std().unwrap_or_default();
        (wait / self.parts.market_time.speed.max(1)).clamp(WAIT_MIN, WAIT_MAX)
    }
}

impl Active {
    fn planner<'a>(&'a self, config: &'a PollConfig) -> Planner<'a> {
        Planner { config, chunks: &self.chunks, coverage: &self.coverage }
    }

    /// Counts the windows that are behind and saves the number for other processes.
    fn count_behind(
        &mut self,
        parts: &PollerParts,
        market_now: DateTime<Utc>,
        is_idle: bool,
    ) -> Result<(), Error> {
        let monotonic = parts.clock.monotonic();
        let is_old = self.behind_counted_at.is_none_or(|at| COUNT_EVERY <= monotonic - at);
        if !is_idle && !is_old {
            return Ok(());
        }
        let behind = self.planner(&parts.config).windows_behind(market_now);
        if behind != self.windows_behind || self.behind_counted_at.is_none() {
            parts.state.note_windows_behind(behind)?;
        }
        self.windows_behind = behind;
        self.behind_counted_at = Some(monotonic);
        Ok(())
    }
}

/// Returns the chunks of a dataset, adding what the settings have new.
///
/// A symbol stays in the chunk it was first put in, so its progress holds when symbols are added
/// or removed around it. A removed symbol leaves its chunk for good: the chunk goes on without
/// it, so if it ever comes back it begins from the start, in a chunk of its own, without a hole.
async fn chunks_of(
    state: &dyn Memory,
    config: &PollConfig,
    dataset: Dataset,
) -> Result<Vec<Chunk>, Error> {
    let key = match (dataset, config.after_hours) {
        (Dataset::Intraday, false) => config.interval.vendor_name().to_owned(),
        // Longer sessions are other windows: what was fetched without them is not whole.
        (Dataset::Intraday, true) => format!("{} after_hours", config.interval.vendor_name()),
        _ => String::new(),
    };
    let size_max = match dataset {
        // A ticker is asked for by its own path.
        Dataset::Tickers => 1,
        _ => usize::try_from(config.symbols_per_request.get()).unwrap_or(1),
    };
    let mut chunks = state.chunks(dataset, &key)?;
    if dataset == Dataset::Exchanges {
        if chunks.is_empty() {
            chunks.push(state.add_chunk(dataset, &key, Vec::new()).await?);
        }
        return Ok(chunks);
    }
    let wanted: BTreeSet<&String> = config.symbols.iter().collect();
    for chunk in &mut chunks {
        let symbols_before = chunk.symbols.len();
        chunk.symbols.retain(|symbol| wanted.contains(symbol));
        if size_max < chunk.symbols.len() {
            // The settings allow fewer symbols than before: they begin again in smaller chunks.
            chunk.symbols.clear();
        }
        if chunk.symbols.len() != symbols_before {
            state.shrink_chunk(chunk).await?;
        }
    }
    chunks.retain(|chunk| !chunk.symbols.is_empty());
    let mut known: BTreeSet<&String> = chunks.iter().flat_map(|chunk| &chunk.symbols).collect();
    let new: Vec<String> =
        config.symbols.iter().filter(|symbol| known.insert(symbol)).cloned().collect();
    for symbols in new.chunks(size_max) {
        chunks.push(state.add_chunk(dataset, &key, symbols.to_vec()).await?);
    }
    Ok(chunks)
}

#[cfg(test)]
mod tests;
