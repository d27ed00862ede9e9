//! Upkeep of the tables, apart from commits: log checkpoints, compaction, vacuum, log cleaning.
//!
//! A failure here never makes a commit look failed, and a commit never waits for it. Compaction
//! only rearranges rows (`dataChange` is false), so readers of changes pass over it.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use chrono::TimeDelta;
use deltalake_core::{
    DeltaTableError,
    kernel::LogicalFileView,
    operations::vacuum::VacuumMode,
    protocol::checkpoints::{cleanup_metadata, create_checkpoint},
};
use model::ErrorKind;
use tracing::{debug, warn};

use crate::{
    Error, Location,
    schema::{TABLES, TableDef},
    table::{Change, DataFile, Table, Txn},
};

/// When upkeep is due.
#[derive(Clone, Copy, Debug)]
pub struct MaintenanceConfig {
    /// Versions after which a table's log is checkpointed.
    pub checkpoint_versions: u64,
    /// Small files after which a table is compacted.
    pub compact_files: usize,
    /// How long removed data files are kept for readers of old versions and slow writers.
    /// At least seven days, or a writer that was paused could commit files that are gone.
    pub vacuum_retention: Duration,
}

/// What one run did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MaintenanceReport {
    /// Log checkpoints written.
    pub checkpoints: u64,
    /// Tables compacted.
    pub compacted: u64,
    /// Data files deleted.
    pub vacuumed: u64,
    /// Tasks that failed and will be tried again.
    pub failed: u64,
}

/// The upkeep of every table.
#[derive(Debug)]
pub struct Maintenance {
    location: Location,
    config: MaintenanceConfig,
    checkpointed: Vec<u64>,
}

/// Files below this size are put together: a scan of larger ones is busy with rows, not with files.
const SMALL_BYTES: u64 = 16 << 20;

/// Bytes of files that are put together at once: about two million rows, a few hundred megabytes
/// in memory.
const COMPACT_BYTES_MAX: u64 = 32 << 20;

/// Names the transaction number that every compaction of a table moves on.
const COMPACT_APP: &str = "marketlake/compact";

/// The least retention of removed files; see [`MaintenanceConfig::vacuum_retention`].
const VACUUM_RETENTION_MIN: Duration = Duration::from_secs(7 * 24 * 60 * 60);

impl Maintenance {
    /// Creates the upkeep; nothing runs yet.
    #[must_use]
    pub fn new(location: Location, config: MaintenanceConfig) -> Self {
        Self { location, config, checkpointed: vec![0; TABLES.len()] }
    }

    /// Looks at every table once and does what is due.
    ///
    /// # Errors
    /// A table cannot be opened. Failed tasks are counted and tried again, not returned.
    pub async fn run_once(&mut self) -> Result<MaintenanceReport, Error> {
        let mut report = MaintenanceReport::default();
        for (index, def) in TABLES.iter().enumerate() {
            let mut table = Table::open(&self.location, def).await?;
            let version = table.version();
            if self.config.checkpoint_versions <= version - self.checkpointed[index].min(version) {
                match self.checkpoint(&table).await {
                    Ok(()) => {
                        self.checkpointed[index] = version;
                        report.checkpoints += 1;
                    }
                    Err(error) => note_failure(def, "log checkpoint", &error, &mut report),
                }
            }
            match compact(&mut table, self.config.compact_files).await {
                Ok(has_compacted) => report.compacted += u64::from(has_compacted),
                Err(error) => note_failure(def, "compaction", &error, &mut report),
            }
        }
        Ok(report)
    }

    /// Deletes data files that no version younger than the retention refers to.
    ///
    /// # Errors
    /// A table cannot be opened. Failed deletions are counted and tried again.
    pub async fn vacuum(&self) -> Result<MaintenanceReport, Error> {
        let retention = self.config.vacuum_retention.max(VACUUM_RETENTION_MIN);
        let retention = TimeDelta::from_std(retention).unwrap_or(TimeDelta::MAX);
        let mut report = MaintenanceReport::default();
        for def in TABLES.iter() {
            let table = Table::open(&self.location, def).await?;
            // Full: files that a crash or a lost race left behind are in no log entry at all.
            let vacuum = table.handle().clone().vacuum().with_mode(VacuumMode::Full);
            match vacuum.with_retention_period(retention).await {
                Ok((_, metrics)) => report.vacuumed += metrics.files_deleted.len() as u64,
                Err(source) => {
                    note_failure(def, "vacuum", &upkeep_error(def, source), &mut report);
                }
            }
        }
        Ok(report)
    }

    async fn checkpoint(&self, table: &Table) -> Result<(), Error> {
        let error = |source| upkeep_error(table.def, source);
        create_checkpoint(table.handle(), None).await.map_err(error)?;
        let cleaned = cleanup_metadata(table.handle(), None).await.map_err(error)?;
        debug!(
            table = table.def.full_name(),
            version = table.version(),
            cleaned,
            "log checkpoint written"
        );
        Ok(())
    }
}

/// The values of a file's partition columns.
type Partition = Vec<(String, Option<String>)>;

/// Returns the small files of a partition that has enough of them, oldest first, and is not among
/// those that are `done`.
fn small_files(
    table: &Table,
    compact_files: usize,
    done: &BTreeSet<Partition>,
) -> Option<(Partition, Vec<LogicalFileView>)> {
    let mut partitions: BTreeMap<Partition, Vec<LogicalFileView>> = BTreeMap::new();
    for file in table.active_files() {
        if u64::try_from(file.size()).is_ok_and(|size| size < SMALL_BYTES) {
            let mut partition: Partition = file.partition_values_map().into_iter().collect();
            partition.sort();
            partitions.entry(partition).or_default().push(file);
        }
    }
    let (partition, mut files) = partitions.into_iter().find(|(partition, files)| {
        compact_files.max(2) <= files.len() && !done.contains(partition)
    })?;
    files.sort_by_key(LogicalFileView::modification_time);
    let mut bytes = 0;
    let fits = files.iter().position(|file| {
        bytes += u64::try_from(file.size()).unwrap_or_default();
        COMPACT_BYTES_MAX < bytes
    });
    files.truncate(fits.unwrap_or(files.len()));
    Some((partition, files))
}

/// Puts the small files together of each partition that has `compact_files` of them, partition by
/// partition, each in a commit of its own on the snapshot it was looked up in. Returns whether
/// there were any.
///
/// The library's own compaction is not used: two of them at once both commit, and every row is
/// there twice.
async fn compact(table: &mut Table, compact_files: usize) -> Result<bool, Error> {
    let mut done = BTreeSet::new();
    while let Some((partition, small)) = small_files(table, compact_files, &done) {
        let files: Vec<DataFile> = small.iter().map(DataFile::from).collect();
        let rows = table.read_files(&files).await?;
        let mut adds = table.write_files(&rows).await?;
        for add in &mut adds {
            add.data_change = false;
        }
        let removes = small.iter().map(|file| file.remove_action(false)).collect();
        let (removed, added) = (small.len(), adds.len());
        let change = Change { adds, removes, rearranges: true, metrics: Vec::new() };
        let version = i64::try_from(table.version()).unwrap_or(i64::MAX);
        table.commit(change, &Txn { app: COMPACT_APP.to_owned(), version }).await?;
        debug!(table = table.def.full_name(), removed, added, "table compacted");
        done.insert(partition);
    }
    Ok(!done.is_empty())
}

fn upkeep_error(def: &TableDef, source: DeltaTableError) -> Error {
    Error::Write { table: def.full_name(), source: Box::new(source) }
}

fn note_failure(def: &TableDef, task: &str, error: &Error, report: &mut MaintenanceReport) {
    let table = def.full_name();
    if error.kind() == ErrorKind::Conflict {
        debug!(table, task, %error, "another writer came first; upkeep is put off");
        return;
    }
    report.failed += 1;
    warn!(table, task, %error, "upkeep failed and will be tried again");
}

#[cfg(test)]
mod tests {
    use arrow::record_batch::RecordBatch;
    use chrono::NaiveDate;

    use super::*;
    use crate::{
        gold::{
            quotes::{Quote, Quotes, to_rows},
            resample::Instrument,
        },
        schema::table_def,
    };

    /// The quote table's row of one instrument.
    fn quote(symbol: &str) -> RecordBatch {
        let instrument = Instrument {
            source: "vendor".to_owned(),
            symbol: symbol.to_owned(),
            mic: "XNYS".to_owned(),
        };
        let quote = Quote {
            price: 1,
            open: 1,
            high: 1,
            low: 1,
            previous_close: None,
            volume: None,
            ts_quote: 0,
            session_date: NaiveDate::default(),
        };
        to_rows(&Quotes::from([(instrument, quote)])).expect("a row")
    }

    async fn table(location: &Location) -> Table {
        Table::open(location, table_def("gold", "quote_latest")).await.expect("opens")
    }

    async fn append(table: &mut Table, symbol: &str) {
        let adds = table.write_files(&[quote(symbol)]).await.expect("writes");
        let txn = Txn { app: format!("append {symbol}"), version: 1 };
        table.commit(Change { adds, ..Change::default() }, &txn).await.expect("commits");
    }

    async fn replace(table: &mut Table, symbol: &str) -> Result<u64, Error> {
        let adds = table.write_files(&[quote(symbol)]).await.expect("writes");
        let removes = table.active_files().iter().map(|file| file.remove_action(true)).collect();
        let txn = Txn { app: format!("replace {symbol}"), version: 1 };
        table.commit(Change { adds, removes, ..Change::default() }, &txn).await
    }

    #[tokio::test]
    async fn a_rewrite_never_passes_a_compaction_and_an_append_does() {
        let location = Location::in_memory();
        let mut first = table(&location).await;
        append(&mut first, "A").await;
        append(&mut first, "B").await;
        let (mut rewriter, mut appender) = (table(&location).await, table(&location).await);
        let config = MaintenanceConfig {
            checkpoint_versions: 2,
            compact_files: 2,
            vacuum_retention: VACUUM_RETENTION_MIN,
        };
        let report = Maintenance::new(location.clone(), config).run_once().await.expect("runs");
        assert_eq!((report.compacted, report.checkpoints, report.failed), (1, 1, 0));

        let lost = replace(&mut rewriter, "C").await.expect_err("the files have moved");
        assert_eq!(lost.kind(), ErrorKind::Conflict, "{lost}");
        append(&mut appender, "D").await;
        assert_eq!(rows(&location).await, 3, "A and B once, and D");
        rewriter.reload().await.expect("reloads");
        replace(&mut rewriter, "C").await.expect("commits on the newest version");
        assert_eq!(rows(&location).await, 1, "C alone");
    }

    #[tokio::test]
    async fn of_two_compactions_at_once_one_is_put_off() {
        let location = Location::in_memory();
        let mut first = table(&location).await;
        append(&mut first, "A").await;
        append(&mut first, "B").await;
        let (mut one, mut other) = (table(&location).await, table(&location).await);
        append(&mut first, "C").await;

        assert!(compact(&mut one, 2).await.expect("an append does not matter"));
        assert_eq!((rows(&location).await, table(&location).await.active_files().len()), (3, 2));
        let lost = compact(&mut other, 2).await.expect_err("its files have moved");
        assert_eq!(lost.kind(), ErrorKind::Conflict, "{lost}");
        assert_eq!(rows(&location).await, 3, "each of A, B and C once");
        other.reload().await.expect("reloads");
        assert!(compact(&mut other, 2).await.expect("nobody is in the way"));
        assert!(!compact(&mut other, 2).await.expect("there is one file"));
        assert_eq!((rows(&location).await, table(&location).await.active_files().len()), (3, 1));
    }

    async fn rows(location: &Location) -> usize {
        let rows = table(location).await.read_all().await.expect("reads");
        rows.iter().map(RecordBatch::num_rows).sum()
    }
}
