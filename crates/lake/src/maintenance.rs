//! Upkeep of the tables, apart from commits: log checkpoints, compaction, vacuum, log cleaning.
//!
//! A failure here never makes a commit look failed, and a commit never waits for it. Compaction
//! only rearranges rows (`dataChange` is false), so readers of changes pass over it.

use std::{collections::BTreeMap, time::Duration};

use chrono::TimeDelta;
use deltalake_core::{
    DeltaTable,
    kernel::transaction::CommitProperties,
    operations::{optimize::OptimizeType, vacuum::VacuumMode},
    protocol::checkpoints::{cleanup_metadata, create_checkpoint},
};
use tracing::{debug, warn};

use crate::{
    Error, Location,
    schema::{TABLES, TableDef},
    table::Table,
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
            let table = Table::open(&self.location, def).await?;
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
            if self.config.compact_files <= small_files(&table) {
                match compact(&table).await {
                    Ok(()) => report.compacted += 1,
                    Err(error) => note_failure(def, "compaction", &error, &mut report),
                }
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
                Err(error) => note_failure(def, "vacuum", &error, &mut report),
            }
        }
        Ok(report)
    }

    async fn checkpoint(&self, table: &Table) -> Result<(), deltalake_core::DeltaTableError> {
        create_checkpoint(table.handle(), None).await?;
        let cleaned = cleanup_metadata(table.handle(), None).await?;
        debug!(
            table = table.def.full_name(),
            version = table.version(),
            cleaned,
            "log checkpoint written"
        );
        Ok(())
    }
}

/// The most files of one partition that compaction would put together: those below a quarter of
/// its target size.
fn small_files(table: &Table) -> usize {
    let limit = 16 << 20;
    let mut small: BTreeMap<Vec<(String, Option<String>)>, usize> = BTreeMap::new();
    for file in table.active_files().iter().filter(|file| file.size() < limit) {
        let mut partition: Vec<_> = file.partition_values_map().into_iter().collect();
        partition.sort();
        *small.entry(partition).or_default() += 1;
    }
    small.into_values().max().unwrap_or(0)
}

async fn compact(table: &Table) -> Result<(), deltalake_core::DeltaTableError> {
    let properties = CommitProperties::default()
        .with_create_checkpoint(false)
        .with_cleanup_expired_logs(Some(false));
    let handle: DeltaTable = table.handle().clone();
    let (_, metrics) = handle
        .optimize()
        .with_type(OptimizeType::Compact)
        .with_commit_properties(properties)
        .await?;
    debug!(
        table = table.def.full_name(),
        removed = metrics.num_files_removed,
        added = metrics.num_files_added,
        "table compacted"
    );
    Ok(())
}

fn note_failure(
    def: &TableDef,
    task: &str,
    error: &deltalake_core::DeltaTableError,
    report: &mut MaintenanceReport,
) {
    report.failed += 1;
    warn!(table = def.full_name(), task, error = %error, "upkeep failed and will be tried again");
}

#[cfg(test)]
mod tests {
    use arrow::record_batch::RecordBatch;
    use chrono::NaiveDate;
    use model::ErrorKind;

    use super::*;
    use crate::{
        gold::{
            quotes::{Quote, Quotes, to_rows},
            resample::Instrument,
        },
        schema::table_def,
        table::{Change, Txn},
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

    async fn rows(location: &Location) -> usize {
        let rows = table(location).await.read_all().await.expect("reads");
        rows.iter().map(RecordBatch::num_rows).sum()
    }
}
