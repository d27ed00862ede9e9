//! bronze → silver.quarantine: every row that no table can use, with file, line and reason.

use std::sync::Arc;

use arrow::{
    array::{Array, ArrayRef, Int32Array, Int64Array, StringArray, TimestampMicrosecondArray},
    error::ArrowError,
    record_batch::RecordBatch,
};
use model::Dataset;

use super::{source_row, versioned};
use crate::{
    Error,
    rows::{Columns, non_empty},
    schema::table_def,
};

/// Returns the rejected rows of a bronze batch as rows of `silver.quarantine`.
///
/// Whether a row is rejected depends on the row alone, so the same bronze rows always give the
/// same quarantine.
pub(crate) fn rejected(dataset: Dataset, rows: &RecordBatch) -> Result<Option<RecordBatch>, Error> {
    let reasons = reasons(dataset, rows)?;
    let picked: Vec<usize> = (0..rows.num_rows()).filter(|&row| reasons[row].is_some()).collect();
    if picked.is_empty() {
        return Ok(None);
    }
    let table = format!("bronze.{dataset}");
    let columns = Columns::new(&table, rows);
    let (key, file) = (columns.text("_key")?, columns.text("_file")?);
    let (corrupt, rescued) = (columns.text("_corrupt_record")?, columns.text("_rescued_data")?);
    let (line, fetch_id, offset) =
        (columns.long("_line")?, columns.long("_fetch_id")?, columns.long("_offset")?);
    let (ts_fetched, partition) = (columns.moment("_ts_fetched")?, columns.int("_partition")?);
    let text = |column: &StringArray| -> ArrayRef {
        Arc::new(picked.iter().map(|&row| non_empty(column, row)).collect::<StringArray>())
    };
    let long = |column: &Int64Array| -> ArrayRef {
        Arc::new(
            picked
                .iter()
                .map(|&row| (!column.is_null(row)).then(|| column.value(row)))
                .collect::<Int64Array>(),
        )
    };
    let record: StringArray = picked
        .iter()
        .map(|&row| non_empty(corrupt, row).or_else(|| non_empty(rescued, row)))
        .collect();
    let arrays: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from(vec![dataset.as_str(); picked.len()])),
        text(key),
        text(file),
        long(line),
        Arc::new(picked.iter().map(|&row| reasons[row].as_deref()).collect::<StringArray>()),
        Arc::new(record),
        long(fetch_id),
        Arc::new(
            picked
                .iter()
                .map(|&row| (!ts_fetched.is_null(row)).then(|| ts_fetched.value(row)))
                .collect::<TimestampMicrosecondArray>()
                .with_timezone("UTC"),
        ),
        Arc::new(
            picked
                .iter()
                .map(|&row| (!partition.is_null(row)).then(|| partition.value(row)))
                .collect::<Int32Array>(),
        ),
        long(offset),
    ];
    let schema = Arc::clone(&table_def("silver", "quarantine").schema);
    RecordBatch::try_new(schema, arrays).map(Some).map_err(|error: ArrowError| Error::Content {
        table: "silver.quarantine".to_owned(),
        problem: error.to_string(),
    })
}

/// Returns for each row why it is rejected, or `None`.
pub(crate) fn reasons(dataset: Dataset, rows: &RecordBatch) -> Result<Vec<Option<String>>, Error> {
    if dataset == Dataset::Intraday {
        let checked = source_row::intraday_rows("bronze.intraday", rows)?;
        return Ok(checked.into_iter().map(Result::err).collect());
    }
    versioned::reasons(dataset, rows)
}
