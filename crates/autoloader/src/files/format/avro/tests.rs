//! Avro files: those of another writer, our own, and broken ones.

use std::sync::Arc;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::files::{
    decoded::Decoded,
    format::{
        tests::{gathered, lines, read_pieces, shown},
        typed::tests::columns,
    },
    options::{Format, SchemaOptions},
    schema::{Observed, TypeRules, field_text},
};

macro_rules! sample {
    ($name:literal) => {
        ($name, &include_bytes!(concat!("../../../../tests/typed/", $name, ".avro"))[..])
    };
}

/// Reads a file cut into pieces of so many bytes.
fn read(bytes: &[u8], schema: ReadSchema, piece: usize) -> Result<Decoded, FileProblem> {
    let mut reader = AvroFile::new(Arc::new(schema));
    read_pieces(&mut reader, &bytes.chunks(piece).collect::<Vec<_>>())
}

const WHOLE: usize = usize::MAX;

/// Writes a file of blocks that are given as they are.
fn written(schema: &Value, codec: &str, blocks: &[(i64, &[u8])]) -> Vec<u8> {
    let mut file = MAGIC.to_vec();
    long(2, &mut file);
    for (name, value) in [("avro.schema", schema.to_string()), ("avro.codec", codec.to_owned())] {
        text(name, &mut file);
        text(&value, &mut file);
    }
    long(0, &mut file);
    file.extend([7; MARK_BYTES]);
    for (count, data) in blocks {
        long(*count, &mut file);
        long(i64::try_from(data.len()).unwrap(), &mut file);
        file.extend(*data);
        file.extend([7; MARK_BYTES]);
    }
    file
}

fn long(number: i64, out: &mut Vec<u8>) {
    let mut zigzag = (number << 1 ^ number >> 63).cast_unsigned();
    while 0x80 <= zigzag {
        out.push(zigzag.to_le_bytes()[0] | 0x80);
        zigzag >>= 7;
    }
    out.push(zigzag.to_le_bytes()[0]);
}

fn text(text: &str, out: &mut Vec<u8>) {
    long(i64::try_from(text.len()).unwrap(), out);
    out.extend(text.as_bytes());
}

fn record(fields: &Value) -> Value {
    json!({"type": "record", "name": "r", "fields": fields})
}

/// A record of one field `a`.
fn only(made_of: &Value) -> Value {
    record(&json!([{"name": "a", "type": made_of}]))
}

#[test]
fn files_of_another_writer_are_read_in_the_types_that_they_say() {
    let (_, all) = sample!("all");
    let expected = [
        ("bool BOOLEAN", "true", "true"),
        ("i32 INT", "-32", "-32"),
        ("i64 BIGINT", "-9223372036854775808", "∅"),
        ("f32 FLOAT", "0.5", "0.5"),
        ("f64 DOUBLE", "0.1", "0.1"),
        ("bytes BINARY", "00ff", "00ff"),
        ("text STRING", "Zoë", "∅"),
        ("word STRING", "SELL", "SELL"),
        ("again STRING", "BUY", "BUY"),
        ("fixed BINARY", "616263", "616263"),
        ("price DECIMAL(18,6)", "-189.430000", "-189.430000"),
        ("cost DECIMAL(20,2)", "123456789012345678.90", "123456789012345678.90"),
        ("day DATE", "2026-01-05", "2026-01-05"),
        ("time STRING", "14:30:00.123", "14:30:00.123"),
        ("milli TIMESTAMP", "2026-01-05T14:30:00.123Z", "2026-01-05T14:30:00.123Z"),
        ("micro TIMESTAMP", "2026-01-05T14:30:00.123456Z", "2026-01-05T14:30:00.123456Z"),
        ("clock TIMESTAMP_NTZ", "2026-01-05T14:30:00.123456", "2026-01-05T14:30:00.123456"),
        (
            "id STRING",
            "12345678-1234-5678-1234-567812345678",
            "12345678-1234-5678-1234-567812345678",
        ),
        ("list ARRAY<BIGINT>", "[1, ∅, 3]", "[]"),
        ("map MAP<STRING, INT>", "{a: 1}", "{}"),
        ("point STRUCT<x: INT>", "{x: 1}", "∅"),
        ("points ARRAY<STRUCT<x: INT>>", "[{x: 1}, {x: 2}]", "[]"),
        ("number BIGINT", "1099511627776", "1099511627776"),
        (
            "either STRUCT<member0: STRING, member1: INT>",
            "{member0: ∅, member1: 7}",
            "{member0: x, member1: ∅}",
        ),
    ];
    let ddl: Vec<_> = expected.iter().map(|row| row.0).collect();
    let mut reader = AvroFile::new(Arc::new(columns("", true)));
    gathered(&mut |out| reader.push(all, out)).unwrap();
    let fields = reader.fields().unwrap().clone();
    let names: Vec<_> = fields.iter().map(|field| field.name().as_str()).collect();
    let rules = TypeRules::new(&Format::Avro, &SchemaOptions::default());
    let made = |name: &str| {
        let (_, field) = fields.find(name).unwrap();
        let data_type = Observed::of_type(field.data_type()).to_type(&rules).unwrap();
        field_text(&arrow::datatypes::Field::new(name, data_type, true))
    };
    assert_eq!(names.into_iter().map(made).collect::<Vec<_>>(), ddl);
    for piece in [1, 100, WHOLE] {
        let out = read(all, columns(&ddl.join(","), true), piece).unwrap();
        let row = |get: fn(&(&str, &'static str, &'static str)) -> &'static str| {
            expected.iter().map(get).collect::<Vec<_>>().join(" | ")
        };
        assert_eq!(shown(&out), [row(|row| row.1), row(|row| row.2)], "pieces of {piece}");
        assert_eq!(out.unknown, Observed::Nothing, "pieces of {piece}");
    }
}

#[test]
fn every_codec_is_read() {
    let expected: Vec<_> = (0..300).map(|row| format!("{row} | {}", "x".repeat(row % 7))).collect();
    for (name, bytes) in [
        sample!("codec_null"),
        sample!("codec_deflate"),
        sample!("codec_snappy"),
        sample!("codec_zstandard"),
        sample!("codec_bzip2"),
        sample!("codec_xz"),
    ] {
        let out = read(bytes, columns("a BIGINT, b STRING", true), 700).unwrap();
        assert_eq!(shown(&out), expected, "{name}");
        assert_eq!(lines(&out), (1..=300).collect::<Vec<_>>(), "{name}");
    }
}

#[test]
fn values_are_read_as_their_schema_says() {
    let recursive =
        json!({"type": "record", "name": "s", "fields": [{"name": "x", "type": "int"}]});
    let decimal = json!({"type": "bytes", "logicalType": "decimal", "precision": 4, "scale": 2});
    let large = json!({"type": "bytes", "logicalType": "decimal", "precision": 50, "scale": 0});
    let uuid = json!({"type": "fixed", "name": "f", "size": 16, "logicalType": "uuid"});
    let duration = json!({"type": "fixed", "name": "f", "size": 12, "logicalType": "duration"});
    let cases: [(&str, Value, &[u8], &str, &str); 21] = [
        ("null", json!("null"), &[], "INT", "∅"),
        ("int", json!("int"), &[0x7f], "INT", "-64"),
        ("the least long", json!("long"), &[0xff; 10][..9], "BIGINT", "end"),
        ("a long of eleven bytes", json!("long"), &[0x80; 11], "BIGINT", "digits"),
        ("an int that is none", json!("int"), &[0xff, 0xff, 0xff, 0xff, 0x7f], "INT", "digits"),
        ("a truth value of two", json!("boolean"), &[2], "BOOLEAN", "truth"),
        ("text that is none", json!("string"), &[2, 0xff], "STRING", "UTF-8"),
        ("text of fewer than no bytes", json!("string"), &[1], "STRING", "below zero"),
        ("a choice too many", json!(["null", "int"]), &[4], "INT", "choice"),
        (
            "an enum's choice too many",
            json!({"type": "enum", "name": "e", "symbols": []}),
            &[0],
            "STRING",
            "choice",
        ),
        ("one byte more", json!("int"), &[0, 0], "INT", "more bytes than its rows"),
        (
            "a list in two blocks",
            json!({"type": "array", "items": "int"}),
            &[2, 2, 1, 2, 4, 0],
            "ARRAY<INT>",
            "[1, 2]",
        ),
        ("a decimal", decimal.clone(), &[4, 0xff, 0x38], "DECIMAL(4,2)", "-2.00"),
        ("a decimal of no bytes", decimal.clone(), &[0], "DECIMAL(4,2)", "0.00"),
        ("a decimal of more digits", decimal, &[6, 1, 0, 0], "DECIMAL(4,2)", r#"∅ + {"a":655.36}"#),
        ("a large decimal is text", large, &[2, 5], "STRING", "5"),
        ("a uuid in bytes", uuid, &[0xab; 16], "STRING", "abababab-abab-abab-abab-abababababab"),
        ("a duration", duration, &[1; 12], "BINARY", "010101010101010101010101"),
        ("a union of floats", json!(["float", "double"]), &[0, 0, 0, 0, 0x3f], "DOUBLE", "0.5"),
        ("a nested record", recursive, &[6], "STRUCT<x: INT>", "{x: 3}"),
        ("another type than the column's", json!("string"), &[2, b'x'], "INT", r#"∅ + {"a":"x"}"#),
    ];
    for (name, made_of, data, column, expected) in cases {
        let file = written(&only(&made_of), "null", &[(1, data)]);
        match read(&file, columns(&format!("a {column}"), true), WHOLE) {
            Ok(out) => assert_eq!(shown(&out), [expected], "{name}"),
            Err(problem) => assert!(problem.to_string().contains(expected), "{name}: {problem}"),
        }
    }
}

#[test]
fn schemas_that_no_table_has_are_refused() {
    let deep = |levels| {
        (0..levels).fold(json!("int"), |inner, _| json!({"type": "array", "items": inner}))
    };
    // Each record is inside of the next: deep by names, where no text is.
    let chain: Vec<Value> = (0..300)
        .map(|at| {
            let inner = if at == 0 { json!("int") } else { json!(format!("t{}", at - 1)) };
            let fields = json!([{"name": "x", "type": inner}]);
            json!({"name": format!("f{at}"), "type": {"type": "record", "name": format!("t{at}"), "fields": fields}})
        })
        .collect();
    let doubled: Vec<Value> = (0..40)
        .map(|at| {
            let inner = if at == 0 { json!("int") } else { json!(format!("t{}", at - 1)) };
            let fields = json!([{"name": "x", "type": inner}, {"name": "y", "type": inner}]);
            json!({"name": format!("f{at}"), "type": {"type": "record", "name": format!("t{at}"), "fields": fields}})
        })
        .collect();
    for (name, schema, expected) in [
        ("no record", json!("int"), "no record"),
        ("an unknown name", only(&json!("nothing")), "`nothing` is not known"),
        ("itself", only(&json!(["null", "r"])), "`r` has itself inside"),
        ("no fields", json!({"type": "record", "name": "r"}), "without `fields`"),
        ("a number", only(&json!(7)), "`7` is no type"),
        ("nested too deep", only(&deep(150)), "schema"),
        ("too deep by names", record(&json!(chain)), "nested more than 200 times"),
        ("too many by names", record(&json!(doubled)), "more than 50000 columns"),
    ] {
        let file = written(&schema, "null", &[]);
        let problem = read(&file, columns("a INT", true), WHOLE).unwrap_err().to_string();
        assert!(problem.contains(expected), "{name}: {problem}");
    }
    let file = written(&only(&json!("int")), "lzo", &[]);
    let problem = read(&file, columns("a INT", true), WHOLE).unwrap_err().to_string();
    assert!(problem.contains("its codec `lzo` is not one that is read"), "{problem}");
}

#[test]
fn few_bytes_do_not_keep_us_busy_for_ever() {
    let nulls = json!({"type": "array", "items": "null"});
    let long_symbol = json!({"type": "enum", "name": "e", "symbols": ["x".repeat(1 << 20)]});
    let symbols = json!({"type": "array", "items": long_symbol});
    let mut many = Vec::new();
    long(i64::MAX, &mut many);
    many.push(0);
    let mut texts = Vec::new();
    long(1 << 10, &mut texts);
    texts.resize(texts.len() + (1 << 10), 0);
    texts.push(0);
    let huge = {
        let mut packed =
            flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::fast());
        std::io::Write::write_all(&mut packed, &vec![0; BLOCK_BYTES_MAX + 1]).unwrap();
        packed.finish().unwrap()
    };
    for (name, made_of, codec, count, data, expected) in [
        ("rows of nothing", json!("null"), "null", i64::MAX, &[][..], "more values than bytes"),
        ("elements of nothing", nulls, "null", 1, &many[..], "more values than bytes"),
        ("long symbols", symbols, "null", 1, &texts[..], "larger than 256 MiB"),
        ("a packed block", json!("int"), "deflate", 1, &huge[..], "unpacks to more than"),
        ("fewer than no rows", json!("int"), "null", -1, &[][..], "fewer than no rows"),
        ("snappy without its checksum", json!("int"), "snappy", 1, &[0, 0][..], "no checksum"),
    ] {
        let file = written(&only(&made_of), codec, &[(count, data)]);
        let problem = read(&file, columns("a INT", true), WHOLE).unwrap_err().to_string();
        assert!(problem.contains(expected), "{name}: {problem}");
    }
}

#[test]
fn a_damaged_file_is_refused_or_read_and_never_the_end_of_us() {
    let schema = || columns("a BIGINT, b STRING, list ARRAY<BIGINT>", true);
    for (name, bytes) in [
        sample!("all"),
        sample!("codec_null"),
        sample!("codec_deflate"),
        sample!("codec_snappy"),
        sample!("codec_zstandard"),
        sample!("codec_bzip2"),
        sample!("codec_xz"),
    ] {
        for (at, flip) in (0..bytes.len()).zip([0x01, 0x80, 0xff, 0x40].into_iter().cycle()) {
            let mut damaged = bytes.to_vec();
            damaged[at] ^= flip;
            if let Err(problem) = read(&damaged, schema(), WHOLE) {
                let place = format!("{name}, byte {at} ^ {flip:#x}: {problem}");
                assert_eq!(problem.kind(), model::ErrorKind::Data, "{place}");
            }
            // At the end of a block nothing shows that there was another.
            let is_whole = bytes[..at].ends_with(b"0123456789abcdef");
            assert_eq!(
                read(&bytes[..at], schema(), WHOLE).is_ok(),
                is_whole,
                "{name}, cut at {at}"
            );
        }
    }
}

#[test]
fn large_blocks_become_batches_of_bounded_size() {
    let mut rows = Vec::new();
    let long_text = "x".repeat(1 << 10);
    for _ in 0..20_000 {
        text(&long_text, &mut rows);
    }
    let packed = zstd::encode_all(&rows[..], 1).unwrap();
    let file = written(&only(&json!("string")), "zstandard", &[(20_000, &packed)]);
    let out = read(&file, columns("a STRING", true), WHOLE).unwrap();
    assert_eq!(lines(&out), (1..=20_000).collect::<Vec<_>>());
    for batch in &out.batches {
        assert!(batch.num_rows() <= BATCH_ROWS_MAX, "{} rows", batch.num_rows());
        assert!(batch.get_array_memory_size() < 3 * STRETCH_BYTES_MAX);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_written_is_read(
        rows in prop::collection::vec((any::<i64>(), "\\PC{0,8}", prop::collection::vec(any::<Option<i32>>(), 0..4)), 0..50),
        in_block in 1..20usize,
        piece in 1..200usize,
    ) {
        let schema = record(&json!([
            {"name": "a", "type": "long"},
            {"name": "b", "type": ["null", "string"]},
            {"name": "c", "type": {"type": "array", "items": ["int", "null"]}},
        ]));
        let mut blocks = Vec::new();
        for rows in rows.chunks(in_block) {
            let mut data = Vec::new();
            for (number, name, list) in rows {
                long(*number, &mut data);
                long(1, &mut data);
                text(name, &mut data);
                for item in list {
                    // Each in a block of its own, that says how long it is.
                    long(-1, &mut data);
                    long(0, &mut data);
                    long(i64::from(item.is_none()), &mut data);
                    item.iter().for_each(|item| long(i64::from(*item), &mut data));
                }
                long(0, &mut data);
            }
            blocks.push((i64::try_from(rows.len()).unwrap(), data));
        }
        let blocks: Vec<_> = blocks.iter().map(|(count, data)| (*count, &data[..])).collect();
        let file = written(&schema, "null", &blocks);
        let out = read(&file, columns("a BIGINT, b STRING, c ARRAY<BIGINT>", true), piece).unwrap();
        let item = |item: &Option<i32>| item.map_or_else(|| "∅".to_owned(), |item| item.to_string());
        let expected: Vec<_> = rows
            .iter()
            .map(|(number, name, list)| {
                let list: Vec<_> = list.iter().map(item).collect();
                format!("{number} | {name} | [{}]", list.join(", "))
            })
            .collect();
        prop_assert_eq!(shown(&out), expected);
    }

    #[test]
    fn any_bytes_are_no_panic(schema in "\\PC{0,40}", data in prop::collection::vec(any::<u8>(), 0..100)) {
        let (_, all) = sample!("all");
        let mark = all.windows(MARK_BYTES).position(|bytes| bytes == b"0123456789abcdef").unwrap();
        let mut file = all[..mark + MARK_BYTES].to_vec();
        long(3, &mut file);
        text("", &mut file);
        file.pop();
        long(i64::try_from(data.len()).unwrap(), &mut file);
        file.extend(&data);
        file.extend(b"0123456789abcdef");
        drop(read(&file, columns("list ARRAY<BIGINT>", true), WHOLE));
        let other = written(&Value::String(schema), "null", &[]);
        prop_assert!(read(&other, columns("a INT", true), WHOLE).is_err());
    }
}
