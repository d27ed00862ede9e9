//! A Delta table that takes the rows of files: any columns, grown as they come, each batch once.
//!
//! Plain Delta, as everywhere in the lake: no deletion vectors, no column mapping. So a removal
//! rewrites the data files that hold such rows, and a type that widens rewrites the table; both are
//! one commit.

mod columns;
mod fit;
mod protocol;
mod rewrite;
mod staged;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, fmt, sync::Arc};

use arrow::{
    datatypes::{Schema, SchemaRef},
    record_batch::RecordBatch,
};
use async_trait::async_trait;
use autoloader::{
    Appended, BatchId,
    files::{
        FileTarget,
        target::{Change, Sealed},
    },
};
use deltalake_core::{
    DeltaTable, DeltaTableError,
    kernel::{Action, engine::arrow_conversion::TryIntoArrow, transaction::CommitBuilder},
    logstore::{LogStoreRef, get_actions},
    protocol::{DeltaOperation, SaveMode, checkpoints::create_checkpoint},
    table::state::DeltaTableState,
};
use futures::{StreamExt, TryStreamExt, stream};
use model::ErrorKind;

use self::columns::{Missing, growth};
pub use self::staged::StagedRows;
use crate::{
    Error, Location,
    table::{Txn, commit_properties, log_store},
};

/// Eight lost races in a row mean that another stream writes the table, not bad luck.
const COMMIT_ATTEMPTS_MAX: u32 = 8;

/// Versions between two checkpoints, as Delta's writers have it.
const CHECKPOINT_EVERY: u64 = 100;

/// Log entries read at the same time: hides a bucket's latency.
const READS_AT_ONCE: usize = 16;

/// One table as the target of one stream.
pub struct FileTable {
    name: String,
    app: String,
    metadata_column: Option<String>,
    partition_by: Vec<String>,
    log_store: LogStoreRef,
    /// `None` until there is a table.
    state: Option<DeltaTableState>,
}

/// How a stream writes a table.
#[derive(Clone, Debug)]
pub struct FileTableConfig {
    /// The stream: its transaction numbers are told apart by it.
    pub stream: String,
    /// The struct column whose `file_path` says which file a row is from; `None`: rows do not say,
    /// and none can be removed.
    pub metadata_column: Option<String>,
    /// The columns that a table which is created is partitioned by.
    pub partition_by: Vec<String>,
}

impl fmt::Debug for FileTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileTable").field("name", &self.name).finish_non_exhaustive()
    }
}

impl FileTable {
    /// Opens the table at `location`, whose URL is the table's own; there may be none yet.
    ///
    /// # Errors
    /// The store failed, or what lies there is no table that can be written.
    pub async fn open(location: &Location, config: FileTableConfig) -> Result<Self, Error> {
        let name = location.url.to_string();
        let log_store = log_store(location, &location.url);
        let log_store = log_store.map_err(|source| open_error(&name, source))?;
        let app = format!("marketlake/files/{}", config.stream);
        let FileTableConfig { metadata_column, partition_by, .. } = config;
        let mut table = Self { name, app, metadata_column, partition_by, log_store, state: None };
        table.refresh().await?;
        Ok(table)
    }

    /// Returns the version of the table that each batch of the stream is in, as far as the log tells.
    ///
    /// # Errors
    /// The log cannot be read.
    pub async fn versions(&self) -> Result<BTreeMap<u64, u64>, Error> {
        let Some(newest) = self.state.as_ref().map(DeltaTableState::version) else {
            return Ok(BTreeMap::new());
        };
        let reads = (0..=newest).rev().map(|version| self.batch_of(version));
        let mut reads = stream::iter(reads).buffered(READS_AT_ONCE);
        let mut versions = BTreeMap::new();
        // From the newest on, up to the stream's first batch or the oldest entry that is left.
        while let Some(Some((version, batch))) = reads.try_next().await? {
            versions.extend(batch.map(|batch| (batch, version)));
            if batch == Some(0) {
                break;
            }
        }
        Ok(versions)
    }

    /// Returns a version of the table and the batch that it brought; `None` when nothing is left of
    /// it in the log.
    async fn batch_of(&self, version: u64) -> Result<Option<(u64, Option<u64>)>, Error> {
        let error = |source| open_error(&self.name, source);
        let entry = self.log_store.read_commit_entry(version).await.map_err(error)?;
        // Log entries are deleted after a month.
        let Some(entry) = entry else { return Ok(None) };
        let actions = get_actions(version, &entry).map_err(error)?;
        let batch = actions.into_iter().find_map(|action| match action {
            Action::Txn(txn) if txn.app_id == self.app => u64::try_from(txn.version).ok(),
            _ => None,
        });
        Ok(Some((version, batch)))
    }

    /// Moves the snapshot to the newest version.
    async fn refresh(&mut self) -> Result<(), Error> {
        let error = |source| open_error(&self.name, source);
        if let Some(state) = &mut self.state {
            state.update(self.log_store.as_ref(), None).await.map_err(error)?;
        } else if self.log_store.is_delta_table_location().await.map_err(error)? {
            let mut handle = DeltaTable::new(LogStoreRef::clone(&self.log_store));
            handle.load().await.map_err(error)?;
            self.state = Some(handle.snapshot().map_err(error)?.clone());
        }
        match &self.state {
            Some(state) => protocol::check(state).map_err(|problem| self.content(problem)),
            None => Ok(()),
        }
    }

    /// Creates the table empty; a race with another creator is lost without harm.
    ///
    /// Empty, because a table that is created together with data skips the conflict check that the
    /// first batch needs.
    async fn create(&mut self, columns: &SchemaRef) -> Result<(), Error> {
        let has = |name: &String| columns.field_with_name(name).is_ok();
        // Columns may come later, and the partition's with them.
        let partition_by: Vec<String> =
            self.partition_by.iter().filter(|name| has(name)).cloned().collect();
        let actions = protocol::birth(columns, &partition_by);
        let actions = actions.map_err(|source| open_error(&self.name, source))?;
        let created = self.commit(actions, true, None, &[]).await;
        self.refresh().await?;
        match created {
            // Whatever happened, what counts is whether the table is there now.
            Err(error) if self.state.is_none() => Err(error),
            Ok(_) | Err(_) => Ok(()),
        }
    }

    fn state(&self) -> Result<&DeltaTableState, Error> {
        self.state.as_ref().ok_or_else(|| self.content("it is gone".to_owned()))
    }

    /// Returns the table's columns; none before the first rows came.
    fn present(&self) -> Result<SchemaRef, Error> {
        if protocol::is_unborn(self.state()?) {
            return Ok(Arc::new(Schema::empty()));
        }
        let schema: Result<Schema, _> = self.state()?.schema().as_ref().try_into_arrow();
        schema.map(Arc::new).map_err(|error| self.content(error.to_string()))
    }

    async fn last(&self) -> Result<Option<BatchId>, Error> {
        let Some(state) = &self.state else { return Ok(None) };
        let found = state.transaction_version(self.log_store.as_ref(), &self.app).await;
        let found = found.map_err(|source| open_error(&self.name, source))?;
        Ok(found.and_then(|version| u64::try_from(version).ok()).map(BatchId))
    }

    /// Returns what turns the present snapshot into one that has the batch, and whether that was
    /// decided by looking at the snapshot: then it goes on that one or not at all.
    async fn actions(
        &self,
        rows: Option<&staged::Rows>,
        change: &Change,
    ) -> Result<(Vec<Action>, bool), Error> {
        let state = self.state()?;
        let present = self.present()?;
        let wanted = rows.map_or(&present, |rows| &rows.columns);
        // Columns that came since the rows were staged are null in them.
        let growth = growth(&present, wanted, Missing::Null);
        let growth = growth.map_err(|problem| self.content(problem))?;
        let mut actions = Vec::new();
        if growth.is_any() {
            let metadata = protocol::growth(state, &growth.columns, &self.partition_by);
            actions.extend(metadata.map_err(|source| open_error(&self.name, source))?);
        }
        let partitions = match growth.is_any() && present.fields().is_empty() {
            true => &self.partition_by,
            false => state.metadata().partition_columns(),
        };
        if rows.is_some_and(|rows| rows.partition_by != *partitions) {
            return Err(self.content(format!(
                "it is partitioned by ({}), and rows that were staged for it are not: another load \
                 made it; give this one the same `partitionColumns`, in a new stream",
                partitions.join(", ")
            )));
        }
        let rewritten = self.rewrite(&growth, change).await?;
        let mut is_fixed = growth.is_any() || !rewritten.is_empty();
        actions.extend(rewritten);
        if let Some(rows) = rows {
            // Another stream may have widened the table since: whoever reads it expects one type.
            let is_narrow = columns::is_narrow(&rows.columns, &growth.columns);
            is_fixed |= is_narrow;
            let adds = match is_narrow {
                true => self.restage(rows, &growth.columns).await?,
                false => rows.adds.clone(),
            };
            actions.extend(adds.into_iter().map(Action::Add));
        }
        Ok((actions, is_fixed))
    }

    async fn commit(
        &mut self,
        actions: Vec<Action>,
        is_fixed: bool,
        txn: Option<Txn>,
        metrics: &[(String, u64)],
    ) -> Result<u64, Error> {
        let metrics = metrics.iter().map(|(name, count)| (name.clone(), (*count).into()));
        let properties = commit_properties(txn.as_ref(), metrics.collect(), is_fixed);
        let is_removing = actions.iter().any(|action| matches!(action, Action::Remove(_)));
        let mode = if is_removing { SaveMode::Overwrite } else { SaveMode::Append };
        let operation = DeltaOperation::Write { mode, partition_by: None, predicate: None };
        let state = self.state.as_ref();
        let committed = CommitBuilder::from(properties)
            .with_actions(actions)
            .build(state.map(|state| state as _), LogStoreRef::clone(&self.log_store), operation)
            .await
            .map_err(|source| Error::Commit {
                table: self.name.clone(),
                source: Box::new(source),
            })?;
        self.state = Some(committed.snapshot);
        Ok(committed.version)
    }

    /// Writes a checkpoint of the log now and then, so that opening the table stays quick. A failure
    /// is logged: the log has all of it, and the batch is there.
    async fn checkpoint(&self, version: u64) {
        if !version.is_multiple_of(CHECKPOINT_EVERY) {
            return;
        }
        let mut handle = DeltaTable::new(LogStoreRef::clone(&self.log_store));
        let written = match handle.load().await {
            Ok(()) => create_checkpoint(&handle, None).await,
            Err(error) => Err(error),
        };
        if let Err(error) = written {
            tracing::warn!(table = self.name, %error, "a checkpoint of the log was not written");
        }
    }

    fn content(&self, problem: String) -> Error {
        Error::Content { table: self.name.clone(), problem }
    }

    fn write_error(&self, source: impl std::error::Error + Send + Sync + 'static) -> Error {
        Error::Write { table: self.name.clone(), source: Box::new(source) }
    }

    fn missing(&self, batch: BatchId, last: Option<BatchId>) -> Error {
        let last = last.map_or_else(|| "none".to_owned(), |last| last.to_string());
        self.content(format!(
            "batch {batch} was to follow, but the last one of this stream is {last}; the table was \
             restored or replaced: bring back what belongs together, or begin a new stream"
        ))
    }
}

#[async_trait]
impl FileTarget for FileTable {
    type Error = Error;
    type Staged = StagedRows;

    fn kind(error: &Error) -> ErrorKind {
        error.kind()
    }

    async fn last_batch(&mut self) -> Result<Option<BatchId>, Error> {
        self.refresh().await?;
        self.last().await
    }

    async fn columns(&mut self) -> Result<Option<SchemaRef>, Error> {
        self.refresh().await?;
        match &self.state {
            Some(_) => self.present().map(Some),
            None => Ok(None),
        }
    }

    async fn begin(&mut self, columns: SchemaRef) -> Result<StagedRows, Error> {
        self.refresh().await?;
        if self.state.is_none() {
            self.create(&columns).await?;
        }
        let present = self.present()?;
        let growth = growth(&present, &columns, Missing::Refused);
        let growth = growth.map_err(|problem| self.content(problem))?;
        let partition_by = match present.fields().is_empty() {
            true => self.partition_by.clone(),
            false => self.state()?.metadata().partition_columns().to_vec(),
        };
        Ok(StagedRows::new(growth.columns, partition_by))
    }

    async fn stage(&mut self, staged: &mut StagedRows, rows: RecordBatch) -> Result<(), Error> {
        let store = self.log_store.object_store(None);
        let pushed = staged.push(store.as_ref(), rows).await;
        pushed.map_err(|problem| self.write_error(problem))
    }

    async fn seal(&mut self, staged: StagedRows) -> Result<Sealed, Error> {
        let store = self.log_store.object_store(None);
        let rows = staged.finish(store.as_ref()).await;
        rows.and_then(|rows| rows.to_sealed()).map_err(|problem| self.write_error(problem))
    }

    async fn commit_once(
        &mut self,
        batch: BatchId,
        rows: Option<&Sealed>,
        change: &Change,
    ) -> Result<Appended, Error> {
        let version = i64::try_from(batch.0)
            .map_err(|_| self.content(format!("batch {batch} is too large for a number")))?;
        let txn = Txn { app: self.app.clone(), version };
        let rows = rows.map(staged::Rows::of_sealed).transpose();
        let rows = rows.map_err(|problem| self.content(problem.to_string()))?;
        let mut is_checked = false;
        for _ in 0..COMMIT_ATTEMPTS_MAX {
            // An earlier attempt may have taken effect although it looked like an error.
            self.refresh().await?;
            let last = self.last().await?;
            if last.is_some_and(|last| batch <= last) {
                return Ok(Appended::AlreadyThere);
            }
            if BatchId::after(last) != batch && !change.may_skip {
                return Err(self.missing(batch, last));
            }
            if let Some(rows) = rows.as_ref().filter(|_| !is_checked) {
                self.check_there(rows).await?;
                is_checked = true;
            }
            if self.state.is_none() {
                let columns = rows.as_ref().map(|rows| Arc::clone(&rows.columns));
                self.create(&columns.unwrap_or_else(protocol::unborn)).await?;
                // Whoever else created it may have committed this batch, too.
                continue;
            }
            let (actions, is_fixed) = self.actions(rows.as_ref(), change).await?;
            match self.commit(actions, is_fixed, Some(txn.clone()), &change.metrics).await {
                Ok(version) => {
                    self.checkpoint(version).await;
                    return Ok(Appended::Committed { version });
                }
                // Somebody else was first: once more, on what is there now.
                Err(error) if error.kind() == ErrorKind::Conflict => (),
                Err(error) => return Err(error),
            }
        }
        Err(Error::Contended { table: self.name.clone(), attempts: COMMIT_ATTEMPTS_MAX })
    }
}

/// Makes `rows` all that the table at `location` holds, in one commit; the table is created if need
/// be.
///
/// # Errors
/// The table cannot be written, has other columns, or somebody else writes it at the same time.
pub async fn put_table(location: &Location, rows: &RecordBatch) -> Result<u64, Error> {
    let config = FileTableConfig {
        stream: "whole".to_owned(),
        metadata_column: None,
        partition_by: Vec::new(),
    };
    let mut table = FileTable::open(location, config).await?;
    let mut staged = table.begin(rows.schema()).await?;
    table.stage(&mut staged, rows.clone()).await?;
    let store = table.log_store.object_store(None);
    let rows = staged.finish(store.as_ref()).await.map_err(|source| table.write_error(source))?;
    let mut actions = Vec::new();
    for file in table.state()?.log_data().iter() {
        actions.push(Action::Remove(file.remove_action(true)));
    }
    let growth = growth(&table.present()?, &rows.columns, Missing::Refused);
    let growth = growth.map_err(|problem| table.content(problem))?;
    if growth.is_any() {
        let grown = protocol::growth(table.state()?, &growth.columns, &[]);
        actions.extend(grown.map_err(|source| open_error(&table.name, source))?);
    }
    actions.extend(rows.adds.into_iter().map(Action::Add));
    table.commit(actions, true, None, &[]).await
}

fn open_error(table: &str, source: DeltaTableError) -> Error {
    Error::Open { table: table.to_owned(), source: Box::new(source) }
}
