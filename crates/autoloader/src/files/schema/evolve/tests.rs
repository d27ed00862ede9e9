//! What each evolution mode does with each kind of difference: Auto Loader's semantics, and ours.

use std::sync::Arc;

use arrow::datatypes::Schema;
use proptest::prelude::*;

use super::*;
use crate::files::schema::{
    ddl::{field_text, parse_fields, parse_path},
    observed::tests::any_observed,
    observing::Iso,
    typing::tests::{csv, inferring, json},
};
use EvolutionMode::{
    AddNewColumns, AddNewColumnsWithTypeWidening, Evolve, FailOnNewColumns, None as Ignore, Rescue,
};

pub(in crate::files::schema) fn version(columns: &str) -> SchemaVersion {
    SchemaVersion {
        version: 3,
        columns: parse_fields(columns).unwrap(),
        hinted: vec![],
        partition_columns: vec![],
        sample: vec![],
    }
}

fn json_seen(text: &str) -> Observed {
    Observed::of_json(text, &Iso).unwrap()
}

fn typed_seen(columns: &str) -> Observed {
    Observed::of_type(&DataType::Struct(parse_fields(columns).unwrap()))
}

fn in_mode(evolution: EvolutionMode) -> SchemaOptions {
    SchemaOptions { evolution, ..inferring() }
}

fn columns(schema: &SchemaVersion) -> String {
    schema.columns.iter().map(|column| field_text(column)).collect::<Vec<_>>().join(", ")
}

fn shown(evolution: &Evolution) -> String {
    match evolution {
        Evolution::Keep => "keep".to_owned(),
        Evolution::New { schema, must_stop, .. } => {
            format!("{}: {}", if *must_stop { "stop" } else { "go on" }, columns(schema))
        }
        Evolution::Fail { .. } => "fail".to_owned(),
    }
}

/// What a mode decides about JSON.
#[track_caller]
fn check(name: &str, mode: EvolutionMode, current: &str, seen: &str, expected: &str) {
    let decided =
        decide(&version(current), &json_seen(seen), &Format::Json(json()), &in_mode(mode));
    assert_eq!(shown(&decided), expected, "{name}, {}", mode.as_str());
}

#[test]
fn each_mode_does_its_own_with_each_difference() {
    const FITS: &str = r#"{"a": 7}"#;
    const NEW: &str = r#"{"b": 1.5}"#;
    const MEMBER: &str = r#"{"s": {"y": true}}"#;
    const WIDER: &str = r#"{"a": 3000000000}"#;
    const BOTH: &str = r#"{"a": 3000000000, "b": "x"}"#;
    const UNFIT: &str = r#"{"a": "x"}"#;
    const CASE: &str = r#"{"A": 1}"#;
    for (name, seen, mode, expected) in [
        ("all fits", FITS, AddNewColumns, "keep"),
        ("all fits", FITS, AddNewColumnsWithTypeWidening, "keep"),
        ("all fits", FITS, FailOnNewColumns, "keep"),
        ("all fits", FITS, Evolve, "keep"),
        ("new column", NEW, AddNewColumns, "stop: a INT, s STRUCT<x: INT>, b DECIMAL(18,6)"),
        (
            "new column",
            NEW,
            AddNewColumnsWithTypeWidening,
            "stop: a INT, s STRUCT<x: INT>, b DECIMAL(18,6)",
        ),
        ("new column", NEW, Rescue, "keep"),
        ("new column", NEW, FailOnNewColumns, "fail"),
        ("new column", NEW, Ignore, "keep"),
        ("new column", NEW, Evolve, "go on: a INT, s STRUCT<x: INT>, b DECIMAL(18,6)"),
        ("new member", MEMBER, AddNewColumns, "stop: a INT, s STRUCT<x: INT, y: BOOLEAN>"),
        (
            "new member",
            MEMBER,
            AddNewColumnsWithTypeWidening,
            "stop: a INT, s STRUCT<x: INT, y: BOOLEAN>",
        ),
        ("new member", MEMBER, Rescue, "keep"),
        ("new member", MEMBER, FailOnNewColumns, "fail"),
        ("new member", MEMBER, Ignore, "keep"),
        ("new member", MEMBER, Evolve, "go on: a INT, s STRUCT<x: INT, y: BOOLEAN>"),
        ("wider value", WIDER, AddNewColumns, "keep"),
        ("wider value", WIDER, AddNewColumnsWithTypeWidening, "stop: a BIGINT, s STRUCT<x: INT>"),
        ("wider value: rescue freezes even widenings", WIDER, Rescue, "keep"),
        ("wider value", WIDER, FailOnNewColumns, "keep"),
        ("wider value", WIDER, Ignore, "keep"),
        ("wider value", WIDER, Evolve, "go on: a BIGINT, s STRUCT<x: INT>"),
        (
            "both: existing types unchanged",
            BOTH,
            AddNewColumns,
            "stop: a INT, s STRUCT<x: INT>, b STRING",
        ),
        ("both", BOTH, AddNewColumnsWithTypeWidening, "stop: a BIGINT, s STRUCT<x: INT>, b STRING"),
        ("both", BOTH, Rescue, "keep"),
        ("both", BOTH, FailOnNewColumns, "fail"),
        ("both", BOTH, Ignore, "keep"),
        ("both", BOTH, Evolve, "go on: a BIGINT, s STRUCT<x: INT>, b STRING"),
        ("int to string is rescued", UNFIT, AddNewColumns, "keep"),
        ("int to string is rescued", UNFIT, AddNewColumnsWithTypeWidening, "keep"),
        ("int to string is rescued", UNFIT, Rescue, "keep"),
        ("a mismatch is no new column", UNFIT, FailOnNewColumns, "keep"),
        ("int to string is rescued", UNFIT, Ignore, "keep"),
        ("int to string is rescued", UNFIT, Evolve, "keep"),
        ("another case is rescued", CASE, AddNewColumns, "keep"),
        ("another case is rescued", CASE, AddNewColumnsWithTypeWidening, "keep"),
        ("another case is rescued", CASE, Rescue, "keep"),
        ("another case is no new column", CASE, FailOnNewColumns, "keep"),
        ("another case is ignored", CASE, Ignore, "keep"),
        ("another case is rescued", CASE, Evolve, "keep"),
    ] {
        check(name, mode, "a INT, s STRUCT<x: INT>", seen, expected);
    }
}

#[test]
fn new_columns_come_last_by_name() {
    for (name, current, seen, expected) in [
        ("last", "z INT, a INT", r#"{"c": 1, "b": 1}"#, "z INT, a INT, b BIGINT, c BIGINT"),
        ("one for all spellings", "z INT", r#"{"abc": 1, "Abc": 1.5}"#, "z INT, Abc DECIMAL(18,6)"),
        (
            "of objects",
            "z INT",
            r#"{"o": {"b": 1, "a": [1]}}"#,
            "z INT, o STRUCT<a: ARRAY<BIGINT>, b: BIGINT>",
        ),
        (
            "inside of lists",
            "l ARRAY<STRUCT<a: INT>>",
            r#"{"l": [{"b": 1}]}"#,
            "l ARRAY<STRUCT<a: INT, b: BIGINT>>",
        ),
        (
            "inside of maps",
            "m MAP<STRING, STRUCT<a: INT>>",
            r#"{"m": {"k": {"b": 1}}}"#,
            "m MAP<STRING, STRUCT<a: INT, b: BIGINT>>",
        ),
        (
            "deep inside",
            "a STRUCT<b: STRUCT<c: INT>>",
            r#"{"a": {"b": {"d": 1}}}"#,
            "a STRUCT<b: STRUCT<c: INT, d: BIGINT>>",
        ),
        ("nulls only, in Auto Loader's modes", "z INT", r#"{"b": null}"#, "z INT, b STRING"),
    ] {
        check(name, AddNewColumns, current, seen, &format!("stop: {expected}"));
    }
    check("a name that is none", AddNewColumns, "z INT", r#"{"": 1}"#, "keep");
    check("nulls only wait for a value", Evolve, "z INT", r#"{"b": null, "c": []}"#, "keep");
    check(
        "a value next to nulls",
        Evolve,
        "z INT",
        r#"{"b": null, "c": 1}"#,
        "go on: z INT, c BIGINT",
    );
}

#[test]
fn without_inference_new_columns_are_text() {
    let options = SchemaOptions::default();
    for format in [Format::Json(json()), Format::Csv(csv())] {
        let decided =
            decide(&version("a STRING"), &json_seen(r#"{"b": {"c": 1}}"#), &format, &options);
        assert_eq!(shown(&decided), "stop: a STRING, b STRING");
    }
}

#[test]
fn values_widen_as_far_as_they_need() {
    for (name, current, seen, expected) in [
        ("a byte is enough for 2 digits", "a BYTE", r#"{"a": 99}"#, ""),
        ("a byte may be too small for 3", "a BYTE", r#"{"a": 100}"#, "a BIGINT"),
        ("a short is enough for 4", "a SHORT", r#"{"a": -9999}"#, ""),
        ("an int is enough for 9", "a INT", r#"{"a": 999999999}"#, ""),
        ("an int may be too small for 10", "a INT", r#"{"a": 4000000000}"#, "a BIGINT"),
        ("a long is enough", "a LONG", r#"{"a": 9223372036854775807}"#, ""),
        ("a long is too small", "a LONG", r#"{"a": 9223372036854775808}"#, "a DECIMAL(20,0)"),
        ("thirty digits", "a LONG", r#"{"a": 123456789012345678901234567890}"#, "a DECIMAL(30,0)"),
        ("an int and a price", "a INT", r#"{"a": 1.5}"#, "a DECIMAL(18,6)"),
        ("a long and a price", "a LONG", r#"{"a": 1.5}"#, "a DECIMAL(26,6)"),
        ("an int and a float", "a INT", r#"{"a": 1e5}"#, "a DOUBLE"),
        ("a long and a float: never", "a LONG", r#"{"a": 1e5}"#, ""),
        ("a price that fits", "a DECIMAL(18,6)", r#"{"a": 189.43}"#, ""),
        ("more digits behind", "a DECIMAL(18,6)", r#"{"a": 1.1234567}"#, "a DECIMAL(19,7)"),
        ("more digits in front", "a DECIMAL(18,6)", r#"{"a": 1234567890123}"#, "a DECIMAL(19,6)"),
        ("too many digits", "a DECIMAL(38,6)", r#"{"a": 1.1234567}"#, ""),
        ("a decimal and a float: never", "a DECIMAL(18,6)", r#"{"a": 1e5}"#, ""),
        ("a double takes every number", "a DOUBLE", r#"{"a": 12345678901234567890}"#, ""),
        ("text takes everything", "a STRING", r#"{"a": {"b": 1}}"#, ""),
        ("a moment takes days", "a TIMESTAMP", r#"{"a": "2026-11-23"}"#, ""),
        ("a day does not take moments", "a DATE", r#"{"a": "2026-11-23T01:02:03Z"}"#, ""),
        ("truth does not take numbers", "a BOOLEAN", r#"{"a": 1}"#, ""),
        (
            "inside of structs",
            "s STRUCT<a: INT>",
            r#"{"s": {"a": 1.5}}"#,
            "s STRUCT<a: DECIMAL(18,6)>",
        ),
        ("inside of lists", "l ARRAY<INT>", r#"{"l": [1, 4000000000]}"#, "l ARRAY<BIGINT>"),
        (
            "inside of maps",
            "m MAP<STRING, INT>",
            r#"{"m": {"k": 4000000000}}"#,
            "m MAP<STRING, BIGINT>",
        ),
        ("a list for a number", "a INT", r#"{"a": [1]}"#, ""),
        ("an object for a list", "l ARRAY<INT>", r#"{"l": {"a": 1}}"#, ""),
        ("null fits everything", "a INT", r#"{"a": null}"#, ""),
    ] {
        let expected =
            if expected.is_empty() { "keep".to_owned() } else { format!("stop: {expected}") };
        check(name, AddNewColumnsWithTypeWidening, current, seen, &expected);
        check(name, Evolve, current, seen, &expected.replace("stop", "go on"));
        check(name, AddNewColumns, current, seen, "keep");
    }
}

#[test]
fn doubles_are_preferred_where_decimals_are_not() {
    let options = SchemaOptions { prefers_decimal: false, ..in_mode(Evolve) };
    for (name, current, expected) in [
        ("an int", "a INT", "go on: a DOUBLE"),
        ("a long: never", "a LONG", "keep"),
        ("a decimal keeps to decimals", "a DECIMAL(4,2)", "go on: a DECIMAL(7,5)"),
    ] {
        let seen = json_seen(r#"{"a": 1.12345}"#);
        let decided = decide(&version(current), &seen, &Format::Json(json()), &options);
        assert_eq!(shown(&decided), expected, "{name}");
    }
}

#[test]
fn files_that_name_their_types_widen_by_them() {
    for (name, format, current, seen, expected) in [
        ("int and decimal", Format::Parquet, "a INT", "a DECIMAL(5,2)", "go on: a DECIMAL(12,2)"),
        ("decimal and int", Format::Avro, "a DECIMAL(5,2)", "a INT", "go on: a DECIMAL(12,2)"),
        ("float and double", Format::Avro, "a FLOAT", "a DOUBLE", "go on: a DOUBLE"),
        ("long and double", Format::Parquet, "a LONG", "a DOUBLE", "keep"),
        ("a narrower type", Format::Parquet, "a LONG", "a INT", "keep"),
        ("the same type", Format::Parquet, "a BINARY", "a BINARY", "keep"),
        (
            "a day in Parquet",
            Format::Parquet,
            "a DATE",
            "a TIMESTAMP_NTZ",
            "go on: a TIMESTAMP_NTZ",
        ),
        ("a day in Avro", Format::Avro, "a DATE", "a TIMESTAMP_NTZ", "keep"),
        (
            "a value of a map",
            Format::Parquet,
            "m MAP<STRING, INT>",
            "m MAP<STRING, LONG>",
            "go on: m MAP<STRING, BIGINT>",
        ),
        ("a new column", Format::Parquet, "a INT", "b FLOAT", "go on: a INT, b FLOAT"),
    ] {
        let options = SchemaOptions { evolution: Evolve, ..SchemaOptions::default() };
        let decided = decide(&version(current), &typed_seen(seen), &format, &options);
        assert_eq!(shown(&decided), expected, "{name}");
    }
}

#[test]
fn hinted_columns_never_widen() {
    for (name, hint, current, seen, expected) in [
        (
            "a column",
            "a",
            "a INT, b INT",
            r#"{"a": 4000000000, "b": 4000000000}"#,
            "go on: a INT, b BIGINT",
        ),
        ("in another case", "A", "a INT", r#"{"a": 4000000000}"#, "keep"),
        ("a member", "s.x", "s STRUCT<x: INT>", r#"{"s": {"x": 4000000000}}"#, "keep"),
        ("all inside", "s", "s STRUCT<x: INT>", r#"{"s": {"x": 4000000000}}"#, "keep"),
        ("an element", "l.element", "l ARRAY<INT>", r#"{"l": [4000000000]}"#, "keep"),
        (
            "not its neighbour",
            "s.x",
            "s STRUCT<x: INT, y: INT>",
            r#"{"s": {"y": 4000000000}}"#,
            "go on: s STRUCT<x: INT, y: BIGINT>",
        ),
        (
            "but grow new members",
            "s",
            "s STRUCT<x: INT>",
            r#"{"s": {"y": 1}}"#,
            "go on: s STRUCT<x: INT, y: BIGINT>",
        ),
    ] {
        let current = SchemaVersion { hinted: vec![parse_path(hint).unwrap()], ..version(current) };
        let decided = decide(&current, &json_seen(seen), &Format::Json(json()), &in_mode(Evolve));
        assert_eq!(shown(&decided), expected, "{name}");
    }
}

#[test]
fn case_counts_only_where_it_is_asked_for() {
    let decided = |is_case_sensitive, seen| {
        let options = SchemaOptions { is_case_sensitive, ..in_mode(Evolve) };
        shown(&decide(&version("close INT"), &json_seen(seen), &Format::Json(json()), &options))
    };
    assert_eq!(decided(true, r#"{"Close": 4000000000}"#), "keep", "rescued");
    assert_eq!(decided(false, r#"{"Close": 4000000000}"#), "go on: close BIGINT");
    assert_eq!(decided(false, r#"{"Close": 1, "CLOSE": 1.5}"#), "go on: close DECIMAL(18,6)");
}

#[test]
fn what_is_ours_or_the_paths_is_no_column() {
    let current =
        SchemaVersion { partition_columns: vec!["y".to_owned()], ..version("a INT, y INT") };
    let seen = json_seen(r#"{"Y": "x", "_rescued_data": 1, "_METADATA": {}}"#);
    for mode in MODES {
        let decided = decide(&current, &seen, &Format::Json(json()), &in_mode(mode));
        assert_eq!(shown(&decided), "keep", "{}", mode.as_str());
    }
}

#[test]
fn a_given_schema_is_not_changed_by_auto_loaders_modes() {
    let seen = json_seen(r#"{"b": 1}"#);
    for (mode, expected) in [
        (AddNewColumns, "fail"),
        (AddNewColumnsWithTypeWidening, "fail"),
        (Rescue, "keep"),
        (FailOnNewColumns, "fail"),
        (Ignore, "keep"),
        (Evolve, "go on: a INT, b BIGINT"),
    ] {
        let given = Some(Arc::new(Schema::empty()));
        let options = SchemaOptions { given, ..in_mode(mode) };
        let decided = decide(&version("a INT"), &seen, &Format::Json(json()), &options);
        assert_eq!(shown(&decided), expected, "{}", mode.as_str());
        if mode == AddNewColumns {
            let text = decided.stop_text().unwrap();
            assert!(text.contains("`addNewColumns` cannot change a given schema"), "{text}");
        }
    }
}

#[test]
fn a_stop_says_why_and_what_to_do() {
    let decided = |mode| {
        let seen = json_seen(r#"{"a": 4000000000, "b": 1, "s": {"last price": 1.5}}"#);
        let current = version("a INT, s STRUCT<x: INT>");
        decide(&current, &seen, &Format::Json(json()), &in_mode(mode))
    };
    assert_eq!(
        decided(AddNewColumnsWithTypeWidening).stop_text().unwrap(),
        "the files do not fit the schema: `a INT → BIGINT`, `s.`last price` DECIMAL(18,6)`, `b BIGINT`; version 4 of the schema has it, and the next start goes on with that (Auto Loader: UnknownFieldException)"
    );
    assert_eq!(
        decided(FailOnNewColumns).stop_text().unwrap(),
        "the files have columns that the schema does not: `s.`last price` DECIMAL(18,6)`, `b BIGINT`; add them to `schema` or `schemaHints`, remove the files that have them, or choose another `cloudFiles.schemaEvolutionMode`"
    );
    assert_eq!(decided(Evolve).stop_text(), None);
    assert_eq!(decided(Rescue).stop_text(), None);

    let many: Vec<_> = (0..100).map(|at| format!("\"c{at:02}\": 1")).collect();
    let seen = json_seen(&format!("{{{}}}", many.join(",")));
    let text = decide(&version("a INT"), &seen, &Format::Json(json()), &in_mode(AddNewColumns));
    assert!(text.stop_text().unwrap().contains("`c19 BIGINT`, and 80 more;"));
}

proptest! {
    #[test]
    fn whoever_grew_has_nothing_left_to_grow(
        members in proptest::collection::btree_map("[abAB]", any_observed(), 0..4),
        more in proptest::collection::btree_map("[abAB]", any_observed(), 0..4),
        is_parquet in any::<bool>(),
        is_case_sensitive in any::<bool>(),
    ) {
        let format = if is_parquet { Format::Parquet } else { Format::Json(json()) };
        let mut current = version("z INT");
        for members in [members, more] {
            let seen = Observed::Object(members);
            for mode in MODES {
                let options = SchemaOptions { is_case_sensitive, ..in_mode(mode) };
                let decided = decide(&current, &seen, &format, &options);
                let Evolution::New { schema, changes, .. } = decided else { continue };
                prop_assert!(!changes.is_empty());
                prop_assert_eq!(schema.version, current.version + 1);
                // Columns keep their places and names.
                let names = |schema: &SchemaVersion| {
                    schema.columns.iter().map(|column| column.name().clone()).collect::<Vec<_>>()
                };
                prop_assert!(names(&schema).starts_with(&names(&current)));
                let again = decide(&schema, &seen, &format, &options);
                prop_assert_eq!(again, Evolution::Keep);
                // What grew can be written, and read back the same.
                let text = serde_json::to_string(&schema).unwrap();
                prop_assert_eq!(&serde_json::from_str::<SchemaVersion>(&text).unwrap(), &schema);
                if mode == Evolve {
                    current = schema;
                }
            }
        }
    }
}
