//! From a reader's stretch to rows of the table: partitions from the path, rescue, metadata. Pure.

use std::sync::Arc;

use arrow::{
    array::{Array, ArrayRef, Int64Array, StringArray, UInt32Array},
    compute::{cast, take},
    datatypes::{DataType, Field, Schema, SchemaRef},
    error::ArrowError,
    record_batch::RecordBatch,
};

use crate::{
    files::{
        decoded::BadRecord,
        metadata::{metadata_column, metadata_fields, rescued_column},
        ports::Shape,
        schema::values_of,
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

/// What the path of a file has for the columns that it spells.
#[derive(Debug)]
pub(super) struct Spelled {
    /// One value for each of the columns.
    values: Vec<ArrayRef>,
    /// Columns that cannot hold their value, and the value.
    pub(super) misfits: Vec<(String, String)>,
}

impl Spelled {
    pub(super) fn of(path: &str, columns: &Schema) -> Result<Self, ArrowError> {
        let names: Vec<String> =
            columns.fields().iter().map(|field| field.name().clone()).collect();
        let (mut values, mut misfits) = (Vec::with_capacity(names.len()), Vec::new());
        for (field, text) in columns.fields().iter().zip(values_of(path, &names)) {
            // What is no such type becomes null.
            let value = cast(&StringArray::from(vec![text.as_deref()]), field.data_type())?;
            if let Some(text) = text.filter(|_| value.is_null(0)) {
                misfits.push((field.name().clone(), text));
            }
            values.push(value);
        }
        Ok(Self { values, misfits })
    }
}

/// Returns a stretch of `file`, which lies at `url`, as rows of the table.
pub(super) fn table_rows(
    shape: &Shape,
    columns: &SchemaRef,
    (file, url, spelled): (&SourceFile, &str, &Spelled),
    stretch: &RecordBatch,
) -> Result<RecordBatch, ArrowError> {
    let data = shape.read.columns.fields().len();
    let mut arrays: Vec<ArrayRef> = stretch.columns().iter().take(data).map(Arc::clone).collect();
    let repeated = UInt32Array::from(vec![0; stretch.num_rows()]);
    for value in &spelled.values {
        arrays.push(take(value, &repeated, None)?);
    }
    if shape.rescued_column.is_some() {
        arrays.push(rescued_column(url, &spelled.misfits, stretch)?);
    }
    if shape.metadata_column.is_some() {
        arrays.push(metadata_column(file, url, stretch)?);
    }
    RecordBatch::try_new(Arc::clone(columns), arrays)
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
    use std::collections::BTreeSet;

    use arrow::util::display::array_value_to_string;

    use super::*;
    use crate::files::{
        decoded::{ReadSchema, own_fields},
        schema::field_text,
    };

    fn column(field: (&str, DataType)) -> Field {
        Field::new(field.0, field.1, true)
    }

    #[test]
    fn a_path_that_does_not_fit_its_columns_is_rescued_with_every_row() {
        let file = SourceFile {
            path: "Year=07/region=eu/f".to_owned(),
            size: 1,
            modified: chrono::DateTime::UNIX_EPOCH,
            etag: None,
            version: None,
        };
        let partitions =
            [("year", DataType::Int32), ("region", DataType::Int32), ("x", DataType::Utf8)];
        let shape = Shape {
            version: 1,
            read: Arc::new(ReadSchema {
                columns: Arc::new(Schema::empty()),
                ignored: BTreeSet::new(),
                is_rescuing: true,
                is_case_sensitive: true,
                is_observing: false,
            }),
            partitions: Arc::new(Schema::new(partitions.map(column).to_vec())),
            rescued_column: Some("_rescued_data".to_owned()),
            metadata_column: None,
        };
        let stretch = RecordBatch::try_new(
            Arc::new(Schema::new(own_fields().to_vec())),
            vec![
                Arc::new(StringArray::from(vec![None, Some("{\"a\":1}")])),
                Arc::new(Int64Array::from(vec![1, 2])),
            ],
        );
        let spelled = Spelled::of(&file.path, &shape.partitions).expect("casts");
        assert_eq!(spelled.misfits, [("region".to_owned(), "eu".to_owned())]);
        let columns = table_columns(&shape);
        let of = (&file, "s3://b/f", &spelled);
        let rows = table_rows(&shape, &columns, of, &stretch.expect("fits")).expect("builds");
        let shown = |row: usize| {
            let field = |(field, array): (&Arc<Field>, &ArrayRef)| {
                let value = array_value_to_string(array, row).expect("shows");
                format!("{}: {value}", field_text(field))
            };
            rows.schema().fields().iter().zip(rows.columns()).map(field).collect::<Vec<_>>()
        };
        let path = ["year INT: 7", "region INT: ", "x STRING: "];
        for (row, rescued) in [
            (0, r#"_rescued_data STRING: {"region":"eu","_file_path":"s3://b/f"}"#),
            (1, r#"_rescued_data STRING: {"a":1,"region":"eu","_file_path":"s3://b/f"}"#),
        ] {
            assert_eq!(shown(row), [&path[..], &[rescued]].concat());
        }
    }
}
