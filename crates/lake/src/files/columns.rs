//! How a table's columns may become those of a batch: the same, more, or wider. Pure.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef};

/// What becomes of a table's columns.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Growth {
    /// The columns afterwards.
    pub(super) columns: SchemaRef,
    change: Change,
    /// Whether data files have to be written anew. Where columns are only added, old files stay and
    /// read as null there.
    pub(super) changes_types: bool,
}

impl Growth {
    pub(super) fn is_any(&self) -> bool {
        self.change != Change::None
    }
}

/// What becomes of a column that the table has and the rows do not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Missing {
    /// The rows do not fit.
    Refused,
    /// It came since they were staged, and is null in them.
    Null,
}

/// Returns what makes `present` hold rows of `wanted`, which keeps the order of `present` and puts
/// what is new behind it.
///
/// # Errors
/// Why it cannot: as the end of a sentence about the table.
pub(super) fn growth(
    present: &SchemaRef,
    wanted: &SchemaRef,
    missing: Missing,
) -> Result<Growth, String> {
    let (fields, change) = grown(present.fields(), wanted.fields(), "", missing)?;
    let columns = Arc::new(Schema::new(fields));
    Ok(Growth { columns, change, changes_types: change == Change::Types })
}

/// Whether rows of these columns have to become wider to be those of a table.
pub(super) fn is_narrow(rows: &SchemaRef, table: &SchemaRef) -> bool {
    growth(rows, table, Missing::Null).is_ok_and(|growth| growth.changes_types)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Change {
    None,
    Columns,
    Types,
}

fn grown(
    present: &Fields,
    wanted: &Fields,
    inside: &str,
    missing: Missing,
) -> Result<(Fields, Change), String> {
    let mut fields: Vec<Arc<Field>> = Vec::new();
    let mut change = Change::None;
    for field in present {
        let path = format!("{inside}{}", field.name());
        let Some(other) = wanted.iter().find(|other| other.name() == field.name()) else {
            if missing == Missing::Null && field.is_nullable() {
                fields.push(Arc::clone(field));
                continue;
            }
            return Err(format!("it has a column `{path}` that the rows do not have"));
        };
        let (data_type, inner) = grown_type(field.data_type(), other.data_type(), &path, missing)?;
        change = change.max(inner);
        fields.push(Arc::new(field.as_ref().clone().with_data_type(data_type)));
    }
    for field in wanted {
        if !present.iter().any(|known| known.name() == field.name()) {
            change = change.max(Change::Columns);
            // Rows of before have none.
            fields.push(Arc::new(field.as_ref().clone().with_nullable(true)));
        }
    }
    Ok((fields.into(), change))
}

fn grown_type(
    present: &DataType,
    wanted: &DataType,
    path: &str,
    missing: Missing,
) -> Result<(DataType, Change), String> {
    match (present, wanted) {
        (DataType::Struct(ours), DataType::Struct(theirs)) => {
            let (fields, change) = grown(ours, theirs, &format!("{path}."), missing)?;
            // A struct that grows inside reads as null there in older files, as a column does.
            Ok((DataType::Struct(fields), change))
        }
        (DataType::List(ours), DataType::List(theirs)) => {
            let inside = format!("{path}.element");
            let (inner, change) =
                grown_type(ours.data_type(), theirs.data_type(), &inside, missing)?;
            Ok((DataType::List(Arc::new(ours.as_ref().clone().with_data_type(inner))), change))
        }
        (DataType::Map(ours, is_sorted), DataType::Map(theirs, _)) => {
            let (inner, change) = grown_type(ours.data_type(), theirs.data_type(), path, missing)?;
            let entries = Arc::new(ours.as_ref().clone().with_data_type(inner));
            Ok((DataType::Map(entries, *is_sorted), change))
        }
        (ours, theirs) if is_same(ours, theirs) || is_wider(theirs, ours) => {
            Ok((ours.clone(), Change::None))
        }
        (ours, theirs) if is_wider(ours, theirs) => Ok((theirs.clone(), Change::Types)),
        (ours, theirs) => {
            Err(format!("its column `{path}` is {ours}, which cannot hold what is {theirs}"))
        }
    }
}

/// Whether two Arrow types are one Delta type.
fn is_same(ours: &DataType, theirs: &DataType) -> bool {
    let is_text =
        |kind: &DataType| matches!(kind, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View);
    let is_binary = |kind: &DataType| {
        matches!(kind, DataType::Binary | DataType::LargeBinary | DataType::BinaryView)
    };
    ours == theirs || (is_text(ours) && is_text(theirs)) || (is_binary(ours) && is_binary(theirs))
}

/// Whether every value of `ours` is a value of `theirs`: what a schema's evolution may ask for. The
/// rules of what it does ask for are the schema's; these are what the table can do.
fn is_wider(ours: &DataType, theirs: &DataType) -> bool {
    let whole = |kind: &DataType| match kind {
        DataType::Int8 => Some((1, 3)),
        DataType::Int16 => Some((2, 5)),
        DataType::Int32 => Some((4, 10)),
        DataType::Int64 => Some((8, 20)),
        _ => None,
    };
    match (ours, theirs) {
        (DataType::Float32, DataType::Float64)
        | (DataType::Int8 | DataType::Int16 | DataType::Int32, DataType::Float64) => true,
        (DataType::Decimal128(precision, scale), DataType::Decimal128(wider, more)) => {
            let digits = |precision: u8, scale: i8| i16::from(precision) - i16::from(scale);
            scale <= more && digits(*precision, *scale) <= digits(*wider, *more)
        }
        (_, DataType::Decimal128(precision, scale)) => whole(ours)
            .is_some_and(|(_, digits)| digits <= i16::from(*precision) - i16::from(*scale)),
        _ => match (whole(ours), whole(theirs)) {
            (Some((narrow, _)), Some((wide, _))) => narrow < wide,
            _ => false,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema(fields: &[(&str, DataType)]) -> SchemaRef {
        let field = |(name, kind): &(&str, DataType)| Field::new(*name, kind.clone(), true);
        Arc::new(Schema::new(fields.iter().map(field).collect::<Vec<_>>()))
    }

    #[test]
    fn a_table_grows_by_columns_and_by_types_and_by_nothing_else() {
        use DataType::{Decimal128, Float64, Int32, Int64, Utf8};
        let inner = |fields: &[(&str, DataType)]| DataType::Struct(schema(fields).fields().clone());
        let present = schema(&[("a", Int32), ("s", inner(&[("x", Int64)]))]);
        let same = |wanted: &SchemaRef| {
            let found = growth(&present, wanted, Missing::Refused).expect("fits");
            assert!(!found.is_any() && found.columns == present, "{found:?}");
        };
        same(&present);
        same(&schema(&[("s", inner(&[("x", Int32)])), ("a", Int32)]));
        let more = schema(&[("s", inner(&[("x", Int64), ("y", Utf8)])), ("a", Int32), ("b", Utf8)]);
        let expected =
            schema(&[("a", Int32), ("s", inner(&[("x", Int64), ("y", Utf8)])), ("b", Utf8)]);
        let found = growth(&present, &more, Missing::Refused).expect("fits");
        assert!(found.is_any() && !found.changes_types && found.columns == expected, "{found:?}");
        let wider = schema(&[("a", Int64), ("s", inner(&[("x", Decimal128(20, 0))]))]);
        let found = growth(&present, &wider, Missing::Refused).expect("fits");
        assert!(found.changes_types && found.columns == wider, "{found:?}");
        for (refused, needle) in [
            (schema(&[("a", Int32)]), "`s`"),
            (schema(&[("a", Utf8), ("s", inner(&[("x", Int64)]))]), "`a` is Int32"),
            (schema(&[("a", Int32), ("s", inner(&[("x", Float64)]))]), "`s.x`"),
            (schema(&[("a", Int32), ("s", inner(&[("x", Decimal128(19, 0))]))]), "`s.x`"),
        ] {
            let problem = growth(&present, &refused, Missing::Refused).expect_err("does not fit");
            assert!(problem.contains(needle), "{problem}");
        }
    }
}
