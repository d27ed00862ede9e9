//! The pipeline's status: what waits in front of each stage, asked of the durable state itself.
//!
//! Works in every process on the data folder, whoever runs the stages; what only the running
//! process knows (a back-off, a stopped stage) comes from its board.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use autoloader::Trigger;
use chrono::{DateTime, Days, NaiveDate, Utc};
use ingest::{landing::generation, topic::TopicReader};
use model::{
    Clock, Dataset,
    clock::MarketTime,
    session::trading_date,
    status::{PipelineStatus, StageState, StageStatus, TableStatus},
};
use object_store::ObjectStore;
use serve::http::StatusProbe;
use tokio::sync::Mutex;

use super::{
    Access, Gauges, ResultExt, Topic, Workbench, loading::DatasetLoader, polling::PollMemory,
    stages,
};
use crate::{
    config::{Config, StoreConfig},
    failure::Failure,
    supervise::Board,
};

/// How long an answer is good for: the console asks every second, and each question lists folders.
const FRESH_FOR: Duration = Duration::from_secs(1);

/// The same where one of them lies in a store: its listings are requests that are paid for, some
/// dozens for each answer, and an open console asks all day long.
const FRESH_FOR_REMOTE: Duration = Duration::from_secs(10);

/// Days of partitions, in market time, that are asked first for the newest row: a long weekend, and
/// some slack. Only a pipeline that has nothing as recent has its whole table read.
const RECENT_DAYS: Days = Days::new(7);

/// Where a table says when its newest row was fetched.
struct Newest {
    table: &'static str,
    column: &'static str,
    /// The condition that leaves the partitions from a day on.
    since: fn(NaiveDate) -> String,
}

const NEWEST_BRONZE: Newest = Newest {
    table: "bronze.intraday",
    column: "_ts_fetched",
    since: |date| format!("date_key >= {}", date.format("%Y%m%d")),
};
const NEWEST_SILVER: Newest = Newest {
    table: "silver.bar",
    column: "knowledge_from",
    since: |date| format!("session_date >= DATE '{date}'"),
};

/// A version that was asked for its newest row, and the answer.
type Answered = (u64, Option<DateTime<Utc>>);

/// Answers for the whole pipeline.
pub(crate) struct PipelineProbe {
    clock: Arc<dyn Clock>,
    market_time: MarketTime,
    is_simulated: bool,
    memory: PollMemory,
    topic: Arc<dyn TopicReader>,
    topics: Vec<String>,
    /// The configured generation, below which nothing is looked for.
    generation: u32,
    landing: Arc<dyn ObjectStore>,
    loaders: Mutex<Vec<DatasetLoader>>,
    reader: lake::Reader,
    board: Board,
    gauges: Gauges,
    redactor: secrets::Redactor,
    fresh_for: Duration,
    last: Mutex<Option<(Duration, PipelineStatus)>>,
    /// The last answers by table.
    newest: Mutex<BTreeMap<&'static str, Answered>>,
}

impl fmt::Debug for PipelineProbe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PipelineProbe").finish_non_exhaustive()
    }
}

/// What a stage says of itself when it can be asked.
#[derive(Default)]
struct Answer {
    lag: u64,
    rows_total: u64,
    ts_newest: Option<DateTime<Utc>>,
}

impl PipelineProbe {
    /// Opens what the probe asks; nothing is asked yet.
    pub(crate) async fn open(
        bench: &Workbench,
        topic: &Topic,
        reader: lake::Reader,
        (board, gauges): (Board, Gauges),
    ) -> Result<Self, Failure> {
        let mut loaders = Vec::new();
        for dataset in Dataset::ALL {
            loaders.push(
                DatasetLoader::open(bench, Access::Read, dataset, Trigger::Continuous).await?,
            );
        }
        Ok(Self {
            clock: Arc::clone(&bench.clock),
            market_time: bench.config.market_time.market_time(),
            is_simulated: bench.config.market_time.replay.is_some(),
            memory: PollMemory::open(bench).await?,
            topic: Arc::clone(&topic.reader),
            topics: Dataset::ALL.map(|dataset| bench.topic_name(dataset)).to_vec(),
            generation: bench.config.landing.generation,
            landing: bench.landing_store(Access::Read).await?,
            loaders: Mutex::new(loaders),
            reader,
            board,
            gauges,
            redactor: bench.redactor.clone(),
            fresh_for: fresh_for(&bench.config),
            last: Mutex::new(None),
            newest: Mutex::default(),
        })
    }

    async fn ask(&self) -> PipelineStatus {
        let now = self.clock.now();
        let tables = self.reader.tables().await.or_fail();
        let (tables, tables_problem) = match tables {
            Ok(tables) => (tables, None),
            Err(failure) => (Vec::new(), Some(failure.in_one_line(&self.redactor))),
        };
        let stages = vec![
            self.stage("poll", "windows", now, self.poll(now).await),
            self.stage("land", "records", now, self.land().await),
            self.stage("load", "objects", now, self.load(&tables).await),
            self.stage("refine", "versions", now, self.refine(&tables).await),
            self.stage(
                "serve",
                "versions",
                now,
                tables_problem.map_or_else(
                    || Ok(Answer::default()),
                    |problem| Err(Failure::internal(problem)),
                ),
            ),
        ];
        let ts_market = self.market_now(now);
        PipelineStatus { ts: now, ts_market, is_simulated: self.is_simulated, stages, tables }
    }

    fn market_now(&self, now: DateTime<Utc>) -> DateTime<Utc> {
        if self.is_simulated { self.market_time.at(now) } else { now }
    }

    fn stage(
        &self,
        name: &str,
        lag_unit: &str,
        now: DateTime<Utc>,
        answer: Result<Answer, Failure>,
    ) -> StageStatus {
        let health = self.board.get(name);
        let (answer, problem) = match answer {
            Ok(answer) => (answer, None),
            Err(failure) => (Answer::default(), Some(failure.in_one_line(&self.redactor))),
        };
        let by_lag = if answer.lag == 0 { StageState::Idle } else { StageState::Running };
        StageStatus {
            name: name.to_owned(),
            state: health.as_ref().map_or(by_lag, |health| health.state),
            lag: answer.lag,
            lag_unit: lag_unit.to_owned(),
            rows_total: answer.rows_total,
            ts_newest: answer.ts_newest,
            freshness_ms: answer.ts_newest.map(|ts| (now - ts).num_milliseconds()),
            message: health.and_then(|health| health.message).or(problem),
        }
    }

    async fn poll(&self, now: DateTime<Utc>) -> Result<Answer, Failure> {
        let status = self.memory.status(now).await?;
        Ok(Answer {
            lag: status.windows_behind,
            rows_total: status.rows_total,
            ts_newest: status.ts_newest,
        })
    }

    async fn land(&self) -> Result<Answer, Failure> {
        // The stage takes its gauge when it comes to rest. While it catches up or fails, the gauge
        // tells of an earlier time, often of no lag at all.
        let is_idle = self.board.get("land").is_some_and(|found| found.state == StageState::Idle);
        let own = self.gauges.lock().unwrap_or_else(PoisonError::into_inner).get("land").copied();
        if let Some(gauge) = own.filter(|_| is_idle) {
            let rows_total = gauge.rows_total.unwrap_or_default();
            return Ok(Answer { lag: gauge.lag, rows_total, ts_newest: None });
        }
        let mut answer = Answer::default();
        for topic in &self.topics {
            let current = generation::current(&self.landing, topic, self.generation);
            let current = current.await.or_fail()?;
            for partition in 0..self.topic.partitions(topic).await.or_fail()? {
                let end = self.topic.end_offset(topic, partition).await.or_fail()?;
                let landed = current.landed(&self.landing, topic, partition).await.or_fail()?;
                answer.lag += end.saturating_sub(landed);
                answer.rows_total += landed;
            }
        }
        Ok(answer)
    }

    async fn load(&self, tables: &[TableStatus]) -> Result<Answer, Failure> {
        let mut lag = 0;
        for loader in self.loaders.lock().await.iter_mut() {
            lag += loader.backlog().await?;
        }
        let ts_newest = self.newest(tables, &NEWEST_BRONZE).await?;
        Ok(Answer { lag, rows_total: rows_of(tables, "bronze."), ts_newest })
    }

    async fn refine(&self, tables: &[TableStatus]) -> Result<Answer, Failure> {
        let ts_newest = self.newest(tables, &NEWEST_SILVER).await?;
        let lag = self.reader.refine_lag(stages::REFINE_GENERATION).await.or_fail()?;
        Ok(Answer { lag, rows_total: rows_of(tables, "silver."), ts_newest })
    }

    /// Returns when the newest row of a table was fetched; asks only a version not asked before.
    async fn newest(
        &self,
        tables: &[TableStatus],
        newest: &Newest,
    ) -> Result<Option<DateTime<Utc>>, Failure> {
        let version =
            tables.iter().find(|table| table.name == newest.table).map(|table| table.version);
        let mut answers = self.newest.lock().await;
        let known = answers.get(newest.table).copied();
        if let Some((asked, ts)) = known
            && version == Some(asked)
        {
            return Ok(ts);
        }
        let today = trading_date(self.market_now(self.clock.now()));
        let since = today.checked_sub_days(RECENT_DAYS).unwrap_or(today);
        let whole = format!("SELECT max({}) AS ts FROM {}", newest.column, newest.table);
        let recent = self.moment(&format!("{whole} WHERE {}", (newest.since)(since))).await?;
        // Rows of older days may be fetched last; what was once seen stays the least answer.
        let ts = match recent.max(known.and_then(|(_, ts)| ts)) {
            None => self.moment(&whole).await?,
            found => found,
        };
        if let Some(version) = version {
            answers.insert(newest.table, (version, ts));
        }
        Ok(ts)
    }

    async fn moment(&self, sql: &str) -> Result<Option<DateTime<Utc>>, Failure> {
        let batches = self.reader.query(sql).await.or_fail()?;
        let text = crate::render::first_cell(&batches)?;
        Ok(text.and_then(|text| DateTime::parse_from_rfc3339(&text).ok()).map(|ts| ts.to_utc()))
    }
}

#[async_trait]
impl StatusProbe for PipelineProbe {
    async fn status(&self) -> PipelineStatus {
        // Held while asking, so that ten open consoles cost one question, not ten.
        let mut last = self.last.lock().await;
        let now = self.clock.monotonic();
        if let Some((at, status)) = &*last
            && now.saturating_sub(*at) < self.fresh_for
        {
            return status.clone();
        }
        let status = self.ask().await;
        *last = Some((now, status.clone()));
        status
    }
}

/// Returns how long an answer is good for, by where the state lies that it is asked of.
fn fresh_for(config: &Config) -> Duration {
    let shared = config.poll.shared.as_ref().map(|shared| &shared.state);
    let mut places =
        [Some(&config.landing.store), Some(&config.lake), shared].into_iter().flatten();
    if places.any(StoreConfig::is_remote) { FRESH_FOR_REMOTE } else { FRESH_FOR }
}

fn rows_of(tables: &[TableStatus], layer: &str) -> u64 {
    tables.iter().filter(|table| table.name.starts_with(layer)).map(|table| table.rows).sum()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::fresh_for;
    use crate::config::tests::load_with;

    #[test]
    fn a_console_costs_few_requests_where_requests_are_paid_for() {
        let kafka = "[topic]\nbrokers = \"a:1\"\n";
        for (file, seconds) in [
            (String::new(), 1),
            ("[lake]\nurl = \"/srv/lake\"".to_owned(), 1),
            ("[lake]\nurl = \"s3://b/lake\"".to_owned(), 10),
            ("[landing]\nurl = \"az://b/landing\"".to_owned(), 10),
            (format!("{kafka}[poll]\nstate_url = \"gs://b/poll\""), 10),
        ] {
            let config = load_with(&file, &[]).expect(&file).config;
            assert_eq!(fresh_for(&config), Duration::from_secs(seconds), "{file}");
        }
    }
}
