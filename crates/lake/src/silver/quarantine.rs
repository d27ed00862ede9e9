//! bronze → silver.quarantine: every row that no table can use, with file, line and reason.

use std::sync::Arc;

use arrow::{
    array::{Array, ArrayRef, Int32Array, Int64Array, StringArray, TimestampMicrosecondArray},
    error::ArrowError,
    record_batch::RecordBatch,
    util::display::{ArrayFormatter, FormatOptions},
};
use model::Dataset;

use super::{source_row, versioned};
use crate::{
    Error,
    bronze::row_schema,
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
    let corrupt = columns.text("_corrupt_record")?;
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
    let record = picked
        .iter()
        .map(|&row| match non_empty(corrupt, row) {
            Some(line) => Ok(Some(line.to_owned())),
            None => as_read(dataset, rows, row).map(Some),
        })
        .collect::<Result<StringArray, Error>>()?;
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

/// Shows a row as it was read: its fields and what was rescued, as JSON. The bytes as served are
/// in the landing object, at the row's file and line.
fn as_read(dataset: Dataset, rows: &RecordBatch, row: usize) -> Result<String, Error> {
    let wrong = |error: ArrowError| Error::Content {
        table: format!("bronze.{dataset}"),
        problem: error.to_string(),
    };
    let options = FormatOptions::default();
    let mut fields = serde_json::Map::new();
    let names = row_schema(dataset).columns.into_iter().map(|column| column.name);
    for name in names.chain(["_rescued_data".to_owned()]) {
        if let Some(column) = rows.column_by_name(&name).filter(|column| !column.is_null(row)) {
            let text = ArrayFormatter::try_new(column.as_ref(), &options).map_err(wrong)?;
            fields.insert(name, text.value(row).to_string().into());
        }
    }
    Ok(serde_json::Value::from(fields).to_string())
}

/// Returns for each row why it is rejected, or `None`.
pub(crate) fn reasons(dataset: Dataset, rows: &RecordBatch) -> Result<Vec<Option<String>>, Error> {
    if dataset == Dataset::Intraday {
        let checked = source_row::intraday_rows("bronze.intraday", rows)?;
        return Ok(checked.into_iter().map(Result::err).collect());
    }
    versioned::reasons(dataset, rows)
}
