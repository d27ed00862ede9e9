//! Running one plan: read its files in order, stage their rows, decide, commit.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use tokio::{sync::mpsc, task::JoinHandle};

use super::{
    ROUNDS_MAX, Stream,
    rows::{quarantine_columns, quarantine_rows, table_columns, table_rows},
    target_error,
};
use crate::{
    files::{
        decoded::{Decoded, ReadSchema},
        error::Error,
        options::ParseMode,
        plan::{Action, FORMAT, FileOutcome, FilePlan, FirstError, Outcome, PlannedFile, SetAside},
        ports::{Grown, ReadError, ReadRows, Shape},
        schema::Observed,
        source_file::SourceFile,
        target::{Change, FileTarget},
    },
    target::{Appended, BatchId},
};

/// Files read at the same time: hides a bucket's latency where files are small.
const READS_MAX: usize = 4;

/// Stretches of one file that wait to be staged: with one being decoded and one being written, as
/// many as two cores can use.
const STRETCHES_MAX: usize = 1;

/// Files that are left out of a batch, each with why.
type Aside = BTreeMap<String, FileOutcome>;

/// How one reading of a plan ended.
enum Reading<S> {
    /// All of it is staged.
    Staged(Staged<S>),
    /// A file turned out to be broken behind rows that are staged: it is left out the next time.
    WithoutOneMore,
    /// The columns grew.
    Grown,
}

/// What a plan's files gave.
struct Staged<S> {
    rows: S,
    bad: Option<S>,
    outcome: Outcome,
}

impl<T: FileTarget> Stream<T> {
    /// Brings `plan` into the target, whoever made it and however far it came before.
    pub(super) async fn run(
        &mut self,
        plan: &FilePlan,
    ) -> Result<(Outcome, Appended), Error<T::Error>> {
        let mut aside = Aside::new();
        let mut rounds = 0;
        // Leaving out one file more is no round: there are only so many files.
        while rounds < ROUNDS_MAX {
            let decided = self.memory.outcome(plan.batch).await.map_err(|e| self.state(e))?;
            let shape = match &decided {
                Some(decided) => {
                    let left_out = |(path, found): (&String, &FileOutcome)| {
                        found.set_aside.is_some().then(|| (path.clone(), found.clone()))
                    };
                    aside = decided.files.iter().filter_map(left_out).collect();
                    self.schemas.version(decided.schema_version).await?
                }
                None => self.schemas.newest(&files_of(plan)).await?,
            };
            let staged = match self.read(plan, &shape, &mut aside, decided.is_some()).await? {
                Reading::Staged(staged) => staged,
                Reading::WithoutOneMore => continue,
                Reading::Grown => {
                    rounds += 1;
                    continue;
                }
            };
            let final_outcome = match decided {
                Some(decided) => decided,
                None => {
                    let created = self.memory.create_outcome(staged.outcome.clone()).await;
                    created.map_err(|error| self.state(error))?
                }
            };
            if final_outcome != staged.outcome {
                // Another process decided first, about other files or columns: its word holds.
                tracing::debug!(batch = plan.batch.0, "another process decided this batch first");
                rounds += 1;
                continue;
            }
            let outcome = staged.outcome.clone();
            let appended = self.commit(plan, staged).await?;
            return Ok((outcome, appended));
        }
        let (stream, batch) = (self.config.name.clone(), plan.batch);
        Err(Error::Contended { stream, batch, attempts: ROUNDS_MAX })
    }

    /// Reads and stages the files of `plan` that are not in `aside`.
    ///
    /// `is_decided` says that `aside` is another's last word, and complete.
    async fn read(
        &mut self,
        plan: &FilePlan,
        shape: &Shape,
        aside: &mut Aside,
        is_decided: bool,
    ) -> Result<Reading<T::Staged>, Error<T::Error>> {
        let columns = table_columns(shape);
        let rows = self.target.begin(Arc::clone(&columns)).await;
        let mut staged = Staged {
            rows: rows.map_err(|error| staging::<T>(plan.batch, error))?,
            bad: None,
            outcome: Outcome {
                format: FORMAT,
                batch: plan.batch,
                schema_version: shape.version,
                files: BTreeMap::new(),
            },
        };
        let mut unknown = Observed::default();
        let mut wanted = plan.files.iter().collect::<VecDeque<_>>();
        let mut ahead = VecDeque::new();
        while let Some(planned) = wanted.front().copied() {
            // Started ahead, and taken in the order of the plan, which is that of the rows.
            let next = wanted.iter().skip(ahead.len()).take(READS_MAX - ahead.len());
            let started: Vec<_> = next
                .map(|planned| {
                    let is_read = is_read(planned) && !aside.contains_key(&planned.file.path);
                    is_read.then(|| Worker::start(&self.reader, &shape.read, &planned.file))
                })
                .collect();
            ahead.extend(started);
            wanted.pop_front();
            let path = &planned.file.path;
            let Some(mut worker) = ahead.pop_front().flatten() else {
                let found = aside.get(path).cloned().unwrap_or_default();
                staged.outcome.files.insert(path.clone(), found);
                continue;
            };
            let (url, mut found) = (self.url(path), FileOutcome::default());
            while let Some(stretch) = worker.stretches.recv().await {
                for batch in &stretch.batches {
                    found.rows += u64::try_from(batch.num_rows()).unwrap_or_default();
                    let batch = table_rows(shape, &columns, &planned.file, &url, batch)
                        .map_err(|source| Error::Rows { path: path.clone(), source })?;
                    let done = self.target.stage(&mut staged.rows, batch).await;
                    done.map_err(|error| staging::<T>(plan.batch, error))?;
                }
                found.rows_rescued += stretch.rows_rescued;
                self.stage_bad(plan.batch, path, &url, &stretch, &mut found, &mut staged.bad)
                    .await?;
                unknown.merge(stretch.unknown);
            }
            let ended = (&mut worker.end).await;
            match ended.map_err(|source| Error::Worker { path: path.clone(), source })? {
                Ok(()) => {
                    self.tries.remove(path);
                    staged.outcome.files.insert(path.clone(), found);
                }
                Err(error) if is_decided => {
                    // Others have read it: so must we, or wait until we can.
                    return Err(Error::File { path: path.clone(), source: error });
                }
                Err(error) => {
                    let has_staged = found.rows != 0 || found.records_bad != 0;
                    let found = self.set_aside(path, error)?;
                    aside.insert(path.clone(), found.clone());
                    if has_staged {
                        return Ok(Reading::WithoutOneMore);
                    }
                    staged.outcome.files.insert(path.clone(), found);
                }
            }
        }
        if unknown != Observed::default() && !is_decided {
            match self.schemas.grow(shape.version, &unknown).await? {
                Grown::No => (),
                Grown::Yes => return Ok(Reading::Grown),
                Grown::Stop { problem } => return Err(Error::Schema { problem }),
            }
        }
        Ok(Reading::Staged(staged))
    }

    /// Notes and stages the records of a stretch that are none.
    async fn stage_bad(
        &mut self,
        batch: BatchId,
        path: &str,
        url: &str,
        stretch: &Decoded,
        found: &mut FileOutcome,
        bad: &mut Option<T::Staged>,
    ) -> Result<(), Error<T::Error>> {
        let Some(first) = stretch.bad.first() else { return Ok(()) };
        if self.config.bad.mode == ParseMode::FailFast {
            return Err(Error::BadRecord {
                path: path.to_owned(),
                line: first.line,
                offset: first.offset,
                reason: first.reason.clone(),
            });
        }
        found.records_bad += u64::try_from(stretch.bad.len()).unwrap_or_default();
        found.first_error.get_or_insert_with(|| FirstError {
            line: first.line,
            offset: first.offset,
            reason: first.reason.clone(),
        });
        let Some(quarantine) = &mut self.quarantine else { return Ok(()) };
        if self.config.bad.mode == ParseMode::DropMalformed {
            return Ok(());
        }
        let rows = quarantine_rows(url, batch, &stretch.bad)
            .map_err(|source| Error::Rows { path: path.to_owned(), source })?;
        let staged = match bad {
            Some(staged) => staged,
            None => {
                let begun = quarantine.begin(quarantine_columns()).await;
                bad.insert(begun.map_err(|error| staging::<T>(batch, error))?)
            }
        };
        quarantine.stage(staged, rows).await.map_err(|error| staging::<T>(batch, error))
    }

    /// Decides to leave a file out of its batch, or to try the batch again.
    fn set_aside(&mut self, path: &str, error: ReadError) -> Result<FileOutcome, Error<T::Error>> {
        let tries = self.tries.entry(path.to_owned()).or_default();
        *tries += 1;
        let reason = error.to_string();
        let (why, offset) = match &error {
            ReadError::Missing => (SetAside::Missing, 0),
            ReadError::Changed => (SetAside::Changed, 0),
            ReadError::Broken { offset, .. } => (SetAside::Failed, *offset),
            // One object that a store does not give, while it gives the others, holds up the stream
            // for some tries and no longer.
            ReadError::Store { .. } if self.config.bad.failures_max <= *tries => {
                (SetAside::Failed, 0)
            }
            ReadError::Store { .. } => {
                return Err(Error::File { path: path.to_owned(), source: error });
            }
        };
        tracing::warn!(path, reason, "a file is left out of its batch");
        let first_error = Some(FirstError { line: 0, offset, reason });
        Ok(FileOutcome { set_aside: Some(why), first_error, ..FileOutcome::default() })
    }

    /// Commits what is staged: quarantine first, so that a second run finds it there.
    async fn commit(
        &mut self,
        plan: &FilePlan,
        staged: Staged<T::Staged>,
    ) -> Result<Appended, Error<T::Error>> {
        let Staged { rows, bad, outcome } = staged;
        let committing = |error| target_error::<T>("committing", plan.batch.before(), error);
        let count = |count: fn(&FileOutcome) -> u64| outcome.files.values().map(count).sum();
        let metrics = vec![
            ("marketlake.rows".to_owned(), count(|found| found.rows)),
            ("marketlake.records_bad".to_owned(), count(|found| found.records_bad)),
        ];
        if let (Some(quarantine), Some(bad)) = (&mut self.quarantine, bad) {
            let change = Change { may_skip: true, ..Change::default() };
            quarantine.commit_once(plan.batch, bad, change).await.map_err(committing)?;
        }
        let is_removed = |planned: &&PlannedFile| match planned.action {
            Action::Remove => true,
            // The rows of before stay as long as there are no others.
            Action::Replace => {
                outcome.files.get(&planned.file.path).is_some_and(|found| found.set_aside.is_none())
            }
            Action::Append | Action::Skip => false,
        };
        let removed = plan.files.iter().filter(is_removed);
        let removes = removed.map(|planned| self.url(&planned.file.path)).collect();
        let change = Change { removes, may_skip: false, metrics };
        self.target.commit_once(plan.batch, rows, change).await.map_err(committing)
    }

    /// Returns what rows say as the path of their file.
    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.config.source)
    }
}

/// A file being read by a task of its own, which ends with whoever waits for it.
struct Worker {
    stretches: mpsc::Receiver<Decoded>,
    end: JoinHandle<Result<(), ReadError>>,
}

impl Worker {
    fn start(reader: &Arc<dyn ReadRows>, schema: &Arc<ReadSchema>, file: &SourceFile) -> Self {
        let (sender, stretches) = mpsc::channel(STRETCHES_MAX);
        let (reader, schema) = (Arc::clone(reader), Arc::clone(schema));
        let file = file.clone();
        let end = tokio::spawn(async move { reader.read(&file, schema, &sender).await });
        Self { stretches, end }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.end.abort();
    }
}

const fn is_read(planned: &PlannedFile) -> bool {
    matches!(planned.action, Action::Append | Action::Replace)
}

/// Returns the files that a plan reads.
fn files_of(plan: &FilePlan) -> Vec<SourceFile> {
    let read = plan.files.iter().filter(|planned| is_read(planned));
    read.map(|planned| planned.file.clone()).collect()
}

fn staging<T: FileTarget>(batch: BatchId, error: T::Error) -> Error<T::Error> {
    target_error::<T>("staging rows of", batch.before(), error)
}
