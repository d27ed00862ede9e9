//! Schemas of samples: order, casing, partitions, hints, and names that are ours.

use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::files::{
    options::JsonOptions,
    schema::{
        ddl::{field_text, parse_fields, parse_hints},
        observed::tests::any_observed,
        observing::Iso,
        typing::tests::{csv, inferring, json},
    },
};

fn file(path: &str, record: &str) -> FileObservation {
    let file = SampledFile { path: path.to_owned(), etag: Some("1".to_owned()) };
    FileObservation { file, observed: Observed::of_json(record, &Iso).unwrap(), order: None }
}

fn ordered(path: &str, columns: &str) -> FileObservation {
    let order = parse_fields(columns).unwrap();
    let observed = Observed::of_type(&DataType::Struct(order.clone()));
    FileObservation { observed, order: Some(order), ..file(path, "{}") }
}

fn shown(result: &Result<SchemaVersion, InferError>) -> String {
    match result {
        Ok(schema) => {
            schema.columns.iter().map(|column| field_text(column)).collect::<Vec<_>>().join(", ")
        }
        Err(error) => format!("error: {error}"),
    }
}

fn hinted(hints: &str, options: SchemaOptions) -> SchemaOptions {
    SchemaOptions { hints: parse_hints(hints).unwrap(), ..options }
}

#[test]
fn columns_of_json_come_by_name_and_hold_every_file() {
    for (name, files, expected) in [
        ("by name", vec![file("1", r#"{"b": 1, "a": "x"}"#)], "a STRING, b BIGINT"),
        (
            "every file's columns",
            vec![file("1", r#"{"b": 1}"#), file("2", r#"{"a": true}"#)],
            "a BOOLEAN, b BIGINT",
        ),
        (
            "the wider of two types",
            vec![file("1", r#"{"a": 1}"#), file("2", r#"{"a": 1.5}"#)],
            "a DECIMAL(18,6)",
        ),
        (
            "types without a common one are text",
            vec![file("1", r#"{"a": 1}"#), file("2", r#"{"a": "x"}"#)],
            "a STRING",
        ),
        (
            "structs of every file",
            vec![file("1", r#"{"a": {"b": 1}}"#), file("2", r#"{"a": {"c": [2]}}"#)],
            "a STRUCT<b: BIGINT, c: ARRAY<BIGINT>>",
        ),
        (
            "abc and Abc are one column",
            vec![file("1", r#"{"abc": 1}"#), file("2", r#"{"Abc": 1.5}"#)],
            "Abc DECIMAL(18,6)",
        ),
        ("nulls are text", vec![file("1", r#"{"a": null}"#)], "a STRING"),
        (
            "a file without records adds nothing",
            vec![file("1", "null"), file("2", r#"{"a": 1}"#)],
            "a BIGINT",
        ),
    ] {
        let reversed: Vec<_> = files.iter().rev().cloned().collect();
        let (format, options) = (Format::Json(json()), inferring());
        assert_eq!(shown(&infer(&files, &format, &options)), expected, "{name}");
        assert_eq!(shown(&infer(&reversed, &format, &options)), expected, "{name}, reversed");
    }
}

#[test]
fn columns_of_other_formats_come_in_the_files_order() {
    let typed = |text| ordered("1", text);
    for (name, files, expected) in [
        ("as in the file", vec![typed("b INT, a STRING")], "b INT, a STRING"),
        (
            "the smallest path's first, then what others add",
            vec![ordered("2", "a INT, c INT, d INT"), ordered("1", "c INT, b INT")],
            "c INT, b INT, a INT, d INT",
        ),
        (
            "inside of structs, lists and maps too",
            vec![typed(
                "z STRUCT<y: INT, x: INT>, l ARRAY<STRUCT<q: INT, p: INT>>, m MAP<STRING, STRUCT<v: INT, u: INT>>",
            )],
            "z STRUCT<y: INT, x: INT>, l ARRAY<STRUCT<q: INT, p: INT>>, m MAP<STRING, STRUCT<v: INT, u: INT>>",
        ),
        ("wider types of later files", vec![typed("a INT"), ordered("2", "a BIGINT")], "a BIGINT"),
        ("types that conflict", vec![typed("a BIGINT"), ordered("2", "a DOUBLE")], "a STRING"),
    ] {
        // Parquet has types without `inferColumnTypes`.
        let found = infer(&files, &Format::Parquet, &SchemaOptions::default());
        assert_eq!(shown(&found), expected, "{name}");
    }
    let header = FileObservation {
        order: Some(parse_fields("symbol STRING, price STRING, day STRING").unwrap()),
        ..file("1", r#"{"day": "2026-11-23", "price": 189.43, "symbol": "AAPL"}"#)
    };
    let found = infer(&[header], &Format::Csv(csv()), &inferring());
    assert_eq!(shown(&found), "symbol STRING, price DECIMAL(18,6), day DATE", "CSV by header");
}

#[test]
fn formats_of_fixed_columns_infer_nothing() {
    let single = JsonOptions { single_column: Some("document".to_owned()), ..json() };
    for (name, format, expected) in [
        (
            "text",
            Format::Text { is_whole: false, line_sep: None, encoding: encoding_rs::UTF_8 },
            "value STRING, y STRING",
        ),
        (
            "binary",
            Format::Binary,
            "path STRING, modificationTime TIMESTAMP, length BIGINT, content BINARY, y STRING",
        ),
        ("singleVariantColumn", Format::Json(single), "document STRING, y STRING"),
    ] {
        let files = [file("y=1/f", r#"{"a": 1}"#)];
        assert_eq!(shown(&infer(&files, &format, &SchemaOptions::default())), expected, "{name}");
    }
}

#[test]
fn columns_of_the_path_come_last_and_win() {
    let files = [file("y=2026/m=11/f", r#"{"z": 1, "Y": "x"}"#)];
    let named = |names: &[&str]| SchemaOptions {
        partition_columns: PartitionColumns::Named(names.iter().map(|&name| name.into()).collect()),
        ..inferring()
    };
    for (name, options, expected) in [
        ("found", inferring(), "z BIGINT, y INT, m INT"),
        ("text without inference", SchemaOptions::default(), "z STRING, y STRING, m STRING"),
        ("named", named(&["m"]), "Y STRING, z BIGINT, m INT"),
        ("named and missing", named(&["m", "d"]), "Y STRING, z BIGINT, m INT, d STRING"),
        ("ignored", named(&[]), "Y STRING, z BIGINT"),
        ("hinted", hinted("y STRING, M BIGINT", inferring()), "z BIGINT, y STRING, M BIGINT"),
    ] {
        assert_eq!(shown(&infer(&files, &Format::Json(json()), &options)), expected, "{name}");
    }
    let found = infer(&files, &Format::Json(json()), &inferring()).unwrap();
    assert_eq!(found.partition_columns, ["y", "m"]);
    assert_eq!(found.read_schema(&inferring()).columns.fields().len(), 1, "readers read data");
}

#[test]
fn hints_set_types_at_any_depth_and_add_columns() {
    let record = r#"{"a": 1, "s": {"x": 1, "y": "t"}, "l": [1], "o": [{"p": 1}], "n": null}"#;
    let columns = "a BIGINT, l ARRAY<BIGINT>, n STRING, o ARRAY<STRUCT<p: BIGINT>>, s STRUCT<x: BIGINT, y: STRING>";
    for (name, hints, expected) in [
        ("a column", "a INT", columns.replace("a BIGINT,", "a INT,")),
        ("a column's spelling", "A INT", columns.replace("a BIGINT,", "A INT,")),
        ("a new column", "b DATE", format!("{columns}, b DATE")),
        ("a member", "s.x INT", columns.replace("x: BIGINT", "x: INT")),
        ("a new member", "s.z INT", columns.replace("y: STRING", "y: STRING, z: INT")),
        ("elements", "l.element INT", columns.replace("l ARRAY<BIGINT>", "l ARRAY<INT>")),
        ("a member of elements", "o.element.p INT", columns.replace("p: BIGINT", "p: INT")),
        (
            "a whole struct",
            "s STRUCT<x: DATE>",
            columns.replace("s STRUCT<x: BIGINT, y: STRING>", "s STRUCT<x: DATE>"),
        ),
        (
            "a map instead of a struct",
            "s MAP<STRING, STRING>",
            columns.replace("s STRUCT<x: BIGINT, y: STRING>", "s MAP<STRING, STRING>"),
        ),
        ("a member of what was null", "n.k INT", columns.replace("n STRING", "n STRUCT<k: INT>")),
        ("a new array", "t.element INT", format!("{columns}, t ARRAY<INT>")),
        ("a new map", "t.key INT, t.value DATE", format!("{columns}, t MAP<INT, DATE>")),
        (
            "a new map of structs",
            "t.value.d FLOAT",
            format!("{columns}, t MAP<STRING, STRUCT<d: FLOAT>>"),
        ),
        (
            "an array without its element",
            "l.p INT",
            "error: schema hint `l.p` leads nowhere: expected `element`, since it is an array"
                .to_owned(),
        ),
    ] {
        let options = hinted(hints, inferring());
        let found = infer(&[file("1", record)], &Format::Json(json()), &options);
        assert_eq!(shown(&found), expected, "{name}: {hints}");
    }
    let maps = hinted("m.element INT", inferring());
    let found = infer(&[ordered("1", "m MAP<STRING, INT>")], &Format::Parquet, &maps);
    assert!(shown(&found).ends_with("expected `key` or `value`, since it is a map"));
    let typed = hinted("m.key BINARY, m.value LONG", inferring());
    let found = infer(&[ordered("1", "m MAP<STRING, INT>")], &Format::Parquet, &typed);
    assert_eq!(shown(&found), "m MAP<BINARY, BIGINT>");
}

#[test]
fn a_hint_inside_a_column_shows_its_shape_without_inference() {
    let files = [file("1", r#"{"user": {"name": "x", "dob": "2000-01-01"}, "other": {"a": 1}}"#)];
    let options = hinted("user.dob DATE", SchemaOptions::default());
    let found = infer(&files, &Format::Json(json()), &options);
    assert_eq!(shown(&found), "other STRING, user STRUCT<dob: DATE, name: STRING>");
}

#[test]
fn refuses_what_makes_no_schema() {
    let renamed = SchemaOptions { rescued_column: Some("_rest".to_owned()), ..inferring() };
    let unnamed = SchemaOptions { metadata_column: None, ..inferring() };
    for (name, files, options, expected) in [
        ("no file", vec![], inferring(), "there is no file to infer a schema from"),
        (
            "no file, whatever the hints say",
            vec![],
            hinted("a INT", inferring()),
            "there is no file to infer a schema from",
        ),
        ("no column", vec![file("1", "{}")], inferring(), "none of the 1 files"),
        ("records that are no objects", vec![file("1", "5")], inferring(), "none of the 1 files"),
        ("only a path", vec![file("y=1/f", "{}")], inferring(), "none of the 1 files"),
        (
            "a column of our name",
            vec![file("1", r#"{"_Rescued_Data": 1}"#)],
            inferring(),
            "a column `_Rescued_Data`, which is also the name of a column that the loader adds; give that one another name with `rescuedDataColumn`",
        ),
        (
            "metadata",
            vec![file("1", r#"{"_metadata": 1}"#)],
            inferring(),
            "another name with `metadataColumn`",
        ),
        ("a path of our name", vec![file("_rest=1/f", r#"{"a": 1}"#)], renamed.clone(), "`_rest`"),
    ] {
        let found = shown(&infer(&files, &Format::Json(json()), &options));
        assert!(found.starts_with("error: ") && found.contains(expected), "{name}: {found}");
    }
    for (record, options) in
        [(r#"{"_rescued_data": 1}"#, renamed), (r#"{"_metadata": 1}"#, unnamed)]
    {
        assert!(infer(&[file("1", record)], &Format::Json(json()), &options).is_ok(), "{record}");
    }
    let found = infer(&[file("1", "{}")], &Format::Json(json()), &hinted("a INT", inferring()));
    assert_eq!(shown(&found), "a INT", "a hint makes a column");
}

#[test]
fn a_given_schema_is_taken_as_it_is() {
    let given_with = |schema: &str, partitions, paths: &[&str]| {
        let schema = arrow::datatypes::Schema::new(parse_fields(schema).unwrap());
        let options = SchemaOptions { partition_columns: partitions, ..SchemaOptions::default() };
        given(&schema.into(), paths.iter().copied(), &Format::Json(json()), &options)
            .map(|schema| schema.partition_columns.join(","))
            .map_err(|error| error.to_string())
    };
    let named = |name: &str| PartitionColumns::Named(vec![name.to_owned()]);
    let found = PartitionColumns::Inferred;
    let paths = &["y=1/m=2/f"];
    assert_eq!(given_with("a INT, Y INT", found.clone(), paths), Ok("Y".to_owned()));
    assert_eq!(given_with("a INT", found.clone(), paths), Ok(String::new()));
    assert_eq!(given_with("a INT, m INT", named("m"), &[]), Ok("m".to_owned()));
    assert!(given_with("a INT", named("m"), paths).unwrap_err().contains("add it there"));
    assert!(given_with("_metadata INT", found, paths).unwrap_err().contains("`metadataColumn`"));
}

#[test]
fn a_given_schema_of_text_has_one_column_of_text() {
    let text = Format::Text { is_whole: false, line_sep: None, encoding: encoding_rs::UTF_8 };
    let one = "text files have one column, of type STRING, and the given schema has ";
    for (name, schema, path, expected) in [
        ("its own column", "value STRING", "f", Ok("")),
        ("by another name", "line STRING", "f", Ok("")),
        ("beside the path's", "value STRING, year INT", "year=2026/f", Ok("year")),
        ("the path's alone", "year INT", "year=2026/f", Ok("year")),
        ("two", "value STRING, other STRING", "f", Err("value STRING, other STRING;")),
        ("another type", "value INT", "f", Err("value INT;")),
        ("bytes", "value BINARY", "f", Err("value BINARY;")),
        ("no path spells it", "value STRING, year INT", "f", Err("value STRING, year INT;")),
    ] {
        let schema = Arc::new(arrow::datatypes::Schema::new(parse_fields(schema).unwrap()));
        let options = SchemaOptions::default();
        let found = given(&schema, [path].into_iter(), &text, &options);
        match (found, expected) {
            (Ok(found), expected) => {
                assert_eq!(Ok(&*found.partition_columns.join(",")), expected, "{name}");
            }
            (Err(found), Err(expected)) => {
                let found = found.to_string();
                assert!(found.starts_with(&format!("{one}{expected}")), "{name}: {found}");
            }
            (Err(found), Ok(_)) => panic!("{name}: {found}"),
        }
        assert!(given(&schema, [path].into_iter(), &Format::Json(json()), &options).is_ok());
    }
}

#[test]
fn the_sample_is_kept_with_the_version() {
    let files = [file("2", r#"{"a": 1}"#), file("1", r#"{"a": 1}"#)];
    let found = infer(&files, &Format::Json(json()), &inferring()).unwrap();
    let paths: Vec<_> = found.sample.iter().map(|file| file.path.as_str()).collect();
    assert_eq!((found.version, paths), (1, vec!["1", "2"]));
    assert_eq!(found.sample[0].etag.as_deref(), Some("1"));
}

proptest! {
    #[test]
    fn order_decides_nothing(
        (observed, shuffled) in proptest::collection::vec(any_observed(), 0..6)
            .prop_map(|observed| observed.into_iter().enumerate().collect::<Vec<_>>())
            .prop_flat_map(|observed| (Just(observed.clone()), Just(observed).prop_shuffle())),
    ) {
        let files = |observed: Vec<(usize, Observed)>| {
            let file = |(at, observed): (usize, Observed)| {
                let members = [("m".to_owned(), observed)].into();
                FileObservation { observed: Observed::Object(members), ..file(&format!("p={at}/f"), "{}") }
            };
            observed.into_iter().map(file).collect::<Vec<_>>()
        };
        let format = Format::Json(json());
        let found = infer(&files(observed), &format, &inferring());
        prop_assert_eq!(&found, &infer(&files(shuffled), &format, &inferring()));
        if let Ok(found) = found {
            // What is inferred can be written, and read back the same.
            let text = serde_json::to_string(&found).unwrap();
            prop_assert_eq!(serde_json::from_str::<SchemaVersion>(&text).unwrap(), found);
        }
    }
}
