//! The ledger as a table: every file that a stream has seen, with the columns of Auto Loader's
//! `cloud_files_state` and ours behind them. Derived from what was seen, and never asked before it.

use std::{collections::BTreeMap, sync::Arc};

use arrow::{
    array::{ArrayRef, Int64Array, RecordBatchOptions, StringArray, TimestampMicrosecondArray},
    datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit},
    error::ArrowError,
    record_batch::RecordBatch,
};
use chrono::{DateTime, Utc};

use super::{
    plan::FirstError,
    seen::{Known, Status},
};
use crate::target::BatchId;

/// What is the same in all rows of a stream's ledger, and what its table knows better.
#[derive(Clone, Debug, Default)]
pub struct LedgerOf {
    /// `source_id`: where the source lies.
    pub source: String,
    /// `flow_name`: the stream.
    pub stream: String,
    /// The version of the table that each batch is in, as far as its history tells.
    pub versions: BTreeMap<BatchId, u64>,
}

/// Returns the columns of the ledger.
#[must_use]
pub fn ledger_columns() -> SchemaRef {
    let time = || DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    let fields = [
        ("path", DataType::Utf8),
        ("size", DataType::Int64),
        ("create_time", time()),
        ("discovery_time", time()),
        ("processed_time", time()),
        ("commit_time", time()),
        ("archive_time", time()),
        ("archive_mode", DataType::Utf8),
        ("move_location", DataType::Utf8),
        ("source_id", DataType::Utf8),
        ("flow_name", DataType::Utf8),
        ("ingestion_state", DataType::Utf8),
        ("etag", DataType::Utf8),
        ("status", DataType::Utf8),
        ("batch", DataType::Int64),
        ("rows", DataType::Int64),
        ("rows_rescued", DataType::Int64),
        ("records_bad", DataType::Int64),
        ("failures", DataType::Int64),
        ("first_error", DataType::Utf8),
        ("schema_version", DataType::Int64),
        ("table_version", DataType::Int64),
    ];
    let fields = fields.into_iter().map(|(name, kind)| Field::new(name, kind, name != "path"));
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

/// Returns rows of the ledger. Give it some thousand at a time: all of a large source are many.
///
/// # Errors
/// Arrow refused the columns: a bug.
pub fn ledger_rows<'a>(
    of: &LedgerOf,
    known: impl IntoIterator<Item = &'a Known>,
) -> Result<RecordBatch, ArrowError> {
    let known: Vec<&Known> = known.into_iter().collect();
    let text = |get: &dyn Fn(&Known) -> Option<String>| -> ArrayRef {
        Arc::new(known.iter().map(|known| get(known)).collect::<StringArray>())
    };
    let number = |get: &dyn Fn(&Known) -> Option<u64>| -> ArrayRef {
        let number = |known: &&Known| get(known).map(|it| i64::try_from(it).unwrap_or(i64::MAX));
        Arc::new(known.iter().map(number).collect::<Int64Array>())
    };
    let time = |get: &dyn Fn(&Known) -> Option<DateTime<Utc>>| -> ArrayRef {
        let micros = |known: &&Known| get(known).map(|time| time.timestamp_micros());
        let micros: TimestampMicrosecondArray = known.iter().map(micros).collect();
        Arc::new(micros.with_timezone("UTC"))
    };
    let cleaned = |known: &Known| known.cleaned.clone();
    let mode = |known: &Known| {
        cleaned(known).map(|it| if it.moved_to.is_some() { "MOVE" } else { "DELETE" }.to_owned())
    };
    let arrays: Vec<ArrayRef> = vec![
        text(&|known| Some(known.file.path.clone())),
        number(&|known| Some(known.file.size)),
        time(&|known| Some(known.file.modified)),
        time(&|known| known.found_at.or(Some(known.planned_at))),
        time(&|known| known.action.is_reading().then_some(known.planned_at)),
        time(&|known| known.decided_at.filter(|_| known.status == Status::Loaded)),
        time(&|known| cleaned(known).map(|it| it.cleaned_at)),
        text(&mode),
        text(&|known| cleaned(known).and_then(|it| it.moved_to)),
        text(&|_| Some(of.source.clone())),
        text(&|_| Some(of.stream.clone())),
        text(&|known| Some(ingestion_state(known).to_owned())),
        text(&|known| known.file.etag.clone()),
        text(&|known| Some(known.status.as_str().to_owned())),
        number(&|known| Some(known.batch.0)),
        number(&|known| Some(known.rows_kept)),
        number(&|known| Some(known.outcome.rows_rescued)),
        number(&|known| Some(known.outcome.records_bad)),
        number(&|known| Some(known.failures.into())),
        text(&|known| known.outcome.first_error.as_ref().map(first_error)),
        number(&|known| known.schema_version),
        number(&|known| of.versions.get(&known.batch).copied()),
    ];
    let options = RecordBatchOptions::new().with_row_count(Some(known.len()));
    RecordBatch::try_new_with_options(ledger_columns(), arrays, &options)
}

/// Returns Auto Loader's word for where a file stands.
const fn ingestion_state(known: &Known) -> &'static str {
    match known.status {
        Status::Planned => "PROCESSING",
        Status::Loaded if known.cleaned.is_some() => "ARCHIVED",
        Status::Loaded => "COMMITTED",
        Status::Skipped => "SKIPPED",
        Status::Failed | Status::Missing => "FAILED",
        Status::Poisoned => "POISONED",
        Status::Undone => "UNDONE",
    }
}

fn first_error(error: &FirstError) -> String {
    let FirstError { line, offset, reason } = error;
    match line {
        0 => reason.clone(),
        line => format!("line {line}, byte {offset}: {reason}"),
    }
}

#[cfg(test)]
mod tests;
