//! From a reader's stretch to rows of the table: partitions from the path, rescue, metadata. Pure.

use std::sync::Arc;

use arrow::{
    array::{ArrayRef, Int64Array, StringArray, new_null_array},
    compute::cast,
    datatypes::{DataType, Field, Schema, SchemaRef},
    error::ArrowError,
    record_batch::RecordBatch,
};

use crate::{
    files::{
        decoded::BadRecord,
        metadata::{metadata_column, metadata_fields, rescued_column},
        ports::Shape,
        source_file::SourceFile,
    },
    target::BatchId,
};

/// Returns the columns of the table: data, partitions, rescued data, metadata.
pub(super) fn table_columns(shape: &Shape) -> SchemaRef {
    let mut fields: Vec<Arc<Field>> = shape.read.columns.fields().to_vec();
    fields.extend(shape.partitions.fields().iter().cloned());
    let text = |name: &String| Arc::new(Field::new(name, DataType::Utf8, true));
    fields.extend(shape.rescued_column.as_ref().map(text));
    let metadata =
        |name: &String| Arc::new(Field::new(name, DataType::Struct(metadata_fields()), true));
    fields.extend(shape.metadata_column.as_ref().map(metadata));
    Arc::new(Schema::new(fields))
}

/// Returns a stretch of `file`, which lies at `url`, as rows of the table.
pub(super) fn table_rows(
    shape: &Shape,
    columns: &SchemaRef,
    file: &SourceFile,
    url: &str,
    stretch: &RecordBatch,
) -> Result<RecordBatch, ArrowError> {
    let data = shape.read.columns.fields().len();
    let mut arrays: Vec<ArrayRef> = stretch.columns().iter().take(data).map(Arc::clone).collect();
    let spelled = spelled(&file.path);
    for field in shape.partitions.fields() {
        let value = spelled.iter().find(|(name, _)| name == field.name());
        arrays.push(constant(value.map(|(_, value)| value.as_str()), field, stretch.num_rows())?);
    }
    if shape.rescued_column.is_some() {
        arrays.push(rescued_column(url, stretch)?);
    }
    if shape.metadata_column.is_some() {
        arrays.push(metadata_column(file, url, stretch)?);
    }
    RecordBatch::try_new(Arc::clone(columns), arrays)
}

/// What Hive writes for a partition without a value.
const NO_VALUE: &str = "__HIVE_DEFAULT_PARTITION__";

/// Returns what a path spells, as in `year=2026/week=1/file.json`, names and values decoded.
pub(super) fn spelled(path: &str) -> Vec<(String, String)> {
    let folders = path.rsplit_once('/').map_or("", |(folders, _)| folders);
    folders
        .split('/')
        .filter_map(|folder| folder.split_once('='))
        .filter(|(name, value)| !name.is_empty() && *value != NO_VALUE)
        .map(|(name, value)| (decoded(name), decoded(value)))
        .collect()
}

/// Undoes `%3A` and the like, as Hive writes what a folder's name cannot have.
fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut plain = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let code = (byte == b'%').then(|| text.get(at + 1..at + 3)).flatten();
        match code.and_then(|code| u8::from_str_radix(code, 16).ok()) {
            Some(code) => {
                plain.push(code);
                at += 3;
            }
            None => {
                plain.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8(plain).unwrap_or_else(|_| text.to_owned())
}

/// Returns a column that repeats a value of a path; null where the path has none, or one that is no
/// such type.
fn constant(value: Option<&str>, field: &Field, rows: usize) -> Result<ArrayRef, ArrowError> {
    match value {
        Some(value) => cast(&StringArray::from(vec![value; rows]), field.data_type()),
        None => Ok(new_null_array(field.data_type(), rows)),
    }
}

/// Returns the columns of a table of records that are none.
pub(super) fn quarantine_columns() -> SchemaRef {
    let field = |(name, kind): (&str, DataType)| Field::new(name, kind, true);
    let fields = [
        ("file_path", DataType::Utf8),
        ("line", DataType::Int64),
        ("byte_offset", DataType::Int64),
        ("reason", DataType::Utf8),
        ("record", DataType::Utf8),
        ("batch_id", DataType::Int64),
    ];
    Arc::new(Schema::new(fields.map(field).to_vec()))
}

/// Returns bad records of the file at `url` as rows of quarantine.
pub(super) fn quarantine_rows(
    url: &str,
    batch: BatchId,
    bad: &[BadRecord],
) -> Result<RecordBatch, ArrowError> {
    let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    let text = |get: fn(&BadRecord) -> &str| -> ArrayRef {
        Arc::new(bad.iter().map(|bad| Some(get(bad))).collect::<StringArray>())
    };
    let arrays: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from(vec![url; bad.len()])),
        Arc::new(bad.iter().map(|bad| number(bad.line)).collect::<Int64Array>()),
        Arc::new(bad.iter().map(|bad| number(bad.offset)).collect::<Int64Array>()),
        text(|bad| &bad.reason),
        text(|bad| &bad.record),
        Arc::new(Int64Array::from(vec![number(batch.0); bad.len()])),
    ];
    RecordBatch::try_new(quarantine_columns(), arrays)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_spell_partitions() {
        for (path, expected) in [
            ("file.json", &[][..]),
            ("year=2026/week=1/f", &[("year", "2026"), ("week", "1")]),
            ("a/b=1/c/d=x%2Fy/f=2", &[("b", "1"), ("d", "x/y")]),
            ("k=__HIVE_DEFAULT_PARTITION__/f", &[]),
            ("=1/k=/f", &[("k", "")]),
            ("k=%zz%/f", &[("k", "%zz%")]),
        ] {
            let found = spelled(path);
            let found: Vec<_> = found.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
            assert_eq!(found, expected, "{path}");
        }
    }
}
