//! What becomes of types that differ, without any file.

use std::sync::Arc;

use arrow::{
    array::{
        ArrayRef, BinaryArray, Date32Array, Decimal128Array, FixedSizeBinaryArray, Float32Array,
        Float64Array, Int8Array, Int32Array, Int64Array, ListArray, NullArray, StringArray,
        StringViewArray, Time64MicrosecondArray, TimestampMicrosecondArray,
        TimestampMillisecondArray, TimestampNanosecondArray, UInt64Array,
    },
    buffer::{NullBuffer, OffsetBuffer},
    datatypes::{Field, Int32Type},
};

use super::*;
use crate::files::{
    decoded::Decoded,
    format::tests::{gathered, lines, shown},
    schema::parse_fields,
};

/// Makes a schema of columns as DDL writes them.
pub(in super::super) fn columns(ddl: &str, is_rescuing: bool) -> ReadSchema {
    ReadSchema {
        columns: Arc::new(Schema::new(parse_fields(ddl).unwrap())),
        ignored: BTreeSet::new(),
        is_rescuing,
        is_case_sensitive: true,
        is_observing: true,
    }
}

fn batch(columns: &[(&str, ArrayRef)]) -> StructArray {
    let field = |(name, array): &(&str, ArrayRef)| {
        Arc::new(Field::new(*name, array.data_type().clone(), true))
    };
    let fields: Fields = columns.iter().map(field).collect();
    let arrays = columns.iter().map(|(_, array)| Arc::clone(array)).collect();
    StructArray::new(fields, arrays, None)
}

fn read(columns: &[(&str, ArrayRef)], schema: ReadSchema, is_parquet: bool) -> Decoded {
    let batch = batch(columns);
    let mut rows = TypedRows::new(batch.fields(), Arc::new(schema), is_parquet);
    gathered(&mut |out| rows.append(&batch, 7, out)).unwrap()
}

fn point(xs: ArrayRef, ys: ArrayRef, nulls: Option<Vec<bool>>) -> ArrayRef {
    let point = batch(&[("x", xs), ("y", ys)]);
    let nulls = nulls.map(NullBuffer::from);
    let (fields, arrays, _) = point.into_parts();
    Arc::new(StructArray::new(fields, arrays, nulls))
}

fn list(lengths: &[usize], values: ArrayRef) -> ArrayRef {
    let field = Field::new("item", values.data_type().clone(), true);
    let offsets = OffsetBuffer::from_lengths(lengths.iter().copied());
    Arc::new(ListArray::new(Arc::new(field), offsets, values, None))
}

fn map(lengths: &[usize], keys: ArrayRef, values: ArrayRef) -> ArrayRef {
    let fields = Fields::from(vec![
        Field::new("key", keys.data_type().clone(), false),
        Field::new("value", values.data_type().clone(), true),
    ]);
    let entries = StructArray::new(fields.clone(), vec![keys, values], None);
    let field = Field::new("entries", DataType::Struct(fields), false);
    let offsets = OffsetBuffer::from_lengths(lengths.iter().copied());
    Arc::new(arrow::array::MapArray::new(Arc::new(field), offsets, entries, None, false))
}

/// A name, an array of two rows, its column, and what is shown of them.
type Case = (&'static str, ArrayRef, &'static str, [&'static str; 2]);

fn check(cases: Vec<Case>) {
    for (name, array, column, expected) in cases {
        let out = read(&[("a", array)], columns(&format!("a {column}"), true), true);
        assert_eq!(shown(&out), expected, "{name}");
        let rescued = expected.iter().filter(|row| row.contains('+')).count() as u64;
        assert_eq!(out.rows_rescued, rescued, "{name}");
        assert_eq!(out.rescued_fields.len(), usize::from(rescued != 0), "{name}");
    }
}

fn ints() -> ArrayRef {
    Arc::new(Int32Array::from(vec![Some(1), None]))
}

fn longs() -> ArrayRef {
    Arc::new(Int64Array::from(vec![1, 2]))
}

fn decimals(precision: u8, scale: i8) -> ArrayRef {
    let numbers = Decimal128Array::from(vec![150, 100_000]);
    Arc::new(numbers.with_precision_and_scale(precision, scale).unwrap())
}

#[test]
fn whole_numbers_become_wider_or_are_rescued() {
    let rescued: [&str; 2] = [r#"∅ + {"a":1}"#, "∅"];
    check(vec![
        ("the same", ints(), "INT", ["1", "∅"]),
        ("byte to int", Arc::new(Int8Array::from(vec![1, -1])), "INT", ["1", "-1"]),
        ("int to long", ints(), "BIGINT", ["1", "∅"]),
        ("int to double", ints(), "DOUBLE", ["1.0", "∅"]),
        ("int to decimal", ints(), "DECIMAL(12,2)", ["1.00", "∅"]),
        ("int to too small a decimal", ints(), "DECIMAL(11,2)", rescued),
        ("int to short", ints(), "SMALLINT", rescued),
        ("int to text", ints(), "STRING", rescued),
        ("int to truth", ints(), "BOOLEAN", rescued),
        ("long to double", longs(), "DOUBLE", [r#"∅ + {"a":1}"#, r#"∅ + {"a":2}"#]),
        ("long to decimal", longs(), "DECIMAL(20,0)", ["1", "2"]),
        (
            "unsigned to decimal",
            Arc::new(UInt64Array::from(vec![u64::MAX, 0])),
            "DECIMAL(20,0)",
            ["18446744073709551615", "0"],
        ),
        (
            "unsigned to long",
            Arc::new(UInt64Array::from(vec![Some(u64::MAX), None])),
            "BIGINT",
            [r#"∅ + {"a":18446744073709551615}"#, "∅"],
        ),
    ]);
}

#[test]
fn numbers_with_a_fraction_become_wider_or_are_rescued() {
    check(vec![
        (
            "float to double",
            Arc::new(Float32Array::from(vec![0.5, -0.0])),
            "DOUBLE",
            ["0.5", "-0.0"],
        ),
        (
            "double to float",
            Arc::new(Float64Array::from(vec![0.1, f64::NAN])),
            "FLOAT",
            [r#"∅ + {"a":0.1}"#, r#"∅ + {"a":"NaN"}"#],
        ),
        (
            "float that is rescued keeps its digits",
            Arc::new(Float32Array::from(vec![0.1, f32::NEG_INFINITY])),
            "INT",
            [r#"∅ + {"a":0.1}"#, r#"∅ + {"a":"-Infinity"}"#],
        ),
        ("decimal to wider", decimals(9, 2), "DECIMAL(18,6)", ["1.500000", "1000.000000"]),
        (
            "decimal to fewer digits in front",
            decimals(9, 2),
            "DECIMAL(9,3)",
            [r#"∅ + {"a":1.50}"#, r#"∅ + {"a":1000.00}"#],
        ),
        (
            "decimal beyond its own digits",
            decimals(3, 2),
            "DECIMAL(3,2)",
            ["1.50", r#"∅ + {"a":1000.00}"#],
        ),
        (
            "decimal of small numbers",
            Arc::new(Decimal128Array::from(vec![-5, 0]).with_precision_and_scale(9, 2).unwrap()),
            "INT",
            [r#"∅ + {"a":-0.05}"#, r#"∅ + {"a":0.00}"#],
        ),
    ]);
}

#[test]
fn texts_and_bytes_stay_what_they_are() {
    let texts = |texts: [&str; 2]| -> ArrayRef { Arc::new(StringArray::from(texts.to_vec())) };
    check(vec![
        ("text", texts(["x", ""]), "STRING", ["x", ""]),
        ("text to bytes", texts(["x", ""]), "BINARY", ["78", ""]),
        ("text to int", texts(["1", "\""]), "INT", [r#"∅ + {"a":"1"}"#, r#"∅ + {"a":"\""}"#]),
        (
            "text to day",
            texts(["2026-01-05", "x"]),
            "DATE",
            [r#"∅ + {"a":"2026-01-05"}"#, r#"∅ + {"a":"x"}"#],
        ),
        ("view", Arc::new(StringViewArray::from(vec!["x", "y"])), "STRING", ["x", "y"]),
        (
            "bytes to text where they are",
            Arc::new(BinaryArray::from(vec![&b"x"[..], &b"\xff"[..]])),
            "STRING",
            ["x", r#"∅ + {"a":"/w=="}"#],
        ),
        ("nothing", Arc::new(NullArray::new(2)), "INT", ["∅", "∅"]),
        (
            "a list to a struct",
            list(&[1, 0], longs()),
            "STRUCT<x: INT>",
            [r#"∅ + {"a":[1]}"#, r#"∅ + {"a":[]}"#],
        ),
    ]);
}

#[test]
fn times_become_microseconds_or_are_rescued() {
    check(vec![
        ("day", Arc::new(Date32Array::from(vec![0, -1])), "DATE", ["1970-01-01", "1969-12-31"]),
        (
            "day to clock",
            Arc::new(Date32Array::from(vec![1, 0])),
            "TIMESTAMP_NTZ",
            ["1970-01-02T00:00:00", "1970-01-01T00:00:00"],
        ),
        (
            "day beyond clocks",
            Arc::new(Date32Array::from(vec![Some(i32::MAX), None])),
            "TIMESTAMP_NTZ",
            [r#"∅ + {"a":null}"#, "∅"],
        ),
        (
            "day to moment",
            Arc::new(Date32Array::from(vec![Some(1), None])),
            "TIMESTAMP",
            [r#"∅ + {"a":"1970-01-02"}"#, "∅"],
        ),
        (
            "milliseconds",
            Arc::new(TimestampMillisecondArray::from(vec![1, -1]).with_timezone("UTC")),
            "TIMESTAMP",
            ["1970-01-01T00:00:00.001Z", "1969-12-31T23:59:59.999Z"],
        ),
        (
            "milliseconds beyond microseconds",
            Arc::new(TimestampMillisecondArray::from(vec![1, i64::MAX]).with_timezone("UTC")),
            "TIMESTAMP",
            ["1970-01-01T00:00:00.001Z", r#"∅ + {"a":null}"#],
        ),
        (
            "nanoseconds",
            Arc::new(TimestampNanosecondArray::from(vec![1_999, 0])),
            "TIMESTAMP_NTZ",
            ["1970-01-01T00:00:00.000001", "1970-01-01T00:00:00"],
        ),
        (
            "clock to moment",
            Arc::new(TimestampMicrosecondArray::from(vec![1, 0])),
            "TIMESTAMP",
            ["1970-01-01T00:00:00.000001Z", "1970-01-01T00:00:00Z"],
        ),
        (
            "moment to clock",
            Arc::new(TimestampMicrosecondArray::from(vec![Some(1), None]).with_timezone("UTC")),
            "TIMESTAMP_NTZ",
            [r#"∅ + {"a":"1970-01-01T00:00:00.000001Z"}"#, "∅"],
        ),
        (
            "a type that tables lack",
            Arc::new(Time64MicrosecondArray::from(vec![1_000_000, 1])),
            "STRING",
            ["00:00:01", "00:00:00.000001"],
        ),
    ]);
}

#[test]
fn a_day_is_no_clock_in_avro() {
    let days: ArrayRef = Arc::new(Date32Array::from(vec![1]));
    let out = read(&[("a", days)], columns("a TIMESTAMP_NTZ", true), false);
    assert_eq!(shown(&out), [r#"∅ + {"a":"1970-01-02"}"#]);
}

#[test]
fn columns_go_by_name() {
    let ints = |numbers: [i32; 1]| -> ArrayRef { Arc::new(Int32Array::from(numbers.to_vec())) };
    let file = [("b", ints([1])), ("A", ints([2])), ("c", ints([3])), ("year", ints([4]))];
    for (name, is_case_sensitive, is_rescuing, ddl, expected) in [
        ("in any order", true, true, "c INT, b INT, A INT", "3 | 1 | 2"),
        ("missing ones are null", true, true, "b INT, A INT, c INT, z STRING", "1 | 2 | 3 | ∅"),
        ("unknown ones are rescued", true, true, "b INT", r#"1 + {"A":2,"c":3}"#),
        ("unknown ones are dropped", true, false, "b INT", "1"),
        ("another case is rescued", true, true, "a INT, b INT, c INT", r#"∅ | 1 | 3 + {"A":2}"#),
        ("another case is the same", false, true, "a INT, b INT, c INT", "2 | 1 | 3"),
    ] {
        let mut schema = columns(ddl, is_rescuing);
        schema.is_case_sensitive = is_case_sensitive;
        schema.ignored.insert("year".to_owned());
        let out = read(&file, schema, true);
        assert_eq!(shown(&out), [expected], "{name}");
        assert_eq!(lines(&out), [1], "{name}");
    }
}

#[test]
fn fields_of_the_path_go_by_name_in_whatever_case() {
    let one: ArrayRef = Arc::new(Int32Array::from(vec![1]));
    let file = [("a", Arc::clone(&one)), ("länder", one)];
    for (name, is_case_sensitive, expected) in [
        ("another case is rescued", true, r#"1 + {"länder":1}"#),
        ("another case is the same", false, "1"),
    ] {
        let mut schema = columns("a INT", true);
        schema.is_case_sensitive = is_case_sensitive;
        schema.ignored.insert("LÄNDER".to_owned());
        assert_eq!(shown(&read(&file, schema, true)), [expected], "{name}");
    }
}

#[test]
fn what_the_file_has_more_is_told_once() {
    let ints: ArrayRef = Arc::new(Int32Array::from(vec![None::<i32>]));
    let texts: ArrayRef = Arc::new(StringArray::from(vec!["x"]));
    let file = batch(&[("a", Arc::clone(&ints)), ("b", texts), ("c", ints)]);
    let schema = Arc::new(columns("a INT, b INT", true));
    let mut rows = TypedRows::new(file.fields(), schema, true);
    let mut next = || gathered(&mut |out| rows.append(&file, 0, out)).unwrap();
    let (first, second) = (next(), next());
    let expected = [("b", Observed::Text), ("c", Observed::Typed(DataType::Int32))];
    let expected = expected.map(|(name, seen)| (name.to_owned(), seen));
    assert_eq!(first.unknown, Observed::Object(BTreeMap::from(expected)));
    assert_eq!(second.unknown, Observed::Nothing);
    assert_eq!((lines(&first), lines(&second)), (vec![1], vec![2]));
    // Of `c` there are only nulls, which are not worth keeping.
    assert_eq!(second.rescued_fields, BTreeSet::from(["b".to_owned()]));
}

/// A name, an array, its column, and what is shown of the rows.
type NestedCase = (&'static str, ArrayRef, &'static str, &'static [&'static str]);

fn check_nested(cases: Vec<NestedCase>) {
    for (name, array, column, expected) in cases {
        let all = columns(&format!("a {column}"), true);
        let out = read(&[("a", Arc::clone(&array))], all.clone(), true);
        assert_eq!(shown(&out), expected, "{name}");
        // The same of a slice, whose offsets do not begin at zero.
        let out = read(&[("a", array.slice(1, array.len() - 1))], all, true);
        assert_eq!(shown(&out), expected[1..], "{name}, from the second row on");
    }
}

fn maybe_ints(numbers: Vec<Option<i32>>) -> ArrayRef {
    Arc::new(Int32Array::from(numbers))
}

fn points() -> ArrayRef {
    let ys = Arc::new(StringArray::from(vec![None, Some("a"), None]));
    point(maybe_ints(vec![Some(1), Some(2), None]), ys, Some(vec![true, true, false]))
}

#[test]
fn nested_values_fit_whole_or_not_at_all() {
    check_nested(vec![
        (
            "members by name, wider",
            points(),
            "STRUCT<y: STRING, x: BIGINT, z: INT>",
            &["{y: ∅, x: 1, z: ∅}", "{y: a, x: 2, z: ∅}", "∅"],
        ),
        (
            "a member more is rescued, and the rest is there",
            points(),
            "STRUCT<x: INT>",
            &["{x: 1}", r#"{x: 2} + {"a":{"x":2,"y":"a"}}"#, "∅"],
        ),
        (
            "a member that does not fit",
            points(),
            "STRUCT<x: INT, y: INT>",
            &["{x: 1, y: ∅}", r#"∅ + {"a":{"x":2,"y":"a"}}"#, "∅"],
        ),
        (
            "list of wider",
            list(&[2, 0, 1], maybe_ints(vec![Some(1), None, Some(3)])),
            "ARRAY<BIGINT>",
            &["[1, ∅]", "[]", "[3]"],
        ),
        (
            "list of what does not fit",
            list(&[1, 1, 1], maybe_ints(vec![Some(1), None, Some(3)])),
            "ARRAY<STRING>",
            &[r#"∅ + {"a":[1]}"#, "[∅]", r#"∅ + {"a":[3]}"#],
        ),
        (
            "list of structs with a member more",
            list(&[1, 1, 1], points()),
            "ARRAY<STRUCT<x: INT>>",
            &["[{x: 1}]", r#"[{x: 2}] + {"a":[{"x":2,"y":"a"}]}"#, "[∅]"],
        ),
    ]);
}

#[test]
fn maps_fit_whole_or_not_at_all() {
    let keys = || -> ArrayRef { Arc::new(StringArray::from(vec!["k", "l"])) };
    check_nested(vec![
        (
            "map of wider",
            map(&[2, 0], keys(), maybe_ints(vec![Some(1), None])),
            "MAP<STRING, BIGINT>",
            &["{k: 1, l: ∅}", "{}"],
        ),
        (
            "map of values that do not fit",
            map(&[1, 1], keys(), maybe_ints(vec![Some(1), None])),
            "MAP<STRING, STRING>",
            &[r#"∅ + {"a":{"k":1}}"#, "{l: ∅}"],
        ),
        (
            "map of keys that do not fit",
            map(&[0, 1, 1], maybe_ints(vec![Some(1), Some(2)]), keys()),
            "MAP<STRING, STRING>",
            &["{}", r#"∅ + {"a":{"1":"k"}}"#, r#"∅ + {"a":{"2":"l"}}"#],
        ),
        (
            "a struct to a map",
            points(),
            "MAP<STRING, INT>",
            &[r#"∅ + {"a":{"x":1,"y":null}}"#, r#"∅ + {"a":{"x":2,"y":"a"}}"#, "∅"],
        ),
    ]);
}

#[test]
fn without_a_rescued_column_a_row_that_does_not_fit_is_bad() {
    let ints: ArrayRef = Arc::new(Int32Array::from(vec![Some(1), None, Some(3)]));
    let file = [("a", Arc::clone(&ints)), ("b", ints)];
    let out = read(&file, columns("a STRING, b INT", false), true);
    assert_eq!(shown(&out), ["∅ | ∅"]);
    assert_eq!(lines(&out), [2]);
    let bad: Vec<_> = out.bad.iter().map(|bad| (bad.line, bad.offset, &bad.record[..])).collect();
    assert_eq!(bad, [(1, 7, r#"{"a":1,"b":1}"#), (3, 7, r#"{"a":3,"b":3}"#)]);
    assert_eq!(out.bad[0].reason, "`a` is Int32 in the file, which does not fit Utf8");
    assert_eq!(out.rows_rescued, 0);
}

#[test]
fn batches_of_long_values_of_one_length_are_cut() {
    let long = vec![b'x'; 1 << 20];
    let values = FixedSizeBinaryArray::try_from_iter(vec![long; 20].into_iter()).unwrap();
    let rows = pieces::pieces(&batch(&[("a", Arc::new(values))]), 0);
    assert_eq!(rows, [0..5, 5..10, 10..15, 15..20]);
}

#[test]
fn batches_of_long_texts_are_cut() {
    // Each row is a view of the one text, 1 MiB long.
    let long = "x".repeat(1 << 20);
    let mut views = arrow::array::StringViewBuilder::new().with_deduplicate_strings();
    let numbers = Int32Array::from_iter_values(0..100);
    for _ in 0..100 {
        views.append_value(&long);
    }
    let texts: ArrayRef = Arc::new(views.finish());
    let offsets = OffsetBuffer::from_lengths([1; 100]);
    let field = Arc::new(Field::new("item", DataType::Utf8View, true));
    let inside: ArrayRef = Arc::new(ListArray::new(field, offsets, Arc::clone(&texts), None));
    for (name, array, at_most) in [("texts", texts, 7), ("texts in lists", inside, 7)] {
        let batch = batch(&[("n", Arc::new(numbers.clone())), ("a", array)]);
        let pieces = pieces::pieces(&batch, 0);
        assert!(pieces.iter().all(|rows| rows.len() <= at_most), "{name}: {pieces:?}");
        let rows: Vec<usize> = pieces.into_iter().flatten().collect();
        assert_eq!(rows, (0..100).collect::<Vec<_>>(), "{name}");
    }
    let small = batch(&[("n", Arc::new(numbers))]);
    assert_eq!(pieces::pieces(&small, 0).len(), 1);
    let dictionary: ListArray =
        ListArray::from_iter_primitive::<Int32Type, _, _>([None::<Vec<Option<i32>>>]);
    assert_eq!(pieces::pieces(&batch(&[("l", Arc::new(dictionary))]), 0).len(), 1);
}
