//! The quick decoder against the slow one, on rows as vendors send them and on anything else.

use arrow::{
    array::{Array, ArrayRef, AsArray},
    datatypes::{
        DataType, Date32Type, Decimal128Type, Int32Type, Int64Type, TimestampMicrosecondType,
    },
};
use model::{
    decimal::{PRICE, VOLUME},
    landing::{Footer, LandingKind},
};
use proptest::prelude::*;

use super::{reference::Cells, *};
use crate::{
    object::{
        tests::{key, seal},
        verify_object,
    },
    schema::{Column, ColumnKind},
};

pub(crate) fn schema() -> RowSchema {
    let column = |name: &str, kind| Column { name: name.to_owned(), field: name.to_owned(), kind };
    RowSchema {
        columns: vec![
            column("symbol", ColumnKind::Text),
            column("open", ColumnKind::Decimal(PRICE)),
            column("close", ColumnKind::Decimal(PRICE)),
            column("volume", ColumnKind::Decimal(VOLUME)),
            column("date", ColumnKind::Timestamp),
            column("day", ColumnKind::Date),
            column("halted", ColumnKind::Bool),
            column("trades", ColumnKind::Int64),
            column("extra", ColumnKind::Json),
        ],
        date_key: Some("date".to_owned()),
    }
}

fn envelope(offset: u64, data: &str) -> Vec<u8> {
    format!("{{\"_offset\":{offset},\"_key\":\"AAPL\",\"_ts\":\"2026-01-05T14:30:00.000000Z\",\"_headers\":{{\"source\":\"marketstack-v2\",\"fetch_id\":\"12\",\"page\":\"0\",\"row\":\"7\",\"interval\":\"1min\",\"ts_fetched\":\"2026-01-05T14:30:00.250000Z\"}},\"data\":{data}}}").into_bytes()
}

fn decode_lines(lines: &[Vec<u8>], line_bytes_max: usize) -> Decoded {
    let key = key(3, 0, LandingKind::Records);
    let next = u64::try_from(lines.len()).unwrap().max(1);
    let rows = verify_object(&key, &seal(0, next, lines)).unwrap();
    let mut decoder = Decoder::new(&schema(), line_bytes_max);
    let decoded = decoder.decode(&key, &rows, BatchId(9)).unwrap();
    assert_eq!(decoded.rows, u64::try_from(lines.len()).unwrap(), "lines in, rows out");
    let rows: usize = decoded.batches.iter().map(RecordBatch::num_rows).sum();
    assert_eq!(rows, lines.len(), "lines in, rows out");
    decoded
}

fn cell(array: &ArrayRef, row: usize) -> Option<String> {
    if array.is_null(row) {
        return None;
    }
    Some(match array.data_type() {
        DataType::Utf8 => array.as_string::<i32>().value(row).to_owned(),
        DataType::Decimal128(..) => array.as_primitive::<Decimal128Type>().value(row).to_string(),
        DataType::Timestamp(..) => {
            array.as_primitive::<TimestampMicrosecondType>().value(row).to_string()
        }
        DataType::Date32 => array.as_primitive::<Date32Type>().value(row).to_string(),
        DataType::Boolean => array.as_boolean().value(row).to_string(),
        DataType::Int64 => array.as_primitive::<Int64Type>().value(row).to_string(),
        DataType::Int32 => array.as_primitive::<Int32Type>().value(row).to_string(),
        other => panic!("no column has type {other}"),
    })
}

fn column<'a>(batch: &'a RecordBatch, name: &str) -> &'a ArrayRef {
    batch.column_by_name(name).unwrap()
}

/// The cells of a row in the form the reference gives.
fn cells(batch: &RecordBatch, row: usize) -> Cells {
    let mut cells: Cells =
        (0..schema().columns.len()).map(|index| cell(batch.column(index), row)).collect();
    for name in ["_offset", "_key", "_rescued_data"] {
        cells.push(cell(column(batch, name), row));
    }
    let corrupt = cell(column(batch, "_corrupt_reason"), row);
    cells.push(corrupt.map(|_| "corrupt".to_owned()));
    cells.push(cell(column(batch, "date_key"), row));
    cells
}

/// Decodes `lines` both ways and compares every cell.
fn check(lines: &[Vec<u8>]) {
    let file = key(3, 0, LandingKind::Records).to_string();
    let decoded = decode_lines(lines, LINE_BYTES_MAX);
    let batch = &decoded.batches[0];
    for (row, line) in lines.iter().enumerate() {
        assert_eq!(
            cells(batch, row),
            reference::decode(&schema(), line, &file),
            "line {:?}",
            String::from_utf8_lossy(line)
        );
        let record = cell(column(batch, "_corrupt_record"), row);
        let is_corrupt = cell(column(batch, "_corrupt_reason"), row).is_some();
        let verbatim = String::from_utf8_lossy(line).into_owned();
        assert_eq!(record, is_corrupt.then_some(verbatim));
    }
}

fn json_string() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[A-Za-z0-9 .:+-]{0,12}",
        1 => "[aé€😀\u{7f}]{0,20}",
        1 => "(\\\\[\"\\\\/bfnrt]|\\\\u[0-9a-f]{4}|x){0,4}",
        1 => Just("\\ud83d\\ude00".to_owned()),
        2 => "(2019|2020|0000)-(02|13|12)-(11|29|31)([T ](14|24):30:(00|60))?(\\.[0-9]{1,8})?(Z|[+-]0[05]:?00)?",
        2 => "-?[0-9]{1,14}(\\.[0-9]{1,8})?",
    ]
    .prop_map(|inner| format!("\"{inner}\""))
}

fn json_scalar() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => json_string(),
        3 => "-?(0|[1-9][0-9]{0,13})(\\.[0-9]{1,8})?",
        1 => "-?(0|[1-9][0-9]{0,20})([eE][+-]?[0-9]{1,3})?",
        2 => Just("null".to_owned()),
        1 => prop_oneof![Just("true"), Just("false")].prop_map(str::to_owned),
    ]
}

fn json_value() -> impl Strategy<Value = String> {
    json_scalar().prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4)
                .prop_map(|items| format!("[{}]", items.join(" , "))),
            prop::collection::vec((json_string(), inner), 0..4).prop_map(|members| {
                let members: Vec<_> =
                    members.into_iter().map(|(key, value)| format!("{key}:{value}")).collect();
                format!("{{{}}}", members.join(","))
            }),
        ]
    })
}

fn json_row() -> impl Strategy<Value = String> {
    let known = prop::sample::select(vec![
        "\"symbol\"",
        "\"open\"",
        "\"close\"",
        "\"volume\"",
        "\"date\"",
        "\"day\"",
        "\"halted\"",
        "\"trades\"",
        "\"extra\"",
        "\"Close\"",
        "\"clo\\u0073e\"",
    ])
    .prop_map(str::to_owned);
    let key = prop_oneof![8 => known, 1 => json_string()];
    let space = prop::sample::select(vec!["", "", "", " ", "\t"]);
    prop::collection::vec((key, space.clone(), json_value(), space), 0..14).prop_map(|members| {
        let members: Vec<_> = members
            .into_iter()
            .map(|(key, before, value, after)| format!("{key}{before}:{after}{value}"))
            .collect();
        format!("{{{}}}", members.join(","))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(384))]

    #[test]
    fn decodes_as_the_reference_does(rows in prop::collection::vec(json_row(), 1..6)) {
        let lines: Vec<_> = rows.iter().zip(1..).map(|(row, n)| envelope(n, row)).collect();
        check(&lines);
    }

    /// Any damage: what `serde_json` rejects is corrupt here, and nothing else is.
    #[test]
    fn is_corrupt_exactly_when_serde_json_says_so(
        row in json_row(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..3_u8), 1..3),
    ) {
        let mut line = envelope(1, &row);
        for (place, byte, how) in damage {
            let place = place.index(line.len());
            match how {
                0 => line[place] = byte,
                1 => { line.remove(place); }
                _ => line.insert(place, b"\"\\{}[],:0-e "[usize::from(byte) % 12]),
            }
            line.retain(|byte| *byte != b'\n');
            if line.is_empty() {
                break;
            }
        }
        check(&[envelope(0, "{\"close\":1}"), line, envelope(2, &row)]);
    }

    #[test]
    fn any_bytes_become_rows(lines in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 1..5)) {
        let lines: Vec<Vec<u8>> = lines
            .into_iter()
            .map(|line| line.into_iter().filter(|byte| *byte != b'\n').collect())
            .collect();
        check(&lines);
    }
}

#[test]
fn envelopes_of_any_shape_are_read_as_serde_json_reads_them() {
    let ts = "\"2026-01-05T14:30:00Z\"";
    let lines: Vec<Vec<u8>> = [
        format!("[1,\"K\",{ts},{{}},{{\"close\":1}}]"),
        format!("{{\"data\":{{\"close\":1}},\"_offset\":1,\"_key\":\"A\\u0042\",\"_ts\":{ts},\"_headers\":{{}}}}"),
        format!("{{\"_offset\":1,\"_offset\":2,\"_key\":\"K\",\"_ts\":{ts},\"_headers\":{{}},\"data\":{{}}}}"),
        format!("{{\"_offset\":01,\"_key\":\"K\",\"_ts\":{ts},\"_headers\":{{}},\"data\":{{}}}}"),
        format!("{{\"_offset\":18446744073709551615,\"_key\":\"K\",\"_ts\":{ts},\"_headers\":{{}},\"data\":{{}}}}"),
        format!("{{\"_offset\":9999999999999999999,\"_key\":\"K\",\"_ts\":{ts},\"_headers\":{{}},\"data\":{{}}}}"),
        format!("{{\"_offset\":1,\"_key\":\"K\",\"_ts\":{ts},\"_headers\":{{\"source\":\"a\",\"source\":\"b\"}},\"data\":{{}}}}"),
        format!("{{\"_offset\":1,\"_key\":\"K\",\"_ts\":{ts},\"_headers\":{{\"page\":7}},\"data\":{{}}}}"),
        format!("{{\"_offset\":1,\"_key\":\"K\",\"_ts\":{ts},\"_headers\":{{\"source\":\"a\",}},\"data\":{{}}}}"),
        format!("{{\"_offset\":1,\"_key\":\"K\",\"_ts\":{ts},\"_headers\":{{\"new\":{{}}}},\"data\":{{}} , \"later\":1}}\r"),
        format!("{{\"_offset\":1,\"_key\":\"K\",\"_ts\":{ts},\"_headers\":{{}},\"data\":[1]}}"),
        format!("{{\"_offset\":1,\"_key\":\"K\",\"_ts\":{ts},\"_headers\":{{}},\"data\":{{}}}}}}"),
        "{\"_offset\":1,\"_key\":\"K\",\"_ts\":\"2026-13-05T14:30:00.000000Z\",\"_headers\":{},\"data\":{}}".to_owned(),
        "{\"_footer\":{}}".to_owned(),
        String::new(),
    ]
    .into_iter()
    .map(String::into_bytes)
    .collect();
    check(&lines);
}

#[test]
fn limits_make_a_line_corrupt_and_nothing_else() {
    let nested =
        |depth: usize| format!("{{\"a\":{}{}}}", "[".repeat(depth - 1), "]".repeat(depth - 1));
    let wide = |fields: usize| {
        let members: Vec<_> = (0..fields).map(|n| format!("\"f{n}\":0")).collect();
        format!("{{{}}}", members.join(","))
    };
    let lines: Vec<_> = [
        nested(DEPTH_MAX),
        nested(DEPTH_MAX + 1),
        nested(100_000),
        wide(FIELDS_MAX),
        wide(FIELDS_MAX + 1),
    ]
    .iter()
    .map(|row| envelope(1, row))
    .collect();
    check(&lines[..2]);
    check(&lines[3..]);
    let decoded = decode_lines(&lines, LINE_BYTES_MAX);
    assert_eq!(decoded.rows_corrupt, 3);
    let reasons = column(&decoded.batches[0], "_corrupt_reason");
    assert_eq!(cell(reasons, 1).unwrap(), "`data` is nested deeper than 64");
    assert_eq!(cell(reasons, 4).unwrap(), "`data` is more than 4096 fields");
    let short =
        decode_lines(&[envelope(1, "{}"), envelope(2, "{\"close\":1}")], envelope(1, "{}").len());
    assert_eq!(short.rows_corrupt, 1);
}

#[test]
fn provenance_stands_beside_every_row() {
    let row = "{\"symbol\":\"AAPL\",\"close\":189.43,\"date\":\"2026-01-05T23:30:00-0500\",\"new\":{\"a\":[1]}}";
    let decoded = decode_lines(&[envelope(41, row), b"broken".to_vec()], LINE_BYTES_MAX);
    let batch = &decoded.batches[0];
    let shown = |row: usize| -> Vec<String> {
        provenance_names()
            .iter()
            .map(|name| cell(column(batch, name), row).unwrap_or_else(|| "-".to_owned()))
            .collect()
    };
    let file = "0/intraday/p=00003/00000000000000000000.ndjson.zst";
    let crc = crc32fast::hash(row.as_bytes()).to_string();
    let rescued = format!("{{\"new\":{{\"a\":[1]}},\"_file_path\":\"{file}\"}}");
    assert_eq!(
        shown(0),
        [
            "intraday",
            "3",
            "41",
            "AAPL",
            "marketstack-v2",
            "1min",
            "12",
            "0",
            "7",
            "1767623400250000",
            file,
            "1",
            "9",
            &crc,
            &rescued,
            "-",
            "-",
            "20260106",
        ]
    );
    let crc = crc32fast::hash(b"broken").to_string();
    assert_eq!(
        shown(1),
        [
            "intraday",
            "3",
            "-",
            "-",
            "-",
            "-",
            "-",
            "-",
            "-",
            "-",
            file,
            "2",
            "9",
            &crc,
            "-",
            "broken",
            "no envelope: expected value at line 1 column 1",
            "0",
        ]
    );
    assert_eq!((decoded.rows_corrupt, decoded.rows_rescued), (1, 1));
    assert_eq!(decoded.ts_fetched_newest.unwrap().timestamp_micros(), 1_767_623_400_250_000);
}

#[test]
fn headers_that_do_not_fit_are_rescued() {
    let line = String::from_utf8(envelope(1, "{}")).unwrap();
    let line = line.replace("\"fetch_id\":\"12\"", "\"fetch_id\":\"twelve\"");
    let decoded = decode_lines(&[line.into_bytes()], LINE_BYTES_MAX);
    let rescued = cell(column(&decoded.batches[0], "_rescued_data"), 0).unwrap();
    assert!(rescued.starts_with("{\"_fetch_id\":\"twelve\",\"_file_path\":"), "{rescued}");
}

#[test]
fn large_objects_become_several_batches() {
    let lines: Vec<_> = (0..70_000).map(|n| envelope(n, "{\"close\":1.5}")).collect();
    let decoded = decode_lines(&lines, LINE_BYTES_MAX);
    assert_eq!(decoded.batches.len(), 2);
    let last = decoded.batches.last().unwrap();
    assert_eq!(cell(column(last, "_line"), last.num_rows() - 1).unwrap(), "70000");
}

fn provenance_names() -> Vec<String> {
    crate::schema::provenance_fields().iter().map(|field| field.name().clone()).collect()
}

#[test]
fn a_footer_is_never_a_row() {
    let rows = decode_lines(&[], LINE_BYTES_MAX);
    assert!(rows.batches.is_empty());
    assert!(!envelope(1, "{}").starts_with(Footer::LINE_PREFIX));
}
