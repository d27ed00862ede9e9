//! Writing data files: one per partition.

use std::{collections::BTreeMap, sync::Arc};

use arrow::{
    array::{AsArray, UInt32Array},
    compute::take_record_batch,
    datatypes::{DataType, Date32Type, Int32Type, Schema, SchemaRef},
    record_batch::RecordBatch,
};
use deltalake_core::{kernel::Add, parquet::errors::ParquetError};
use futures::future::try_join_all;

use super::Table;
use crate::{
    Error,
    data_file::{Encoded, Encoder},
    rows::date_of_days,
};

/// The rows of one partition.
struct Part {
    /// The partition column and its value; `None` in a table without partitions.
    partition: Option<(&'static str, Option<String>)>,
    rows: Vec<RecordBatch>,
}

impl Table {
    /// Writes `rows` as data files that no version refers to yet.
    pub(crate) async fn write_files(&self, rows: &[RecordBatch]) -> Result<Vec<Add>, Error> {
        let parts = self.split(rows)?;
        try_join_all(parts.into_iter().map(|part| self.write_part(part))).await
    }

    async fn write_part(&self, part: Part) -> Result<Add, Error> {
        let schema = self.file_schema();
        // Encoding is plain computation: it must hold up no other stage, and parts share the cores.
        let encoded = tokio::task::spawn_blocking(move || encode(schema, &part.rows)).await;
        let encoded = encoded
            .map_err(|source| self.write_error(source))?
            .map_err(|source| self.write_error(source))?;
        let partition = part.partition.map(|(column, value)| (column.to_owned(), value));
        let store = self.log_store().object_store(None);
        let put = encoded.put(store.as_ref(), partition.into_iter().collect()).await;
        put.map_err(|source| self.write_error(source))
    }

    /// Splits rows by the value of the partition column; the order within a part is kept.
    fn split(&self, rows: &[RecordBatch]) -> Result<Vec<Part>, Error> {
        let rows = rows.iter().filter(|batch| batch.num_rows() != 0);
        let Some(&column) = self.def.partition_by.first() else {
            let rows: Vec<RecordBatch> = rows.cloned().collect();
            return Ok(if rows.is_empty() { vec![] } else { vec![Part { partition: None, rows }] });
        };
        let mut parts: BTreeMap<Option<String>, Vec<RecordBatch>> = BTreeMap::new();
        for batch in rows {
            for (value, part) in split_batch(batch, column)
                .map_err(|problem| Error::Content { table: self.def.full_name(), problem })?
            {
                parts.entry(value).or_default().push(part);
            }
        }
        let part = |(value, rows)| Part { partition: Some((column, value)), rows };
        Ok(parts.into_iter().map(part).collect())
    }

    /// Returns the columns that data files hold: all but the partition's.
    fn file_schema(&self) -> SchemaRef {
        let fields = self.def.schema.fields().iter();
        let kept = fields.filter(|field| !self.def.partition_by.contains(&field.name().as_str()));
        Arc::new(Schema::new(kept.cloned().collect::<Vec<_>>()))
    }

    fn write_error(&self, source: impl std::error::Error + Send + Sync + 'static) -> Error {
        Error::Write { table: self.def.full_name(), source: Box::new(source) }
    }
}

/// Splits a batch by a partition column, which is a number or a date in every table.
fn split_batch(
    batch: &RecordBatch,
    column: &str,
) -> Result<Vec<(Option<String>, RecordBatch)>, String> {
    let array =
        batch.column_by_name(column).ok_or_else(|| format!("there is no column `{column}`"))?;
    let show: fn(i32) -> Option<String> = match array.data_type() {
        DataType::Int32 => |value| Some(value.to_string()),
        DataType::Date32 => |days| date_of_days(days).map(|date| date.to_string()),
        other => return Err(format!("`{column}` is {other}, which is no partition column")),
    };
    let values: Vec<Option<i32>> = match array.data_type() {
        DataType::Int32 => array.as_primitive::<Int32Type>().iter().collect(),
        _ => array.as_primitive::<Date32Type>().iter().collect(),
    };
    let mut indices: BTreeMap<Option<i32>, Vec<u32>> = BTreeMap::new();
    for (row, value) in (0_u32..).zip(&values) {
        indices.entry(*value).or_default().push(row);
    }
    if indices.len() == 1 {
        let value = values.first().copied().flatten().and_then(show);
        return Ok(vec![(value, batch.clone())]);
    }
    indices
        .into_iter()
        .map(|(value, rows)| {
            let part = take_record_batch(batch, &UInt32Array::from(rows));
            part.map(|part| (value.and_then(show), part)).map_err(|error| error.to_string())
        })
        .collect()
}

fn encode(schema: SchemaRef, rows: &[RecordBatch]) -> Result<Encoded, ParquetError> {
    let mut encoder = Encoder::new(schema);
    for batch in rows {
        encoder.push(batch)?;
    }
    encoder.finish()
}
