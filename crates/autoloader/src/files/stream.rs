//! The shell around one batch of files: look, plan, read, decide, commit, remember.
//!
//! With `n` for the batch after the target's last, `run_once` goes through these states, and a
//! process may die in any of them:
//!
//! | state | what exists | after a crash here |
//! |---|---|---|
//! | chosen | nothing new | the next run chooses again, maybe differently |
//! | planned | `offsets/n` | the next run reads exactly these files, whoever it is |
//! | read | staged rows that nobody refers to | as planned; the litter is vacuumed |
//! | decided | `outcomes/n` | the next run sets aside the same files, under the same columns |
//! | committing | unknown: committed or not | the target knows; `commit_once(n)` settles it |
//! | committed | batch `n` in the target | the next run begins with `n + 1` |
//!
//! Any number of processes may run one stream: only one can create `offsets/n` and `outcomes/n`, the
//! others run that plan to that end too, and the target keeps one of the equal batches.

use std::{collections::HashMap, sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use model::Clock;
use object_store::ObjectStore;

use super::{
    choice::{Candidate, Choice, Rules, choose},
    error::Error,
    options::{BadOptions, Discovery, Limits, LoadTrigger, Overwrites},
    plan::{Action, FORMAT, FilePlan, Found, Outcome, PlannedFile},
    ports::{Discover, ReadRows, Schemas},
    seen::Seen,
    source_file::SourceFile,
    target::FileTarget,
};
use crate::target::{Appended, BatchId};

mod batch;
mod memory;
mod rows;

use memory::Memory;

/// How often a batch may begin again: when others decide first, or columns come to be known. Each
/// time something is settled for good, and a record has few levels of news.
const ROUNDS_MAX: u32 = 8;

const RELEASE: &str = env!("CARGO_PKG_VERSION");

/// What a stream is told.
#[derive(Clone, Debug)]
pub struct StreamConfig {
    /// Its name: the folder of its state, and in the target what its batches are counted by.
    pub name: String,
    /// Where the source lies, with a slash at the end: what stands in front of a path in a row.
    pub source: String,
    /// Which files there are.
    pub discovery: Discovery,
    /// How much at a time.
    pub limits: Limits,
    /// What overwritten files do.
    pub overwrites: Overwrites,
    /// What broken records and files do.
    pub bad: BadOptions,
    /// When there is nothing more to do.
    pub trigger: LoadTrigger,
}

/// What a run did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Nothing is there to be loaded now; what waits to be old enough is at this time.
    UpToDate {
        /// When to look again for a file that is too young now.
        ripe_at: Option<DateTime<Utc>>,
    },
    /// One batch is in the target.
    Loaded(Box<BatchReport>),
}

/// One batch that is in the target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchReport {
    /// The batch.
    pub plan: FilePlan,
    /// What became of its files.
    pub outcome: Outcome,
    /// Whether this run committed it or found it committed.
    pub appended: Appended,
    /// Files that were found and wait for the next batch, and their bytes.
    pub waiting: (u64, u64),
    /// How long reading and committing took.
    pub took: Duration,
}

/// Loads one source into one target, batch by batch.
#[derive(Debug)]
pub struct Stream<T: FileTarget> {
    config: StreamConfig,
    memory: Memory,
    discover: Box<dyn Discover>,
    reader: Arc<dyn ReadRows>,
    schemas: Box<dyn Schemas>,
    target: T,
    /// Where records go that are none.
    quarantine: Option<T>,
    clock: Arc<dyn Clock>,
    seen: Seen,
    /// The last batch that `seen` knows the end of.
    settled: Option<BatchId>,
    /// What was found and not planned yet.
    found: Vec<Candidate>,
    /// Whether a bound was frozen: what is found later is not for this run.
    is_frozen: bool,
    /// What somebody asked for: paths and what to do with them.
    asked: Vec<PlannedFile>,
    /// How often reading a file failed in this process.
    tries: HashMap<String, u32>,
    is_started: bool,
}

/// The parts of a stream.
#[derive(Debug)]
pub struct StreamParts<T> {
    /// What it is told.
    pub config: StreamConfig,
    /// Where its state lies: beside the target.
    pub state: Arc<dyn ObjectStore>,
    /// Who finds files.
    pub discover: Box<dyn Discover>,
    /// Who reads them.
    pub reader: Arc<dyn ReadRows>,
    /// Who keeps the columns.
    pub schemas: Box<dyn Schemas>,
    /// Where rows go.
    pub target: T,
    /// Where records go that are none; `None`: they are only counted.
    pub quarantine: Option<T>,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

impl<T: FileTarget> Stream<T> {
    /// Creates a stream; nothing is read or checked before the first run.
    #[must_use]
    pub fn new(parts: StreamParts<T>) -> Self {
        let StreamParts { config, state, discover, reader, schemas, target, quarantine, clock } =
            parts;
        let memory = Memory::new(state, &config.name, config.bad.failures_max);
        Self {
            config,
            memory,
            discover,
            reader,
            schemas,
            target,
            quarantine,
            clock,
            seen: Seen::default(),
            settled: None,
            found: Vec::new(),
            is_frozen: false,
            asked: Vec::new(),
            tries: HashMap::new(),
            is_started: false,
        }
    }

    /// Loads at most one batch. Dropping the future is as safe as killing the process.
    ///
    /// # Errors
    /// See [`Error`]. After any error the same call may be made again; [`Error::kind`] says whether
    /// that helps.
    pub async fn run_once(&mut self) -> Result<Progress, Error<T::Error>> {
        self.catch_up().await?;
        let batch = BatchId::after(self.settled);
        let (plan, waiting) = match self.memory.plan(batch).await.map_err(|e| self.state(e))? {
            Some(plan) => (plan, (0, 0)),
            None => match self.choose(batch).await? {
                Next::Plan { files, waiting } => (self.create(batch, files).await?, waiting),
                Next::Nothing { ripe_at } => return Ok(Progress::UpToDate { ripe_at }),
            },
        };
        self.discover.planned(&plan).await;
        self.asked.retain(|asked| !plan.files.iter().any(|file| file.file.path == asked.file.path));
        let began = self.clock.monotonic();
        let (outcome, appended) = self.run(&plan).await?;
        self.seen.settle(&plan, &outcome, self.config.bad.failures_max);
        self.settled = Some(batch);
        self.memory.note_commit(batch, &self.seen).await;
        let took = self.clock.monotonic().saturating_sub(began);
        let report = BatchReport { plan, outcome, appended, waiting, took };
        Ok(Progress::Loaded(Box::new(report)))
    }

    /// Asks for files to be loaded again, or their rows to be taken away, in the batches to come.
    pub fn ask(&mut self, files: impl IntoIterator<Item = (SourceFile, Action)>) {
        self.asked.extend(files.into_iter().map(|(file, action)| PlannedFile {
            file,
            action,
            found: Found::Command,
            failures: 0,
        }));
    }

    /// Returns what the stream has seen, as of the last run.
    pub const fn seen(&self) -> &Seen {
        &self.seen
    }

    /// Returns what waits: files that were found and are in no batch, and their bytes, looked for now.
    ///
    /// # Errors
    /// The source or the state could not be read.
    pub async fn look(&mut self) -> Result<Choice, Error<T::Error>> {
        self.catch_up().await?;
        let found = self.discover.look(&self.seen).await?;
        Ok(choose(&found, &self.seen, self.rules()))
    }

    /// Brings what is known to where the target is.
    async fn catch_up(&mut self) -> Result<(), Error<T::Error>> {
        let last = self.target.last_batch().await;
        let last = last.map_err(|error| {
            target_error::<T>("asking the target for what precedes", self.settled, error)
        })?;
        if last < self.settled {
            let (known, now) = (BatchId::after(self.settled), BatchId::after(last));
            return Err(self.disagreement(format!(
                "batches up to {known} were in its table, and now the next one is {now}: the table \
                 was restored or replaced; bring back the one that belongs to this state, or begin a \
                 new stream"
            )));
        }
        if self.is_started && last == self.settled {
            return Ok(());
        }
        let (seen, settled) = self
            .memory
            .catch_up(std::mem::take(&mut self.seen), self.settled, last)
            .await
            .map_err(|error| self.state(error))?;
        (self.seen, self.settled, self.is_started) = (seen, settled, true);
        if self.settled != last {
            let next = BatchId::after(self.settled);
            return Err(self.disagreement(format!(
                "its table has batch {next}, and no plan and outcome say what that was: bring back \
                 the state that belongs to this table, or begin a new stream"
            )));
        }
        Ok(())
    }

    fn rules(&self) -> Rules<'_> {
        let StreamConfig { discovery, limits, overwrites, .. } = &self.config;
        Rules { discovery, overwrites: *overwrites, limits: *limits, now: self.clock.now() }
    }

    /// Decides what the next batch is.
    async fn choose(&mut self, batch: BatchId) -> Result<Next, Error<T::Error>> {
        if !self.asked.is_empty() {
            let count = self.asked.len().min(self.config.limits.files_max.max(1));
            return Ok(Next::Plan { files: self.asked[..count].to_vec(), waiting: (0, 0) });
        }
        let mut choice = choose(&self.found, &self.seen, self.rules());
        let ends_with_found = self.is_frozen && self.config.trigger == LoadTrigger::AvailableNow;
        if choice.files.is_empty() && !ends_with_found {
            self.found = self.discover.look(&self.seen).await?;
            self.is_frozen = true;
            if batch == BatchId::FIRST && !self.config.discovery.includes_existing {
                return Ok(Next::of_existing(&self.found));
            }
            choice = choose(&self.found, &self.seen, self.rules());
        }
        if let Some(path) = choice.refused {
            return Err(Error::Overwritten { path });
        }
        for path in &choice.overwritten {
            tracing::debug!(path, "a file was overwritten after it was loaded; it is left alone");
        }
        if choice.files.is_empty() {
            return Ok(Next::Nothing { ripe_at: choice.ripe_at });
        }
        Ok(Next::Plan { files: choice.files, waiting: choice.waiting })
    }

    /// Makes the choice final, or takes the one that another process made first.
    async fn create(
        &mut self,
        batch: BatchId,
        mut files: Vec<PlannedFile>,
    ) -> Result<FilePlan, Error<T::Error>> {
        files.sort_by(|a, b| a.file.path.cmp(&b.file.path));
        let stream = self.config.name.clone();
        let plan = FilePlan { format: FORMAT, release: RELEASE.to_owned(), stream, batch, files };
        self.memory.create_plan(plan).await.map_err(|error| self.state(error))
    }

    fn state(&self, source: crate::Error) -> Error<T::Error> {
        Error::State { stream: self.config.name.clone(), source }
    }

    fn disagreement(&self, problem: String) -> Error<T::Error> {
        Error::Disagreement { stream: self.config.name.clone(), problem }
    }
}

/// What to do next.
enum Next {
    Plan { files: Vec<PlannedFile>, waiting: (u64, u64) },
    Nothing { ripe_at: Option<DateTime<Utc>> },
}

impl Next {
    /// The first batch of a stream that leaves out what is there: it only remembers it.
    fn of_existing(found: &[Candidate]) -> Self {
        let mut files: Vec<PlannedFile> = found
            .iter()
            .map(|candidate| PlannedFile {
                file: candidate.file.clone(),
                action: Action::Skip,
                found: candidate.found,
                failures: 0,
            })
            .collect();
        files.sort_by(|a, b| a.file.path.cmp(&b.file.path));
        files.dedup_by(|a, b| a.file.path == b.file.path);
        Self::Plan { files, waiting: (0, 0) }
    }
}

fn target_error<T: FileTarget>(
    action: &'static str,
    last: Option<BatchId>,
    source: T::Error,
) -> Error<T::Error> {
    Error::Target { action, batch: BatchId::after(last), kind: T::kind(&source), source }
}
