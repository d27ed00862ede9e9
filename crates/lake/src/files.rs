//! A Delta table that takes the rows of files: any columns, grown as they come, each batch once.
//!
//! Plain Delta, as everywhere in the lake: reader version 1, no deletion vectors, no column mapping.
//! So a removal rewrites the data files that hold such rows, and a type that widens rewrites the
//! table; both are one commit.

mod columns;
mod rewrite;

use std::{fmt, num::NonZeroU64, sync::Arc};

use arrow::{datatypes::SchemaRef, record_batch::RecordBatch};
use async_trait::async_trait;
use autoloader::{
    Appended, BatchId,
    files::{FileTarget, target::Change},
};
use deltalake_core::{
    DeltaTable, DeltaTableError, StructType,
    datafile::writer::{DeltaWriter, WriterConfig},
    kernel::{
        Action, Add, MetadataExt, Remove, StructTypeExt, Transaction,
        engine::arrow_conversion::{TryIntoArrow, TryIntoKernel},
        transaction::{CommitBuilder, CommitProperties},
    },
    logstore::LogStoreRef,
    operations::create::CreateBuilder,
    parquet::{
        basic::{Compression, ZstdLevel},
        file::properties::WriterProperties,
    },
    protocol::{DeltaOperation, SaveMode},
    table::state::DeltaTableState,
};
use model::ErrorKind;

use self::columns::{Growth, growth, stats_columns};
use crate::{Error, Location, table::log_store};

/// Eight lost races in a row mean that another stream writes the table, not bad luck.
const COMMIT_ATTEMPTS_MAX: u32 = 8;

/// Size of a data file after which the next one is begun, 64 MiB: large enough for readers, small
/// enough that a file fits the memory of whoever rewrites it.
const FILE_BYTES: NonZeroU64 = NonZeroU64::new(64 << 20).expect("not zero");

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

impl fmt::Debug for FileTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileTable").field("name", &self.name).finish_non_exhaustive()
    }
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

/// Rows that were written and belong to no version yet.
pub struct StagedRows {
    columns: SchemaRef,
    /// `None` once it was closed.
    writer: Option<DeltaWriter>,
    adds: Vec<Add>,
    rows: u64,
}

impl fmt::Debug for StagedRows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StagedRows").field("rows", &self.rows).finish_non_exhaustive()
    }
}

impl FileTable {
    /// Opens the table at `location`, whose URL is the table's own; there may be none yet.
    ///
    /// # Errors
    /// The store failed, or what lies there is no table that can be read.
    pub async fn open(location: &Location, config: FileTableConfig) -> Result<Self, Error> {
        let name = location.url.path().trim_matches('/').to_owned();
        let log_store = log_store(location, &location.url).map_err(|source| open_error(&name, source))?;
        let app = format!("marketlake/files/{}", config.stream);
        let FileTableConfig { metadata_column, partition_by, .. } = config;
        let mut table = Self { name, app, metadata_column, partition_by, log_store, state: None };
        table.refresh().await?;
        Ok(table)
    }

    /// Returns the newest version; `None` when there is no table.
    #[must_use]
    pub fn version(&self) -> Option<u64> {
        self.state.as_ref().map(DeltaTableState::version)
    }

    /// Moves the snapshot to the newest version.
    async fn refresh(&mut self) -> Result<(), Error> {
        let error = |source| open_error(&self.name, source);
        if let Some(state) = &mut self.state {
            return state.update(self.log_store.as_ref(), None).await.map_err(error);
        }
        if self.log_store.is_delta_table_location().await.map_err(error)? {
            let mut handle = DeltaTable::new(LogStoreRef::clone(&self.log_store));
            handle.load().await.map_err(error)?;
            self.state = Some(handle.snapshot().map_err(error)?.clone());
        }
        Ok(())
    }

    /// Creates the table empty; a race with another creator is lost without harm.
    ///
    /// Empty, because a table that is created together with data skips the conflict check that the
    /// first batch needs.
    async fn create(&mut self, columns: &SchemaRef) -> Result<(), Error> {
        let error = |source| open_error(&self.name, source);
        let kernel = kernel_schema(columns).map_err(error)?;
        let created = CreateBuilder::new()
            .with_log_store(LogStoreRef::clone(&self.log_store))
            .with_columns(kernel.fields().cloned())
            .with_partition_columns(self.partition_by.iter().cloned())
            .with_save_mode(SaveMode::ErrorIfExists)
            .await;
        self.refresh().await?;
        match created {
            Err(source) if self.state.is_none() => Err(open_error(&self.name, source)),
            // Whatever happened, what counts is whether the table is there now.
            _ => Ok(()),
        }
    }

    fn state(&self) -> Result<&DeltaTableState, Error> {
        self.state.as_ref().ok_or_else(|| self.content("it is gone".to_owned()))
    }

    fn table_columns(&self, state: &DeltaTableState) -> Result<SchemaRef, Error> {
        let schema: Result<arrow::datatypes::Schema, _> = state.schema().as_ref().try_into_arrow();
        schema.map(Arc::new).map_err(|error| self.content(error.to_string()))
    }

    async fn last(&self) -> Result<Option<BatchId>, Error> {
        let Some(state) = &self.state else { return Ok(None) };
        let found = state
            .transaction_version(self.log_store.as_ref(), &self.app)
            .await
            .map_err(|source| open_error(&self.name, source))?;
        Ok(found.and_then(|version| u64::try_from(version).ok()).map(BatchId))
    }

    fn writer(&self, columns: &SchemaRef, partition_by: &[String]) -> DeltaWriter {
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::try_new(1).unwrap_or_default()))
            .build();
        let config = WriterConfig::new(
            Arc::clone(columns),
            partition_by.to_vec(),
            Some(properties),
            Some(FILE_BYTES),
            None,
            columns::indexed(),
            Some(stats_columns(columns)),
        );
        DeltaWriter::new(self.log_store.object_store(None), config)
    }

    /// Returns what turns the present snapshot into one that has the batch.
    async fn actions(
        &self,
        staged: &StagedRows,
        change: &Change,
    ) -> Result<(Vec<Action>, bool), Error> {
        let state = self.state()?;
        let present = self.table_columns(state)?;
        let mut actions = Vec::new();
        let growth = growth(&present, &staged.columns).map_err(|problem| self.content(problem))?;
        let columns = match &growth {
            Growth::None => present,
            Growth::Columns(columns) | Growth::Types(columns) => {
                let kernel = kernel_schema(columns).map_err(|source| open_error(&self.name, source))?;
                let metadata = state.metadata().clone().with_schema(&kernel);
                let metadata = metadata.map_err(|source| open_error(&self.name, source))?;
                actions.push(Action::Metadata(metadata));
                Arc::clone(columns)
            }
        };
        let is_whole = matches!(growth, Growth::Types(_));
        let mut is_replacing = false;
        if is_whole || !change.removes.is_empty() {
            let partition_by = state.metadata().partition_columns().to_vec();
            let rewritten = self.rewrite(&columns, &partition_by, change, is_whole).await?;
            is_replacing = !rewritten.removes.is_empty();
            actions.extend(rewritten.removes.into_iter().map(Action::Remove));
            actions.extend(rewritten.adds.into_iter().map(Action::Add));
        }
        actions.extend(staged.adds.iter().cloned().map(Action::Add));
        // Anything that was decided by looking at the snapshot goes on that snapshot or not at all.
        let is_fixed = is_replacing || !matches!(growth, Growth::None);
        Ok((actions, is_fixed))
    }

    async fn commit(
        &mut self,
        actions: Vec<Action>,
        is_fixed: bool,
        batch: BatchId,
        metrics: &[(String, u64)],
    ) -> Result<u64, Error> {
        let version = i64::try_from(batch.0)
            .map_err(|_| self.content(format!("batch id {batch} is too large for a number")))?;
        let metrics = metrics.iter().map(|(name, count)| (name.clone(), (*count).into()));
        // Log checkpoints and log cleaning are tasks of their own: a failure there would make a
        // commit that took effect look like an error.
        let properties = CommitProperties::default()
            .with_application_transaction(Transaction::new(&self.app, version))
            .with_create_checkpoint(false)
            .with_cleanup_expired_logs(Some(false))
            .with_metadata(metrics);
        let properties = if is_fixed { properties.with_max_retries(0) } else { properties };
        let is_removing = actions.iter().any(|action| matches!(action, Action::Remove(_)));
        let mode = if is_removing { SaveMode::Overwrite } else { SaveMode::Append };
        let operation = DeltaOperation::Write {
            mode,
            partition_by: Some(self.state()?.metadata().partition_columns().to_vec()),
            predicate: None,
        };
        let log_store = LogStoreRef::clone(&self.log_store);
        let committed = CommitBuilder::from(properties)
            .with_actions(actions)
            .build(Some(self.state()?), log_store, operation)
            .await
            .map_err(|source| Error::Commit {
                table: self.name.clone(),
                source: Box::new(source),
            })?;
        self.state = Some(committed.snapshot);
        Ok(committed.version)
    }

    fn content(&self, problem: String) -> Error {
        Error::Content { table: self.name.clone(), problem }
    }

    fn write_error(&self, source: impl std::error::Error + Send + Sync + 'static) -> Error {
        Error::Write { table: self.name.clone(), source: Box::new(source) }
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
        self.state.as_ref().map(|state| self.table_columns(state)).transpose()
    }

    async fn begin(&mut self, columns: SchemaRef) -> Result<StagedRows, Error> {
        self.refresh().await?;
        if self.state.is_none() {
            self.create(&columns).await?;
        }
        let state = self.state()?;
        growth(&self.table_columns(state)?, &columns).map_err(|problem| self.content(problem))?;
        let writer = self.writer(&columns, state.metadata().partition_columns());
        Ok(StagedRows { columns, writer: Some(writer), adds: Vec::new(), rows: 0 })
    }

    async fn stage(&mut self, staged: &mut StagedRows, rows: RecordBatch) -> Result<(), Error> {
        staged.rows += u64::try_from(rows.num_rows()).unwrap_or_default();
        let Some(writer) = &mut staged.writer else {
            return Err(self.content("its staged rows were closed".to_owned()));
        };
        writer.write(&rows).await.map_err(|source| self.write_error(source))
    }

    async fn commit_once(
        &mut self,
        batch: BatchId,
        mut staged: StagedRows,
        change: Change,
    ) -> Result<Appended, Error> {
        if let Some(writer) = staged.writer.take() {
            staged.adds = writer.close().await.map_err(|source| self.write_error(source))?;
        }
        let mut last_error = None;
        for _ in 0..COMMIT_ATTEMPTS_MAX {
            // An earlier attempt may have taken effect although it looked like an error.
            self.refresh().await?;
            let last = self.last().await?;
            if last.is_some_and(|last| batch <= last) {
                return Ok(Appended::AlreadyThere);
            }
            if BatchId::after(last) != batch && !change.may_skip {
                let last = last.map_or_else(|| "none".to_owned(), |last| last.to_string());
                return Err(self.content(format!(
                    "batch {batch} was to follow, but the last one of this stream is {last}; the table \
                     was restored or replaced: bring back what belongs together, or begin a new stream"
                )));
            }
            let (actions, is_fixed) = self.actions(&staged, &change).await?;
            match self.commit(actions, is_fixed, batch, &change.metrics).await {
                Ok(version) => return Ok(Appended::Committed { version }),
                Err(error) => last_error = Some(error),
            }
        }
        match last_error {
            Some(error) if error.kind() != ErrorKind::Conflict => Err(error),
            _ => Err(Error::Contended {
                table: self.name.clone(),
                attempts: COMMIT_ATTEMPTS_MAX,
            }),
        }
    }
}

/// What a rewrite of data files takes and gives.
struct Rewritten {
    adds: Vec<Add>,
    removes: Vec<Remove>,
}

fn kernel_schema(columns: &SchemaRef) -> Result<StructType, DeltaTableError> {
    columns
        .as_ref()
        .try_into_kernel()
        .map_err(|source| DeltaTableError::GenericError { source: Box::new(source) })
}

fn open_error(table: &str, source: DeltaTableError) -> Error {
    Error::Open { table: table.to_owned(), source: Box::new(source) }
}
