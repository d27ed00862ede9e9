//! Rewriting data files: without the rows of some source files, or in the types of today.

use std::{collections::HashMap, sync::Arc};

use arrow::{
    array::{ArrayRef, AsArray, BooleanArray, StringArray},
    compute::{cast, filter_record_batch},
    datatypes::{DataType, Field, Schema, SchemaRef},
    error::ArrowError,
    record_batch::RecordBatch,
};
use autoloader::files::target::Change;
use deltalake_core::kernel::{Action, Add, LogicalFileView};

use super::{
    FileTable,
    columns::Growth,
    staged::{Rows, StagedRows},
};
use crate::{Error, data_file};

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
            if !growth.changes_types && !self.may_go(&file, change).await? {
                continue;
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

    /// Whether a data file may have rows that are to be removed.
    async fn may_go(&self, file: &LogicalFileView, change: &Change) -> Result<bool, Error> {
        let Some(metadata) = &self.metadata_column else { return Ok(false) };
        let (store, path) = (self.log_store.object_store(None), file.path().into_owned());
        let size = u64::try_from(file.size()).unwrap_or_default();
        let leaf = [metadata.as_str(), "file_path"];
        let found = data_file::may_have(store.as_ref(), (&path, size), leaf, &change.removes).await;
        found.map_err(|source| Error::File { table: self.name.clone(), path, source })
    }

    /// Reads the rows of a data file that stay, with the partition's columns, and whether some go.
    pub(super) async fn kept(
        &self,
        file: &LogicalFileView,
        change: &Change,
    ) -> Result<(Vec<RecordBatch>, bool), Error> {
        let (mut kept, mut has_removed) = (Vec::new(), false);
        for rows in self.read(&file.path()).await? {
            let staying = self.staying(&rows, change).and_then(|staying| {
                has_removed |= staying.num_rows() < rows.num_rows();
                with_partition(staying, file.partition_values_map())
            });
            kept.push(staying.map_err(|source| self.write_error(source))?);
        }
        Ok((kept, has_removed))
    }

    pub(super) async fn read(&self, path: &str) -> Result<Vec<RecordBatch>, Error> {
        let store = self.log_store.object_store(None);
        let read = data_file::read(store.as_ref(), path).await;
        let (table, path) = (self.name.clone(), path.to_owned());
        read.map_err(|source| Error::File { table, path, source })
    }

    /// Writes rows that were staged anew in `columns`, which the table has got since.
    pub(super) async fn restage(
        &self,
        rows: &Rows,
        columns: &SchemaRef,
    ) -> Result<Vec<Add>, Error> {
        let store = self.log_store.object_store(None);
        let mut staged = StagedRows::new(Arc::clone(columns), rows.partition_by.clone());
        for add in &rows.adds {
            for rows in self.read(&add.path).await? {
                let rows = with_partition(rows, add.partition_values.clone());
                let rows = rows.map_err(|source| self.write_error(source))?;
                let pushed = staged.push(store.as_ref(), rows).await;
                pushed.map_err(|source| self.write_error(source))?;
            }
        }
        let staged = staged.finish(store.as_ref()).await;
        Ok(staged.map_err(|source| self.write_error(source))?.adds)
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
fn with_partition(
    rows: RecordBatch,
    values: HashMap<String, Option<String>>,
) -> Result<RecordBatch, ArrowError> {
    let mut fields = rows.schema().fields().to_vec();
    let mut arrays = rows.columns().to_vec();
    for (name, value) in values {
        if rows.column_by_name(&name).is_none() {
            fields.push(Arc::new(Field::new(name, DataType::Utf8, true)));
            let column: ArrayRef = Arc::new(StringArray::from(vec![value; rows.num_rows()]));
            arrays.push(column);
        }
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)
}
