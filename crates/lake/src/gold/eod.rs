//! silver.eod → gold.eod: the current revision of every official end-of-day bar.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use arrow::{array::UInt32Array, compute::take, record_batch::RecordBatch};

use crate::{
    Error,
    rows::{Columns, text_or_empty},
    schema::table_def,
    table::{Change, Table, concat},
};

/// Prepares the change that brings the touched months of `gold` to the current revisions.
pub(crate) async fn prepare(
    silver: &Table,
    gold: &Table,
    months: &BTreeSet<String>,
) -> Result<Change, Error> {
    let mut change = Change::default();
    let mut rows = Vec::new();
    for month in months {
        let revisions = silver.read_files(&silver.partition_files("session_month", month)).await?;
        if let Some(revisions) = concat(silver.def, &revisions)? {
            rows.push(current(&revisions)?);
        }
        change.removes.extend(gold.partition_removes("session_month", month));
    }
    change.adds = gold.write_files(&rows).await?;
    Ok(change)
}

/// Returns the highest revision of every key, in gold's columns, ordered by date and symbol.
pub(crate) fn current(revisions: &RecordBatch) -> Result<RecordBatch, Error> {
    let columns = Columns::new("silver.eod", revisions);
    let (source, symbol, mic) =
        (columns.text("source")?, columns.text("symbol")?, columns.text("mic")?);
    let (date, revision) = (columns.date("session_date")?, columns.int("revision")?);
    let mut latest: HashMap<(i32, &str, &str, &str), usize> = HashMap::new();
    for row in 0..revisions.num_rows() {
        let key = (
            date.value(row),
            text_or_empty(symbol, row),
            text_or_empty(mic, row),
            text_or_empty(source, row),
        );
        let best = latest.entry(key).or_insert(row);
        if revision.value(*best) < revision.value(row) {
            *best = row;
        }
    }
    let mut picked: Vec<_> = latest.into_iter().collect();
    picked.sort_unstable();
    let picked: UInt32Array = picked.into_iter().map(|(_, row)| u32::try_from(row).ok()).collect();
    let schema = Arc::clone(&table_def("gold", "eod").schema);
    let arrays = schema
        .fields()
        .iter()
        .filter_map(|field| revisions.column_by_name(field.name()))
        .map(|column| take(column, &picked, None))
        .collect::<Result<Vec<_>, _>>();
    arrays.and_then(|arrays| RecordBatch::try_new(schema, arrays)).map_err(|error| Error::Content {
        table: "gold.eod".to_owned(),
        problem: error.to_string(),
    })
}
