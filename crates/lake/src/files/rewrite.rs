//! Rewriting data files: without the rows of some source files, or in the types of today.

use std::{collections::HashMap, sync::Arc};

use arrow::{
    array::{Array, ArrayRef, AsArray, BooleanArray, StringArray, new_null_array},
    compute::{cast, filter_record_batch},
    datatypes::SchemaRef,
    error::ArrowError,
    record_batch::RecordBatch,
};
use autoloader::files::target::Change;
use bytes::Bytes;
use deltalake_core::{
    kernel::LogicalFileView,
    parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder},
};
use object_store::{ObjectStoreExt, path::Path};

use super::{FileTable, Rewritten};
use crate::Error;

/// Rows handled at a time.
const BATCH_ROWS: usize = 65_536;

impl FileTable {
    /// Writes the rows that stay of every data file that has some that go, or of every one if
    /// `is_whole`, in these columns; nothing refers to what was written yet.
    pub(super) async fn rewrite(
        &self,
        columns: &SchemaRef,
        partition_by: &[String],
        change: &Change,
        is_whole: bool,
    ) -> Result<Rewritten, Error> {
        if !change.removes.is_empty() && self.metadata_column.is_none() {
            return Err(self.content(
                "its rows do not say which file they are from, so none can be replaced or undone: \
                 such tables need `metadataColumn` from their beginning"
                    .to_owned(),
            ));
        }
        let files: Vec<LogicalFileView> = self.state()?.log_data().iter().collect();
        let mut writer = self.writer(columns, partition_by);
        let mut removes = Vec::new();
        for file in files {
            let batches = self.read(&file).await?;
            let values = file.partition_values_map();
            let mut kept = Vec::new();
            let mut has_removed = false;
            for batch in batches {
                let batch = batch.map_err(|source| self.write_error(source))?;
                let staying = self.staying(&batch, change).map_err(|source| self.write_error(source))?;
                has_removed |= staying.num_rows() < batch.num_rows();
                kept.push(staying);
            }
            if !has_removed && !is_whole {
                continue;
            }
            for batch in kept {
                let batch = in_columns(&batch, columns, &values)
                    .map_err(|source| self.write_error(source))?;
                writer.write(&batch).await.map_err(|source| self.write_error(source))?;
            }
            removes.push(file.remove_action(true));
        }
        let adds = writer.close().await.map_err(|source| self.write_error(source))?;
        Ok(Rewritten { adds, removes })
    }

    /// Reads one data file: as large as one may become, see `FILE_BYTES`.
    async fn read(&self, file: &LogicalFileView) -> Result<ParquetRecordBatchReader, Error> {
        let path = file.path().into_owned();
        let error = |source: Box<dyn std::error::Error + Send + Sync>| Error::File {
            table: self.name.clone(),
            path: path.clone(),
            source,
        };
        let store = self.log_store.object_store(None);
        let at = Path::parse(&path).unwrap_or_else(|_| Path::from(path.as_str()));
        let object = store.get(&at).await.map_err(|source| error(Box::new(source)))?;
        let bytes: Bytes = object.bytes().await.map_err(|source| error(Box::new(source)))?;
        ParquetRecordBatchReaderBuilder::try_new(bytes)
            .and_then(|builder| builder.with_batch_size(BATCH_ROWS).build())
            .map_err(|source| error(Box::new(source)))
    }

    /// Returns the rows that are from none of the files to be removed.
    fn staying(&self, batch: &RecordBatch, change: &Change) -> Result<RecordBatch, ArrowError> {
        let paths = self
            .metadata_column
            .as_ref()
            .and_then(|name| batch.column_by_name(name))
            .and_then(|column| column.as_struct_opt()?.column_by_name("file_path"));
        let Some(paths) = paths.filter(|_| !change.removes.is_empty()) else {
            return Ok(batch.clone());
        };
        let paths = cast(paths, &arrow::datatypes::DataType::Utf8)?;
        let stays = |path: Option<&str>| path.is_none_or(|path| !change.removes.contains(path));
        let staying: BooleanArray =
            paths.as_string::<i32>().iter().map(|path| Some(stays(path))).collect();
        filter_record_batch(batch, &staying)
    }
}

/// Puts a batch into the columns of today: cast, with nulls where it has none, and with the
/// partition's values, which data files do not hold.
fn in_columns(
    batch: &RecordBatch,
    columns: &SchemaRef,
    partition: &HashMap<String, Option<String>>,
) -> Result<RecordBatch, ArrowError> {
    let rows = batch.num_rows();
    let column = |field: &Arc<arrow::datatypes::Field>| -> Result<ArrayRef, ArrowError> {
        if let Some(column) = batch.column_by_name(field.name()) {
            return cast(column, field.data_type());
        }
        match partition.get(field.name()).and_then(Option::as_deref) {
            Some(text) => cast(&StringArray::from(vec![text; rows]), field.data_type()),
            None => Ok(new_null_array(field.data_type(), rows)),
        }
    };
    let arrays = columns.fields().iter().map(column).collect::<Result<Vec<_>, _>>()?;
    RecordBatch::try_new(Arc::clone(columns), arrays)
}
