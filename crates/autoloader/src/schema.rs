//! The columns of a loader's output: those of the rows, given explicitly, then provenance.

use std::{collections::BTreeSet, sync::Arc};

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use model::decimal::DecimalType;

/// The columns a dataset's rows are decoded into. Every column is nullable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowSchema {
    /// The columns in output order.
    pub columns: Vec<Column>,
    /// The name of the timestamp or date column that gives `date_key`; without one it is 0.
    pub date_key: Option<String>,
}

/// One column and the JSON key it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// The column's name.
    pub name: String,
    /// The key in the vendor's row; compared exactly, case included.
    pub field: String,
    /// What a value must be.
    pub kind: ColumnKind,
}

/// What a column holds, and which JSON values fit it. A value that does not fit is rescued.
///
/// | kind | fits |
/// |---|---|
/// | `Text` | strings; numbers and booleans as their JSON text |
/// | `Decimal` | numbers, and strings of plain decimal digits, never by way of a float |
/// | `Timestamp` | `2019-02-11T14:30:00+0000`, RFC 3339, `2019-02-11 14:30:00` and dates, UTC when no zone is given, not finer than microseconds |
/// | `Date` | `2019-02-11`, and timestamps at midnight UTC |
/// | `Bool` | `true`, `false` |
/// | `Int64` | whole numbers, and strings of their digits |
/// | `Json` | anything, kept as JSON text verbatim |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnKind {
    /// UTF-8 text.
    Text,
    /// A fixed-point number.
    Decimal(DecimalType),
    /// A moment, microseconds UTC.
    Timestamp,
    /// A calendar day.
    Date,
    /// A truth value.
    Bool,
    /// A whole number.
    Int64,
    /// A nested value, kept as JSON text.
    Json,
}

impl ColumnKind {
    /// Returns the column's Arrow type.
    #[must_use]
    pub fn data_type(self) -> DataType {
        match self {
            Self::Text | Self::Json => DataType::Utf8,
            Self::Decimal(decimal) => DataType::Decimal128(decimal.precision, decimal.scale),
            Self::Timestamp => timestamp(),
            Self::Date => DataType::Date32,
            Self::Bool => DataType::Boolean,
            Self::Int64 => DataType::Int64,
        }
    }
}

/// The columns that follow those of the row, with their types.
#[must_use]
pub fn provenance_fields() -> Vec<Field> {
    [
        ("_topic", DataType::Utf8),
        ("_partition", DataType::Int32),
        ("_offset", DataType::Int64),
        ("_key", DataType::Utf8),
        ("_source", DataType::Utf8),
        ("_interval", DataType::Utf8),
        ("_fetch_id", DataType::Int64),
        ("_page", DataType::Int32),
        ("_row", DataType::Int32),
        ("_ts_fetched", timestamp()),
        ("_file", DataType::Utf8),
        ("_line", DataType::Int64),
        ("_batch_id", DataType::Int64),
        ("_row_crc", DataType::Int64),
        ("_rescued_data", DataType::Utf8),
        ("_corrupt_record", DataType::Utf8),
        ("_corrupt_reason", DataType::Utf8),
        ("date_key", DataType::Int32),
    ]
    .into_iter()
    .map(|(name, data_type)| Field::new(name, data_type, true))
    .collect()
}

/// Returns the schema of every batch decoded with `schema`: its columns, then provenance.
#[must_use]
pub fn output_schema(schema: &RowSchema) -> SchemaRef {
    let columns = schema
        .columns
        .iter()
        .map(|column| Field::new(column.name.as_str(), column.kind.data_type(), true));
    Arc::new(Schema::new(columns.chain(provenance_fields()).collect::<Vec<_>>()))
}

impl RowSchema {
    /// Returns what is wrong with the schema, all of it; empty when it can be used.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let mut names: BTreeSet<String> =
            provenance_fields().iter().map(|field| field.name().clone()).collect();
        let mut fields = BTreeSet::new();
        for column in &self.columns {
            if !names.insert(column.name.clone()) {
                problems.push(format!("column `{}` is there twice", column.name));
            }
            if !fields.insert(&column.field) {
                problems.push(format!("field `{}` is read by two columns", column.field));
            }
            if let ColumnKind::Decimal(decimal) = column.kind {
                // 38 digits are what 128 bits hold.
                let fits = (1..=38).contains(&decimal.precision)
                    && (0..=38).contains(&decimal.scale)
                    && decimal.scale.unsigned_abs() <= decimal.precision;
                if !fits {
                    problems.push(format!("column `{}` has no valid decimal type", column.name));
                }
            }
        }
        if let Some(name) = &self.date_key {
            match self.columns.iter().find(|column| column.name == *name).map(|column| column.kind)
            {
                Some(ColumnKind::Timestamp | ColumnKind::Date) => (),
                Some(_) => problems.push(format!("`{name}` gives no date: not a time or date")),
                None => problems.push(format!("`{name}` gives the date but is no column")),
            }
        }
        problems
    }
}

fn timestamp() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(name: &str, field: &str, kind: ColumnKind) -> Column {
        Column { name: name.to_owned(), field: field.to_owned(), kind }
    }

    #[test]
    fn names_every_problem_at_once() {
        let schema = RowSchema {
            columns: vec![
                column("close", "close", ColumnKind::Text),
                column("close", "close", ColumnKind::Text),
                column("_file", "x", ColumnKind::Text),
                column("high", "high", ColumnKind::Decimal(DecimalType { precision: 5, scale: 6 })),
            ],
            date_key: Some("close".to_owned()),
        };
        assert_eq!(schema.problems().len(), 5, "{:?}", schema.problems());
    }

    #[test]
    fn provenance_follows_the_row() {
        let schema =
            RowSchema { columns: vec![column("close", "close", ColumnKind::Text)], date_key: None };
        let output = output_schema(&schema);
        assert_eq!(output.field(0).name(), "close");
        assert_eq!(output.field(output.fields().len() - 1).name(), "date_key");
        assert!(schema.problems().is_empty());
    }
}
