//! Where batches go, and the contract of keeping each of them exactly once.

use std::fmt;

use arrow::record_batch::RecordBatch;
use async_trait::async_trait;
use model::ErrorKind;
use serde::{Deserialize, Serialize};

#[cfg(any(test, feature = "test-util"))]
pub mod contract;

/// A failure of a target, and what was being done to which batch.
#[derive(Debug, thiserror::Error)]
#[error("{action} batch {batch}")]
pub struct TargetError<E>
where
    E: std::error::Error + Send + Sync + 'static,
{
    /// What was being done, such as `committing`.
    pub action: &'static str,
    /// The batch.
    pub batch: BatchId,
    /// What the failure asks of the caller.
    pub kind: ErrorKind,
    /// What the target said.
    #[source]
    pub source: E,
}

/// The number of a batch: 0, 1, 2, … without holes. Never given to another batch.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(transparent)]
pub struct BatchId(pub u64);

impl BatchId {
    /// The batch of an empty target.
    pub const FIRST: Self = Self(0);

    /// Returns the id of the following batch.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// Returns the batch in front of this one; `None` for the first.
    #[must_use]
    pub const fn before(self) -> Option<Self> {
        match self.0.checked_sub(1) {
            Some(before) => Some(Self(before)),
            None => None,
        }
    }

    /// Returns the batch that follows `last`, the last one a target has committed.
    #[must_use]
    pub const fn after(last: Option<Self>) -> Self {
        match last {
            Some(last) => last.next(),
            None => Self::FIRST,
        }
    }
}

impl fmt::Display for BatchId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What became of an append. Both mean that the batch is in the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Appended {
    /// This call committed it.
    Committed {
        /// The target's version that holds the batch.
        version: u64,
    },
    /// An earlier attempt, of this process or another, had committed it.
    AlreadyThere,
}

/// Keeps batches of one pipeline. Delta is one implementation, in crate `lake`.
///
/// | `append_once(n)` when the last batch is | does |
/// |---|---|
/// | `n - 1`, or none and `n` is 0 | appends all rows atomically with the fact that `n` is done |
/// | `n` or later | nothing: `AlreadyThere` |
/// | anything else | refuses: a batch would be missing |
///
/// A batch without rows is appended like any other, or the pipeline could not pass a gap.
#[async_trait]
pub trait Target: Send {
    /// What can go wrong.
    type Error: std::error::Error + Send + Sync + 'static;

    /// Returns what a failure asks of the caller.
    fn kind(error: &Self::Error) -> ErrorKind;

    /// Returns the last batch the target has committed for this pipeline, read from the target
    /// itself and not from memory; `None` when it has none yet.
    ///
    /// # Errors
    /// The target could not be read.
    async fn last_batch(&mut self) -> Result<Option<BatchId>, Self::Error>;

    /// Appends `batch` once, however often it is called with the same id, here or elsewhere.
    ///
    /// After an error the batch may be there or not; calling again with the same id settles it.
    ///
    /// # Errors
    /// The rows could not be written, or a batch before this one is missing.
    async fn append_once(
        &mut self,
        batch: BatchId,
        rows: Vec<RecordBatch>,
    ) -> Result<Appended, Self::Error>;
}
