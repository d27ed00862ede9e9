//! What the tests of all text formats share, and what holds for each of them.

use std::collections::BTreeSet;

use arrow::{
    array::{ArrayRef, AsArray},
    datatypes::{Field, Fields, Int64Type, Schema, TimeUnit, TimestampMicrosecondType},
    util::display::{ArrayFormatter, FormatOptions},
};
use chrono::DateTime;
use proptest::prelude::*;

use super::*;

mod bounds;

use crate::files::options::{CsvOptions, JsonOptions, UnescapedQuotes};

/// The stand-in for null in what tests show.
const NULL: &str = "∅";

/// The options of JSON with Auto Loader's defaults.
pub(super) fn json_options() -> JsonOptions {
    JsonOptions::default()
}

/// The options of CSV with Auto Loader's defaults, but for the header that most files have.
pub(super) fn csv_options() -> CsvOptions {
    CsvOptions { has_header: true, ..CsvOptions::default() }
}

fn data_type(name: &str) -> DataType {
    let micros = TimeUnit::Microsecond;
    let point = || {
        DataType::Struct(Fields::from(vec![
            Field::new("x", DataType::Int64, true),
            Field::new("y", DataType::Utf8, true),
        ]))
    };
    let list = |element| DataType::List(Arc::new(Field::new("element", element, true)));
    match name {
        "bool" => DataType::Boolean,
        "byte" => DataType::Int8,
        "short" => DataType::Int16,
        "int" => DataType::Int32,
        "long" => DataType::Int64,
        "float" => DataType::Float32,
        "double" => DataType::Float64,
        "price" => DataType::Decimal128(18, 6),
        "wide" => DataType::Decimal128(38, 0),
        "string" => DataType::Utf8,
        "binary" => DataType::Binary,
        "date" => DataType::Date32,
        "time" => DataType::Timestamp(micros, Some("UTC".into())),
        "clock" => DataType::Timestamp(micros, None),
        "point" => point(),
        "points" => list(point()),
        "longs" => list(DataType::Int64),
        "lists" => list(list(DataType::Int64)),
        "map" => DataType::Map(
            Arc::new(Field::new(
                "key_value",
                DataType::Struct(Fields::from(vec![
                    Field::new("key", DataType::Utf8, false),
                    Field::new("value", DataType::Int64, true),
                ])),
                false,
            )),
            false,
        ),
        other => panic!("no type {other}"),
    }
}

/// Makes a schema of `name:type` pairs.
pub(super) fn schema(columns: &str, is_rescuing: bool) -> ReadSchema {
    let fields: Vec<_> = columns
        .split_whitespace()
        .map(|column| {
            let (name, kind) = column.split_once(':').expect("name:type");
            Field::new(name, data_type(kind), true)
        })
        .collect();
    ReadSchema {
        columns: Arc::new(Schema::new(fields)),
        ignored: BTreeSet::new(),
        is_rescuing,
        is_case_sensitive: true,
        is_observing: false,
    }
}

/// Reads `pieces` one after the other.
pub(super) fn read(
    format: &Format,
    schema: &ReadSchema,
    pieces: &[&[u8]],
) -> Result<Decoded, FileProblem> {
    let mut reader = open(format, Arc::new(schema.clone()))?;
    read_pieces(&mut *reader, pieces)
}

/// Reads `pieces` one after the other, to the end.
pub(super) fn read_pieces(
    reader: &mut dyn TextReader,
    pieces: &[&[u8]],
) -> Result<Decoded, FileProblem> {
    gathered(&mut |out| {
        pieces.iter().try_for_each(|piece| reader.push(piece, out))?;
        reader.finish(out)
    })
}

/// Returns everything that `work` brings.
pub(super) fn gathered(
    work: &mut dyn FnMut(&mut Stretches<'_>) -> Result<(), FileProblem>,
) -> Result<Decoded, FileProblem> {
    let mut all = Decoded::default();
    let mut take = |mut stretch: Decoded| {
        all.batches.append(&mut stretch.batches);
        all.bad.append(&mut stretch.bad);
        all.unknown.merge(stretch.unknown);
        all.rows_rescued += stretch.rows_rescued;
        all.rescued_fields.append(&mut stretch.rescued_fields);
        Ok::<_, FileProblem>(())
    };
    Stretches::each(&mut take, work)?;
    Ok(all)
}

/// Shows rows: values, then what was rescued.
pub(super) fn shown(out: &Decoded) -> Vec<String> {
    let options = FormatOptions::default().with_null(NULL);
    let mut rows = Vec::new();
    for batch in &out.batches {
        let columns: Vec<_> = batch.columns().iter().map(shown_in_utc).collect();
        let formatters: Vec<_> = columns
            .iter()
            .map(|column| ArrayFormatter::try_new(column, &options).unwrap())
            .collect();
        for row in 0..batch.num_rows() {
            let (values, beside) = formatters.split_at(formatters.len() - 2);
            let values: Vec<_> =
                values.iter().map(|column| column.value(row).to_string()).collect();
            let rescued = beside[0].value(row).to_string();
            let values = values.join(" | ");
            rows.push(if rescued == NULL { values } else { format!("{values} + {rescued}") });
        }
    }
    rows
}

/// Names of zones are not what the formatter knows.
fn shown_in_utc(column: &ArrayRef) -> ArrayRef {
    match column.data_type() {
        DataType::Timestamp(_, Some(_)) => {
            let moments = column.as_primitive::<TimestampMicrosecondType>().clone();
            Arc::new(moments.with_timezone("+00:00"))
        }
        _ => Arc::clone(column),
    }
}

/// The lines that rows began at.
pub(super) fn lines(out: &Decoded) -> Vec<i64> {
    let line = |batch: &arrow::record_batch::RecordBatch| {
        batch.columns().last().unwrap().as_primitive::<Int64Type>().values().to_vec()
    };
    out.batches.iter().flat_map(line).collect()
}

/// Rows and bad records, shown.
pub(super) fn all(out: &Decoded) -> (Vec<String>, Vec<String>) {
    let bad = out
        .bad
        .iter()
        .map(|bad| format!("{}:{} {} <{}>", bad.line, bad.offset, bad.reason, bad.record));
    (shown(out), bad.collect())
}

/// One row of a table of behaviours.
pub(super) struct Case {
    pub name: &'static str,
    pub format: Format,
    pub columns: &'static str,
    pub is_rescuing: bool,
    pub input: &'static str,
    /// Rows as [`shown`] shows them.
    pub rows: &'static [&'static str],
    /// Bad records as [`all`] shows them.
    pub bad: &'static [&'static str],
}

/// Reads each case whole and byte by byte.
pub(super) fn check(cases: &[Case]) {
    for case in cases {
        let schema = schema(case.columns, case.is_rescuing);
        let bytes = case.input.as_bytes();
        let singles: Vec<&[u8]> = bytes.chunks(1).collect();
        for pieces in [&[bytes] as &[&[u8]], &singles] {
            let out = read(&case.format, &schema, pieces)
                .unwrap_or_else(|problem| panic!("{}: {problem}", case.name));
            let (rows, bad) = all(&out);
            assert_eq!(rows, case.rows, "{}: rows of {:?}", case.name, case.input);
            assert_eq!(bad, case.bad, "{}: bad records of {:?}", case.name, case.input);
        }
    }
}

fn file(path: &str) -> SourceFile {
    SourceFile {
        path: path.to_owned(),
        size: 4,
        modified: DateTime::from_timestamp(1_767_225_600, 0).unwrap(),
        etag: None,
        version: None,
    }
}

#[test]
fn text_files_have_a_row_a_line_or_one() {
    let text = |is_whole, line_sep: Option<&str>| Format::Text {
        is_whole,
        line_sep: line_sep.map(str::to_owned),
        encoding: encoding_rs::UTF_8,
    };
    let case = |name, format, input, rows, bad| Case {
        name,
        format,
        columns: "value:string",
        is_rescuing: true,
        input,
        rows,
        bad,
    };
    check(&[
        case("text: every line end", text(false, None), "a\nb\r\nc\rd", &["a", "b", "c", "d"], &[]),
        case("text: empty lines are rows", text(false, None), "\n\na\n", &["", "", "a"], &[]),
        case("text: lineSep", text(false, Some("||")), "a|b||c\n||", &["a|b", "c\n"], &[]),
        case("text: wholeText", text(true, None), "a\nb\n", &["a\nb\n"], &[]),
        case("text: an empty file has no lines", text(false, None), "", &[], &[]),
        case("text: an empty file as a whole is a row", text(true, None), "", &[""], &[]),
        case("text: a BOM-like word stays", text(false, None), "é\n", &["é"], &[]),
        Case {
            columns: "line:string",
            ..case("text: a column of another name", text(false, None), "a\nb", &["a", "b"], &[])
        },
    ]);
}

#[test]
fn text_that_is_none_is_bad_and_the_next_line_is_read() {
    let format = Format::Text { is_whole: false, line_sep: None, encoding: encoding_rs::UTF_8 };
    let out = read(&format, &schema("value:string", true), &[b"a\n\xff\nb\n"]).unwrap();
    let (rows, bad) = all(&out);
    assert_eq!(rows, ["a", "b"]);
    assert_eq!(bad, ["2:2 not UTF-8 at byte 0 <\u{fffd}>"]);
    assert_eq!(lines(&out), [1, 3]);
}

#[test]
fn binary_files_are_one_row_as_stored() {
    let columns = "path:string modificationTime:time length:long content:binary";
    let schema = Arc::new(schema(columns, false));
    let mut reader = open_file(&Format::Binary, &file("a/b.gz"), schema, Arc::new(Iso)).unwrap();
    let mut out = Decoded::default();
    let mut take = |decoded| {
        out = decoded;
        Ok::<_, FileProblem>(())
    };
    reader.push(&[0x1f, 0x8b], &mut take).unwrap();
    reader.push(&[8, 0], &mut take).unwrap();
    reader.finish(&mut take).unwrap();
    assert_eq!(shown(&out), ["a/b.gz | 2026-01-01T00:00:00Z | 4 | 1f8b0800"]);
}

#[test]
fn other_readers_have_other_formats() {
    for format in [Format::Parquet, Format::Binary] {
        assert!(open(&format, Arc::new(schema("", false))).is_err());
    }
}

#[test]
fn encodings_become_utf8() {
    let utf16: Vec<u8> = "{\"a\":\"é€\"}\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let big: Vec<u8> = "\u{feff}{\"a\":\"é\"}".encode_utf16().flat_map(u16::to_be_bytes).collect();
    let cases: [(&str, &str, &[u8], &str); 6] = [
        ("encoding: ISO-8859-1", "ISO-8859-1", b"{\"a\":\"\xe9\"}", "é"),
        ("encoding: UTF-16 is little-endian without a mark", "UTF-16", &utf16, "é€"),
        ("encoding: a mark says big-endian", "UTF-16", &big, "é"),
        ("encoding: a mark before UTF-8", "UTF-8", b"\xef\xbb\xbf{\"a\":\"x\"}", "x"),
        ("encoding: windows-1252", "windows-1252", b"{\"a\":\"\x80\"}", "€"),
        ("encoding: a mark wins over the label", "windows-1252", b"\xef\xbb\xbf{\"a\":1}", "1"),
    ];
    for (name, label, input, expected) in cases {
        let mut options = json_options();
        options.text.encoding = encoding_rs::Encoding::for_label(label.as_bytes()).unwrap();
        for size in [1, 2, 3, input.len()] {
            let pieces: Vec<&[u8]> = input.chunks(size).collect();
            let format = Format::Json(options.clone());
            let out = read(&format, &schema("a:string", true), &pieces).unwrap();
            assert_eq!(shown(&out), [expected], "{name}, pieces of {size}");
        }
    }
}

#[test]
fn columns_no_text_becomes_are_refused() {
    let mut schema = schema("", false);
    schema.columns =
        Arc::new(Schema::new(vec![Field::new("a", DataType::Duration(TimeUnit::Second), true)]));
    let problem = open(&Format::Json(json_options()), Arc::new(schema)).unwrap_err();
    assert_eq!(problem.to_string(), "column `a` is Duration(s), which text does not become");
}

/// The formats whose input is anything at all.
fn formats() -> Vec<Format> {
    let relaxed = JsonOptions {
        allow_comments: true,
        allow_unquoted_names: true,
        allow_leading_zeros: true,
        allow_any_escape: true,
        allow_control_chars: true,
        ..json_options()
    };
    let json = [
        json_options(),
        JsonOptions { is_multi_line: true, ..json_options() },
        JsonOptions { rows: Some(vec!["data".to_owned()]), ..json_options() },
        JsonOptions { rows: Some(vec!["a".to_owned(), "b".to_owned()]), ..relaxed.clone() },
        JsonOptions { is_multi_line: true, ..relaxed.clone() },
        relaxed,
    ];
    let quotes = [
        UnescapedQuotes::StopAtDelimiter,
        UnescapedQuotes::StopAtClosingQuote,
        UnescapedQuotes::BackToDelimiter,
        UnescapedQuotes::SkipValue,
        UnescapedQuotes::RaiseError,
    ];
    let csv = quotes.into_iter().flat_map(|unescaped_quotes| {
        [false, true].map(|is_multi_line| CsvOptions {
            unescaped_quotes,
            is_multi_line,
            comment: Some('#'),
            is_leading_space_ignored: is_multi_line,
            separator: if is_multi_line { ",;" } else { "," }.to_owned(),
            ..csv_options()
        })
    });
    let text = Format::Text {
        is_whole: false,
        line_sep: Some("ab".to_owned()),
        encoding: encoding_rs::UTF_8,
    };
    json.into_iter().map(Format::Json).chain(csv.map(Format::Csv)).chain([text]).collect()
}

/// Bytes that look like the formats often enough to get far into the readers.
fn near_bytes() -> impl Strategy<Value = Vec<u8>> {
    let word = prop_oneof![
        Just("{".to_owned()),
        Just("}".to_owned()),
        Just("[".to_owned()),
        Just("]".to_owned()),
        Just(",".to_owned()),
        Just(":".to_owned()),
        Just("\"".to_owned()),
        Just("'".to_owned()),
        Just("\\".to_owned()),
        Just("\n".to_owned()),
        Just("\r".to_owned()),
        Just("\r\n".to_owned()),
        Just(" ".to_owned()),
        Just(";".to_owned()),
        Just("#".to_owned()),
        Just("/*".to_owned()),
        Just("*/".to_owned()),
        Just("//".to_owned()),
        Just("{\"data\":[".to_owned()),
        Just("{\"a\":{\"b\":[".to_owned()),
        Just("]}".to_owned()),
        Just("{\"a\":1}".to_owned()),
        Just("null".to_owned()),
        Just("-Infinity".to_owned()),
        Just("007".to_owned()),
        Just("\"a\":".to_owned()),
        Just("\\u12".to_owned()),
        Just("\u{feff}".to_owned()),
        Just("é€😀".to_owned()),
        "[a-c0-9.eE+-]{1,4}",
    ]
    .prop_map(String::into_bytes);
    let raw = prop::collection::vec(any::<u8>(), 1..4);
    prop::collection::vec(prop_oneof![12 => word, 1 => raw], 0..40).prop_map(|words| words.concat())
}

/// Rows, bad records and lines of rows.
type Outcome = Result<(Vec<String>, Vec<String>, Vec<i64>), String>;

fn outcome(format: &Format, pieces: &[&[u8]]) -> Outcome {
    let schema = schema("a:long b:string _c2:price d:longs e:map f:point", true);
    let out = read(format, &schema, pieces).map_err(|problem| problem.to_string())?;
    let (rows, bad) = all(&out);
    Ok((rows, bad, lines(&out)))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn lines_are_what_stands_between_separators(text in "[ab\n]{0,40}", size in 1_usize..9) {
        let format = Format::Text { is_whole: false, line_sep: Some("aab".to_owned()), encoding: encoding_rs::UTF_8 };
        let pieces: Vec<&[u8]> = text.as_bytes().chunks(size).collect();
        let out = read(&format, &schema("value:string", true), &pieces).unwrap();
        let mut expected: Vec<_> = text.split("aab").collect();
        // A separator ends a line and does not begin one.
        if expected.last() == Some(&"") {
            expected.pop();
        }
        prop_assert_eq!(shown(&out), expected);
    }

    #[test]
    fn no_input_panics_and_no_cut_changes_what_is_read(
        bytes in near_bytes(),
        size in 1_usize..9,
    ) {
        for format in formats() {
            let whole = outcome(&format, &[&bytes]);
            let pieces: Vec<&[u8]> = bytes.chunks(size).collect();
            let cut = outcome(&format, &pieces);
            // What is said about a broken file depends on how much of it was seen.
            match (whole, cut) {
                (Err(_), Err(_)) => (),
                (whole, cut) => prop_assert_eq!(whole, cut, "{:?}", format),
            }
        }
    }
}
