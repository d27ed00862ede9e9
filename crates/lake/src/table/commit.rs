//! Committing once: files are written first, then added together with a transaction number.

use deltalake_core::{
    kernel::{
        Action, Add, Remove, Transaction,
        transaction::{CommitBuilder, CommitProperties},
    },
    protocol::{DeltaOperation, SaveMode},
};
use serde_json::Value;

use super::Table;
use crate::Error;

/// Names a step's progress within a table.
#[derive(Clone, Debug)]
pub(crate) struct Txn {
    /// The step: unique per table and pipeline.
    pub app: String,
    /// How far the step has come: a batch id, or a source table's version.
    pub version: i64,
}

/// What a commit does.
#[derive(Debug, Default)]
pub(crate) struct Change {
    pub adds: Vec<Add>,
    pub removes: Vec<Remove>,
    /// Whether the rows stay as they are and only move to other files.
    pub rearranges: bool,
    /// Counts for people who read the table's history.
    pub metrics: Vec<(String, Value)>,
}

/// Returns how every commit is made. One that is `fixed` goes on its own snapshot or not at all: the
/// library lets a remove pass a compaction that has just moved the same rows to another file, and
/// both copies would stay.
pub(crate) fn commit_properties(
    txn: Option<&Txn>,
    metrics: Vec<(String, Value)>,
    is_fixed: bool,
) -> CommitProperties {
    // Log checkpoints and log cleaning are tasks of their own: a failure there would make a commit
    // that took effect look like an error.
    let properties = CommitProperties::default()
        .with_create_checkpoint(false)
        .with_cleanup_expired_logs(Some(false))
        .with_metadata(metrics);
    let properties = match txn {
        Some(txn) => {
            properties.with_application_transaction(Transaction::new(&txn.app, txn.version))
        }
        None => properties,
    };
    if is_fixed { properties.with_max_retries(0) } else { properties }
}

impl Table {
    /// Commits on the present snapshot, and moves it to the new version.
    ///
    /// # Errors
    /// After any error the caller has to reload and look at [`Self::last_txn`] again: the commit
    /// may have taken effect all the same.
    pub(crate) async fn commit(&mut self, change: Change, txn: &Txn) -> Result<u64, Error> {
        let is_replacing = !change.removes.is_empty() && !change.rearranges;
        let operation = self.operation(&change);
        let mut actions: Vec<Action> = change.removes.into_iter().map(Action::Remove).collect();
        actions.extend(change.adds.into_iter().map(Action::Add));
        // A compaction may pass appends, which go on all the time; that it never passes another
        // compaction is due to its transaction number, which two cannot move at once.
        let properties = commit_properties(Some(txn), change.metrics, is_replacing);
        let committed = CommitBuilder::from(properties)
            .with_actions(actions)
            .build(Some(&self.state), self.log_store(), operation)
            .await
            .map_err(|source| Error::Commit {
                table: self.def.full_name(),
                source: Box::new(source),
            })?;
        // Versions of others may lie between the old snapshot and ours. None of them can carry
        // our number, but they may carry those of other steps: forget these.
        let is_next = committed.version == self.state.version() + 1;
        self.state = committed.snapshot;
        if !is_next {
            self.txns.clear();
        }
        self.txns.insert(txn.app.clone(), Some(txn.version));
        Ok(committed.version)
    }

    /// Returns what the table's history calls a change.
    fn operation(&self, change: &Change) -> DeltaOperation {
        if change.rearranges {
            let bytes = change.adds.iter().map(|add| add.size).max();
            return DeltaOperation::Optimize {
                predicate: None,
                target_size: bytes.unwrap_or_default(),
            };
        }
        let mode = if change.removes.is_empty() { SaveMode::Append } else { SaveMode::Overwrite };
        let partition_by = self.def.partition_by.iter().map(|&name| name.to_owned()).collect();
        DeltaOperation::Write { mode, partition_by: Some(partition_by), predicate: None }
    }
}
