//! Primary and foreign keys: what a tool draws its lines between tables by.

use std::sync::Arc;

use arrow_flight::sql::{
    CommandGetCrossReference, CommandGetExportedKeys, CommandGetImportedKeys,
    CommandGetPrimaryKeys, UpdateDeleteRules,
};
use lake::{
    bi::{self, ForeignKey, View},
    datafusion::arrow::{
        array::{ArrayRef, Int32Array, RecordBatch, StringArray, UInt8Array},
        datatypes::{DataType, Field, Schema, SchemaRef},
    },
};
use tonic::Status;

use super::listing::{CATALOG, failed};
use crate::postgres::arrow::Listed;

/// A question for one table. Without a catalog or schema, for those of that name anywhere.
#[derive(Clone, Copy)]
struct Named<'a> {
    catalog: Option<&'a str>,
    schema: Option<&'a str>,
    table: &'a str,
}

impl<'a> Named<'a> {
    fn new(catalog: &'a Option<String>, schema: &'a Option<String>, table: &'a str) -> Self {
        Self { catalog: catalog.as_deref(), schema: schema.as_deref(), table }
    }

    fn is(&self, schema: &str, table: &str) -> bool {
        self.catalog.is_none_or(|wanted| wanted == CATALOG)
            && self.schema.is_none_or(|wanted| wanted == schema)
            && self.table == table
    }
}

pub(super) fn primary_schema() -> SchemaRef {
    let text = |name: &str, nullable| Field::new(name, DataType::Utf8, nullable);
    Arc::new(Schema::new(vec![
        text("catalog_name", true),
        text("db_schema_name", true),
        text("table_name", false),
        text("column_name", false),
        text("key_name", true),
        Field::new("key_sequence", DataType::Int32, false),
    ]))
}

pub(super) fn foreign_schema() -> SchemaRef {
    let text = |name: &str, nullable| Field::new(name, DataType::Utf8, nullable);
    Arc::new(Schema::new(vec![
        text("pk_catalog_name", true),
        text("pk_db_schema_name", true),
        text("pk_table_name", false),
        text("pk_column_name", false),
        text("fk_catalog_name", true),
        text("fk_db_schema_name", true),
        text("fk_table_name", false),
        text("fk_column_name", false),
        Field::new("key_sequence", DataType::Int32, false),
        text("fk_key_name", true),
        text("pk_key_name", true),
        Field::new("update_rule", DataType::UInt8, false),
        Field::new("delete_rule", DataType::UInt8, false),
    ]))
}

/// The columns of a table's primary key.
pub(super) fn primary(
    question: &CommandGetPrimaryKeys,
    tables: &[Listed],
) -> Result<RecordBatch, Status> {
    let wanted = Named::new(&question.catalog, &question.db_schema, &question.table);
    let keys =
        tables.iter().filter(|table| wanted.is(&table.schema, &table.name)).flat_map(|table| {
            let columns = match bi::view(&table.name).filter(|_| table.schema == bi::SCHEMA) {
                Some(view) => view.primary_key,
                None => lake::primary_key(&table.schema, &table.name),
            };
            (1_i32..).zip(columns).map(move |(place, column)| (table, *column, place))
        });
    let keys: Vec<(&Listed, &str, i32)> = keys.collect();
    let column = |of: fn(&(&Listed, &str, i32)) -> String| texts(keys.iter().map(of));
    let columns: Vec<ArrayRef> = vec![
        column(|_| CATALOG.to_owned()),
        column(|(table, ..)| table.schema.clone()),
        column(|(table, ..)| table.name.clone()),
        column(|(_, column, _)| (*column).to_owned()),
        column(|(table, ..)| primary_name(&table.name)),
        Arc::new(keys.iter().map(|(.., place)| Some(*place)).collect::<Int32Array>()),
    ];
    RecordBatch::try_new(primary_schema(), columns).map_err(|error| failed(error.into()))
}

/// The foreign keys that a table has.
pub(super) fn imported(
    question: &CommandGetImportedKeys,
    tables: &[Listed],
) -> Result<RecordBatch, Status> {
    let wanted = Named::new(&question.catalog, &question.db_schema, &question.table);
    foreign(tables, |view, _| wanted.is(bi::SCHEMA, view.name))
}

/// The foreign keys of others that lead to a table.
pub(super) fn exported(
    question: &CommandGetExportedKeys,
    tables: &[Listed],
) -> Result<RecordBatch, Status> {
    let wanted = Named::new(&question.catalog, &question.db_schema, &question.table);
    foreign(tables, |_, key| wanted.is(bi::SCHEMA, key.parent))
}

/// The foreign keys that lead from one table to another.
pub(super) fn between(
    question: &CommandGetCrossReference,
    tables: &[Listed],
) -> Result<RecordBatch, Status> {
    let parent = Named::new(&question.pk_catalog, &question.pk_db_schema, &question.pk_table);
    let child = Named::new(&question.fk_catalog, &question.fk_db_schema, &question.fk_table);
    foreign(tables, |view, key| {
        parent.is(bi::SCHEMA, key.parent) && child.is(bi::SCHEMA, view.name)
    })
}

/// Only views have foreign keys, and each is of one column. One that leads from or to what is not
/// among `tables` is not told of.
fn foreign(
    tables: &[Listed],
    is_wanted: impl Fn(&View, &ForeignKey) -> bool,
) -> Result<RecordBatch, Status> {
    let is_listed =
        |name: &str| tables.iter().any(|table| table.schema == bi::SCHEMA && table.name == name);
    let keys =
        bi::views().iter().flat_map(|view| view.foreign_keys.iter().map(move |key| (view, key)));
    let keys = keys.filter(|(view, key)| is_listed(view.name) && is_listed(key.parent));
    let keys: Vec<(&View, &ForeignKey)> = keys.filter(|(view, key)| is_wanted(view, key)).collect();
    let column = |of: fn(&(&View, &ForeignKey)) -> String| texts(keys.iter().map(of));
    // Nothing is ever updated or deleted here.
    let rule = u8::try_from(UpdateDeleteRules::NoAction as i32).unwrap_or_default();
    let rules = Arc::new(UInt8Array::from(vec![rule; keys.len()]));
    let columns: Vec<ArrayRef> = vec![
        column(|_| CATALOG.to_owned()),
        column(|_| bi::SCHEMA.to_owned()),
        column(|(_, key)| key.parent.to_owned()),
        column(|(_, key)| key.parent_column.to_owned()),
        column(|_| CATALOG.to_owned()),
        column(|_| bi::SCHEMA.to_owned()),
        column(|(view, _)| view.name.to_owned()),
        column(|(_, key)| key.column.to_owned()),
        Arc::new(Int32Array::from(vec![1; keys.len()])),
        column(|(view, key)| format!("{}_{}_fkey", view.name, key.column)),
        column(|(_, key)| primary_name(key.parent)),
        Arc::clone(&rules) as ArrayRef,
        rules,
    ];
    RecordBatch::try_new(foreign_schema(), columns).map_err(|error| failed(error.into()))
}

fn primary_name(table: &str) -> String {
    format!("{table}_pkey")
}

fn texts(values: impl Iterator<Item = String>) -> ArrayRef {
    Arc::new(values.map(Some).collect::<StringArray>())
}

#[cfg(test)]
mod tests {
    use lake::datafusion::arrow::array::AsArray as _;

    use super::*;

    #[track_caller]
    fn check(keys: Result<RecordBatch, Status>, column: usize, expected: &[&str]) {
        let keys = keys.unwrap();
        let names: Vec<&str> = keys.column(column).as_string::<i32>().iter().flatten().collect();
        assert_eq!(names, expected);
    }

    fn views(is_seen: impl Fn(&str) -> bool) -> Vec<Listed> {
        let listed = |view: &View| Listed {
            schema: bi::SCHEMA.to_owned(),
            name: view.name.to_owned(),
            is_view: true,
            columns: Arc::new(Schema::empty()),
        };
        bi::views().iter().filter(|view| is_seen(view.name)).map(listed).collect()
    }

    #[test]
    fn a_view_knows_its_parents_and_a_dimension_its_children() {
        let all = views(|_| true);
        let table = |table: &str| CommandGetImportedKeys {
            catalog: None,
            db_schema: None,
            table: table.to_owned(),
        };
        check(imported(&table("bars_daily"), &all), 2, &["dim_symbol", "dim_date"]);
        check(imported(&table("dim_date"), &all), 2, &[]);
        let elsewhere =
            CommandGetImportedKeys { db_schema: Some("gold".to_owned()), ..table("bars_daily") };
        check(imported(&elsewhere, &all), 2, &[]);
        let children = CommandGetExportedKeys {
            catalog: Some(CATALOG.to_owned()),
            db_schema: Some(bi::SCHEMA.to_owned()),
            table: "dim_symbol".to_owned(),
        };
        let expected: Vec<&str> = bi::views()
            .iter()
            .filter(|view| view.foreign_keys.iter().any(|key| key.parent == "dim_symbol"))
            .map(|view| view.name)
            .collect();
        assert!(2 < expected.len());
        check(exported(&children, &all), 6, &expected);
        let one = CommandGetCrossReference {
            pk_table: "dim_date".to_owned(),
            fk_table: "bars_1m".to_owned(),
            ..CommandGetCrossReference::default()
        };
        check(between(&one, &all), 9, &["bars_1m_date_fkey"]);
    }

    #[test]
    fn a_key_is_told_to_those_who_see_both_of_its_ends() {
        let question = CommandGetImportedKeys {
            catalog: None,
            db_schema: None,
            table: "bars_daily".to_owned(),
        };
        let some = views(|name| name != "dim_symbol");
        check(imported(&question, &some), 2, &["dim_date"]);
        let others = views(|name| name != "bars_daily");
        check(imported(&question, &others), 2, &[]);
    }

    #[test]
    fn every_key_is_one_that_a_view_has() {
        let tables = views(|_| true);
        for view in bi::views() {
            let question = CommandGetPrimaryKeys {
                catalog: None,
                db_schema: Some(bi::SCHEMA.to_owned()),
                table: view.name.to_owned(),
            };
            check(primary(&question, &tables), 3, view.primary_key);
        }
    }
}
