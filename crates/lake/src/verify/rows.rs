//! Compares two sets of rows of one table, whatever their order.

use std::{cmp::Ordering, fmt};

use arrow::{
    array::Array,
    error::ArrowError,
    record_batch::RecordBatch,
    row::{Row, RowConverter, Rows, SortField},
    util::display::{ArrayFormatter, FormatOptions},
};

use crate::{Error, schema::TableDef};

/// Columns that tell people which row is meant, in the order in which they are shown.
const NAMING: &[&str] = &[
    "symbol",
    "mic",
    "interval",
    "action",
    "ts_start",
    "session_date",
    "ex_date",
    "revision",
    "file",
    "line",
    "_file",
    "_line",
];

/// How a table's rows differ from those it should have.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Difference {
    /// Rows it should have and has not; a changed row is one of these and one of the next.
    pub missing: usize,
    /// Rows it has and should not.
    pub extra: usize,
    /// One of them.
    pub example: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { missing, extra, example } = self;
        write!(f, "{missing} rows missing, {extra} too many; {example}")
    }
}

/// Returns how `found` differs from `expected`; `None` when both have the same rows, each as often.
///
/// Both have the columns of `def`; those of `ignoring` do not count.
pub(super) fn difference(
    def: &TableDef,
    found: Option<&RecordBatch>,
    expected: Option<&RecordBatch>,
    ignoring: &[&str],
) -> Result<Option<Difference>, Error> {
    let wrong = |error: ArrowError| Error::Content {
        table: def.full_name(),
        problem: format!("comparing rows: {error}"),
    };
    let names: Vec<&str> = def.schema.fields().iter().map(|field| field.name().as_str()).collect();
    let names: Vec<&str> = names.into_iter().filter(|name| !ignoring.contains(name)).collect();
    let fields = names.iter().map(|name| {
        let field = def.schema.field_with_name(name)?;
        Ok(SortField::new(field.data_type().clone()))
    });
    let converter = fields.collect::<Result<Vec<_>, ArrowError>>().and_then(RowConverter::new);
    let converter = converter.map_err(wrong)?;
    let rows_of = |batch: Option<&RecordBatch>| -> Result<Rows, ArrowError> {
        let Some(batch) = batch else { return Ok(converter.empty_rows(0, 0)) };
        let columns = names.iter().map(|name| {
            batch
                .column_by_name(name)
                .cloned()
                .ok_or_else(|| ArrowError::SchemaError(format!("column `{name}` is missing")))
        });
        converter.convert_columns(&columns.collect::<Result<Vec<_>, _>>()?)
    };
    let (found_rows, expected_rows) =
        (rows_of(found).map_err(wrong)?, rows_of(expected).map_err(wrong)?);
    let mut difference = Difference::default();
    for (only_here, row) in only_in_one(&sorted(&found_rows), &sorted(&expected_rows)) {
        let (batch, kind) = match only_here {
            Side::Found => {
                difference.extra += 1;
                (found, "too many")
            }
            Side::Expected => {
                difference.missing += 1;
                (expected, "missing")
            }
        };
        if difference.example.is_empty()
            && let Some(batch) = batch
        {
            difference.example = format!("{kind}: {}", show(batch, row).map_err(wrong)?);
        }
    }
    Ok((difference != Difference::default()).then_some(difference))
}

#[derive(Clone, Copy)]
enum Side {
    Found,
    Expected,
}

fn sorted(rows: &Rows) -> Vec<(Row<'_>, usize)> {
    let mut sorted: Vec<(Row<'_>, usize)> = rows.iter().zip(0..).collect();
    sorted.sort_unstable();
    sorted
}

/// Walks two sorted lists; returns what only one of them has.
fn only_in_one(found: &[(Row<'_>, usize)], expected: &[(Row<'_>, usize)]) -> Vec<(Side, usize)> {
    let mut only = Vec::new();
    let (mut left, mut right) = (found.iter().peekable(), expected.iter().peekable());
    loop {
        let order = match (left.peek(), right.peek()) {
            (None, None) => return only,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some((one, _)), Some((other, _))) => one.cmp(other),
        };
        match order {
            Ordering::Equal => drop((left.next(), right.next())),
            Ordering::Less => only.extend(left.next().map(|(_, row)| (Side::Found, *row))),
            Ordering::Greater => only.extend(right.next().map(|(_, row)| (Side::Expected, *row))),
        }
    }
}

/// Names a row for people.
fn show(batch: &RecordBatch, row: usize) -> Result<String, ArrowError> {
    let options = FormatOptions::default();
    let mut shown = Vec::new();
    for name in NAMING {
        if let Some(column) = batch.column_by_name(name).filter(|column| !column.is_null(row)) {
            let text = ArrayFormatter::try_new(column.as_ref(), &options)?;
            shown.push(format!("{name} {}", text.value(row)));
        }
    }
    Ok(shown.join(", "))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::{
        array::{Int64Array, StringArray},
        datatypes::{DataType, Field, Schema},
    };

    use super::*;

    fn def() -> TableDef {
        let schema = Schema::new(vec![
            Field::new("symbol", DataType::Utf8, true),
            Field::new("line", DataType::Int64, true),
            Field::new("note", DataType::Int64, true),
        ]);
        TableDef {
            layer: "gold",
            name: "test",
            schema: Arc::new(schema),
            partition_by: &[],
            primary_key: &[],
        }
    }

    fn rows(rows: &[(&str, i64)]) -> RecordBatch {
        let notes: Int64Array = (0..).take(rows.len()).map(Some).collect();
        RecordBatch::try_new(
            def().schema,
            vec![
                Arc::new(rows.iter().map(|row| Some(row.0)).collect::<StringArray>()),
                Arc::new(rows.iter().map(|row| Some(row.1)).collect::<Int64Array>()),
                Arc::new(notes),
            ],
        )
        .expect("columns of one length")
    }

    #[track_caller]
    fn check(found: &[(&str, i64)], expected: &[(&str, i64)], want: Option<(usize, usize, &str)>) {
        let (found, expected) = (rows(found), rows(expected));
        let difference = difference(&def(), Some(&found), Some(&expected), &["note"]);
        let seen = difference.expect("compares");
        let seen = seen.as_ref().map(|it| (it.missing, it.extra, it.example.as_str()));
        assert_eq!(seen, want);
    }

    #[test]
    fn order_does_not_count_and_repetition_does() {
        check(&[("A", 1), ("B", 2)], &[("B", 2), ("A", 1)], None);
        check(&[("A", 1), ("A", 1)], &[("A", 1)], Some((0, 1, "too many: symbol A, line 1")));
        check(&[("A", 1)], &[("A", 1), ("A", 1)], Some((1, 0, "missing: symbol A, line 1")));
    }

    #[test]
    fn a_changed_row_is_missing_and_too_many() {
        check(
            &[("A", 1), ("B", 3)],
            &[("A", 1), ("B", 2)],
            Some((1, 1, "missing: symbol B, line 2")),
        );
        check(&[], &[("A", 1)], Some((1, 0, "missing: symbol A, line 1")));
        check(&[], &[], None);
    }
}
