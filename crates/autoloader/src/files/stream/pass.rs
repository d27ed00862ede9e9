//! Reading a plan's files in order, staging their rows, and deciding what became of each.

use std::{collections::BTreeMap, mem, sync::Arc};

use arrow::datatypes::SchemaRef;

use super::{
    Stream,
    ahead::{Ahead, Ended, Worker},
    batch::url,
    rows::{Spelled, quarantine_columns, quarantine_rows, table_columns, table_rows},
    target_error,
};
use crate::{
    files::{
        decoded::{BadRecord, Decoded, RESCUED_FIELDS_MAX},
        error::Error,
        options::{BadOptions, ParseMode},
        plan::{FORMAT, FileOutcome, FilePlan, FirstError, Outcome, PlannedFile, SetAside},
        ports::{Grown, ReadError, Shape},
        schema::Observed,
        source_file::SourceFile,
        target::FileTarget,
    },
    target::BatchId,
};

/// How often the columns may grow under one batch: each time they hold all that was seen, so a
/// second time is for what only the new columns let a reader see, and records are not that deep.
const GROWTHS_MAX: u32 = 8;

/// Files that are left out of a batch, each with why.
type Aside = BTreeMap<String, FileOutcome>;

/// How one reading of a plan ended.
enum Read<'a, S> {
    /// All of it is staged.
    Staged(Pass<'a, S>),
    /// Files turned out to be broken behind rows that were staged: they are left out the next time.
    WithoutSome,
    /// The columns grew.
    Grown,
    /// There are no columns yet, and these files hold fields that may become some.
    Fields(Pass<'a, S>, Vec<SourceFile>),
}

/// What one reading of a plan has brought so far.
struct Pass<'a, S> {
    batch: BatchId,
    shape: &'a Shape,
    columns: SchemaRef,
    /// `None`: there are no columns, or something staged must not be committed.
    rows: Option<S>,
    bad: Option<S>,
    /// Something staged must not be committed: the rest is read to know it all at once.
    is_void: bool,
    files: BTreeMap<String, FileOutcome>,
    /// Fields that were no column, in files that were read to their end.
    unknown: Observed,
}

/// What one file has brought so far.
struct Taken<'a> {
    file: &'a SourceFile,
    url: String,
    spelled: Spelled,
    found: FileOutcome,
    unknown: Observed,
}

impl<T: FileTarget> Stream<T> {
    /// Reads the files of `plan` and says what became of them, with the rows sealed.
    pub(super) async fn decide(&mut self, plan: &FilePlan) -> Result<Outcome, Error<T::Error>> {
        let mut outcome = Outcome {
            format: FORMAT,
            batch: plan.batch,
            decided_at: self.clock.now(),
            schema_version: None,
            files: plan
                .files
                .iter()
                .map(|p| (p.file.path.clone(), FileOutcome::default()))
                .collect(),
            rows: None,
            quarantine: None,
        };
        let read: Vec<&PlannedFile> =
            plan.files.iter().filter(|planned| planned.action.is_reading()).collect();
        if read.is_empty() {
            return Ok(outcome);
        }
        let mut sample: Vec<_> = read.iter().map(|planned| planned.file.clone()).collect();
        let mut aside = Aside::new();
        let (mut growths, mut were_fields) = (0, false);
        // Leaving out more files is bounded by the files.
        while growths < GROWTHS_MAX {
            let newest = self.schemas.newest(&sample).await?;
            let version = newest.as_ref().map(|shape| shape.version);
            let shape = newest.unwrap_or_else(Shape::without_columns);
            match self.read(plan.batch, &read, (version, &shape), &mut aside).await? {
                Read::WithoutSome => (),
                Read::Grown => growths += 1,
                // Fields that make no columns a second time are nulls.
                Read::Fields(_, files) if !were_fields => (were_fields, sample) = (true, files),
                Read::Staged(pass) | Read::Fields(pass, _) => {
                    let sealing = |error| target_error::<T>("staging", plan.batch.before(), error);
                    if let Some(rows) = pass.rows {
                        outcome.rows = Some(self.target.seal(rows).await.map_err(sealing)?);
                    }
                    if let (Some(quarantine), Some(bad)) = (&mut self.quarantine, pass.bad) {
                        outcome.quarantine = Some(quarantine.seal(bad).await.map_err(sealing)?);
                    }
                    outcome.files.extend(pass.files);
                    outcome.files.extend(aside);
                    outcome.schema_version = version;
                    outcome.decided_at = self.clock.now();
                    return Ok(outcome);
                }
            }
        }
        let (stream, batch) = (self.config.name.clone(), plan.batch);
        Err(Error::Growing { stream, batch, attempts: GROWTHS_MAX })
    }

    /// Reads and stages the files that are not in `aside`, and adds those that cannot be read.
    ///
    /// Without a version of the columns no row is staged or counted; what is no file is known all
    /// the same, and must not keep the others waiting.
    async fn read<'a>(
        &mut self,
        batch: BatchId,
        files: &[&PlannedFile],
        (version, shape): (Option<u64>, &'a Shape),
        aside: &mut Aside,
    ) -> Result<Read<'a, T::Staged>, Error<T::Error>> {
        let columns = table_columns(shape);
        let rows = match version {
            Some(_) => {
                let rows = self.target.begin(Arc::clone(&columns)).await;
                Some(rows.map_err(|error| staging::<T>(batch, error))?)
            }
            None => None,
        };
        let mut pass = Pass {
            batch,
            shape,
            columns,
            rows,
            bad: None,
            is_void: false,
            files: BTreeMap::new(),
            unknown: Observed::default(),
        };
        let mut with_fields = Vec::new();
        let known_aside = mem::take(aside);
        let wanted =
            files.iter().copied().filter(|planned| !known_aside.contains_key(&planned.file.path));
        for (planned, mut worker) in
            Ahead::new(wanted, Arc::clone(&self.reader), Arc::clone(&shape.read))
        {
            let file = &planned.file;
            let url = url(&self.config.source, &file.path);
            let spelled = spelled(shape, file)?;
            let (found, unknown) = (FileOutcome::default(), Observed::default());
            let mut taken = Taken { file, url, spelled, found, unknown };
            while let Some(stretch) = worker.stretches.recv().await {
                self.take(stretch, &mut pass, &mut taken).await?;
            }
            match self.verdict(planned, &mut worker).await? {
                None => {
                    pass.files.insert(file.path.clone(), taken.found);
                    if taken.unknown != Observed::default() {
                        with_fields.push(file.clone());
                    }
                    pass.unknown.merge(taken.unknown);
                }
                Some(left_out) => {
                    if taken.found.rows != 0 || taken.found.records_bad != 0 {
                        (pass.rows, pass.bad, pass.is_void) = (None, None, true);
                    }
                    aside.insert(file.path.clone(), left_out);
                }
            }
        }
        aside.extend(known_aside);
        if pass.is_void {
            return Ok(Read::WithoutSome);
        }
        if version.is_none() && !with_fields.is_empty() {
            return Ok(Read::Fields(pass, with_fields));
        }
        if pass.unknown != Observed::default() {
            match self.schemas.grow(shape.version, &pass.unknown, &with_fields).await? {
                Grown::No => (),
                Grown::Yes => return Ok(Read::Grown),
                Grown::Stop { problem } => return Err(Error::Schema { problem }),
            }
        }
        Ok(Read::Staged(pass))
    }

    /// Counts and stages one stretch of a file.
    async fn take(
        &mut self,
        stretch: Decoded,
        pass: &mut Pass<'_, T::Staged>,
        taken: &mut Taken<'_>,
    ) -> Result<(), Error<T::Error>> {
        // Rows of no columns are none.
        let has_columns = pass.is_void || pass.rows.is_some();
        for rows in stretch.batches.iter().filter(|_| has_columns) {
            taken.found.rows += u64::try_from(rows.num_rows()).unwrap_or_default();
            let Some(staged) = &mut pass.rows else { continue };
            let of = (taken.file, taken.url.as_str(), &taken.spelled);
            let rows = table_rows(pass.shape, &pass.columns, of, rows)
                .map_err(|source| Error::Rows { path: taken.file.path.clone(), source })?;
            let done = self.target.stage(staged, rows).await;
            done.map_err(|error| staging::<T>(pass.batch, error))?;
        }
        taken.found.rows_rescued += if taken.spelled.misfits.is_empty() {
            stretch.rows_rescued
        } else {
            stretch.batches.iter().map(|rows| rows.num_rows() as u64).sum()
        };
        let rescued = &mut taken.found.rescued_fields;
        for field in &stretch.rescued_fields {
            if rescued.len() < RESCUED_FIELDS_MAX {
                rescued.insert(field.clone());
            }
        }
        self.take_bad(&stretch.bad, pass, taken).await?;
        taken.unknown.merge(stretch.unknown);
        Ok(())
    }

    /// Counts the records of a stretch that are none, and stages them where they are wanted.
    async fn take_bad(
        &mut self,
        bad: &[BadRecord],
        pass: &mut Pass<'_, T::Staged>,
        taken: &mut Taken<'_>,
    ) -> Result<(), Error<T::Error>> {
        let Some(BadRecord { line, offset, reason, .. }) = bad.first() else { return Ok(()) };
        let (path, line, offset, reason) =
            (taken.file.path.clone(), *line, *offset, reason.clone());
        if self.config.bad.mode == ParseMode::FailFast {
            return Err(Error::BadRecord { path, line, offset, reason });
        }
        taken.found.records_bad += u64::try_from(bad.len()).unwrap_or_default();
        taken.found.first_error.get_or_insert(FirstError { line, offset, reason });
        let Some(quarantine) = &mut self.quarantine else { return Ok(()) };
        if pass.is_void || self.config.bad.mode == ParseMode::DropMalformed {
            return Ok(());
        }
        let rows = quarantine_rows(&taken.url, pass.batch, bad)
            .map_err(|source| Error::Rows { path, source })?;
        let failed = |error| staging::<T>(pass.batch, error);
        let staged = match &mut pass.bad {
            Some(staged) => staged,
            None => {
                let begun = quarantine.begin(quarantine_columns()).await.map_err(failed)?;
                pass.bad.insert(begun)
            }
        };
        quarantine.stage(staged, rows).await.map_err(failed)
    }

    /// Waits for the end of a file; returns why it is left out of its batch, if it is.
    async fn verdict(
        &mut self,
        planned: &PlannedFile,
        worker: &mut Worker,
    ) -> Result<Option<FileOutcome>, Error<T::Error>> {
        let path = &planned.file.path;
        let error = match worker.end().await {
            Ok(()) => {
                self.tries.remove(path);
                return Ok(None);
            }
            Err(Ended::Cancelled) => return Err(Error::Ended { path: path.clone() }),
            // The file has no part in it, so the file keeps its place.
            Err(Ended::Failed(error @ ReadError::Refused(_))) => {
                return Err(Error::File { path: path.clone(), source: Box::new(error) });
            }
            Err(Ended::Failed(error)) => error,
        };
        if matches!(error, ReadError::Store { .. }) {
            let tries = self.tries.entry(path.clone()).or_default();
            *tries = tries.saturating_add(1);
            if *tries < self.config.bad.failures_max {
                return Err(Error::File { path: path.clone(), source: Box::new(error) });
            }
            // One object that a store does not give, while it answers, holds up the stream for some
            // tries and no longer. A store that does not answer at all says nothing about the file.
            self.discover.answers().await?;
        }
        self.tries.remove(path);
        let left_out = left_out(planned.failures, &error, &self.config.bad);
        let reason = error.to_string();
        match left_out.set_aside {
            Some(SetAside::Missing) if self.config.bad.is_missing_ignored => {
                tracing::debug!(path, reason, "a file is left out of its batch");
            }
            _ => tracing::warn!(path, reason, "a file is left out of its batch"),
        }
        Ok(Some(left_out))
    }
}

/// Returns what the path of a file has for the columns that it spells.
fn spelled<E>(shape: &Shape, file: &SourceFile) -> Result<Spelled, Error<E>>
where
    E: std::error::Error + Send + Sync + 'static,
{
    let spelled = Spelled::of(&file.path, &shape.partitions)
        .map_err(|source| Error::Rows { path: file.path.clone(), source })?;
    match spelled.misfits.first() {
        Some((name, value)) if shape.rescued_column.is_none() => Err(Error::Schema {
            problem: format!(
                "the path of file `{}` says `{value}`, which column `{name}` cannot hold; give a `rescuedDataColumn`, or a `schema` in which it can",
                file.path
            ),
        }),
        _ => Ok(spelled),
    }
}

/// Says what becomes of a file that could not be read, after so many failures before. Pure.
fn left_out(failures: u32, error: &ReadError, bad: &BadOptions) -> FileOutcome {
    let (why, offset) = match error {
        ReadError::Missing => (SetAside::Missing, 0),
        ReadError::Changed => (SetAside::Changed, 0),
        ReadError::Broken { offset, .. } if bad.is_corrupt_ignored => (SetAside::Corrupt, *offset),
        ReadError::Broken { offset, .. } => (SetAside::Failed, *offset),
        ReadError::Store { .. } | ReadError::Refused(_) => (SetAside::Failed, 0),
    };
    let is_last = bad.failures_max <= failures.saturating_add(1);
    let why = if why == SetAside::Failed && is_last { SetAside::Poisoned } else { why };
    let first_error = Some(FirstError { line: 0, offset, reason: error.to_string() });
    FileOutcome { set_aside: Some(why), first_error, ..FileOutcome::default() }
}

fn staging<T: FileTarget>(batch: BatchId, error: T::Error) -> Error<T::Error> {
    target_error::<T>("staging rows of", batch.before(), error)
}
