//! One data file: rows as Parquet, encoded in memory, with the statistics that the log keeps of it.
//!
//! A file is put in one piece, so a full disk or a lost connection leaves either nothing or a file
//! that no version refers to.

use std::{collections::HashMap, sync::Arc};

use arrow::{array::ArrayRef, datatypes::SchemaRef, error::ArrowError, record_batch::RecordBatch};
use deltalake_core::{
    kernel::Add,
    parquet::{
        arrow::ArrowWriter,
        basic::{Compression, ZstdLevel},
        errors::ParquetError,
        file::properties::WriterProperties,
    },
};
use object_store::{ObjectStore, ObjectStoreExt, path::Path};
use uuid::Uuid;

use self::stats::Stats;

mod stats;

/// The folder of rows whose partition column is null, as Hive calls it.
const NO_VALUE: &str = "__HIVE_DEFAULT_PARTITION__";

/// The values of a file's partition columns, in the table's order.
pub(crate) type Partition = Vec<(String, Option<String>)>;

/// A data file that grows.
pub(crate) struct Encoder {
    schema: SchemaRef,
    writer: ArrowWriter<Vec<u8>>,
    stats: Stats,
}

/// A data file that is complete.
#[derive(Debug)]
pub(crate) struct Encoded {
    bytes: Vec<u8>,
    stats: String,
}

impl Encoder {
    /// Begins a file of these columns, the partition's not among them.
    pub(crate) fn new(schema: SchemaRef) -> Result<Self, ParquetError> {
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::try_new(1).unwrap_or_default()))
            .build();
        let writer = ArrowWriter::try_new(Vec::new(), Arc::clone(&schema), Some(properties))?;
        Ok(Self { stats: Stats::of(&schema), schema, writer })
    }

    /// Adds rows; columns that the file does not have are left out.
    pub(crate) fn push(&mut self, rows: &RecordBatch) -> Result<(), ParquetError> {
        let rows = self.kept(rows).map_err(|error| ParquetError::ArrowError(error.to_string()))?;
        self.stats.push(rows.columns());
        self.writer.write(&rows)
    }

    fn kept(&self, rows: &RecordBatch) -> Result<RecordBatch, ArrowError> {
        let columns = self.schema.fields().iter().map(|field| rows.column_by_name(field.name()));
        let columns: Vec<ArrayRef> = columns.flatten().cloned().collect();
        RecordBatch::try_new(Arc::clone(&self.schema), columns)
    }

    /// Returns how large the file would be if it ended here, about.
    pub(crate) fn bytes(&self) -> usize {
        self.writer.bytes_written() + self.writer.in_progress_size()
    }

    /// Returns what it takes in memory, about.
    pub(crate) fn memory(&self) -> usize {
        self.writer.bytes_written() + self.writer.memory_size()
    }

    /// Ends the file.
    pub(crate) fn finish(self) -> Result<Encoded, ParquetError> {
        Ok(Encoded { stats: self.stats.to_string(), bytes: self.writer.into_inner()? })
    }
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
        store.put(&path, bytes.into()).await?;
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
    use super::*;

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
