//! What clients are told of types: beside each column, and as a list of all that SQL has here.

use std::collections::HashMap;

use arrow_flight::sql::{
    Nullable, Searchable, XdbcDataType, XdbcDatetimeSubcode,
    metadata::{XdbcTypeInfo, XdbcTypeInfoData, XdbcTypeInfoDataBuilder},
};
use lake::datafusion::arrow::datatypes::{DataType, Field, FieldRef, Schema};
use tonic::Status;

use super::listing::{CATALOG, failed};
use crate::postgres::arrow::{Listed, type_name};

/// The columns of a result, each with the name of its SQL type.
pub(super) fn described(columns: &[FieldRef]) -> Schema {
    let field = |field: &FieldRef| field.as_ref().clone().with_metadata(facts(field));
    Schema::new(columns.iter().map(field).collect::<Vec<_>>())
}

/// The columns of a table, each with where it belongs.
pub(super) fn described_table(table: &Listed) -> Schema {
    let field = |field: &FieldRef| {
        let mut facts = facts(field);
        let mut add = |name: &str, value: &str| facts.insert(key(name), value.to_owned());
        add("CATALOG_NAME", CATALOG);
        add("SCHEMA_NAME", &table.schema);
        add("TABLE_NAME", &table.name);
        add("IS_AUTO_INCREMENT", "0");
        add("IS_CASE_SENSITIVE", if field.data_type() == &DataType::Utf8 { "1" } else { "0" });
        add("IS_READ_ONLY", "1");
        add("IS_SEARCHABLE", "1");
        field.as_ref().clone().with_metadata(facts)
    };
    Schema::new(table.columns.fields().iter().map(field).collect::<Vec<_>>())
}

fn key(name: &str) -> String {
    format!("ARROW:FLIGHT:SQL:{name}")
}

fn facts(field: &Field) -> HashMap<String, String> {
    let mut facts = HashMap::from([(key("TYPE_NAME"), type_name(field).to_owned())]);
    if let DataType::Decimal128(precision, scale) = field.data_type() {
        facts.insert(key("PRECISION"), precision.to_string());
        facts.insert(key("SCALE"), scale.to_string());
    }
    facts
}

/// How a type is written.
#[derive(Clone, Copy)]
struct SqlType {
    name: &'static str,
    kind: XdbcDataType,
    /// Digits, bits or bytes, as `radix` says.
    size: Option<i32>,
    radix: Option<i32>,
    /// What stands before and after a literal.
    quotes: Option<(&'static str, &'static str)>,
    moment: Option<XdbcDatetimeSubcode>,
}

const fn number(name: &'static str, kind: XdbcDataType, size: i32, radix: i32) -> SqlType {
    SqlType { name, kind, size: Some(size), radix: Some(radix), quotes: None, moment: None }
}

const fn moment(
    name: &'static str,
    kind: XdbcDataType,
    size: i32,
    prefix: &'static str,
    moment: XdbcDatetimeSubcode,
) -> SqlType {
    let quotes = Some((prefix, "'"));
    SqlType { name, kind, size: Some(size), radix: None, quotes, moment: Some(moment) }
}

/// Every type that a column can have here, under the name that SQL has for it.
const TYPES: [SqlType; 13] = [
    number("boolean", XdbcDataType::XdbcBit, 1, 2),
    number("smallint", XdbcDataType::XdbcSmallint, 5, 10),
    number("integer", XdbcDataType::XdbcInteger, 10, 10),
    number("bigint", XdbcDataType::XdbcBigint, 19, 10),
    number("real", XdbcDataType::XdbcReal, 24, 2),
    number("double precision", XdbcDataType::XdbcDouble, 53, 2),
    number("numeric", XdbcDataType::XdbcNumeric, 38, 10),
    SqlType {
        name: "text",
        kind: XdbcDataType::XdbcVarchar,
        size: None,
        radix: None,
        quotes: Some(("'", "'")),
        moment: None,
    },
    SqlType {
        name: "bytea",
        kind: XdbcDataType::XdbcVarbinary,
        size: None,
        radix: None,
        quotes: None,
        moment: None,
    },
    // The subcode 1 stands for a date, too.
    moment("date", XdbcDataType::XdbcDate, 10, "date '", XdbcDatetimeSubcode::XdbcSubcodeYear),
    moment(
        "time without time zone",
        XdbcDataType::XdbcTime,
        15,
        "time '",
        XdbcDatetimeSubcode::XdbcSubcodeTime,
    ),
    moment(
        "timestamp without time zone",
        XdbcDataType::XdbcTimestamp,
        26,
        "timestamp '",
        XdbcDatetimeSubcode::XdbcSubcodeTimestamp,
    ),
    moment(
        "timestamp with time zone",
        XdbcDataType::XdbcTimestamp,
        32,
        "timestamptz '",
        XdbcDatetimeSubcode::XdbcSubcodeTimestampWithTimezone,
    ),
];

/// The answer to GetXdbcTypeInfo.
pub(super) fn all() -> Result<XdbcTypeInfoData, Status> {
    let mut builder = XdbcTypeInfoDataBuilder::new();
    for known in TYPES {
        let is_number = known.radix.is_some();
        let is_exact = known.name == "numeric";
        let params = |names: [&str; 2]| names.map(str::to_owned).to_vec();
        builder.append(XdbcTypeInfo {
            type_name: known.name.to_owned(),
            data_type: known.kind,
            column_size: known.size,
            literal_prefix: known.quotes.map(|(prefix, _)| prefix.to_owned()),
            literal_suffix: known.quotes.map(|(_, suffix)| suffix.to_owned()),
            create_params: is_exact.then(|| params(["precision", "scale"])),
            nullable: Nullable::NullabilityNullable,
            case_sensitive: known.name == "text",
            searchable: if known.name == "text" { Searchable::Full } else { Searchable::Basic },
            unsigned_attribute: is_number.then_some(false),
            fixed_prec_scale: false,
            auto_increment: Some(false),
            local_type_name: Some(known.name.to_owned()),
            minimum_scale: is_exact.then_some(0),
            maximum_scale: is_exact.then_some(38),
            sql_data_type: if known.moment.is_some() {
                XdbcDataType::XdbcDatetime
            } else {
                known.kind
            },
            datetime_subcode: known.moment,
            num_prec_radix: known.radix,
            interval_precision: None,
        });
    }
    builder.build().map_err(failed)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn every_type_of_a_column_is_listed() {
        let tables = lake::bi::views().iter().flat_map(|view| view.columns);
        for column in tables {
            let name = type_name(&Field::new(column.name, column.data_type(), true));
            assert!(TYPES.iter().any(|known| known.name == name), "{name} of {}", column.name);
        }
        assert_eq!(all().unwrap().record_batch(None).unwrap().num_rows(), TYPES.len());
    }

    #[test]
    fn a_column_says_its_type_and_its_table() {
        let field = Field::new("close", DataType::Decimal128(18, 6), false);
        let table = Listed {
            schema: "gold".to_owned(),
            name: "bar_1d".to_owned(),
            is_view: false,
            columns: Arc::new(Schema::new(vec![field])),
        };
        let described = described_table(&table);
        let fact = |name: &str| described.field(0).metadata().get(&key(name)).cloned();
        assert_eq!(fact("TYPE_NAME").as_deref(), Some("numeric"));
        assert_eq!(fact("PRECISION").as_deref(), Some("18"));
        assert_eq!(fact("SCALE").as_deref(), Some("6"));
        assert_eq!(fact("TABLE_NAME").as_deref(), Some("bar_1d"));
        assert!(!described.field(0).is_nullable());
    }
}
