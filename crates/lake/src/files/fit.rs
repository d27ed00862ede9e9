//! Putting rows into the columns of a table: by name at every depth, exactly or not at all. Pure.

use std::sync::Arc;

use arrow::{
    array::{Array, ArrayRef, AsArray, ListArray, MapArray, StructArray, new_null_array},
    compute::{CastOptions, cast_with_options},
    datatypes::{DataType, Field, Fields, SchemaRef},
    error::ArrowError,
    record_batch::RecordBatch,
};

/// What does not fit is an error: a null in its place would lose it.
const EXACT: CastOptions<'_> =
    CastOptions { safe: false, format_options: arrow::util::display::FormatOptions::new() };

/// Puts rows into these columns: in their order, in their types, with nulls for what is missing.
///
/// # Errors
/// A value does not fit, or a column that must not be null is.
pub(super) fn in_columns(
    rows: &RecordBatch,
    columns: &SchemaRef,
) -> Result<RecordBatch, ArrowError> {
    let find = |name: &str| rows.column_by_name(name).cloned();
    let arrays = in_fields(columns.fields(), rows.num_rows(), find)?;
    RecordBatch::try_new(Arc::clone(columns), arrays)
}

fn in_fields(
    fields: &Fields,
    rows: usize,
    find: impl Fn(&str) -> Option<ArrayRef>,
) -> Result<Vec<ArrayRef>, ArrowError> {
    let fit = |field: &Arc<Field>| match find(field.name()) {
        Some(array) => in_type(&array, field.data_type()),
        None => Ok(new_null_array(field.data_type(), rows)),
    };
    fields.iter().map(fit).collect()
}

fn in_type(array: &ArrayRef, wanted: &DataType) -> Result<ArrayRef, ArrowError> {
    if array.data_type() == wanted {
        return Ok(Arc::clone(array));
    }
    Ok(match (array.data_type(), wanted) {
        (DataType::Struct(_), DataType::Struct(fields)) => {
            Arc::new(in_struct(array.as_struct(), fields)?)
        }
        (DataType::List(_), DataType::List(field)) => {
            let list = array.as_list::<i32>();
            let values = in_type(list.values(), field.data_type())?;
            let (offsets, nulls) = (list.offsets().clone(), list.nulls().cloned());
            Arc::new(ListArray::try_new(Arc::clone(field), offsets, values, nulls)?)
        }
        (DataType::Map(..), DataType::Map(field, is_sorted)) => {
            let (map, DataType::Struct(fields)) = (array.as_map(), field.data_type()) else {
                return Err(ArrowError::SchemaError("a map has entries".to_owned()));
            };
            let entries = in_entries(map.entries(), fields)?;
            let (offsets, nulls) = (map.offsets().clone(), map.nulls().cloned());
            Arc::new(MapArray::try_new(Arc::clone(field), offsets, entries, nulls, *is_sorted)?)
        }
        _ => cast_with_options(array, wanted, &EXACT)?,
    })
}

fn in_struct(array: &StructArray, fields: &Fields) -> Result<StructArray, ArrowError> {
    let arrays = in_fields(fields, array.len(), |name| array.column_by_name(name).cloned())?;
    StructArray::try_new_with_length(fields.clone(), arrays, array.nulls().cloned(), array.len())
}

/// Keys and values are told by their place: their names differ from writer to writer.
fn in_entries(array: &StructArray, fields: &Fields) -> Result<StructArray, ArrowError> {
    let pairs = array.columns().iter().zip(fields);
    let arrays = pairs.map(|(array, field)| in_type(array, field.data_type()));
    let arrays = arrays.collect::<Result<Vec<_>, _>>()?;
    StructArray::try_new(fields.clone(), arrays, array.nulls().cloned())
}

#[cfg(test)]
mod tests {
    use arrow::{
        array::{Decimal128Array, Int32Array, Int64Array, StringArray},
        datatypes::Schema,
        util::pretty::pretty_format_batches,
    };

    use super::*;

    fn one(name: &str, array: ArrayRef) -> RecordBatch {
        RecordBatch::try_from_iter_with_nullable([(name, array, true)]).expect("rows")
    }

    fn schema(name: &str, kind: DataType) -> SchemaRef {
        Arc::new(Schema::new(vec![Field::new(name, kind, true)]))
    }

    fn field(name: &str, kind: DataType) -> Arc<Field> {
        Arc::new(Field::new(name, kind, true))
    }

    #[test]
    fn structs_fit_by_name_at_every_depth() {
        let narrow = Fields::from(vec![field("y", DataType::Int32), field("x", DataType::Int32)]);
        let inner = StructArray::new(
            narrow.clone(),
            vec![Arc::new(Int32Array::from(vec![1, 2])), Arc::new(Int32Array::from(vec![3, 4]))],
            Some(vec![true, false].into()),
        );
        let list = ListArray::try_new(
            field("element", DataType::Struct(narrow)),
            arrow::buffer::OffsetBuffer::from_lengths([2]),
            Arc::new(inner),
            None,
        );
        let wide = Fields::from(vec![
            field("x", DataType::Int64),
            field("new", DataType::Utf8),
            field("y", DataType::Int32),
        ]);
        let wanted = DataType::List(field("item", DataType::Struct(wide)));
        let found = in_columns(&one("l", Arc::new(list.expect("a list"))), &schema("l", wanted));
        let shown = pretty_format_batches(&[found.expect("fits")]).expect("shows").to_string();
        assert!(shown.contains("[{x: 3, new: , y: 1}, ]"), "{shown}");
    }

    #[test]
    fn maps_fit_by_place() {
        let mut builder = arrow::array::MapBuilder::new(
            None,
            arrow::array::StringBuilder::new(),
            arrow::array::Int32Builder::new(),
        );
        builder.keys().append_value("a");
        builder.values().append_value(7);
        builder.append(true).expect("one entry");
        let map = builder.finish();
        let entries = Fields::from(vec![
            Arc::new(Field::new("key", DataType::Utf8, false)),
            field("value", DataType::Int64),
        ]);
        let entries = Arc::new(Field::new("key_value", DataType::Struct(entries), false));
        let wanted = schema("m", DataType::Map(entries, false));
        let found = in_columns(&one("m", Arc::new(map)), &wanted).expect("fits");
        assert_eq!(
            found.column(0).as_map().value(0).column(1).as_ref(),
            &Int64Array::from(vec![7])
        );
    }

    #[test]
    fn what_does_not_fit_is_an_error_and_no_null() {
        let large = Decimal128Array::from(vec![123_456]).with_precision_and_scale(6, 0);
        let batches = [
            one("n", Arc::new(large.expect("fits"))),
            one("n", Arc::new(StringArray::from(vec!["none"]))),
        ];
        for (batch, wanted) in batches.iter().zip([DataType::Decimal128(4, 1), DataType::Int64]) {
            assert!(in_columns(batch, &schema("n", wanted)).is_err());
        }
    }
}
