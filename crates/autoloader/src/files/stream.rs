//! The shell around one batch of files: look, plan, read, decide, commit, remember.
//!
//! With `n` for the batch after the target's last, `run_once` goes through these states, and a
//! process may die in any of them:
//!
//! | state | what exists | after a crash here |
//! |---|---|---|
//! | chosen | nothing new, or `stream.json` too | the next run chooses again, maybe differently |
//! | planned | `offsets/n` | the next run reads exactly these files, whoever it is |
//! | read | staged rows that nobody refers to | as planned; the litter is vacuumed |
//! | decided | `outcomes/n`, which says where the rows are | the next run commits them and reads nothing |
//! | committing | unknown: committed or not | the target knows; `commit_once(n)` settles it |
//! | committed | batch `n` in the target | the next run begins with `n + 1` |
//!
//! Any number of processes may run one stream: only one can create `offsets/n` and `outcomes/n`, the
//! others take over where it is, and the target keeps the batch once. From `outcomes/n` on no file is
//! read any more, so whatever becomes of the source, the batch is what was decided.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use chrono::{DateTime, Utc};
use model::Clock;
use object_store::ObjectStore;

use super::{
    choice::{Candidate, Choice, Rules, choose},
    command::has_other_versions,
    error::Error,
    options::{BadOptions, Discovery, Limits, LoadTrigger, Overwrites},
    plan::{Action, FilePlan, Outcome, PlannedFile},
    ports::{Discover, ReadRows, Schemas},
    seen::Seen,
    target::FileTarget,
};
use crate::target::{Appended, BatchId, TargetError};

mod ahead;
mod backfill;
mod batch;
mod cleaning;
mod memory;
mod next;
mod pass;
mod recall;
mod remembered;
mod rows;

use backfill::Backfill;
pub use cleaning::Cleaning;
use memory::Memory;
use next::{Next, Sighting};
pub use remembered::{Remembered, remembered};

const RELEASE: &str = env!("CARGO_PKG_VERSION");

/// What a stream is told.
#[derive(Clone, Debug)]
pub struct StreamConfig {
    /// Its name: the folder of its state, and in the target what its batches are counted by.
    pub name: String,
    /// Where the source lies, with a slash at the end: what stands in front of a path in a row.
    pub source: String,
    /// Options that count at the first start; a later start that says otherwise is refused.
    pub pinned: BTreeMap<String, String>,
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
    /// Whether rows tell their file; else none can be replaced or taken away.
    pub keeps_metadata: bool,
    /// Whether a new column asks for the files that it was rescued from before.
    pub backfills: bool,
    /// Whether nothing is to be written, because somebody only looks.
    pub is_dry: bool,
}

impl StreamConfig {
    const fn rules(&self, now: DateTime<Utc>) -> Rules<'_> {
        let Self { discovery, limits, overwrites, .. } = self;
        Rules { discovery, overwrites: *overwrites, limits: *limits, now }
    }

    /// Returns in words which files count, to tell whether they are still those of a proof.
    pub(super) fn looks_for(&self) -> String {
        let Discovery { path_glob, is_recursive, modified_after, modified_before, .. } =
            &self.discovery;
        let Self { source, overwrites, .. } = self;
        let glob = path_glob.as_ref().map_or("*".to_owned(), ToString::to_string);
        format!(
            "{glob} in {source}, recursive: {is_recursive}, after: {modified_after:?}, before: \
             {modified_before:?}, overwrites: {overwrites:?}"
        )
    }
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
    /// Shared with who writes it down.
    seen: Arc<Seen>,
    /// The last batch that `seen` knows the end of.
    settled: Option<BatchId>,
    /// How many files of notes about cleaned files `seen` has taken in.
    notes: u64,
    found: Sighting,
    /// What the newest columns that rows in the target were read under ask for.
    backfill: Option<Backfill>,
    /// What somebody asked for: paths and what to do with them.
    asked: Vec<PlannedFile>,
    /// How often reading a file failed in this process.
    tries: HashMap<String, u32>,
    /// Up to when every file is planned, as this process wrote it down last.
    ts_proven: Option<DateTime<Utc>>,
    is_started: bool,
    /// What it was told is kept, and the same as now.
    has_begun: bool,
    /// No other stream of this source was there when the last cleaning began.
    is_alone: bool,
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
        Self {
            memory: Memory::new(state, &config.name),
            config,
            discover,
            reader,
            schemas,
            target,
            quarantine,
            clock,
            seen: Arc::default(),
            settled: None,
            notes: 0,
            found: Sighting::default(),
            backfill: None,
            asked: Vec::new(),
            tries: HashMap::new(),
            ts_proven: None,
            is_started: false,
            has_begun: false,
            is_alone: false,
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
        let next = match self.memory.plan(batch).await.map_err(|e| self.state(e))? {
            Some(plan) => Next::Planned(plan),
            None => self.choose(batch).await?,
        };
        if !self.has_begun {
            self.begin(next.files()).await?;
        }
        let (plan, waiting) = match next {
            Next::Planned(plan) => (plan, (0, 0)),
            Next::Plan(next) => {
                let waiting = next.waiting;
                (self.create(batch, next).await?, waiting)
            }
            Next::Nothing { ripe_at } => {
                // What is proven then, and hints that brought nothing.
                self.tell_planned(None).await?;
                return Ok(Progress::UpToDate { ripe_at });
            }
        };
        self.note_plan(&plan);
        self.tell_planned(Some(&plan)).await?;
        let began = self.clock.monotonic();
        let (outcome, appended) = self.run(&plan).await?;
        Arc::make_mut(&mut self.seen).settle(&plan, &outcome);
        self.settled = Some(batch);
        self.memory.note_commit(batch, &self.seen, self.notes).await;
        let took = self.clock.monotonic().saturating_sub(began);
        let report = BatchReport { plan, outcome, appended, waiting, took };
        Ok(Progress::Loaded(Box::new(report)))
    }

    /// Asks for files to be loaded again, noted, or their rows to be taken away, in the batches to
    /// come and before all others. Until [`Self::asked`] is empty, a crash forgets the rest.
    ///
    /// # Errors
    /// Rows would have to go, and they do not tell their file; or rows of an older version would go
    /// that nobody can read again.
    pub fn ask(
        &mut self,
        files: impl IntoIterator<Item = PlannedFile>,
    ) -> Result<(), Error<T::Error>> {
        let files: Vec<_> = files.into_iter().collect();
        let is_removing =
            |file: &PlannedFile| matches!(file.action, Action::Replace | Action::Remove);
        if !self.config.keeps_metadata && files.iter().any(is_removing) {
            return Err(self.settings(
                "its rows do not say which file they are from, so none can be replaced or taken \
                 away; only a new table with `metadataColumn` can"
                    .to_owned(),
            ));
        }
        let has_others = |file: &&PlannedFile| {
            file.action == Action::Replace
                && self.seen.get(&file.file.path).is_some_and(has_other_versions)
        };
        if let Some(file) = files.iter().find(has_others) {
            let others = files.iter().filter(has_others).count() - 1;
            return Err(self.settings(format!(
                "`{}` and {others} more have rows of several versions, and only the newest can be \
                 read again: `undo` them first if the others may go",
                file.file.path
            )));
        }
        self.asked.extend(files);
        Ok(())
    }

    /// Returns where the source lies, with a slash at the end.
    pub fn source(&self) -> &str {
        &self.config.source
    }

    /// Returns what was asked for and is in no batch yet.
    pub fn asked(&self) -> &[PlannedFile] {
        &self.asked
    }

    /// Returns what the stream has seen, as of the last run.
    pub fn seen(&self) -> &Seen {
        &self.seen
    }

    /// Brings what is known to where the target is, and returns it; loads nothing.
    ///
    /// # Errors
    /// Target or state could not be read, or do not belong together.
    pub async fn recall(&mut self) -> Result<&Seen, Error<T::Error>> {
        self.catch_up().await?;
        Ok(&self.seen)
    }

    /// Returns what waits: files that were found and are in no batch, and their bytes, looked for now.
    ///
    /// # Errors
    /// The source or the state could not be read.
    pub async fn look(&mut self) -> Result<Choice, Error<T::Error>> {
        self.catch_up().await?;
        if self.leaves_out_existing(BatchId::after(self.settled)) {
            return Ok(Choice::default());
        }
        let now = self.clock.now();
        let found = self.discover.look(&self.seen, now).await?;
        Ok(choose(&found, &self.seen, self.config.rules(now)))
    }

    /// Returns what the source has now, as far as it is news, for whoever imports a list.
    ///
    /// # Errors
    /// The source, the target or the state could not be read.
    pub async fn found_now(&mut self) -> Result<Vec<Candidate>, Error<T::Error>> {
        self.catch_up().await?;
        Ok(self.discover.look(&self.seen, self.clock.now()).await?)
    }

    fn state(&self, source: crate::Error) -> Error<T::Error> {
        Error::State { stream: self.config.name.clone(), source: Box::new(source) }
    }

    fn settings(&self, problem: String) -> Error<T::Error> {
        Error::Settings { stream: self.config.name.clone(), problem }
    }

    fn disagreement(&self, problem: String) -> Error<T::Error> {
        Error::Disagreement { stream: self.config.name.clone(), problem }
    }
}

/// Returns up to when every file is planned that this stream looks for, as some process wrote it
/// down. To be asked before hints are received.
///
/// # Errors
/// The state could not be read.
pub(super) async fn proven<E: std::error::Error + Send + Sync + 'static>(
    state: &Arc<dyn ObjectStore>,
    config: &StreamConfig,
) -> Result<Option<DateTime<Utc>>, Error<E>> {
    let memory = Memory::new(Arc::clone(state), &config.name);
    memory
        .proven(&config.looks_for())
        .await
        .map_err(|source| Error::State { stream: config.name.clone(), source: Box::new(source) })
}

fn target_error<T: FileTarget>(
    action: &'static str,
    last: Option<BatchId>,
    source: T::Error,
) -> Error<T::Error> {
    let batch = BatchId::after(last);
    Error::Target(TargetError { action, batch, kind: T::kind(&source), source })
}

#[cfg(test)]
mod tests;
