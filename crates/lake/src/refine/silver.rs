//! The steps that fill silver.

use model::Dataset;

use super::{Progress, Refiner, TouchedBy, VersionedStep};
use crate::{
    Error,
    flow::{ATTEMPTS_MAX, Cursor, next_range, read_version},
    silver::{Counts, bar::Refined, quarantine},
    table::{Change, Table},
};

impl Refiner {
    /// bronze → silver.quarantine for one dataset.
    pub(super) async fn refine_quarantine(
        &mut self,
        dataset: Dataset,
        progress: &mut Progress,
    ) -> Result<(), Error> {
        let (Some(source), Some(cursor)) =
            (self.bronze.get_mut(&dataset), self.quarantine_cursors.get_mut(&dataset))
        else {
            return Ok(());
        };
        let target = &mut self.quarantine;
        for _ in 0..ATTEMPTS_MAX {
            target.refresh().await?;
            let from = cursor.position(target).await?;
            let Some(range) = next_range(source, from).await? else {
                progress.commits += settle(target, cursor).await?.unwrap_or(0);
                return Ok(());
            };
            let (mut rejected, mut rows) = (Vec::new(), 0);
            for version in &range.versions {
                if let Some(batch) = read_version(source, &version.files).await? {
                    rows += batch.num_rows();
                    rejected.extend(quarantine::rejected(dataset, &batch)?);
                }
            }
            let count: usize = rejected.iter().map(arrow::array::RecordBatch::num_rows).sum();
            if rejected.is_empty() && !cursor.note_seen(target, range.upto).await? {
                return Ok(());
            }
            let metrics = vec![
                ("marketlake.source_version".to_owned(), range.upto.into()),
                ("marketlake.rows".to_owned(), rows.into()),
                ("marketlake.rejected".to_owned(), count.into()),
            ];
            let change =
                Change { adds: target.write_files(&rejected).await?, metrics, ..Change::default() };
            if commit_or_reload(target, change, &cursor.txn(range.upto)).await?.is_some() {
                progress.rejected += count as u64;
                progress.commits += 1;
                return Ok(());
            }
        }
        Err(contended(target))
    }

    /// bronze.intraday → silver.bar.
    pub(super) async fn refine_bars(&mut self, progress: &mut Progress) -> Result<(), Error> {
        for _ in 0..ATTEMPTS_MAX {
            self.notice_foreign_bars().await?;
            let Some(source) = self.bronze.get_mut(&Dataset::Intraday) else {
                return Ok(());
            };
            let from = self.bar_cursor.position(&mut self.bar).await?;
            let Some(range) = next_range(source, from).await? else {
                match settle(&mut self.bar, &self.bar_cursor).await? {
                    Some(commits) => progress.commits += commits,
                    None => self.bars.clear(),
                }
                return Ok(());
            };
            let mut refined = Refined::new();
            for version in &range.versions {
                if let Some(rows) = read_version(source, &version.files).await? {
                    self.bars.apply(&self.bar, &rows, self.config.semantics, &mut refined).await?;
                }
            }
            progress.rows += refined.counts.rows;
            let revisions = refined.revisions.len() as u64;
            if revisions == 0 && !self.bar_cursor.note_seen(&mut self.bar, range.upto).await? {
                return Ok(());
            }
            let rows = refined.revisions.finish().map_err(|error| Error::Content {
                table: "silver.bar".to_owned(),
                problem: error.to_string(),
            })?;
            let change = Change {
                adds: self.bar.write_files(&[rows]).await?,
                metrics: refined.counts.metrics(range.upto),
                ..Change::default()
            };
            match commit_or_reload(&mut self.bar, change, &self.bar_cursor.txn(range.upto)).await? {
                Some(version) => {
                    self.touched = Some(TouchedBy { version, instruments: refined.touched });
                    progress.revisions += revisions;
                    progress.commits += 1;
                    return Ok(());
                }
                // What is in memory has the rows of a commit that did not happen, or that another
                // instance made: read it again.
                None => self.bars.clear(),
            }
        }
        Err(contended(&self.bar))
    }

    /// Forgets the dates that another instance has written to since we last looked.
    async fn notice_foreign_bars(&mut self) -> Result<(), Error> {
        let before = self.bar.version();
        if !self.bar.refresh().await? {
            return Ok(());
        }
        for version in self.bar.files_added(before, self.bar.version()).await? {
            for file in version.files {
                let date = file
                    .partition_values
                    .get("session_date")
                    .and_then(|date| date.as_deref()?.parse().ok());
                match date {
                    Some(date) => self.bars.forget(date),
                    None => self.bars.clear(),
                }
            }
        }
        Ok(())
    }

    /// bronze → one silver table of keyed rows.
    pub(super) async fn refine_versioned(
        &mut self,
        step: usize,
        progress: &mut Progress,
    ) -> Result<(), Error> {
        let Some(step) = self.versioned.get_mut(step) else {
            return Ok(());
        };
        let Some(source) = self.bronze.get_mut(&step.dataset) else {
            return Ok(());
        };
        let VersionedStep { table, cursor, versions, .. } = step;
        for _ in 0..ATTEMPTS_MAX {
            if table.refresh().await? {
                // Another instance, or the other dataset of the same table, has written.
                versions.clear();
            }
            let from = cursor.position(table).await?;
            let Some(range) = next_range(source, from).await? else {
                match settle(table, cursor).await? {
                    Some(commits) => progress.commits += commits,
                    None => versions.clear(),
                }
                return Ok(());
            };
            let (mut rows, mut counts) = (Vec::new(), Counts::default());
            for version in &range.versions {
                if let Some(batch) = read_version(source, &version.files).await? {
                    rows.extend(versions.apply(table, &batch, &mut counts).await?);
                }
            }
            progress.rows += counts.rows;
            if rows.is_empty() && !cursor.note_seen(table, range.upto).await? {
                return Ok(());
            }
            let metrics = counts.metrics(range.upto);
            let change =
                Change { adds: table.write_files(&rows).await?, metrics, ..Change::default() };
            if commit_or_reload(table, change, &cursor.txn(range.upto)).await?.is_some() {
                progress.revisions += counts.new + counts.restated;
                progress.commits += 1;
                versions.shrink();
                return Ok(());
            }
            versions.clear();
        }
        Err(contended(table))
    }
}

/// Commits on the present snapshot. After an error the table is reloaded, and what counts is what
/// it then says: `None` when the step has to be decided again.
///
/// A commit that took effect although its reply was lost looks like one that another instance
/// made: the caller decides again, finds nothing to do, and goes on. Errors that are no lost race
/// are returned, after the reload.
pub(super) async fn commit_or_reload(
    target: &mut Table,
    change: Change,
    txn: &crate::table::Txn,
) -> Result<Option<u64>, Error> {
    let error = match target.commit(change, txn).await {
        Ok(version) => return Ok(Some(version)),
        Err(error) => error,
    };
    target.reload().await?;
    let is_done = target.last_txn(&txn.app).await?.is_some_and(|last| txn.version <= last);
    if is_done || error.kind() == model::ErrorKind::Conflict {
        return Ok(None);
    }
    Err(error)
}

/// Commits the progress of an idle step that its target does not show yet. Returns the commits
/// made; `None` when another instance came first, and what is in memory may be behind the table.
pub(super) async fn settle(target: &mut Table, cursor: &Cursor) -> Result<Option<u64>, Error> {
    let Some(version) = cursor.unsettled(target).await? else {
        return Ok(Some(0));
    };
    let committed = commit_or_reload(target, Change::default(), &cursor.txn(version)).await?;
    Ok(committed.map(|_| 1))
}

pub(super) fn contended(table: &Table) -> Error {
    Error::Contended { table: table.def.full_name(), attempts: ATTEMPTS_MAX }
}
