//! The shell around one batch: decide, plan, read, append, remember.
//!
//! The target says which batch was the last; nothing else does. With `n` for the one after it,
//! `run_once` goes through these states, and a process may die in any of them:
//!
//! | state | what exists | after a crash here |
//! |---|---|---|
//! | chosen | nothing new | the next run chooses again, maybe differently |
//! | planned | `offsets/n` | the next run reads exactly these objects, whoever it is |
//! | decoded | rows in memory | as planned |
//! | appending | unknown: committed or not | the target knows; `append_once(n)` settles it |
//! | appended | batch `n` in the target | the next run begins with `n + 1` |
//! | marked | `commits/n` | as appended; the mark is for people |
//!
//! Two loaders of one pipeline: only one can create `offsets/n`, the other one runs that plan too,
//! and the target keeps one of the two equal batches. A loader that slept through many batches
//! may still write an old plan that was cleaned up; the target has that batch and takes no second.
//!
//! What the target says must fit the plans, or rows would be lost or repeated: its last batch has
//! a plan, and at most one plan follows. Anything else stops the loader.

use std::{sync::Arc, time::Duration};

use arrow::record_batch::RecordBatch;
use chrono::{DateTime, SecondsFormat, Utc};
use futures::{StreamExt, TryStreamExt, stream};
use model::{Clock, landing::LandingKey};
use object_store::ObjectStore;

use crate::{
    chain::{self, Chains},
    decode::{Decoded, Decoder, LINE_BYTES_MAX},
    error::Error,
    plan::{BatchChoice, BatchLimits, Cursors, PLAN_FORMAT, Plan},
    schema::RowSchema,
    state::{CommitMark, Meta, PLANS_KEPT, State},
    target::{Appended, BatchId, Target, TargetError},
};

#[cfg(test)]
mod tests;

/// Eight changes under our hands in a row mean that loaders fight, not bad luck.
const DECIDE_ATTEMPTS_MAX: u32 = 8;

/// Objects read and decoded at the same time: one per core of a small machine, and each may hold
/// an object's lines and its columns in memory.
const DECODES_MAX: usize = 2;

/// Uncompressed bytes in a batch after which nothing is added. Lines and columns of a batch are in
/// memory together, so this is about a third of what a batch needs at most.
const RAW_BYTES_MAX: u64 = 256 << 20;

/// How often a loader looks for partitions that landed for the first time: a listing, the
/// dearest of a bucket's requests. The rows of a new partition wait this long, once.
const PARTITIONS_EVERY: Duration = Duration::from_secs(1);

const RELEASE: &str = env!("CARGO_PKG_VERSION");

/// What to load, and how much at a time.
#[derive(Clone, Debug)]
pub struct LoaderConfig {
    /// The pipeline's name: its folder among the checkpoints. Letters, digits, `.`, `_`, `-`.
    pub pipeline: String,
    /// Tells this pipeline from another one of the same name; fixed for its life. Derive it from
    /// what identifies the target, so that state and target cannot be mixed up.
    pub pipeline_uuid: String,
    /// The landing generation.
    pub generation: u32,
    /// The topic.
    pub topic: String,
    /// Most objects in a batch. Hard; Auto Loader calls it `maxFilesPerTrigger`.
    pub files_max: usize,
    /// Stored bytes after which a batch takes no more objects. Soft: the last object may exceed
    /// it; Auto Loader calls it `maxBytesPerTrigger`.
    pub bytes_max: u64,
    /// Longest line that is decoded; longer ones are corrupt.
    pub line_bytes_max: usize,
    /// When there is nothing more to do.
    pub trigger: Trigger,
}

impl LoaderConfig {
    /// Returns a continuous loader of `topic` with limits that suit a small machine.
    #[must_use]
    pub fn new(pipeline: &str, pipeline_uuid: &str, topic: &str) -> Self {
        Self {
            pipeline: pipeline.to_owned(),
            pipeline_uuid: pipeline_uuid.to_owned(),
            generation: 0,
            topic: topic.to_owned(),
            // Auto Loader's own default.
            files_max: 1_000,
            // Some 20 times that as JSON, far past the bound on uncompressed bytes for text.
            bytes_max: 64 << 20,
            line_bytes_max: LINE_BYTES_MAX,
            trigger: Trigger::Continuous,
        }
    }

    fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if !LandingKey::is_topic_name(&self.pipeline) {
            problems.push(format!("`{}` is no name for a folder", self.pipeline));
        }
        if !LandingKey::is_topic_name(&self.topic) {
            problems.push(format!("`{}` is no topic", self.topic));
        }
        if self.files_max == 0 {
            problems.push("files_max must be at least 1, or nothing would be read".to_owned());
        }
        problems
    }
}

/// When a loader has nothing more to do. Auto Loader's names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// When everything is read that existed at its first run.
    AvailableNow,
    /// Never: objects may arrive any time.
    Continuous,
}

/// What a run did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Nothing waits; with [`Trigger::AvailableNow`] the loader is done.
    UpToDate,
    /// One batch is in the target.
    Loaded(BatchReport),
}

impl Progress {
    /// Whether the run brought the pipeline forward, so that the next run may find more.
    #[must_use]
    pub const fn moved(&self) -> bool {
        matches!(self, Self::Loaded(_))
    }

    /// Returns how many rows the run appended.
    #[must_use]
    pub const fn rows(&self) -> u64 {
        match self {
            Self::UpToDate => 0,
            Self::Loaded(report) => report.rows,
        }
    }
}

/// One batch that is in the target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchReport {
    /// The batch.
    pub batch: BatchId,
    /// Whether this run committed it or found it committed.
    pub appended: Appended,
    /// Objects in it.
    pub objects: u64,
    /// Their bytes as stored.
    pub bytes: u64,
    /// Its rows, as many as the objects have lines.
    pub rows: u64,
    /// Rows of lines that are no envelope.
    pub rows_corrupt: u64,
    /// Rows with rescued data.
    pub rows_rescued: u64,
    /// Offsets that are gone for ever, as gap objects say.
    pub offsets_lost: u64,
    /// When its newest row was fetched.
    pub ts_fetched_newest: Option<DateTime<Utc>>,
    /// How long reading, decoding and appending took.
    pub took: Duration,
}

/// What waits in front of the loader.
pub type Backlog = chain::Waiting;

/// Loads one topic into one target, batch by batch.
#[derive(Debug)]
pub struct Loader<T: Target> {
    config: LoaderConfig,
    landing: Arc<dyn ObjectStore>,
    state: State,
    schema: Arc<RowSchema>,
    target: T,
    clock: Arc<dyn Clock>,
    chains: Chains,
    /// When to look for partitions again, by the monotonic clock.
    partitions_due: Duration,
    started: bool,
    /// The plan of the last batch that was seen in the target; saves reading it again.
    done: Option<Plan>,
}

/// What to do next.
enum Next {
    Run(Plan),
    Nothing,
    /// Another loader moved on while this one looked.
    LookAgain,
}

impl<T: Target> Loader<T> {
    /// Creates a loader; nothing is read or checked before the first run.
    #[must_use]
    pub fn new(
        config: LoaderConfig,
        landing: Arc<dyn ObjectStore>,
        checkpoints: Arc<dyn ObjectStore>,
        schema: RowSchema,
        target: T,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            state: State::new(checkpoints, &config.pipeline, config.generation),
            chains: Chains::new(Arc::clone(&landing), config.generation, config.topic.clone()),
            config,
            landing,
            schema: Arc::new(schema),
            target,
            clock,
            partitions_due: Duration::ZERO,
            started: false,
            done: None,
        }
    }

    /// Loads at most one batch. Dropping the future is as safe as killing the process.
    ///
    /// # Errors
    /// Settings or schema make no sense, a landing object or the loader's state is damaged, state
    /// and target do not belong together, or a store or the target did not answer. After any error
    /// the same call may be made again; [`Error::kind`] says whether that helps.
    pub async fn run_once(&mut self) -> Result<Progress, Error<T::Error>> {
        self.start().await?;
        for _ in 0..DECIDE_ATTEMPTS_MAX {
            match self.next().await? {
                Next::Run(plan) => return self.run(plan).await.map(Progress::Loaded),
                Next::Nothing => return Ok(Progress::UpToDate),
                Next::LookAgain => (),
            }
        }
        Err(Error::Contended { attempts: DECIDE_ATTEMPTS_MAX })
    }

    /// Returns the objects and bytes that no committed batch holds, listed now.
    ///
    /// # Errors
    /// A store did not answer, or the loader's state is damaged.
    pub async fn backlog(&self) -> Result<Backlog, Error<T::Error>> {
        let cursors = match &self.done {
            Some(plan) => plan.after.clone(),
            None => self.marked_cursors().await.map_err(Error::widen)?,
        };
        self.chains.waiting(&cursors).await.map_err(Error::widen)
    }

    /// Returns the target.
    pub const fn target(&self) -> &T {
        &self.target
    }

    /// Returns where the chains stand according to plans and marks, for a loader that has not run.
    async fn marked_cursors(&self) -> Result<Cursors, Error> {
        let newest = self.state.batches().await?.into_iter().max();
        let Some(batch) = newest else { return Ok(Cursors::new()) };
        let is_done = self.state.has_mark(batch).await?;
        let plan = self.state.plan(batch).await?;
        Ok(plan.map(|plan| if is_done { plan.after } else { plan.before }).unwrap_or_default())
    }

    /// Checks once what cannot change while the process lives.
    async fn start(&mut self) -> Result<(), Error<T::Error>> {
        if self.started {
            return Ok(());
        }
        let mut problems = self.config.problems();
        problems.extend(self.schema.problems());
        if !problems.is_empty() {
            return Err(self.settings_error(problems.join("; ")));
        }
        let meta = Meta {
            format: PLAN_FORMAT,
            pipeline_uuid: self.config.pipeline_uuid.clone(),
            generation: self.config.generation,
            topic: self.config.topic.clone(),
        };
        let found = self.state.create_meta(meta.clone()).await.map_err(Error::widen)?;
        if found != meta {
            return Err(self.settings_error(format!(
                "its state belongs to pipeline `{}`, topic `{}`, format {}; give this one another name",
                found.pipeline_uuid, found.topic, found.format
            )));
        }
        let last = self.last_batch(BatchId::FIRST).await?;
        let batches = self.state.batches().await.map_err(Error::widen)?;
        // A newer plan than the next one, without the last one: seen here even where the plans in
        // between were cleaned up.
        if let Some(newest) = batches.iter().max()
            && BatchId::after(last) < *newest
        {
            // Another loader may have moved on since the target was asked.
            let last = self.last_batch(*newest).await?;
            if BatchId::after(last) < *newest {
                return Err(self.behind(last, *newest));
            }
        }
        if let Some(last) = last {
            for batch in batches {
                if batch.0.saturating_add(PLANS_KEPT) < last.0 {
                    self.state.remove(batch).await;
                }
            }
        }
        self.started = true;
        Ok(())
    }

    /// Decides what to do, and makes the decision final where it is new.
    async fn next(&mut self) -> Result<Next, Error<T::Error>> {
        let done = self.done.as_ref().map(|plan| plan.batch);
        let last = self.last_batch(BatchId::after(done)).await?;
        if last < done {
            return Err(self.behind(last, BatchId::after(done)));
        }
        if last != done {
            // Another loader ran these batches; what was read for them is of no use here.
            self.chains.forget();
            self.done = match last {
                Some(last) => Some(self.plan_of(last).await?),
                None => None,
            };
        }
        let batch = BatchId::after(last);
        if let Some(plan) = self.state.plan(batch).await.map_err(Error::widen)? {
            if self.state.has_plan(batch.next()).await.map_err(Error::widen)? {
                // A plan follows only a committed batch: either the target has moved on since it
                // was asked, or it went back.
                return match self.last_batch(batch).await? {
                    now if last < now => Ok(Next::LookAgain),
                    now => Err(self.behind(now, batch.next())),
                };
            }
            return self.checked(plan, batch).map(Next::Run);
        }
        match self.choose(batch).await.map_err(Error::widen)? {
            Some(plan) => {
                let winner = self.state.create_plan(plan).await.map_err(Error::widen)?;
                self.checked(winner, batch).map(Next::Run)
            }
            None => Ok(Next::Nothing),
        }
    }

    /// Chooses the objects of `batch`; `None` when nothing waits.
    async fn choose(&mut self, batch: BatchId) -> Result<Option<Plan>, Error> {
        let before = self.done.as_ref().map(|plan| plan.after.clone()).unwrap_or_default();
        match self.config.trigger {
            Trigger::AvailableNow => self.chains.freeze(&before).await?,
            Trigger::Continuous => self.look_for_partitions().await?,
        }
        let mut choice = BatchChoice::new(BatchLimits {
            files_max: self.config.files_max,
            bytes_max: self.config.bytes_max,
            raw_bytes_max: RAW_BYTES_MAX,
        });
        self.chains.walk(&before, &mut choice).await?;
        Ok(choice.finish(&before).map(|(objects, after)| Plan {
            format: PLAN_FORMAT,
            release: RELEASE.to_owned(),
            pipeline: self.config.pipeline.clone(),
            generation: self.config.generation,
            topic: self.config.topic.clone(),
            batch,
            before,
            after,
            objects,
        }))
    }

    /// Looks now and then for partitions that were not there before.
    async fn look_for_partitions(&mut self) -> Result<(), Error> {
        let now = self.clock.monotonic();
        if self.chains.is_empty() || self.partitions_due <= now {
            self.chains.look_for_partitions().await?;
            self.partitions_due = now + PARTITIONS_EVERY;
        }
        Ok(())
    }

    /// Reads, decodes and appends what `plan` names.
    async fn run(&mut self, plan: Plan) -> Result<BatchReport, Error<T::Error>> {
        let began = self.clock.monotonic();
        let decoded = self.decode(&plan).await.map_err(Error::widen)?;
        let mut report = BatchReport {
            batch: plan.batch,
            appended: Appended::AlreadyThere,
            objects: u64::try_from(plan.objects.len()).unwrap_or(u64::MAX),
            bytes: plan.objects.iter().map(|object| object.size).sum(),
            rows: 0,
            rows_corrupt: 0,
            rows_rescued: 0,
            offsets_lost: plan.offsets_lost(),
            ts_fetched_newest: None,
            took: Duration::ZERO,
        };
        let mut rows: Vec<RecordBatch> = Vec::new();
        for object in decoded {
            report.rows += object.rows;
            report.rows_corrupt += object.rows_corrupt;
            report.rows_rescued += object.rows_rescued;
            report.ts_fetched_newest = report.ts_fetched_newest.max(object.ts_fetched_newest);
            rows.extend(object.batches);
        }
        // A crash from here on repeats the batch, and `append_once` makes that harmless.
        report.appended = self
            .target
            .append_once(plan.batch, rows)
            .await
            .map_err(|error| target_error::<T>("appending", plan.batch, error))?;
        report.took = self.clock.monotonic().saturating_sub(began);
        self.remember(plan, &report).await;
        Ok(report)
    }

    /// Decodes the plan's objects in its order, reading those that are not in memory.
    async fn decode(&mut self, plan: &Plan) -> Result<Vec<Decoded>, Error> {
        let batch = plan.batch;
        let line_bytes_max = self.config.line_bytes_max;
        let links: Vec<_> =
            plan.objects.iter().map(|object| (object.clone(), self.chains.take(object))).collect();
        stream::iter(links)
            .map(async |(object, link)| {
                let link = match link {
                    Some(link) => link,
                    None => chain::read_planned(&*self.landing, &object, batch).await?,
                };
                let schema = Arc::clone(&self.schema);
                chain::blocking(&object.key, link.rows.bytes().len(), move || {
                    Decoder::new(&schema, line_bytes_max).decode(&link.key, &link.rows, batch)
                })
                .await
            })
            .buffered(DECODES_MAX)
            .try_collect()
            .await
    }

    /// Notes a batch that is in the target. All of it may fail or be skipped.
    async fn remember(&mut self, plan: Plan, report: &BatchReport) {
        let version = match report.appended {
            Appended::Committed { version } => Some(version),
            Appended::AlreadyThere => None,
        };
        let mark = CommitMark {
            batch: plan.batch,
            release: RELEASE,
            ts_committed: self.clock.now().to_rfc3339_opts(SecondsFormat::Micros, true),
            version,
            rows: report.rows,
        };
        self.state.mark(&mark).await;
        if report.offsets_lost != 0 {
            tracing::warn!(
                batch = plan.batch.0,
                offsets = report.offsets_lost,
                "offsets are gone: the topic dropped them before they landed"
            );
        }
        if let Some(old) = plan.batch.0.checked_sub(PLANS_KEPT + 1) {
            self.state.remove(BatchId(old)).await;
        }
        self.done = Some(plan);
    }

    /// Asks the target for its last batch.
    async fn last_batch(&mut self, next: BatchId) -> Result<Option<BatchId>, Error<T::Error>> {
        self.target
            .last_batch()
            .await
            .map_err(|error| target_error::<T>("asking the target for what precedes", next, error))
    }

    /// Returns the plan of a batch that the target has.
    async fn plan_of(&self, batch: BatchId) -> Result<Plan, Error<T::Error>> {
        let plan = self.state.plan(batch).await.map_err(Error::widen)?;
        let plan = plan.ok_or_else(|| Error::Disagreement {
            pipeline: self.config.pipeline.clone(),
            problem: format!("the target has batch {batch}, and no plan says what that was"),
            remedy: "bring back the checkpoints that belong to this target, or load into an empty target under another pipeline name",
        })?;
        match self.foreign(&plan).or_else(|| plan.unreadable(batch)) {
            Some(problem) => Err(Error::State { key: self.state.plan_key(batch), problem }),
            None => Ok(plan),
        }
    }

    fn behind(&self, last: Option<BatchId>, newest: BatchId) -> Error<T::Error> {
        let last = last.map_or_else(|| "no batch".to_owned(), |last| format!("batch {last}"));
        Error::Disagreement {
            pipeline: self.config.pipeline.clone(),
            problem: format!(
                "the target has {last} as its last, yet batch {newest} was planned or seen: the target was replaced or restored"
            ),
            remedy: "bring back the target that belongs to these checkpoints, or load everything again into an empty target under another pipeline name",
        }
    }

    /// Returns `plan` if it follows what is done.
    fn checked(&self, plan: Plan, batch: BatchId) -> Result<Plan, Error<T::Error>> {
        match self.foreign(&plan).or_else(|| plan.problem(batch, self.done.as_ref())) {
            Some(problem) => Err(Error::State { key: self.state.plan_key(batch), problem }),
            None => Ok(plan),
        }
    }

    fn foreign(&self, plan: &Plan) -> Option<String> {
        let is_ours = plan.pipeline == self.config.pipeline
            && plan.generation == self.config.generation
            && plan.topic == self.config.topic;
        (!is_ours).then(|| "it belongs to another pipeline or topic".to_owned())
    }

    fn settings_error(&self, problem: String) -> Error<T::Error> {
        Error::Settings { pipeline: self.config.pipeline.clone(), problem }
    }
}

fn target_error<T: Target>(
    action: &'static str,
    batch: BatchId,
    source: T::Error,
) -> Error<T::Error> {
    Error::Target(TargetError { action, batch, kind: T::kind(&source), source })
}
