//! Small tables written down by column name; what a row does not say is empty.

use std::{collections::HashMap, sync::Arc};

use lake::datafusion::{
    arrow::{
        array::{
            ArrayRef, BooleanArray, Float32Array, Int16Array, Int16Builder, Int32Array,
            Int32Builder, Int64Array, ListBuilder, RecordBatch, StringArray, new_null_array,
        },
        datatypes::{DataType, Field, Schema},
    },
    catalog::TableProvider,
    datasource::MemTable,
    error::DataFusionError,
};

use crate::postgres::types::TYPE_KEY;

/// One value.
#[derive(Clone, Debug)]
pub(super) enum Cell {
    Bool(bool),
    Int(i64),
    Text(String),
    Numbers(Vec<i16>),
}

impl From<bool> for Cell {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<i32> for Cell {
    fn from(value: i32) -> Self {
        Self::Int(value.into())
    }
}

impl From<u32> for Cell {
    fn from(value: u32) -> Self {
        Self::Int(value.into())
    }
}

impl From<&str> for Cell {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

impl From<&[i16]> for Cell {
    fn from(values: &[i16]) -> Self {
        Self::Numbers(values.to_vec())
    }
}

/// The named values of one row.
#[derive(Clone, Debug, Default)]
pub(super) struct Row(Vec<(&'static str, Cell)>);

impl Row {
    pub(super) fn with(mut self, column: &'static str, value: impl Into<Cell>) -> Self {
        self.0.push((column, value.into()));
        self
    }

    fn get(&self, column: &str) -> Option<&Cell> {
        self.0.iter().find(|(name, _)| *name == column).map(|(_, cell)| cell)
    }
}

/// Builds the table. `columns` is `name:type …`; types are PostgreSQL's, `text[]` included.
pub(super) fn provider(
    columns: &str,
    rows: &[Row],
) -> Result<Arc<dyn TableProvider>, DataFusionError> {
    let mut fields = Vec::new();
    let mut arrays: Vec<ArrayRef> = Vec::new();
    for column in columns.split_whitespace() {
        let (name, kind) = column.split_once(':').unwrap_or((column, "text"));
        let array = array(kind, name, rows);
        let mut field = Field::new(name, array.data_type().clone(), true);
        if matches!(kind, "oid" | "name" | "char" | "int2vector" | "oidvector") {
            field.set_metadata(HashMap::from([(TYPE_KEY.to_owned(), kind.to_owned())]));
        }
        fields.push(field);
        arrays.push(array);
    }
    let schema = Arc::new(Schema::new(fields));
    let records = RecordBatch::try_new(Arc::clone(&schema), arrays)?;
    Ok(Arc::new(MemTable::try_new(schema, vec![vec![records]])?))
}

fn array(kind: &str, name: &str, rows: &[Row]) -> ArrayRef {
    let int = |row: &Row| match row.get(name) {
        Some(Cell::Int(value)) => *value,
        _ => 0,
    };
    let text = |row: &Row| match row.get(name) {
        Some(Cell::Text(text)) => Some(text.clone()),
        _ => None,
    };
    let numbers = |row: &Row| match row.get(name) {
        Some(Cell::Numbers(numbers)) => Some(numbers.clone()),
        _ => None,
    };
    match kind {
        "bool" => {
            let values =
                rows.iter().map(|row| Some(matches!(row.get(name), Some(Cell::Bool(true)))));
            Arc::new(BooleanArray::from_iter(values))
        }
        "int2" => {
            let values = rows.iter().map(|row| i16::try_from(int(row)).unwrap_or_default());
            Arc::new(Int16Array::from_iter_values(values))
        }
        "int4" | "oid" => {
            let values = rows.iter().map(|row| i32::try_from(int(row)).unwrap_or_default());
            Arc::new(Int32Array::from_iter_values(values))
        }
        // An integer that information_schema leaves empty where it does not apply.
        "int4?" => {
            let values = rows.iter().map(|row| match row.get(name) {
                Some(Cell::Int(value)) => i32::try_from(*value).ok(),
                _ => None,
            });
            Arc::new(Int32Array::from_iter(values))
        }
        "int8" => Arc::new(Int64Array::from_iter_values(rows.iter().map(int))),
        "float4" => {
            // Row counts are unknown without reading; -1 is PostgreSQL's "never analyzed".
            Arc::new(Float32Array::from_iter_values(rows.iter().map(|_| -1.0)))
        }
        "char" => {
            let values = rows.iter().map(|row| Some(text(row).unwrap_or_default()));
            Arc::new(StringArray::from_iter(values))
        }
        "int2[]" | "int2vector" => {
            let mut lists = ListBuilder::new(Int16Builder::new());
            for row in rows {
                lists.append_option(numbers(row).map(|numbers| numbers.into_iter().map(Some)));
            }
            Arc::new(lists.finish())
        }
        "oidvector" => {
            let mut lists = ListBuilder::new(Int32Builder::new());
            for row in rows {
                let numbers = numbers(row);
                lists.append_option(
                    numbers
                        .map(|numbers| numbers.into_iter().map(|number| Some(i32::from(number)))),
                );
            }
            Arc::new(lists.finish())
        }
        "text[]" => {
            let item = Arc::new(Field::new("item", DataType::Utf8, true));
            new_null_array(&DataType::List(item), rows.len())
        }
        _ => Arc::new(StringArray::from_iter(rows.iter().map(text))),
    }
}
