//! How far a step has read its source, and the loop that commits a step's result once.

use std::collections::BTreeSet;

use arrow::record_batch::RecordBatch;

use crate::{
    Error,
    table::{DataFile, Files, Table, Txn, concat},
};

/// Eight lost races in a row mean a fault, not bad luck: a rival that wins does our work as well.
pub(crate) const ATTEMPTS_MAX: u32 = 8;

/// Source versions one step takes at most: a bound for the log entries read before anything is
/// committed.
const VERSIONS_MAX: usize = 256;

/// Bytes of source files one step takes at most, one version at least: 32 MiB of Parquet are about
/// two million rows, a few hundred megabytes in memory.
const BYTES_MAX: u64 = 32 << 20;

/// Dates one step touches at most, one version at least: each is held in memory while it is
/// refined, 49 MB for 500 symbols.
const PARTITIONS_MAX: usize = 8;

/// Versions without a result after which the progress is committed on its own, so that a restart
/// does not look at them all again.
const SILENT_VERSIONS_MAX: u64 = 64;

/// How far a step has come in one source table. The truth is the target's transaction number;
/// `seen` only remembers source versions that gave nothing to commit.
#[derive(Clone, Debug)]
pub(crate) struct Cursor {
    app: String,
    seen: u64,
}

/// Returns the name of a refine step's progress in its target.
pub(crate) fn refine_app(generation: u32, source: &str) -> String {
    format!("marketlake/refine/{generation}/{source}")
}

impl Cursor {
    /// Creates the cursor of the step that `app` names; unique within the target table.
    pub(crate) fn new(app: String) -> Self {
        Self { app, seen: 0 }
    }

    /// Returns the source version up to which everything is in `target`.
    pub(crate) async fn position(&self, target: &mut Table) -> Result<u64, Error> {
        Ok(self.committed(target).await?.max(self.seen))
    }

    /// Returns the source version of the last commit; version 0 creates a table and has no rows.
    pub(crate) async fn committed(&self, target: &mut Table) -> Result<u64, Error> {
        let version = target.last_txn(&self.app).await?;
        Ok(version.and_then(|version| u64::try_from(version).ok()).unwrap_or(0))
    }

    /// Notes that everything up to `version` gave nothing to commit. Returns whether the progress
    /// should be committed all the same.
    pub(crate) async fn note_seen(
        &mut self,
        target: &mut Table,
        version: u64,
    ) -> Result<bool, Error> {
        self.seen = version;
        Ok(SILENT_VERSIONS_MAX <= version - self.committed(target).await?.min(version))
    }

    /// Returns the version up to which there was nothing to commit, when the target does not say so
    /// yet. An idle step commits it, so that everybody can see that nothing waits.
    pub(crate) async fn unsettled(&self, target: &mut Table) -> Result<Option<u64>, Error> {
        let committed = self.committed(target).await?;
        Ok((committed < self.seen).then_some(self.seen))
    }

    /// Returns the transaction that says: `target` holds everything up to `version`.
    pub(crate) fn txn(&self, version: u64) -> Txn {
        Txn { app: self.app.clone(), version: i64::try_from(version).unwrap_or(i64::MAX) }
    }
}

/// The part of a source that a step takes next.
#[derive(Debug)]
pub(crate) struct Range {
    /// The last version of the part.
    pub upto: u64,
    pub versions: Vec<Files>,
}

/// Picks the versions after `from` that a step takes: oldest first, within the limits.
pub(crate) async fn next_range(source: &mut Table, from: u64) -> Result<Option<Range>, Error> {
    if source.version() < from {
        // Another instance has seen, and refined, a newer version than ours.
        source.refresh().await?;
    }
    if source.version() < from {
        return Err(Error::Content {
            table: source.def.full_name(),
            problem: format!(
                "version {from} was already refined, but the table is at {}: it was restored or replaced; refine under \
                 a new generation",
                source.version()
            ),
        });
    }
    let upto = source.version().min(from.saturating_add(VERSIONS_MAX as u64));
    let mut versions = Vec::new();
    let mut bytes: u64 = 0;
    let mut partitions = BTreeSet::new();
    for files in source.files_since(from, upto).await? {
        let size: u64 = files.files.iter().map(|file| file.size).sum();
        partitions
            .extend(files.files.iter().flat_map(|file| file.partition_values.values().cloned()));
        if !versions.is_empty() && (BYTES_MAX < bytes + size || PARTITIONS_MAX < partitions.len()) {
            break;
        }
        bytes += size;
        versions.push(files);
    }
    Ok(versions.last().map(|last| last.version).map(|upto| Range { upto, versions }))
}

/// Reads one version's rows as one batch; `None` when it added none.
pub(crate) async fn read_version(
    source: &Table,
    files: &[DataFile],
) -> Result<Option<RecordBatch>, Error> {
    let rows = source.read_files(files).await?;
    concat(source.def, &rows)
}
