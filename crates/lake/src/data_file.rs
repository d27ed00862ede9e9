//! One data file: rows as Parquet, encoded in memory, with the statistics that the log keeps of it;
//! and read back.
//!
//! A file is put in one piece, so a full disk or a lost connection leaves either nothing or a file
//! that no version refers to.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    io::Write,
    mem,
    ops::Range,
    sync::Arc,
};

use arrow::{
    array::ArrayRef,
    datatypes::SchemaRef,
    error::ArrowError,
    record_batch::RecordBatch,
    row::{Row, RowConverter, SortField},
};
use bytes::Bytes;
use deltalake_core::{
    kernel::Add,
    parquet::{
        arrow::{arrow_reader::ParquetRecordBatchReaderBuilder, async_reader::MetadataFetch},
        basic::Compression,
        errors::ParquetError,
        file::{
            metadata::{ParquetMetaDataReader, RowGroupMetaData},
            properties::WriterProperties,
        },
        schema::types::ColumnPath,
    },
};
use futures::{FutureExt, TryFutureExt, future::BoxFuture};
use object_store::{ObjectStore, ObjectStoreExt, PutPayload, path::Path};
use uuid::Uuid;

use self::{
    compression::{Recurrence, level},
    row_groups::RowGroups,
    stats::Stats,
};

mod compression;
mod decimals;
mod row_groups;
mod stats;

/// The folder of rows whose partition column is null, as Hive calls it.
const NO_VALUE: &str = "__HIVE_DEFAULT_PARTITION__";

/// Size of a row group: what is encoded of it is in memory twice while it is put to the file.
const ROW_GROUP_BYTES: usize = 8 << 20;

/// Size of the pieces that a file is held in: a page of a column fits into one.
const PIECE_BYTES: usize = 2 << 20;

/// What is read of a file's end first: the footer of most files whole.
const FOOTER_BYTES: usize = 64 << 10;

/// The values of a file's partition columns, in the table's order.
pub(crate) type Partition = Vec<(String, Option<String>)>;

/// A data file that grows.
pub(crate) struct Encoder {
    schema: SchemaRef,
    /// `None` until rows have come, which tell how they are best written.
    writer: Option<RowGroups>,
    stats: Stats,
}

/// A data file that is complete.
#[derive(Debug)]
pub(crate) struct Encoded {
    bytes: PutPayload,
    stats: String,
}

impl Encoder {
    /// Begins a file of these columns, the partition's not among them.
    pub(crate) fn new(schema: SchemaRef) -> Self {
        Self { stats: Stats::of(&schema), schema, writer: None }
    }

    /// Adds rows; columns that the file does not have are left out.
    pub(crate) fn push(&mut self, rows: &RecordBatch) -> Result<(), ParquetError> {
        let rows = self.kept(rows).map_err(|error| ParquetError::ArrowError(error.to_string()))?;
        self.stats.push(rows.columns());
        let writer = match &mut self.writer {
            Some(writer) => writer,
            writer => writer.insert(begin(&self.schema, Some(&rows))?),
        };
        writer.write(&rows)
    }

    fn kept(&self, rows: &RecordBatch) -> Result<RecordBatch, ArrowError> {
        let columns = self.schema.fields().iter().map(|field| rows.column_by_name(field.name()));
        let columns: Vec<ArrayRef> = columns.flatten().cloned().collect();
        RecordBatch::try_new(Arc::clone(&self.schema), columns)
    }

    /// Returns how large the file would be if it ended here, about.
    pub(crate) fn bytes(&self) -> usize {
        self.writer.as_ref().map_or(0, RowGroups::bytes)
    }

    /// Returns what it takes in memory, about.
    pub(crate) fn memory(&self) -> usize {
        self.writer.as_ref().map_or(0, RowGroups::memory)
    }

    /// Ends the file.
    pub(crate) fn finish(self) -> Result<Encoded, ParquetError> {
        let writer = match self.writer {
            Some(writer) => writer,
            None => begin(&self.schema, None)?,
        };
        let Pieces { mut full, open } = writer.finish()?;
        full.push(open.into());
        Ok(Encoded { stats: self.stats.to_string(), bytes: full.into_iter().collect() })
    }
}

/// Begins a file whose first rows are these.
///
/// A dictionary is kept for every column but those whose values hardly ever come again: there it
/// costs a look-up for each value, and takes more room than the values.
fn begin(schema: &SchemaRef, rows: Option<&RecordBatch>) -> Result<RowGroups, ParquetError> {
    let mut properties = WriterProperties::builder().set_compression(Compression::ZSTD(level()));
    let mut packed = HashMap::new();
    for (field, column) in schema.fields().iter().zip(rows.map_or(&[][..], RecordBatch::columns)) {
        let recurrence = recurrence(column)?;
        if recurrence == Recurrence::New {
            let path = ColumnPath::from(field.name().as_str());
            properties = properties.set_column_dictionary_enabled(path, false);
        }
        if decimals::is_packed(field.data_type(), recurrence) {
            packed.insert(field.name().clone(), recurrence);
        }
    }
    RowGroups::new(Arc::clone(schema), properties.build(), packed)
}

/// Where a file grows: in pieces, for one buffer of all of it would be copied whenever it doubles.
#[derive(Debug, Default)]
struct Pieces {
    full: Vec<Bytes>,
    open: Vec<u8>,
}

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if PIECE_BYTES < self.open.len() + bytes.len() {
            self.full.push(mem::take(&mut self.open).into());
        }
        if self.open.capacity() == 0 {
            self.open.reserve_exact(bytes.len().max(PIECE_BYTES));
        }
        self.open.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Values that are looked at to tell whether a column's come again, and how few of them must be new:
/// of prices, which have thousands of values, some dozens come twice among so many.
const SAMPLE_ROWS: usize = 4096;
const SAMPLE_NEW_MAX: usize = SAMPLE_ROWS / 100 * 97;

/// Returns whether values of a column come again, as far as a few tell. Too few tell nothing.
fn recurrence(column: &ArrayRef) -> Result<Recurrence, ParquetError> {
    if column.len() < SAMPLE_ROWS || column.data_type().is_nested() {
        return Ok(Recurrence::Repeated);
    }
    let rows = RowConverter::new(vec![SortField::new(column.data_type().clone())])
        .and_then(|converter| converter.convert_columns(&[column.slice(0, SAMPLE_ROWS)]));
    let rows = rows.map_err(|error| ParquetError::ArrowError(error.to_string()))?;
    let distinct: HashSet<Row<'_>> = rows.iter().collect();
    let is_new = SAMPLE_NEW_MAX < distinct.len();
    Ok(if is_new { Recurrence::New } else { Recurrence::Repeated })
}

impl Encoded {
    /// Puts the file into a table's folder under a new name; no version refers to it yet.
    pub(crate) async fn put(
        self,
        store: &dyn ObjectStore,
        partition: Partition,
    ) -> Result<Add, object_store::Error> {
        let Self { bytes, stats } = self;
        let name = format!("part-00000-{}-c000.zstd.parquet", Uuid::new_v4());
        let path = Path::from(format!("{}{name}", folder(&partition)));
        store.put(&path, bytes).await?;
        // The store's own clock tells when the file came to be.
        let meta = store.head(&path).await?;
        Ok(Add {
            path: path.to_string(),
            partition_values: HashMap::from_iter(partition),
            size: i64::try_from(meta.size).unwrap_or(i64::MAX),
            modification_time: meta.last_modified.timestamp_millis(),
            data_change: true,
            stats: Some(stats),
            tags: None,
            deletion_vector: None,
            base_row_id: None,
            default_row_commit_version: None,
            clustering_provider: None,
        })
    }
}

/// Where a table's log says that a data file lies.
pub(crate) fn location(path: &str) -> Path {
    Path::parse(path).unwrap_or_else(|_| Path::from(path))
}

/// Reads a data file whole, without the partition's columns.
///
/// # Errors
/// It is gone, or no Parquet.
pub(crate) async fn read(
    store: &dyn ObjectStore,
    path: &str,
) -> Result<Vec<RecordBatch>, Box<dyn std::error::Error + Send + Sync>> {
    let bytes = store.get(&location(path)).await?.bytes().await?;
    // Decoding is plain computation: on a thread of its own it holds up no other stage.
    Ok(tokio::task::spawn_blocking(move || decode(bytes)).await??)
}

fn decode(bytes: Bytes) -> Result<Vec<RecordBatch>, ArrowError> {
    ParquetRecordBatchReaderBuilder::try_new(bytes)?
        // Fewer, larger batches are cheaper to walk.
        .with_batch_size(65_536)
        .build()?
        .collect()
}

/// Whether a data file may have rows in which the text column at `leaf` is one of `values`, as far as
/// the ranges in its footer tell; of the rest of the file nothing is read.
///
/// # Errors
/// It is gone, or no Parquet.
pub(crate) async fn may_have(
    store: &dyn ObjectStore,
    (path, size): (&str, u64),
    leaf: [&str; 2],
    values: &BTreeSet<String>,
) -> Result<bool, Box<dyn std::error::Error + Send + Sync>> {
    let reader = ParquetMetaDataReader::new().with_prefetch_hint(Some(FOOTER_BYTES));
    let footer = reader.load_and_finish(Ranges { store, path: location(path) }, size).await?;
    let columns = footer.file_metadata().schema_descr().columns();
    let Some(column) = columns.iter().position(|column| column.path().parts() == leaf) else {
        return Ok(false);
    };
    let may_have = |group: &RowGroupMetaData| {
        // Ranges of old writers compare letters as signed numbers.
        let range = group.column(column).statistics().filter(|it| !it.is_min_max_deprecated());
        let Some((least, most)) = range.and_then(|it| it.min_bytes_opt().zip(it.max_bytes_opt()))
        else {
            return true;
        };
        values.iter().any(|value| least <= value.as_bytes() && value.as_bytes() <= most)
    };
    Ok(footer.row_groups().iter().any(may_have))
}

/// Ranges of a data file.
struct Ranges<'s> {
    store: &'s dyn ObjectStore,
    path: Path,
}

impl MetadataFetch for Ranges<'_> {
    fn fetch(&mut self, range: Range<u64>) -> BoxFuture<'_, Result<Bytes, ParquetError>> {
        let found = self.store.get_range(&self.path, range);
        found.map_err(|error| ParquetError::External(Box::new(error))).boxed()
    }
}

/// Returns the folder of a partition, with a slash at its end: named by the values for people who
/// look into the bucket. Readers go by the log, so a value that no folder can be called simply has
/// none.
fn folder(partition: &Partition) -> String {
    let is_plain = |text: &str| {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        (1..=100).contains(&text.len()) && !text.starts_with('.') && text.bytes().all(is_plain)
    };
    let mut folder = String::new();
    for (name, value) in partition {
        let value = value.as_deref().unwrap_or(NO_VALUE);
        if !is_plain(name) || !is_plain(value) {
            return String::new();
        }
        folder.push_str(&format!("{name}={value}/"));
    }
    folder
}

#[cfg(test)]
mod tests {
    use arrow::{array::Int64Array, datatypes::DataType};

    use super::*;

    #[test]
    fn only_columns_whose_values_come_again_have_a_dictionary() {
        let rows = i64::try_from(SAMPLE_ROWS).expect("small");
        let column = |value: &dyn Fn(i64) -> i64, count| -> ArrayRef {
            Arc::new((0..count).map(value).collect::<Int64Array>())
        };
        for (name, column, expected) in [
            ("every value is new", column(&|row| row, rows), false),
            ("one value", column(&|_| 7, rows), true),
            ("prices of 300 dollars", column(&|row| row * 7919 % 30_000 / 10, rows), true),
            ("too few to tell", column(&|row| row, rows - 1), true),
            ("no value at all", arrow::array::new_null_array(&DataType::Int64, SAMPLE_ROWS), true),
        ] {
            let recurrence = recurrence(&column).expect(name);
            assert_eq!(recurrence == Recurrence::Repeated, expected, "{name}");
            let rows = RecordBatch::try_from_iter([("a", column)]).expect(name);
            let mut encoder = Encoder::new(rows.schema());
            encoder.push(&rows).expect(name);
            let encoded = encoder.finish().expect(name);
            let read =
                ParquetRecordBatchReaderBuilder::try_new(Bytes::from(encoded.bytes)).expect(name);
            let has = read.metadata().row_group(0).column(0).dictionary_page_offset().is_some();
            assert_eq!(has, expected, "{name}");
            let read: Vec<RecordBatch> =
                read.build().expect(name).collect::<Result<_, _>>().expect(name);
            assert_eq!(arrow::compute::concat_batches(&rows.schema(), &read).expect(name), rows);
        }
    }

    #[test]
    fn folders_have_plain_names_or_none() {
        let partition = |values: &[Option<&str>]| -> Partition {
            let names = ["day", "region"].into_iter().map(str::to_owned);
            names.zip(values.iter().map(|value| value.map(str::to_owned))).collect()
        };
        for (values, expected) in [
            (&[][..], ""),
            (&[Some("2026-01-05")][..], "day=2026-01-05/"),
            (&[Some("2026"), None][..], "day=2026/region=__HIVE_DEFAULT_PARTITION__/"),
            (&[Some("a/b")][..], ""),
            (&[Some("..")][..], ""),
            (&[Some("2026"), Some("grüße")][..], ""),
        ] {
            assert_eq!(folder(&partition(values)), expected);
        }
    }
}
