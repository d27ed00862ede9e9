//! Reading data files directly: what a version range added, or what a partition holds.

use std::{collections::HashMap, sync::Arc};

use arrow::{
    array::{ArrayRef, Date32Array, Int32Array, StringArray},
    compute::concat_batches,
    datatypes::{DataType, SchemaRef},
    record_batch::RecordBatch,
};
use deltalake_core::kernel::{Action, LogicalFileView, Remove};

use super::Table;
use crate::{Error, data_file, schema::TableDef};

/// A data file's path and partition values.
#[derive(Clone, Debug)]
pub(crate) struct DataFile {
    pub path: String,
    pub size: u64,
    pub partition_values: HashMap<String, Option<String>>,
}

/// The files one version added.
#[derive(Debug)]
pub(crate) struct Files {
    pub version: u64,
    pub files: Vec<DataFile>,
}

/// Versions that a reader who starts from nothing replays one by one: a few hundred log entries
/// are read in a moment, and data files that old are never deleted yet.
const LOG_READ_MAX: u64 = 256;

impl Table {
    /// Returns the files that the versions in `(after, upto]` added; those that only rearrange
    /// rows, as compaction does, are left out.
    pub(crate) async fn files_added(&self, after: u64, upto: u64) -> Result<Vec<Files>, Error> {
        let mut added = Vec::new();
        for version in after + 1..=upto {
            let files: Vec<DataFile> = self
                .actions(version)
                .await?
                .into_iter()
                .filter_map(|action| match action {
                    Action::Add(add) if add.data_change => Some(DataFile {
                        path: add.path,
                        size: u64::try_from(add.size).unwrap_or(0),
                        partition_values: add.partition_values,
                    }),
                    _ => None,
                })
                .collect();
            added.push(Files { version, files });
        }
        Ok(added)
    }

    /// Returns what a reader that has seen everything up to `after` has to read, oldest first.
    ///
    /// A reader that starts from nothing takes the snapshot when the log no longer reaches back to
    /// the beginning, or is so long that its older files may have been compacted and deleted: rows
    /// carry their place in the topic, so their order is known without the log.
    pub(crate) async fn files_since(&self, after: u64, upto: u64) -> Result<Vec<Files>, Error> {
        if after == 0 && self.version() != 0 {
            let is_long = LOG_READ_MAX < self.version();
            if is_long || !self.has_log_entry(1).await? {
                let files = self.active_files().iter().map(DataFile::from).collect();
                return Ok(vec![Files { version: self.version(), files }]);
            }
        }
        self.files_added(after, upto).await
    }

    /// Returns the files of the present snapshot.
    pub(crate) fn active_files(&self) -> Vec<LogicalFileView> {
        self.state().log_data().iter().collect()
    }

    /// Returns the files of the snapshot whose partition column has `value`.
    pub(crate) fn partition_files(&self, column: &str, value: &str) -> Vec<DataFile> {
        self.partition_views(column, value).iter().map(DataFile::from).collect()
    }

    /// Returns the removal of every file whose partition column has `value`.
    pub(crate) fn partition_removes(&self, column: &str, value: &str) -> Vec<Remove> {
        self.partition_views(column, value).iter().map(|file| file.remove_action(true)).collect()
    }

    fn partition_views(&self, column: &str, value: &str) -> Vec<LogicalFileView> {
        self.active_files()
            .into_iter()
            .filter(|file| {
                file.partition_values_map()
                    .get(column)
                    .is_some_and(|found| found.as_deref() == Some(value))
            })
            .collect()
    }

    /// Returns every row of the snapshot. Only for small tables.
    pub(crate) async fn read_all(&self) -> Result<Vec<RecordBatch>, Error> {
        let files: Vec<DataFile> = self.active_files().iter().map(DataFile::from).collect();
        self.read_files(&files).await
    }

    /// Returns the rows of `files`, in their order, with all columns of the table.
    pub(crate) async fn read_files(&self, files: &[DataFile]) -> Result<Vec<RecordBatch>, Error> {
        let mut rows = Vec::new();
        for file in files {
            rows.extend(self.read_file(file).await?);
        }
        Ok(rows)
    }

    /// Reads one data file whole: a step bounds the bytes it takes, and a query never comes here.
    async fn read_file(&self, file: &DataFile) -> Result<Vec<RecordBatch>, Error> {
        let error = |source: Box<dyn std::error::Error + Send + Sync>| Error::File {
            table: self.def.full_name(),
            path: file.path.clone(),
            source,
        };
        let store = self.log_store().object_store(None);
        let batches = data_file::read(store.as_ref(), &file.path).await.map_err(error)?;
        batches
            .into_iter()
            .map(|batch| with_partition_columns(&batch, &self.def.schema, &file.partition_values))
            .collect::<Result<_, _>>()
            .map_err(|problem| Error::Content { table: self.def.full_name(), problem })
    }
}

impl From<&LogicalFileView> for DataFile {
    fn from(view: &LogicalFileView) -> Self {
        Self {
            path: view.path().into_owned(),
            size: u64::try_from(view.size()).unwrap_or(0),
            partition_values: view.partition_values_map(),
        }
    }
}

/// Puts the partition columns, which data files do not hold, where the schema has them.
fn with_partition_columns(
    batch: &RecordBatch,
    schema: &SchemaRef,
    partition_values: &HashMap<String, Option<String>>,
) -> Result<RecordBatch, String> {
    let rows = batch.num_rows();
    let mut columns: Vec<ArrayRef> = Vec::with_capacity(schema.fields().len());
    for field in schema.fields() {
        let column = match batch.column_by_name(field.name()) {
            Some(column) if column.data_type() == field.data_type() => Arc::clone(column),
            Some(column) => arrow::compute::cast(column, field.data_type())
                .map_err(|error| error.to_string())?,
            None => {
                let value = partition_values.get(field.name()).and_then(|value| value.as_deref());
                constant(field.data_type(), value, rows)
                    .ok_or_else(|| format!("a data file has no column `{}`", field.name()))?
            }
        };
        columns.push(column);
    }
    RecordBatch::try_new(Arc::clone(schema), columns).map_err(|error| error.to_string())
}

/// Returns a column that repeats a partition value, as Delta writes them: as text.
fn constant(kind: &DataType, value: Option<&str>, rows: usize) -> Option<ArrayRef> {
    let array: ArrayRef = match (kind, value) {
        (DataType::Int32, Some(text)) => {
            Arc::new(Int32Array::from(vec![text.parse::<i32>().ok()?; rows]))
        }
        (DataType::Utf8, Some(text)) => Arc::new(StringArray::from(vec![text; rows])),
        (DataType::Date32, Some(text)) => {
            let days = crate::rows::days_since_epoch(text.parse().ok()?);
            Arc::new(Date32Array::from(vec![days; rows]))
        }
        (_, None) => arrow::array::new_null_array(kind, rows),
        _ => return None,
    };
    Some(array)
}

/// Returns the batches of a table as one, or `None` when there is no row.
pub(crate) fn concat(
    def: &TableDef,
    batches: &[RecordBatch],
) -> Result<Option<RecordBatch>, Error> {
    let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
    if rows == 0 {
        return Ok(None);
    }
    // Rows that do not fit one batch must stop the step: passing over them would lose them.
    concat_batches(&def.schema, batches)
        .map(Some)
        .map_err(|error| Error::Content { table: def.full_name(), problem: error.to_string() })
}
