//! Rows on their way: encoded file by file, put when a file is large enough, then told in words.

use std::{collections::BTreeMap, sync::Arc};

use arrow::{
    array::{Array, ArrayRef, AsArray, UInt32Array},
    compute::{cast, take_record_batch},
    datatypes::{DataType, Schema, SchemaRef, TimeUnit},
    error::ArrowError,
    record_batch::RecordBatch,
};
use autoloader::files::target::Sealed;
use deltalake_core::{
    StructType,
    kernel::{
        Add,
        engine::arrow_conversion::{TryIntoArrow, TryIntoKernel},
    },
    parquet::errors::ParquetError,
};
use object_store::{ObjectStore, ObjectStoreExt};
use serde::{Deserialize, Serialize};

use super::{FileTable, fit::in_columns};
use crate::{
    Error,
    data_file::{self, Encoded, Encoder, Partition},
};

/// Size at which a data file is complete, 32 MiB: large enough for readers, and small enough that
/// one request puts it and that whoever rewrites it has it in memory.
const FILE_BYTES: usize = 32 << 20;

/// What open files may take together, 96 MiB; then the largest is complete, whatever its size. A
/// source with many partitions has many open.
const OPEN_BYTES_MAX: usize = 96 << 20;

/// Open files at a time: an empty one takes memory too.
const OPEN_MAX: usize = 256;

/// The values of the partition columns, in the table's order.
type Values = Vec<Option<String>>;

/// Rows that were written and belong to no version yet.
pub struct StagedRows {
    columns: SchemaRef,
    partition_by: Vec<String>,
    /// `None` after a failure: rows may be missing.
    open: Option<BTreeMap<Values, Encoder>>,
    adds: Vec<Add>,
}

impl std::fmt::Debug for StagedRows {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StagedRows").field("adds", &self.adds).finish_non_exhaustive()
    }
}

/// Why rows could not be staged.
#[derive(Debug, thiserror::Error)]
pub(super) enum Problem {
    #[error("putting rows into the table's columns")]
    Columns(#[from] ArrowError),
    #[error("encoding rows as Parquet")]
    Encode(#[from] ParquetError),
    #[error("putting a data file")]
    Put(#[from] object_store::Error),
    #[error("an earlier failure lost rows that were staged")]
    Broken,
    #[error("encoding was cut off")]
    Task(#[from] tokio::task::JoinError),
    #[error("writing down where rows are staged")]
    Words(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl StagedRows {
    pub(super) fn new(columns: SchemaRef, partition_by: Vec<String>) -> Self {
        Self { columns, partition_by, open: Some(BTreeMap::new()), adds: Vec::new() }
    }

    /// Stages rows; the columns that they lack are null.
    pub(super) async fn push(
        &mut self,
        store: &dyn ObjectStore,
        rows: RecordBatch,
    ) -> Result<(), Problem> {
        let mut open = self.open.take().ok_or(Problem::Broken)?;
        let columns = Arc::clone(&self.columns);
        let (names, schema) = (self.partition_by.clone(), self.file_schema());
        // Encoding is plain computation: whoever reads the next rows goes on beside it.
        let push = move || -> Result<_, Problem> {
            let rows = in_columns(&rows, &columns)?;
            let mut complete = Vec::new();
            for (values, rows) in split(&rows, &names)? {
                let mut encoder = match open.remove(&values) {
                    Some(encoder) => encoder,
                    None => Encoder::new(Arc::clone(&schema)),
                };
                encoder.push(&rows)?;
                if FILE_BYTES <= encoder.bytes() {
                    complete.push((values, encoder.finish()?));
                } else {
                    open.insert(values, encoder);
                }
                while let Some(values) = too_many(&open) {
                    let Some(encoder) = open.remove(&values) else { break };
                    complete.push((values, encoder.finish()?));
                }
            }
            Ok((open, complete))
        };
        let (open, complete) = tokio::task::spawn_blocking(push).await??;
        for (values, encoded) in complete {
            self.put(store, values, encoded).await?;
        }
        self.open = Some(open);
        Ok(())
    }

    /// Completes what is open.
    pub(super) async fn finish(mut self, store: &dyn ObjectStore) -> Result<Rows, Problem> {
        let open = self.open.take().ok_or(Problem::Broken)?;
        let finish = move || {
            let files = open.into_iter();
            files.map(|(values, encoder)| Ok((values, encoder.finish()?))).collect()
        };
        let complete: Result<Vec<_>, ParquetError> = tokio::task::spawn_blocking(finish).await?;
        for (values, encoded) in complete? {
            self.put(store, values, encoded).await?;
        }
        Ok(Rows { columns: self.columns, partition_by: self.partition_by, adds: self.adds })
    }

    async fn put(
        &mut self,
        store: &dyn ObjectStore,
        values: Values,
        encoded: Encoded,
    ) -> Result<(), Problem> {
        let partition: Partition = self.partition_by.iter().cloned().zip(values).collect();
        self.adds.push(encoded.put(store, partition).await?);
        Ok(())
    }

    /// Returns the columns that data files hold: all but the partition's.
    fn file_schema(&self) -> SchemaRef {
        let fields = self.columns.fields().iter();
        let kept = fields.filter(|field| !self.partition_by.contains(field.name()));
        Arc::new(Schema::new(kept.cloned().collect::<Vec<_>>()))
    }
}

/// Returns the largest open file when there are too many, or they take too much together.
fn too_many(open: &BTreeMap<Values, Encoder>) -> Option<Values> {
    let bytes: usize = open.values().map(Encoder::memory).sum();
    if bytes <= OPEN_BYTES_MAX && open.len() <= OPEN_MAX {
        return None;
    }
    open.iter().max_by_key(|(_, encoder)| encoder.memory()).map(|(values, _)| values.clone())
}

/// Rows that were staged to the end.
#[derive(Clone, Debug)]
pub(super) struct Rows {
    pub(super) columns: SchemaRef,
    pub(super) partition_by: Vec<String>,
    pub(super) adds: Vec<Add>,
}

/// [`Rows`] in words.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Words {
    columns: StructType,
    partition_by: Vec<String>,
    adds: Vec<Add>,
}

impl Rows {
    pub(super) fn to_sealed(&self) -> Result<Sealed, Problem> {
        let columns = self.columns.as_ref().try_into_kernel()?;
        let (partition_by, adds) = (self.partition_by.clone(), self.adds.clone());
        let words = Words { columns, partition_by, adds };
        let words = serde_json::to_value(words).map_err(|error| Problem::Words(error.into()))?;
        Ok(Sealed(words))
    }

    pub(super) fn of_sealed(sealed: &Sealed) -> Result<Self, Problem> {
        let words = Words::deserialize(&sealed.0).map_err(|error| Problem::Words(error.into()))?;
        let Words { columns, partition_by, adds } = words;
        let columns: Schema = (&columns).try_into_arrow()?;
        Ok(Self { columns: Arc::new(columns), partition_by, adds })
    }
}

impl FileTable {
    /// Checks that staged files are still there: between sealing and committing may lie days, and
    /// somebody's vacuum.
    pub(super) async fn check_there(&self, rows: &Rows) -> Result<(), Error> {
        let store = self.log_store.object_store(None);
        for add in &rows.adds {
            let path = data_file::location(&add.path);
            match store.head(&path).await {
                Ok(_) => (),
                Err(object_store::Error::NotFound { .. }) => {
                    return Err(self.content(format!(
                        "the staged data file `{path}` is gone: the table was vacuumed while a batch \
                         waited for its commit; put the file back from a backup, or begin a new \
                         stream into a new table"
                    )));
                }
                Err(source) => {
                    let (table, path) = (self.name.clone(), path.to_string());
                    return Err(Error::File { table, path, source: Box::new(source) });
                }
            }
        }
        Ok(())
    }
}

/// Splits rows by the values of columns; the order within a part is kept.
fn split(rows: &RecordBatch, names: &[String]) -> Result<Vec<(Values, RecordBatch)>, ArrowError> {
    if rows.num_rows() == 0 {
        return Ok(Vec::new());
    }
    if names.is_empty() {
        return Ok(vec![(Vec::new(), rows.clone())]);
    }
    let texts = names.iter().map(|name| texts(rows, name)).collect::<Result<Vec<_>, _>>()?;
    let mut indices: BTreeMap<Values, Vec<u32>> = BTreeMap::new();
    for row in 0..rows.num_rows() {
        let value = |array: &ArrayRef| {
            let array = array.as_string::<i32>();
            // The protocol has no empty text beside null.
            let text = (!array.is_null(row)).then(|| array.value(row).to_owned());
            text.filter(|text| !text.is_empty())
        };
        let index = u32::try_from(row).map_err(|_| {
            ArrowError::InvalidArgumentError("a stretch has more than 4 billion rows".to_owned())
        })?;
        indices.entry(texts.iter().map(value).collect()).or_default().push(index);
    }
    if let [(values, _)] = &indices.iter().collect::<Vec<_>>()[..] {
        return Ok(vec![((*values).clone(), rows.clone())]);
    }
    let part =
        |(values, indices)| Ok((values, take_record_batch(rows, &UInt32Array::from(indices))?));
    indices.into_iter().map(part).collect()
}

/// Returns a partition column as the protocol writes its values.
fn texts(rows: &RecordBatch, name: &str) -> Result<ArrayRef, ArrowError> {
    let missing =
        || ArrowError::SchemaError(format!("there is no column `{name}` to partition by"));
    let column = rows.column_by_name(name).ok_or_else(missing)?;
    match column.data_type() {
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            let plain = cast(column, &DataType::Timestamp(TimeUnit::Microsecond, None))?;
            let texts = cast(&plain, &DataType::Utf8)?;
            let texts = texts.as_string::<i32>().iter();
            let spaced = texts.map(|text| text.map(|text| text.replace('T', " ")));
            Ok(Arc::new(spaced.collect::<arrow::array::StringArray>()))
        }
        kind if kind.is_nested() || kind.is_binary() => Err(ArrowError::SchemaError(format!(
            "`{name}` is {kind}, which a table cannot be partitioned by"
        ))),
        _ => cast(column, &DataType::Utf8),
    }
}
