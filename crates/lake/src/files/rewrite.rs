//! Rewriting data files: without the rows of some source files, or in the types of today.

use std::sync::Arc;

use arrow::{
    array::{ArrayRef, AsArray, BooleanArray, StringArray},
    compute::{cast, filter_record_batch},
    datatypes::{DataType, Field, Schema},
    error::ArrowError,
    record_batch::RecordBatch,
};
use autoloader::files::target::Change;
use bytes::Bytes;
use deltalake_core::{
    kernel::{Action, LogicalFileView},
    parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder},
};
use object_store::{ObjectStoreExt, path::Path};

use super::{FileTable, columns::Growth, staged::StagedRows};
use crate::Error;

/// Rows handled at a time.
const BATCH_ROWS: usize = 65_536;

impl FileTable {
    /// Writes anew every data file that has rows to be removed, or every one when types change;
    /// returns what puts the new ones in the place of the old.
    pub(super) async fn rewrite(
        &self,
        growth: &Growth,
        change: &Change,
    ) -> Result<Vec<Action>, Error> {
        if !growth.changes_types && change.removes.is_empty() {
            return Ok(Vec::new());
        }
        if !change.removes.is_empty() && self.metadata_column.is_none() {
            return Err(self.content(
                "its rows do not say which file they are from, so none can be replaced or undone: \
                 such tables need `metadataColumn` from their beginning"
                    .to_owned(),
            ));
        }
        let state = self.state()?;
        let partition_by = state.metadata().partition_columns().to_vec();
        let mut staged = StagedRows::new(Arc::clone(&growth.columns), partition_by);
        let store = self.log_store.object_store(None);
        let mut actions = Vec::new();
        let files: Vec<LogicalFileView> = state.log_data().iter().collect();
        for file in files {
            if file.deletion_vector_descriptor().is_some() {
                return Err(self.content(format!(
                    "rows of its data file `{}` are deleted by a vector, which is not read here; \
                     purge the table first (REORG TABLE … APPLY (PURGE))",
                    file.path()
                )));
            }
            let (kept, has_removed) = self.kept(&file, change).await?;
            if !has_removed && !growth.changes_types {
                continue;
            }
            for rows in kept {
                let pushed = staged.push(store.as_ref(), rows).await;
                pushed.map_err(|source| self.write_error(source))?;
            }
            actions.push(Action::Remove(file.remove_action(true)));
        }
        let rows =
            staged.finish(store.as_ref()).await.map_err(|source| self.write_error(source))?;
        actions.extend(rows.adds.into_iter().map(Action::Add));
        Ok(actions)
    }

    /// Reads the rows of a data file that stay, with the partition's columns, and whether some go.
    pub(super) async fn kept(
        &self,
        file: &LogicalFileView,
        change: &Change,
    ) -> Result<(Vec<RecordBatch>, bool), Error> {
        let (mut kept, mut has_removed) = (Vec::new(), false);
        for rows in self.read(file).await? {
            let staying = rows.and_then(|rows| {
                let staying = self.staying(&rows, change)?;
                has_removed |= staying.num_rows() < rows.num_rows();
                with_partition(staying, file)
            });
            kept.push(staying.map_err(|source| self.write_error(source))?);
        }
        Ok((kept, has_removed))
    }

    /// Reads one data file whole, which is as large as its writer let it become.
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
    fn staying(&self, rows: &RecordBatch, change: &Change) -> Result<RecordBatch, ArrowError> {
        let metadata = self.metadata_column.as_ref().and_then(|name| rows.column_by_name(name));
        let paths = metadata.and_then(|column| column.as_struct_opt()?.column_by_name("file_path"));
        let Some(paths) = paths.filter(|_| !change.removes.is_empty()) else {
            return Ok(rows.clone());
        };
        let paths = cast(paths, &DataType::Utf8)?;
        let stays = |path: Option<&str>| path.is_none_or(|path| !change.removes.contains(path));
        let staying = paths.as_string::<i32>().iter().map(|path| Some(stays(path)));
        filter_record_batch(rows, &staying.collect::<BooleanArray>())
    }
}

/// Adds the partition's columns, which data files do not hold, as texts.
fn with_partition(rows: RecordBatch, file: &LogicalFileView) -> Result<RecordBatch, ArrowError> {
    let mut fields = rows.schema().fields().to_vec();
    let mut arrays = rows.columns().to_vec();
    for (name, value) in file.partition_values_map() {
        if rows.column_by_name(&name).is_none() {
            fields.push(Arc::new(Field::new(name, DataType::Utf8, true)));
            let column: ArrayRef = Arc::new(StringArray::from(vec![value; rows.num_rows()]));
            arrays.push(column);
        }
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)
}
