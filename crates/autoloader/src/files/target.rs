//! Where the rows of files go: a table that keeps each batch exactly once and can grow columns.

use std::collections::BTreeSet;

use arrow::{datatypes::SchemaRef, record_batch::RecordBatch};
use async_trait::async_trait;
use model::ErrorKind;
use serde::{Deserialize, Serialize};

use crate::target::{Appended, BatchId};

#[cfg(any(test, feature = "test-util"))]
pub mod contract;

/// Rows that were staged to the end, told in such a way that any process can commit them: where
/// they lie and what a commit has to say of them, in words of the target's own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Sealed(pub serde_json::Value);

/// What a batch does to a table besides appending rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// Files whose earlier rows go, by the `file_path` that rows say; the batch's own rows stay.
    pub removes: BTreeSet<String>,
    /// Whether batches may be left out, as where only some of them have rows.
    pub may_skip: bool,
    /// Counts for people who read the table's history.
    pub metrics: Vec<(String, u64)>,
}

/// A table as the loader of one stream sees it. Delta is one implementation, in crate `lake`.
///
/// Rows are staged first, as many as there are, and belong to nobody until the batch is committed;
/// what a process that died had staged is litter. [`Self::seal`] turns them into words that are
/// written down, and [`Self::commit_once`] makes what such words tell of part of the table, together
/// with the fact that the batch is done: in this process, or in the one after its death.
///
/// | `commit_once(n)` when the last batch is | does |
/// |---|---|
/// | `n - 1`, or none and `n` is 0 | all of it: columns, rows, removals, and that `n` is done |
/// | `n` or later | nothing: `AlreadyThere` |
/// | anything else | refuses, for a batch would be missing, unless batches may be left out |
#[async_trait]
pub trait FileTarget: Send {
    /// What can go wrong.
    type Error: std::error::Error + Send + Sync + 'static;

    /// Rows that were written and that no version of the table has yet.
    type Staged: Send;

    /// Returns what a failure asks of the caller.
    fn kind(error: &Self::Error) -> ErrorKind;

    /// Returns the last batch the table has of this stream, read from the table itself.
    ///
    /// # Errors
    /// The table could not be read.
    async fn last_batch(&mut self) -> Result<Option<BatchId>, Self::Error>;

    /// Returns the table's columns; `None` when there is no table yet.
    ///
    /// # Errors
    /// The table could not be read.
    async fn columns(&mut self) -> Result<Option<SchemaRef>, Self::Error>;

    /// Begins to stage rows of these columns, all of those of the table and maybe more.
    ///
    /// # Errors
    /// The columns do not fit those of the table: one is missing, or has a type that the table's
    /// cannot become.
    async fn begin(&mut self, columns: SchemaRef) -> Result<Self::Staged, Self::Error>;

    /// Stages rows.
    ///
    /// # Errors
    /// They could not be written.
    async fn stage(
        &mut self,
        staged: &mut Self::Staged,
        rows: RecordBatch,
    ) -> Result<(), Self::Error>;

    /// Ends staging: what is returned is all that a commit needs, now or later, here or elsewhere.
    ///
    /// # Errors
    /// The last rows could not be written.
    async fn seal(&mut self, staged: Self::Staged) -> Result<Sealed, Self::Error>;

    /// Commits `batch` once, however often it is called with the same id, here or elsewhere.
    ///
    /// `rows` is what any handle of this table sealed; `None`: the batch has no rows, and the table
    /// may not be there yet, which has to be created then, if need be without columns.
    ///
    /// After an error the batch may be there or not; running it again settles that.
    ///
    /// # Errors
    /// It could not be written, what was sealed is gone, or a batch before this one is missing.
    async fn commit_once(
        &mut self,
        batch: BatchId,
        rows: Option<&Sealed>,
        change: &Change,
    ) -> Result<Appended, Self::Error>;
}
