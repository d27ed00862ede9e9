//! `information_schema`: the standard's view of the same inventory, with PostgreSQL's type names.

use super::{
    Inventory, Table,
    keys::{self, Key},
    sheet::Row,
};
use crate::postgres::{settings::DATABASE, types::PgType};

pub(super) static TABLES: [Table; 11] = [
    Table {
        name: "tables",
        columns: "table_catalog:name table_schema:name table_name:name table_type \
                  self_referencing_column_name:name reference_generation \
                  user_defined_type_catalog:name user_defined_type_schema:name \
                  user_defined_type_name:name is_insertable_into is_typed commit_action",
        rows: Some(tables),
    },
    Table {
        name: "columns",
        columns: "table_catalog:name table_schema:name table_name:name column_name:name \
                  ordinal_position:int4 column_default is_nullable data_type \
                  character_maximum_length:int4? character_octet_length:int4? \
                  numeric_precision:int4? numeric_precision_radix:int4? numeric_scale:int4? \
                  datetime_precision:int4? interval_type interval_precision:int4? \
                  character_set_catalog:name character_set_schema:name character_set_name:name \
                  collation_catalog:name collation_schema:name collation_name:name \
                  domain_catalog:name domain_schema:name domain_name:name udt_catalog:name \
                  udt_schema:name udt_name:name is_identity identity_generation is_generated \
                  generation_expression is_updatable",
        rows: Some(columns),
    },
    Table {
        name: "schemata",
        columns: "catalog_name:name schema_name:name schema_owner:name \
                  default_character_set_catalog:name default_character_set_schema:name \
                  default_character_set_name:name sql_path",
        rows: Some(schemata),
    },
    Table {
        name: "character_sets",
        columns: "character_set_catalog:name character_set_schema:name character_set_name:name \
                  character_repertoire:name form_of_use:name default_collate_catalog:name \
                  default_collate_schema:name default_collate_name:name",
        rows: Some(character_sets),
    },
    Table {
        name: "information_schema_catalog_name",
        columns: "catalog_name:name",
        rows: Some(|_| vec![Row::default().with("catalog_name", DATABASE)]),
    },
    Table {
        name: "table_constraints",
        columns: "constraint_catalog:name constraint_schema:name constraint_name:name \
                  table_catalog:name table_schema:name table_name:name constraint_type \
                  is_deferrable initially_deferred enforced nulls_distinct",
        rows: Some(table_constraints),
    },
    Table {
        name: "key_column_usage",
        columns: "constraint_catalog:name constraint_schema:name constraint_name:name \
                  table_catalog:name table_schema:name table_name:name column_name:name \
                  ordinal_position:int4 position_in_unique_constraint:int4?",
        rows: Some(key_column_usage),
    },
    Table {
        name: "referential_constraints",
        columns: "constraint_catalog:name constraint_schema:name constraint_name:name \
                  unique_constraint_catalog:name unique_constraint_schema:name \
                  unique_constraint_name:name match_option update_rule delete_rule",
        rows: Some(referential_constraints),
    },
    Table {
        name: "constraint_column_usage",
        columns: "table_catalog:name table_schema:name table_name:name column_name:name \
                  constraint_catalog:name constraint_schema:name constraint_name:name",
        rows: Some(constraint_column_usage),
    },
    Table {
        name: "views",
        columns: "table_catalog:name table_schema:name table_name:name view_definition \
                  check_option is_updatable is_insertable_into is_trigger_updatable \
                  is_trigger_deletable is_trigger_insertable_into",
        rows: Some(views),
    },
    Table {
        name: "routines",
        columns: "specific_catalog:name specific_schema:name specific_name:name \
                  routine_catalog:name routine_schema:name routine_name:name routine_type \
                  data_type",
        rows: None,
    },
];

fn tables(inventory: &Inventory) -> Vec<Row> {
    let row = |relation: &super::Relation| {
        Row::default()
            .with("table_catalog", DATABASE)
            .with("table_schema", relation.schema.as_str())
            .with("table_name", relation.name.as_str())
            .with("table_type", if relation.view.is_some() { "VIEW" } else { "BASE TABLE" })
            .with("is_insertable_into", "NO")
            .with("is_typed", "NO")
    };
    inventory.relations.iter().map(row).collect()
}

fn views(inventory: &Inventory) -> Vec<Row> {
    let row = |(relation, view): (&super::Relation, &lake::bi::View)| {
        Row::default()
            .with("table_catalog", DATABASE)
            .with("table_schema", relation.schema.as_str())
            .with("table_name", relation.name.as_str())
            .with("view_definition", view.sql.as_str())
            .with("check_option", "NONE")
            .with("is_updatable", "NO")
            .with("is_insertable_into", "NO")
            .with("is_trigger_updatable", "NO")
            .with("is_trigger_deletable", "NO")
            .with("is_trigger_insertable_into", "NO")
    };
    inventory.views().map(row).collect()
}

/// The columns that say which key a row is about, and whose it is.
fn of_key(inventory: &Inventory, key: &Key) -> Row {
    let relation = &inventory.relations[key.relation];
    Row::default()
        .with("constraint_catalog", DATABASE)
        .with("constraint_schema", relation.schema.as_str())
        .with("constraint_name", key.name.as_str())
        .with("table_catalog", DATABASE)
        .with("table_schema", relation.schema.as_str())
        .with("table_name", relation.name.as_str())
}

fn table_constraints(inventory: &Inventory) -> Vec<Row> {
    let row = |key: &Key| {
        let kind = if key.parent().is_some() { "FOREIGN KEY" } else { "PRIMARY KEY" };
        of_key(inventory, key)
            .with("constraint_type", kind)
            .with("is_deferrable", "NO")
            .with("initially_deferred", "NO")
            .with("enforced", "YES")
    };
    inventory.keys.iter().map(row).collect()
}

fn key_column_usage(inventory: &Inventory) -> Vec<Row> {
    let mut rows = Vec::new();
    for key in &inventory.keys {
        let names = keys::names(&inventory.relations[key.relation], &key.columns);
        for (position, name) in (1_i32..).zip(names) {
            let row =
                of_key(inventory, key).with("column_name", name).with("ordinal_position", position);
            rows.push(match key.parent() {
                Some(_) => row.with("position_in_unique_constraint", position),
                None => row,
            });
        }
    }
    rows
}

fn referential_constraints(inventory: &Inventory) -> Vec<Row> {
    let row = |key: &Key| {
        let parent = key.parent()?;
        let row = Row::default()
            .with("constraint_catalog", DATABASE)
            .with("constraint_schema", inventory.relations[key.relation].schema.as_str())
            .with("constraint_name", key.name.as_str())
            .with("unique_constraint_catalog", DATABASE)
            .with("unique_constraint_schema", inventory.relations[parent.relation].schema.as_str())
            .with("unique_constraint_name", parent.key.as_str())
            .with("match_option", "NONE")
            .with("update_rule", "NO ACTION")
            .with("delete_rule", "NO ACTION");
        Some(row)
    };
    inventory.keys.iter().filter_map(row).collect()
}

/// The columns a key is about: of a foreign key, those of the parent.
fn constraint_column_usage(inventory: &Inventory) -> Vec<Row> {
    let mut rows = Vec::new();
    for key in &inventory.keys {
        let (relation, columns) = match key.parent() {
            Some(parent) => (&inventory.relations[parent.relation], &parent.columns),
            None => (&inventory.relations[key.relation], &key.columns),
        };
        for name in keys::names(relation, columns) {
            rows.push(
                Row::default()
                    .with("table_catalog", DATABASE)
                    .with("table_schema", relation.schema.as_str())
                    .with("table_name", relation.name.as_str())
                    .with("column_name", name)
                    .with("constraint_catalog", DATABASE)
                    .with("constraint_schema", inventory.relations[key.relation].schema.as_str())
                    .with("constraint_name", key.name.as_str()),
            );
        }
    }
    rows
}

fn columns(inventory: &Inventory) -> Vec<Row> {
    let mut rows = Vec::new();
    for relation in &inventory.relations {
        for (number, column) in (1_i32..).zip(&relation.columns) {
            let row = Row::default()
                .with("table_catalog", DATABASE)
                .with("table_schema", relation.schema.as_str())
                .with("table_name", relation.name.as_str())
                .with("column_name", column.name.as_str())
                .with("ordinal_position", number)
                .with("is_nullable", if column.nullable { "YES" } else { "NO" })
                .with("data_type", column.pg_type.sql_name())
                .with("udt_catalog", DATABASE)
                .with("udt_schema", "pg_catalog")
                .with("udt_name", column.pg_type.catalog_name())
                .with("is_identity", "NO")
                .with("is_generated", "NEVER")
                .with("is_updatable", "NO");
            rows.push(with_precision(row, column.pg_type));
        }
    }
    rows
}

fn with_precision(row: Row, pg_type: PgType) -> Row {
    let binary = |row: Row, bits: i32| {
        row.with("numeric_precision", bits).with("numeric_precision_radix", 2)
    };
    match pg_type {
        PgType::Int2 => binary(row, 16).with("numeric_scale", 0),
        PgType::Int4 => binary(row, 32).with("numeric_scale", 0),
        PgType::Int8 => binary(row, 64).with("numeric_scale", 0),
        PgType::Float4 => binary(row, 24),
        PgType::Float8 => binary(row, 53),
        PgType::Numeric(Some((precision, scale))) => row
            .with("numeric_precision", i32::from(precision))
            .with("numeric_precision_radix", 10)
            .with("numeric_scale", i32::from(scale)),
        PgType::Numeric(None) => row.with("numeric_precision_radix", 10),
        PgType::Date => row.with("datetime_precision", 0),
        PgType::Time | PgType::Timestamp | PgType::TimestampTz => row.with("datetime_precision", 6),
        _ => row,
    }
}

fn schemata(inventory: &Inventory) -> Vec<Row> {
    let row = |(_, name): (i32, &str)| {
        Row::default()
            .with("catalog_name", DATABASE)
            .with("schema_name", name)
            .with("schema_owner", super::pg_catalog::OWNER)
    };
    inventory.schemas().into_iter().map(row).collect()
}

/// Power BI tests a connection with this table.
fn character_sets(_: &Inventory) -> Vec<Row> {
    vec![
        Row::default()
            .with("character_set_name", "UTF8")
            .with("character_repertoire", "UCS")
            .with("form_of_use", "UTF8")
            .with("default_collate_catalog", DATABASE)
            .with("default_collate_schema", "pg_catalog")
            .with("default_collate_name", "C"),
    ]
}
