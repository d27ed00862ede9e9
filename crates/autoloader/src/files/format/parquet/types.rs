//! The types of a Parquet file's columns, as they are read.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema, TimeUnit};
use parquet::{
    arrow::arrow_reader::ArrowReaderMetadata, basic::Type as Physical,
    schema::types::SchemaDescriptor,
};

/// Returns the schema to ask for: texts and bytes as views, so that values that a dictionary has
/// once are in memory once; and INT96, which says no unit, as a moment of microseconds. Spark and
/// Hive wrote days with it that no nanoseconds reach.
pub(super) fn as_read(metadata: &ArrowReaderMetadata) -> Result<Schema, String> {
    let mut leaf = 0;
    let fields = fields(metadata.schema().fields(), metadata.parquet_schema(), &mut leaf);
    if leaf == metadata.parquet_schema().num_columns() {
        Ok(Schema::new(fields))
    } else {
        Err("its columns are not those of its schema".to_owned())
    }
}

fn fields(fields: &Fields, file: &SchemaDescriptor, leaf: &mut usize) -> Fields {
    fields.iter().map(|field| as_field(field, file, leaf)).collect()
}

fn as_field(field: &FieldRef, file: &SchemaDescriptor, leaf: &mut usize) -> FieldRef {
    let data_type = as_type(field.data_type(), file, leaf);
    Arc::new(Field::clone(field).with_data_type(data_type))
}

/// Leaves come in the order of the columns of the file.
fn as_type(data_type: &DataType, file: &SchemaDescriptor, leaf: &mut usize) -> DataType {
    match data_type {
        DataType::Struct(members) => DataType::Struct(fields(members, file, leaf)),
        DataType::List(element) => DataType::List(as_field(element, file, leaf)),
        DataType::Map(entries, is_sorted) => {
            DataType::Map(as_field(entries, file, leaf), *is_sorted)
        }
        data_type => {
            let column = *leaf;
            *leaf += 1;
            let is_int96 = column < file.num_columns()
                && file.column(column).physical_type() == Physical::INT96;
            match data_type {
                _ if is_int96 => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
                DataType::Utf8 => DataType::Utf8View,
                DataType::Binary => DataType::BinaryView,
                other => other.clone(),
            }
        }
    }
}
