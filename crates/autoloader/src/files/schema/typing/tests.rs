//! What observed values become under each rule.

use super::*;
use crate::files::{
    options::{CsvOptions, JsonOptions},
    schema::{ddl::type_text, observing::Iso},
};

pub(in crate::files::schema) fn json() -> JsonOptions {
    JsonOptions::default()
}

pub(in crate::files::schema) fn csv() -> CsvOptions {
    CsvOptions::default()
}

/// Options with `inferColumnTypes`.
pub(in crate::files::schema) fn inferring() -> SchemaOptions {
    SchemaOptions { infers_types: true, ..SchemaOptions::default() }
}

#[track_caller]
fn check(name: &str, format: &Format, options: &SchemaOptions, values: &str, expected: &str) {
    let Observed::List(observed) = Observed::of_json(values, &Iso).unwrap() else {
        panic!("{name}: the values are a list");
    };
    let found = observed.to_type(&TypeRules::new(format, options));
    let found = found.map_or_else(|| "left out".to_owned(), |found| type_text(&found));
    assert_eq!(found, expected, "{name}: {values}");
}

#[test]
fn without_inference_every_column_is_text() {
    let options = SchemaOptions::default();
    for values in ["[1]", "[true]", "[{\"a\": 1}]", "[[1]]", "[null]", "[\"2026-11-23\"]", "[{}]"] {
        check("inferColumnTypes=false", &Format::Json(json()), &options, values, "STRING");
        check("inferColumnTypes=false", &Format::Csv(csv()), &options, values, "STRING");
    }
}

#[test]
fn with_inference_a_type_holds_every_value() {
    for (name, values, expected) in [
        ("whole numbers", "[1, -20]", "BIGINT"),
        ("the greatest long", "[9223372036854775807]", "BIGINT"),
        ("beyond a long", "[9223372036854775808]", "DECIMAL(20,0)"),
        ("thirty digits", "[123456789012345678901234567890]", "DECIMAL(30,0)"),
        ("forty digits", "[1234567890123456789012345678901234567890]", "DOUBLE"),
        ("prices", "[189.43]", "DECIMAL(18,6)"),
        ("a round price", "[189.0]", "DECIMAL(18,6)"),
        ("a price among whole numbers", "[189, 189.43]", "DECIMAL(18,6)"),
        ("adjusted prices have ten digits behind the point", "[1.0123456789]", "DECIMAL(22,10)"),
        ("many digits in front", "[1234567890123.5]", "DECIMAL(19,6)"),
        (
            "36 digits in front leave two",
            "[123456789012345678901234567890123456.5]",
            "DECIMAL(38,2)",
        ),
        ("30 digits behind leave eight", "[1.123456789012345678901234567891]", "DECIMAL(38,30)"),
        ("38 digits", "[12345678901234567890.123456789012345678]", "DECIMAL(38,18)"),
        ("39 digits", "[123456789012345678901.123456789012345678]", "DOUBLE"),
        ("an exponent", "[1e5]", "DOUBLE"),
        ("an exponent among prices", "[1.5, 1e5]", "DOUBLE"),
        ("truth", "[true, null]", "BOOLEAN"),
        ("truth and numbers", "[true, 1]", "STRING"),
        ("text", "[\"a\"]", "STRING"),
        ("text that looks like a number", "[\"1\"]", "STRING"),
        ("nulls", "[null]", "STRING"),
        ("no value", "[]", "STRING"),
        ("a list", "[[1], [2.5]]", "ARRAY<DECIMAL(18,6)>"),
        ("an empty list", "[[]]", "ARRAY<STRING>"),
        ("an object, by name", "[{\"b\": 1, \"a\": true}]", "STRUCT<a: BOOLEAN, b: BIGINT>"),
        ("an object without members", "[{}]", "STRING"),
        ("an object and a number", "[{\"a\": 1}, 1]", "STRING"),
        ("an object and null", "[{\"a\": 1}, null]", "STRUCT<a: BIGINT>"),
        ("objects in lists", "[[{\"a\": 1}, {\"b\": 2}]]", "ARRAY<STRUCT<a: BIGINT, b: BIGINT>>"),
        ("spellings are one", "[{\"abc\": 1, \"Abc\": 2.5}]", "STRUCT<Abc: DECIMAL(18,6)>"),
        ("a member without a name", "[{\"\": 1, \"a\": 1}]", "STRUCT<a: BIGINT>"),
        ("days without inferTimestamp", "[\"2026-11-23\"]", "STRING"),
    ] {
        check(name, &Format::Json(json()), &inferring(), values, expected);
    }
}

#[test]
fn rules_of_options_and_formats_hold() {
    let floats = SchemaOptions { prefers_decimal: false, ..inferring() };
    let times = SchemaOptions { infers_timestamps: true, ..inferring() };
    let text = Format::Json(JsonOptions { are_primitives_text: true, ..json() });
    let dropping = Format::Json(JsonOptions { is_all_null_dropped: true, ..json() });
    let moments = Format::Csv(CsvOptions { prefers_date: false, ..csv() });
    let (json, csv) = (Format::Json(json()), Format::Csv(csv()));
    let plain = SchemaOptions::default();
    for (name, format, options, values, expected) in [
        ("prefersDecimal=false", &json, &floats, "[1.5]", "DOUBLE"),
        ("prefersDecimal=false, whole numbers", &json, &floats, "[1]", "BIGINT"),
        ("inferTimestamp: days", &json, &times, "[\"2026-11-23\"]", "DATE"),
        ("inferTimestamp: moments", &json, &times, "[\"2026-11-23T01:02:03Z\"]", "TIMESTAMP"),
        (
            "inferTimestamp: days and moments",
            &json,
            &times,
            "[\"2026-11-23\", \"2026-11-23T01:02:03Z\"]",
            "TIMESTAMP",
        ),
        ("inferTimestamp: days and text", &json, &times, "[\"2026-11-23\", \"n/a\"]", "STRING"),
        ("primitivesAsString", &text, &times, "[1]", "STRING"),
        (
            "primitivesAsString keeps the shape",
            &text,
            &times,
            "[{\"a\": 1, \"b\": [true], \"c\": \"2026-11-23\"}]",
            "STRUCT<a: STRING, b: ARRAY<STRING>, c: STRING>",
        ),
        ("dropFieldIfAllNull", &dropping, &times, "[null]", "left out"),
        ("dropFieldIfAllNull: empty lists", &dropping, &times, "[[]]", "left out"),
        ("dropFieldIfAllNull: empty objects", &dropping, &times, "[{\"a\": null}]", "left out"),
        (
            "dropFieldIfAllNull: a member",
            &dropping,
            &times,
            "[{\"a\": null, \"b\": 1}]",
            "STRUCT<b: BIGINT>",
        ),
        ("dropFieldIfAllNull without inference", &dropping, &plain, "[{\"a\": null}]", "left out"),
        ("dropFieldIfAllNull without inference, a value", &dropping, &plain, "[1]", "STRING"),
        ("CSV infers days without inferTimestamp", &csv, &inferring(), "[\"2026-11-23\"]", "DATE"),
        ("preferDate=false", &moments, &inferring(), "[\"2026-11-23\"]", "TIMESTAMP"),
    ] {
        check(name, format, options, values, expected);
    }
}

#[test]
fn formats_with_types_need_no_inference() {
    let observed = Observed::List(Box::new(Observed::Typed(DataType::Int32)));
    for format in [Format::Parquet, Format::Avro] {
        let found = observed.to_type(&TypeRules::new(&format, &SchemaOptions::default()));
        assert_eq!(found, Some(list_of(DataType::Int32)));
    }
}
