//! The stages, each wrapped into the one shape that the supervisor runs.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use autoloader::Trigger;
use chrono::NaiveDate;
use ingest::{landing::Lander, poller::WaitsFor};
use lake::{Maintenance, MaintenanceConfig, RefineConfig, Refiner};
use model::{Clock, Dataset, ErrorKind};
use tokio::sync::Notify;

use super::{
    Access, CurrentKey, Gauge, Gauges, ResultExt, Topic, Workbench, loading::DatasetLoader,
    polling::Polling,
};
use crate::{
    failure::Failure,
    supervise::{Slot, Stage, Step, Until, gravity},
};

/// How soon a stage notices what another process did: a tenth of the promised second of freshness.
const IDLE_ACROSS_PROCESSES: Duration = Duration::from_millis(100);
/// Within one process stages wake each other; this only covers a second process on the folder.
const IDLE_WITHIN_PROCESS: Duration = Duration::from_secs(1);
/// Upkeep names its own next moment; this bounds how late a changed clock is noticed.
const IDLE_OF_MAINTENANCE: Duration = Duration::from_secs(60);
/// How long a lag that stands still counts as work that is coming: longer than a group takes to
/// divide the partitions. A member that was killed holds its share for a session, and a lander waits
/// three of them, 75 s at most, before it takes every partition. After that it is what nobody can
/// read, such as a foreign producer's transaction markers.
const LAG_STANDS_MAX: Duration = Duration::from_secs(90);
/// How often landed records are dropped from the topic.
const RETAIN_EVERY: Duration = Duration::from_secs(600);
/// How often files that no version needs are deleted: a listing of the whole lake.
const VACUUM_EVERY: Duration = Duration::from_secs(24 * 3600);
/// The refine stage's own generation: raised when tables are to be refined anew.
pub(crate) const REFINE_GENERATION: u32 = 0;

/// Which stages share a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Company {
    /// All of them: they wake each other.
    Together,
    /// One alone.
    Alone,
    /// Upkeep, which nobody waits for.
    Maintenance,
}

impl Company {
    const fn idle_max(self) -> Duration {
        match self {
            Self::Together => IDLE_WITHIN_PROCESS,
            Self::Alone => IDLE_ACROSS_PROCESSES,
            Self::Maintenance => IDLE_OF_MAINTENANCE,
        }
    }
}

/// Connects stages in the order a row passes them.
pub(crate) fn connect(
    stages: Vec<(&'static str, Box<dyn Stage>)>,
    company: Company,
    until: Until,
) -> Vec<Slot> {
    let wakes: Vec<Arc<Notify>> = stages.iter().map(|_| Arc::new(Notify::new())).collect();
    stages
        .into_iter()
        .enumerate()
        .map(|(at, (name, stage))| Slot {
            name,
            stage,
            wake: Arc::clone(&wakes[at]),
            wakes: wakes.get(at + 1).map(Arc::clone).into_iter().collect(),
            idle_max: company.idle_max(),
            until,
        })
        .collect()
}

/// Fetches and appends.
pub(crate) struct PollStage {
    polling: Polling,
    key: CurrentKey,
}

impl PollStage {
    pub(crate) async fn open(
        bench: &Workbench,
        topic: &Topic,
        key: CurrentKey,
        again_from: Option<NaiveDate>,
    ) -> Result<Self, Failure> {
        let polling = Polling::open(bench, Arc::clone(&topic.writer), &key, again_from).await?;
        Ok(Self { polling, key })
    }
}

#[async_trait]
impl Stage for PollStage {
    async fn run_once(&mut self) -> Result<Step, Failure> {
        self.key.refresh().await?;
        let (progress, is_dividing) = match self.polling.run_once().await.or_fail() {
            // A key that was rotated since it was read: the next try uses the new one.
            Err(failure) if failure.kind == ErrorKind::Config && self.key.renew().await => {
                return Err(Failure { kind: ErrorKind::Transient, ..failure });
            }
            progress => progress?,
        };
        // A retry that has to wait for quota as well does not come by itself any time soon.
        let is_out_of_quota = matches!(progress.waits_for, Some(WaitsFor::Quota { .. }));
        let problem = progress.problem.as_deref();
        Ok(Step {
            has_moved: progress.has_moved,
            rows: progress.rows,
            next_in: Some(progress.next_due),
            has_pending: (progress.is_retrying && !is_out_of_quota) || is_dividing,
            waits_for: progress.waits_for.map(|waits_for| reason(waits_for, problem)),
        })
    }

    async fn end(&mut self) {
        if let Err(failure) = self.polling.leave().await.or_fail() {
            // Others take over all the same, after a lease.
            tracing::info!("could not give back the symbols: {:#}", failure.error);
        }
    }
}

/// Says what a poller waits for; `problem` is the failure of a fetch that is to be tried again.
fn reason(waits_for: WaitsFor, problem: Option<&str>) -> String {
    match (waits_for, problem) {
        (WaitsFor::Quota { ts_reset }, _) => format!(
            "the monthly quota is used up until {ts_reset}; raise `source.quota_month` if the plan \
             allows more"
        ),
        (WaitsFor::ActivePoller, _) => "other pollers have all symbols".to_owned(),
        (WaitsFor::Market | WaitsFor::Retry, Some(problem)) => {
            format!("waits to try a failed fetch again: {problem}")
        }
        (WaitsFor::Retry, None) => "waits to try a failed fetch again".to_owned(),
        (WaitsFor::Market, None) => "waits for the market".to_owned(),
    }
}

/// Seals records into landing objects, topic by topic, and drops from the topic what has landed.
pub(crate) struct LandStage {
    landers: Vec<(String, Lander)>,
    topic: Topic,
    clock: Arc<dyn Clock>,
    retain_at: Duration,
    moved_at: Duration,
    warned: Warned,
    gauges: Gauges,
}

impl LandStage {
    pub(crate) async fn open(
        bench: &Workbench,
        topic: Topic,
        gauges: Gauges,
    ) -> Result<Self, Failure> {
        let store = bench.landing_store(Access::Write).await?;
        let mut landers = Vec::new();
        for dataset in Dataset::ALL {
            let reader = Arc::clone(&topic.reader);
            let config = bench.landing_config(dataset);
            let name = config.topic.clone();
            let lander = Lander::new(Arc::clone(&store), reader, Arc::clone(&bench.clock), config);
            landers.push((name, lander.or_fail()?));
        }
        Ok(Self {
            landers,
            retain_at: bench.clock.monotonic() + RETAIN_EVERY,
            topic,
            moved_at: bench.clock.monotonic(),
            warned: Warned::default(),
            clock: Arc::clone(&bench.clock),
            gauges,
        })
    }

    /// Returns how many records have not landed.
    pub(crate) async fn waiting(&self) -> Result<u64, Failure> {
        let mut lag = 0;
        for (_, lander) in &self.landers {
            lag += lander.lag().await.or_fail()?.iter().sum::<u64>();
        }
        Ok(lag)
    }

    /// Does what is for moments of rest; returns whether records may still be on their way.
    async fn rest(&mut self) -> Result<bool, Failure> {
        let lag = self.waiting().await?;
        let landed = self.landers.iter().flat_map(|(_, lander)| lander.landed()).sum();
        let gauge = Gauge { lag, rows_total: Some(landed) };
        super::publish(&self.gauges, "land", gauge);
        if self.retain_at <= self.clock.monotonic() {
            self.retain().await?;
        }
        // The group may still be dividing the partitions, and a record that was acknowledged may be
        // on its way from the broker.
        let waited = self.clock.monotonic().saturating_sub(self.moved_at);
        Ok(lag != 0 && waited < LAG_STANDS_MAX)
    }

    async fn retain(&mut self) -> Result<(), Failure> {
        self.retain_at = self.clock.monotonic() + RETAIN_EVERY;
        for (topic, lander) in &self.landers {
            self.topic.retain(topic, &lander.landed()).await?;
        }
        Ok(())
    }
}

#[async_trait]
impl Stage for LandStage {
    async fn run_once(&mut self) -> Result<Step, Failure> {
        let mut step = Step::default();
        let mut is_behind = false;
        let mut failed = Failed::default();
        for (_, lander) in &mut self.landers {
            // A topic that fails holds up none of the others.
            let progress = match lander.run_once().await.or_fail() {
                Ok(progress) => progress,
                Err(failure) => {
                    failed.note(failure);
                    continue;
                }
            };
            step.has_moved |= progress.moved();
            is_behind |= progress.is_behind;
            step.has_pending |= progress.is_behind || progress.seal_in.is_some();
            step.rows += progress.records;
            step.next_in = [step.next_in, progress.seal_in].into_iter().flatten().min();
        }
        if !step.has_moved && is_behind {
            // Records were read into an open object, and there are more to read.
            step.next_in = Some(Duration::ZERO);
        }
        if step.has_moved {
            self.moved_at = self.clock.monotonic();
        } else {
            match self.rest().await {
                Ok(is_waiting) => step.has_pending |= is_waiting,
                Err(failure) => failed.note(failure),
            }
        }
        failed.end(step, &mut self.warned)
    }
}

/// The failure that was last warned of while others went on; a round goes by in milliseconds.
type Warned = Option<String>;

/// What failed in one round of several that hold up none of the others.
#[derive(Debug, Default)]
struct Failed(Option<Failure>);

impl Failed {
    /// Keeps the gravest failure: one that trying again does not mend stops the stage, in the end.
    fn note(&mut self, failure: Failure) {
        let is_graver = |known: &Failure| gravity(known.kind) < gravity(failure.kind);
        if self.0.as_ref().is_none_or(is_graver) {
            self.0 = Some(failure);
        }
    }

    /// Ends the round. As long as the others bring something forward, a failure waits: it comes up
    /// again when they have come to rest, and the stage's pause then holds up nobody.
    fn end(self, step: Step, warned: &mut Warned) -> Result<Step, Failure> {
        let text = self.0.as_ref().map(|failure| format!("{:#}", failure.error));
        match self.0 {
            Some(failure) if !step.has_moved => return Err(failure),
            Some(_) if text != *warned => {
                let text = text.as_deref().unwrap_or_default();
                tracing::warn!("one of several failed, the others go on: {text}");
            }
            Some(_) | None => (),
        }
        *warned = text;
        Ok(step)
    }
}

/// Loads landing objects into bronze, one dataset after the other.
pub(crate) struct LoadStage {
    loaders: Vec<DatasetLoader>,
    warned: Warned,
}

impl LoadStage {
    pub(crate) async fn open(bench: &Workbench, trigger: Trigger) -> Result<Self, Failure> {
        let mut loaders = Vec::new();
        for dataset in Dataset::ALL {
            loaders.push(DatasetLoader::open(bench, Access::Write, dataset, trigger).await?);
        }
        Ok(Self { loaders, warned: Warned::default() })
    }
}

#[async_trait]
impl Stage for LoadStage {
    async fn run_once(&mut self) -> Result<Step, Failure> {
        let mut step = Step::default();
        let mut failed = Failed::default();
        for loader in &mut self.loaders {
            // A dataset that fails holds up none of the others.
            match loader.run_once().await {
                Ok(rows) => {
                    step.has_moved |= rows.is_some();
                    step.rows += rows.unwrap_or_default();
                }
                Err(failure) => failed.note(failure),
            }
        }
        failed.end(step, &mut self.warned)
    }
}

/// Bronze to silver to gold.
pub(crate) struct RefineStage {
    refiner: Refiner,
}

impl RefineStage {
    pub(crate) async fn open(bench: &Workbench) -> Result<Self, Failure> {
        let config = RefineConfig { generation: REFINE_GENERATION, semantics: bench.semantics() };
        Ok(Self {
            refiner: Refiner::open(&bench.lake(Access::Write).await?, config).await.or_fail()?,
        })
    }
}

#[async_trait]
impl Stage for RefineStage {
    async fn run_once(&mut self) -> Result<Step, Failure> {
        let progress = self.refiner.run_once().await.or_fail()?;
        Ok(Step { has_moved: progress.is_some(), rows: progress.rows, ..Step::default() })
    }
}

/// Keeps tables fit; apart from the others, so that no commit ever waits for it.
pub(crate) struct MaintainStage {
    maintenance: Maintenance,
    every: Duration,
    clock: Arc<dyn Clock>,
    run_at: Duration,
    vacuum_at: Duration,
}

impl MaintainStage {
    pub(crate) async fn open(bench: &Workbench) -> Result<Self, Failure> {
        let settings = &bench.config.maintenance;
        let config = MaintenanceConfig {
            checkpoint_versions: u64::from(settings.checkpoint_versions.get()),
            compact_files: usize::try_from(settings.compact_files.get()).unwrap_or(usize::MAX),
            vacuum_retention: settings.retention,
        };
        let every = settings.every;
        let now = bench.clock.monotonic();
        Ok(Self {
            maintenance: Maintenance::new(bench.lake(Access::Write).await?, config),
            every,
            clock: Arc::clone(&bench.clock),
            // Not at once: a start is when everybody waits for the first answer.
            run_at: now + every,
            vacuum_at: now + VACUUM_EVERY,
        })
    }
}

#[async_trait]
impl Stage for MaintainStage {
    async fn run_once(&mut self) -> Result<Step, Failure> {
        let now = self.clock.monotonic();
        if self.run_at <= now {
            self.maintenance.run_once().await.or_fail()?;
            self.run_at = self.clock.monotonic() + self.every;
        }
        if self.vacuum_at <= now {
            self.maintenance.vacuum().await.or_fail()?;
            self.vacuum_at = self.clock.monotonic() + VACUUM_EVERY;
        }
        let next = self.run_at.min(self.vacuum_at);
        let next_in = next.saturating_sub(self.clock.monotonic());
        Ok(Step { next_in: Some(next_in), ..Step::default() })
    }
}
