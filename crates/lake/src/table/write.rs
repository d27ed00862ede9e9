//! Writing data files: one per partition, encoded in memory, put whole, described for the log.
//!
//! A file is put in one piece, so a full disk or a lost connection leaves either nothing or a file
//! that no version refers to.

use std::{collections::BTreeMap, sync::Arc};

use arrow::{
    array::{Array, ArrayRef, AsArray, UInt32Array},
    compute::{max, max_string, min, min_string, take_record_batch},
    datatypes::{
        DataType, Date32Type, Int32Type, Int64Type, Schema, SchemaRef, TimestampMicrosecondType,
    },
    record_batch::RecordBatch,
};
use chrono::SecondsFormat;
use deltalake_core::{
    kernel::Add,
    parquet::{
        arrow::ArrowWriter,
        basic::{Compression, ZstdLevel},
        errors::ParquetError,
        file::properties::WriterProperties,
    },
};
use futures::future::try_join_all;
use object_store::{ObjectStoreExt, path::Path};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::Table;
use crate::{
    Error,
    rows::{date_of_days, utc},
};

/// Longer texts have no minimum and maximum in the log; Delta writers cut at the same length.
const STATS_TEXT_MAX: usize = 32;

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
        let stats = stats(&schema, &part.rows);
        // Encoding is plain computation: it must hold up no other stage, and parts share the cores.
        let encoded = tokio::task::spawn_blocking(move || encode(&schema, &part.rows)).await;
        let bytes = encoded
            .map_err(|source| self.write_error(source))?
            .map_err(|source| self.write_error(source))?;
        let name = format!("part-00000-{}-c000.zstd.parquet", Uuid::new_v4());
        let (folder, partition_values) = match part.partition {
            None => (String::new(), [].into()),
            Some((column, value)) => {
                let shown = value.as_deref().unwrap_or("__HIVE_DEFAULT_PARTITION__");
                (format!("{column}={shown}/"), [(column.to_owned(), value)].into())
            }
        };
        let path = Path::from(format!("{folder}{name}"));
        let store = self.log_store().object_store(None);
        store.put(&path, bytes.into()).await.map_err(|source| self.write_error(source))?;
        // The store's own clock tells when the file came to be.
        let meta = store.head(&path).await.map_err(|source| self.write_error(source))?;
        Ok(Add {
            path: path.to_string(),
            partition_values,
            size: i64::try_from(meta.size).unwrap_or(i64::MAX),
            modification_time: meta.last_modified.timestamp_millis(),
            data_change: true,
            stats: Some(stats),
            tags: None,
            deletion_vector: None,
            base_row_id: None,
            default_row_commit_version: None,
            clustering_provider: None,
        })
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

fn encode(schema: &SchemaRef, rows: &[RecordBatch]) -> Result<Vec<u8>, ParquetError> {
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(1).unwrap_or_default()))
        .build();
    let mut writer = ArrowWriter::try_new(Vec::new(), Arc::clone(schema), Some(properties))?;
    for batch in rows {
        let columns = kept_columns(schema, batch);
        writer.write(&RecordBatch::try_new(Arc::clone(schema), columns)?)?;
    }
    writer.into_inner()
}

fn kept_columns(schema: &SchemaRef, batch: &RecordBatch) -> Vec<ArrayRef> {
    let columns = schema.fields().iter().map(|field| batch.column_by_name(field.name()));
    columns.flatten().cloned().collect()
}

/// Returns the statistics of a file as the Delta protocol writes them: rows, nulls, and the range
/// of every column that people select rows by. Decimals have none: JSON would make them floats.
fn stats(schema: &SchemaRef, rows: &[RecordBatch]) -> String {
    let count: usize = rows.iter().map(RecordBatch::num_rows).sum();
    let (mut least, mut most, mut nulls) = (Map::new(), Map::new(), Map::new());
    for field in schema.fields() {
        let columns: Vec<&ArrayRef> =
            rows.iter().filter_map(|batch| batch.column_by_name(field.name())).collect();
        let null_count: usize = columns.iter().map(|column| column.null_count()).sum();
        nulls.insert(field.name().clone(), null_count.into());
        if let Some((low, high)) = range(field.data_type(), &columns) {
            least.insert(field.name().clone(), low);
            most.insert(field.name().clone(), high);
        }
    }
    json!({"numRecords": count, "minValues": least, "maxValues": most, "nullCount": nulls})
        .to_string()
}

/// Returns the least and the greatest value of a column; `None` for kinds without a range, and for
/// columns of nulls.
fn range(kind: &DataType, columns: &[&ArrayRef]) -> Option<(Value, Value)> {
    match kind {
        DataType::Int32 => {
            let columns = || columns.iter().map(|column| column.as_primitive::<Int32Type>());
            Some((columns().filter_map(min).min()?.into(), columns().filter_map(max).max()?.into()))
        }
        DataType::Int64 => {
            let columns = || columns.iter().map(|column| column.as_primitive::<Int64Type>());
            Some((columns().filter_map(min).min()?.into(), columns().filter_map(max).max()?.into()))
        }
        DataType::Date32 => {
            let columns = || columns.iter().map(|column| column.as_primitive::<Date32Type>());
            let (low, high) = (columns().filter_map(min).min()?, columns().filter_map(max).max()?);
            Some((date_of_days(low)?.to_string().into(), date_of_days(high)?.to_string().into()))
        }
        DataType::Timestamp(..) => {
            let columns =
                || columns.iter().map(|column| column.as_primitive::<TimestampMicrosecondType>());
            let (low, high) = (columns().filter_map(min).min()?, columns().filter_map(max).max()?);
            // The protocol keeps milliseconds: the range is widened to whole ones.
            let high = high.div_euclid(1000).saturating_add(i64::from(high.rem_euclid(1000) != 0));
            let show =
                |micros| Some(utc(micros)?.to_rfc3339_opts(SecondsFormat::Millis, true).into());
            Some((show(low.div_euclid(1000) * 1000)?, show(high.checked_mul(1000)?)?))
        }
        DataType::Utf8 => {
            let columns = || columns.iter().map(|column| column.as_string::<i32>());
            let (low, high) =
                (columns().filter_map(min_string).min()?, columns().filter_map(max_string).max()?);
            let is_short = low.len() <= STATS_TEXT_MAX && high.len() <= STATS_TEXT_MAX;
            is_short.then(|| (low.into(), high.into()))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{Int32Array, StringArray, TimestampMicrosecondArray};
    use arrow::datatypes::Field;

    use super::*;
    use crate::schema::timestamp;

    #[test]
    fn statistics_say_what_a_file_holds() {
        let schema = Arc::new(Schema::new(vec![
            Field::new("symbol", DataType::Utf8, true),
            Field::new("ts", timestamp(), true),
            Field::new("n", DataType::Int32, true),
        ]));
        let ts = TimestampMicrosecondArray::from(vec![Some(1_001), None, Some(-1)]);
        let rows = RecordBatch::try_new(
            Arc::clone(&schema),
            vec![
                Arc::new(StringArray::from(vec![Some("B"), Some("A"), None])),
                Arc::new(ts.with_timezone("UTC")),
                Arc::new(Int32Array::from(vec![None, None, None])),
            ],
        );
        let found: Value =
            serde_json::from_str(&stats(&schema, &[rows.expect("a batch")])).expect("JSON");
        let expected = json!({
            "numRecords": 3,
            "minValues": {"symbol": "A", "ts": "1969-12-31T23:59:59.999Z"},
            "maxValues": {"symbol": "B", "ts": "1970-01-01T00:00:00.002Z"},
            "nullCount": {"symbol": 1, "ts": 1, "n": 3},
        });
        assert_eq!(found, expected);
    }
}
