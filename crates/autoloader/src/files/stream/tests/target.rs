//! A table in memory, shared by all handles, with a process's faults in front of it.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use arrow::{
    array::{AsArray, BooleanArray, new_null_array},
    compute::filter_record_batch,
    datatypes::SchemaRef,
    record_batch::RecordBatch,
};
use async_trait::async_trait;
use model::ErrorKind;

use crate::{
    Appended, BatchId,
    faults::{Fate, Faults, later},
    files::target::{Change, FileTarget, Sealed},
};

/// What a table holds, and what was written beside it.
#[derive(Debug, Default)]
pub(super) struct Kept {
    pub columns: Option<SchemaRef>,
    pub rows: Vec<RecordBatch>,
    /// Every commit: its batch, and the rows that it took.
    pub commits: Vec<(BatchId, Option<Sealed>)>,
    /// Data files: belong to nobody until a commit names them.
    sealed: BTreeMap<u64, Staged>,
}

#[derive(Clone, Debug)]
pub(super) struct Staged {
    columns: SchemaRef,
    rows: Vec<RecordBatch>,
}

#[derive(Debug, thiserror::Error)]
pub(super) enum MemoryError {
    #[error("injected")]
    Injected,
    #[error("batch {0} would leave a hole")]
    Hole(BatchId),
    #[error("the columns lack `{0}`")]
    Columns(String),
    #[error("what was sealed is gone")]
    Gone,
}

/// One handle.
#[derive(Clone, Debug)]
pub(super) struct MemoryTarget {
    pub kept: Arc<Mutex<Kept>>,
    pub faults: Arc<Faults>,
}

impl Kept {
    pub(super) fn last(&self) -> Option<BatchId> {
        self.commits.last().map(|(batch, _)| *batch)
    }

    /// Returns all rows in today's columns.
    pub(super) fn read(&self) -> Vec<RecordBatch> {
        let Some(columns) = &self.columns else { return Vec::new() };
        self.rows.iter().map(|rows| widened(rows, columns)).collect()
    }

    fn fits(&self, columns: &SchemaRef) -> Result<(), MemoryError> {
        let present = self.columns.iter().flat_map(|present| present.fields().iter());
        match present.into_iter().find(|field| columns.field_with_name(field.name()).is_err()) {
            Some(field) => Err(MemoryError::Columns(field.name().clone())),
            None => Ok(()),
        }
    }

    fn commit(
        &mut self,
        batch: BatchId,
        rows: Option<&Sealed>,
        change: &Change,
    ) -> Result<Appended, MemoryError> {
        if self.last().is_some_and(|last| batch <= last) {
            return Ok(Appended::AlreadyThere);
        }
        if batch != BatchId::after(self.last()) && !change.may_skip {
            return Err(MemoryError::Hole(batch));
        }
        let number = rows.map(|rows| rows.0.as_u64().ok_or(MemoryError::Gone)).transpose()?;
        let staged =
            number.map(|number| self.sealed.get(&number).ok_or(MemoryError::Gone).cloned());
        let staged = staged.transpose()?;
        if let Some(staged) = &staged {
            self.fits(&staged.columns)?;
        }
        self.rows = self.rows.iter().map(|rows| without(rows, change)).collect();
        if let Some(staged) = staged {
            self.columns = Some(staged.columns);
            self.rows.extend(staged.rows);
        }
        self.commits.push((batch, rows.cloned()));
        Ok(Appended::Committed { version: self.commits.len() as u64 })
    }
}

fn widened(rows: &RecordBatch, columns: &SchemaRef) -> RecordBatch {
    let arrays = columns.fields().iter().map(|field| match rows.column_by_name(field.name()) {
        Some(array) => Arc::clone(array),
        None => new_null_array(field.data_type(), rows.num_rows()),
    });
    RecordBatch::try_new(Arc::clone(columns), arrays.collect()).unwrap()
}

fn without(rows: &RecordBatch, change: &Change) -> RecordBatch {
    let Some(metadata) = rows.column_by_name("_metadata") else { return rows.clone() };
    let paths = metadata.as_struct().column_by_name("file_path").unwrap().as_string::<i32>();
    let stays: BooleanArray =
        paths.iter().map(|path| Some(!change.removes.contains(path.unwrap()))).collect();
    filter_record_batch(rows, &stays).unwrap()
}

impl MemoryTarget {
    /// Lets `work` happen, or not, and its reply arrive, or not.
    async fn through<R>(
        &self,
        work: impl FnOnce(&mut Kept) -> Result<R, MemoryError> + Send,
    ) -> Result<R, MemoryError> {
        match self.faults.step().await {
            Fate::Done => work(&mut self.kept.lock().unwrap()),
            Fate::Refused | Fate::Delayed => Err(MemoryError::Injected),
            Fate::ReplyLost => {
                work(&mut self.kept.lock().unwrap())?;
                Err(MemoryError::Injected)
            }
        }
    }
}

#[async_trait]
impl FileTarget for MemoryTarget {
    type Error = MemoryError;
    type Staged = Staged;

    fn kind(error: &MemoryError) -> ErrorKind {
        match error {
            MemoryError::Injected => ErrorKind::Transient,
            MemoryError::Hole(_) | MemoryError::Columns(_) | MemoryError::Gone => ErrorKind::Data,
        }
    }

    async fn last_batch(&mut self) -> Result<Option<BatchId>, MemoryError> {
        self.through(|kept| Ok(kept.last())).await
    }

    async fn columns(&mut self) -> Result<Option<SchemaRef>, MemoryError> {
        self.through(|kept| Ok(kept.columns.clone())).await
    }

    async fn begin(&mut self, columns: SchemaRef) -> Result<Staged, MemoryError> {
        self.through(move |kept| {
            kept.fits(&columns)?;
            Ok(Staged { columns, rows: Vec::new() })
        })
        .await
    }

    async fn stage(&mut self, staged: &mut Staged, rows: RecordBatch) -> Result<(), MemoryError> {
        assert_eq!(rows.schema(), staged.columns);
        self.through(|_| Ok(())).await?;
        staged.rows.push(rows);
        Ok(())
    }

    async fn seal(&mut self, staged: Staged) -> Result<Sealed, MemoryError> {
        self.through(move |kept| {
            let number = kept.sealed.len() as u64;
            kept.sealed.insert(number, staged);
            Ok(Sealed(number.into()))
        })
        .await
    }

    async fn commit_once(
        &mut self,
        batch: BatchId,
        rows: Option<&Sealed>,
        change: &Change,
    ) -> Result<Appended, MemoryError> {
        match self.faults.step().await {
            Fate::Done => self.kept.lock().unwrap().commit(batch, rows, change),
            Fate::Refused => Err(MemoryError::Injected),
            Fate::ReplyLost => {
                self.kept.lock().unwrap().commit(batch, rows, change)?;
                Err(MemoryError::Injected)
            }
            Fate::Delayed => {
                let (kept, rows, change) = (Arc::clone(&self.kept), rows.cloned(), change.clone());
                later(async move {
                    // Too late is as good as never.
                    drop(kept.lock().unwrap().commit(batch, rows.as_ref(), &change));
                });
                Err(MemoryError::Injected)
            }
        }
    }
}
