//! Parquet files: those of other writers, our own, and broken ones.

use std::{
    io::{self, Read as _},
    ops::Range,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use arrow::{
    array::{AsArray, Int32Array, Int64Array, StringArray},
    compute::concat_batches,
    datatypes::{DataType, Int64Type},
};
use bytes::Bytes;
use parquet::{
    arrow::ArrowWriter,
    basic::{Compression, Encoding},
    data_type::Int32Type,
    file::{properties::WriterProperties, reader::ChunkReader as _, writer::SerializedFileWriter},
    schema::parser::parse_message_type,
};
use proptest::prelude::*;

use super::*;
use crate::files::{
    format::{
        tests::{gathered, lines, shown},
        typed::tests::columns,
    },
    ports::ReadError,
    schema::{Observed, field_text},
};

macro_rules! sample {
    ($name:literal) => {
        ($name, &include_bytes!(concat!("../../../../tests/typed/", $name, ".parquet"))[..])
    };
}

fn blocks(bytes: impl Into<Bytes>) -> Blocks {
    let bytes = bytes.into();
    let fetch = {
        let bytes = bytes.clone();
        move |range: Range<u64>| {
            let at = |at: u64| usize::try_from(at).unwrap();
            Ok(bytes.slice(at(range.start)..at(range.end)))
        }
    };
    Blocks::new(bytes.len() as u64, Box::new(fetch))
}

fn read_all(file: &Blocks, schema: ReadSchema) -> Result<Decoded, FileProblem> {
    let schema = Arc::new(schema);
    gathered(&mut |out| read_into(file, Arc::clone(&schema), out))
}

/// Returns the columns that the file makes of itself.
fn inferred(file: &Blocks) -> Vec<String> {
    let observed = Observed::of_type(&DataType::Struct(fields(file).unwrap()));
    let rules = crate::files::schema::TypeRules::new(
        &crate::files::options::Format::Parquet,
        &crate::files::options::SchemaOptions::default(),
    );
    let Some(DataType::Struct(columns)) = observed.to_type(&rules) else { return vec![] };
    columns.iter().map(|column| field_text(column)).collect()
}

#[test]
fn files_of_other_writers_are_read_in_the_types_that_they_say() {
    let expected = [
        ("bool BOOLEAN", "true"),
        ("bytes BINARY", "00ff"),
        ("clock TIMESTAMP_NTZ", "2026-01-05T14:30:00.123456"),
        ("day DATE", "2026-01-05"),
        ("f32 FLOAT", "0.5"),
        ("f64 DOUBLE", "0.1"),
        ("fixed BINARY", "616263"),
        ("i16 SMALLINT", "-16"),
        ("i32 INT", "-32"),
        ("i64 BIGINT", "-64"),
        ("i8 TINYINT", "-8"),
        ("micro TIMESTAMP", "2026-01-05T14:30:00.123456Z"),
        ("milli TIMESTAMP", "2026-01-05T14:30:00.123Z"),
        ("nano TIMESTAMP", "2026-01-05T14:30:00.123456Z"),
        ("price DECIMAL(18,6)", "189.430000"),
        ("small DECIMAL(9,2)", "1.50"),
        ("text STRING", "Zoë"),
        ("time STRING", "14:30:00.123"),
        ("u16 INT", "65535"),
        ("u32 BIGINT", "4294967295"),
        ("u64 DECIMAL(20,0)", "18446744073709551615"),
        ("u8 SMALLINT", "255"),
        ("wide DECIMAL(38,0)", "10000000000000000000000000000000000000"),
        ("word STRING", "AAPL"),
    ];
    let (ddl, values): (Vec<_>, Vec<_>) = expected.into_iter().unzip();
    for (name, bytes) in [sample!("flat"), sample!("flat_integers")] {
        let file = blocks(bytes);
        assert_eq!(inferred(&file), ddl, "{name}");
        let out = read_all(&file, columns(&ddl.join(","), true)).unwrap();
        let nulls = vec!["∅"; ddl.len()].join(" | ");
        assert_eq!(shown(&out), [values.join(" | "), nulls], "{name}");
        assert_eq!(out.unknown, Observed::Nothing, "{name}");
    }
}

#[test]
fn nested_columns_of_other_writers_are_read() {
    let ddl = "list ARRAY<BIGINT>,map MAP<STRING, BIGINT>,point STRUCT<x: INT, y: STRING>,points ARRAY<STRUCT<x: INT>>";
    for (name, bytes) in [sample!("nested"), sample!("nested_item")] {
        let file = blocks(bytes);
        assert_eq!(inferred(&file).join(","), ddl, "{name}");
        let out = read_all(&file, columns(ddl, true)).unwrap();
        let expected = [
            "[1, ∅, 3] | {a: 1, b: ∅} | {x: 1, y: a} | [{x: 1}, ∅]",
            "[] | {} | {x: ∅, y: ∅} | []",
            "∅ | ∅ | ∅ | ∅",
        ];
        assert_eq!(shown(&out), expected, "{name}");
    }
}

#[test]
fn every_codec_is_read() {
    let expected: Vec<_> = (0..300).map(|row| format!("{row} | {}", "x".repeat(row % 7))).collect();
    for (name, bytes) in [
        sample!("codec_none"),
        sample!("codec_snappy"),
        sample!("codec_gzip"),
        sample!("codec_brotli"),
        sample!("codec_lz4"),
        sample!("codec_zstd"),
    ] {
        let out = read_all(&blocks(bytes), columns("a BIGINT, b STRING", true)).unwrap();
        assert_eq!(shown(&out), expected, "{name}");
        assert_eq!(lines(&out), (1..=300).collect::<Vec<_>>(), "{name}");
    }
}

#[test]
fn old_and_empty_files_are_read() {
    let (_, int96) = sample!("int96");
    let out = read_all(&blocks(int96), columns("micro TIMESTAMP, i64 BIGINT", true)).unwrap();
    assert_eq!(shown(&out), ["2026-01-05T14:30:00.123456Z | -64", "∅ | ∅"]);
    let (_, empty) = sample!("empty");
    let out = read_all(&blocks(empty), columns("z INT", true)).unwrap();
    assert_eq!(shown(&out), [""; 0]);
    // What columns it has is news, although it has no rows.
    assert_ne!(out.unknown, Observed::Nothing);
}

#[test]
fn lists_and_maps_of_old_writers_are_read() {
    let message = "message m {
        repeated int32 bare;
        optional group two_levels (LIST) { repeated int32 array; }
        optional group old_map (MAP_KEY_VALUE) {
            repeated group map { required int32 key; optional int32 value; }
        }
    }";
    let mut bytes = Vec::new();
    let message = Arc::new(parse_message_type(message).unwrap());
    let mut writer = SerializedFileWriter::new(&mut bytes, message, Arc::default()).unwrap();
    let mut group = writer.next_row_group().unwrap();
    // One row of two numbers, then one of none; what is optional is one level more.
    for defined in [1, 2, 2, 3] {
        let mut column = group.next_column().unwrap().unwrap();
        let levels = [defined, defined, 0];
        column.typed::<Int32Type>().write_batch(&[7, 8], Some(&levels), Some(&[0, 1, 0])).unwrap();
        column.close().unwrap();
    }
    group.close().unwrap();
    writer.close().unwrap();
    let ddl = "bare ARRAY<INT>,old_map MAP<INT, INT>,two_levels ARRAY<INT>";
    let file = blocks(bytes);
    assert_eq!(inferred(&file).join(","), ddl);
    let out = read_all(&file, columns(ddl, true)).unwrap();
    assert_eq!(shown(&out), ["[7, 8] | {7: 7, 8: 8} | [7, 8]", "[] | ∅ | ∅"]);
}

#[test]
fn a_map_with_a_null_key_is_rescued() {
    let message = "message m {
        optional group m (MAP) {
            repeated group map { optional int32 key; optional int32 value; }
        }
    }";
    let mut bytes = Vec::new();
    let message = Arc::new(parse_message_type(message).unwrap());
    let mut writer = SerializedFileWriter::new(&mut bytes, message, Arc::default()).unwrap();
    let mut group = writer.next_row_group().unwrap();
    // A map of two entries, one of which the key is null, one of another entry, and none.
    for (values, defined) in [(&[1, 3][..], [3, 2, 3, 0]), (&[7, 8, 9], [3, 3, 3, 0])] {
        let mut column = group.next_column().unwrap().unwrap();
        let repeated = [0, 1, 0, 0];
        column.typed::<Int32Type>().write_batch(values, Some(&defined), Some(&repeated)).unwrap();
        column.close().unwrap();
    }
    group.close().unwrap();
    writer.close().unwrap();
    let file = blocks(bytes);
    for (name, is_rescuing, rows, bad) in [
        ("rescued", true, &[r#"∅ + {"m":{"1":7,"null":8}}"#, "{3: 9}", "∅"][..], 0),
        ("bad", false, &["{3: 9}", "∅"], 1),
    ] {
        let out = read_all(&file, columns("m MAP<INT, INT>", is_rescuing)).unwrap();
        assert_eq!(shown(&out), rows, "{name}");
        assert_eq!(out.bad.len(), bad, "{name}");
    }
}

/// Writes a file of row groups of so many rows.
fn written(batch: &RecordBatch, group_rows: usize, compression: Compression) -> Vec<u8> {
    let properties = WriterProperties::builder()
        .set_compression(compression)
        .set_max_row_group_row_count(Some(group_rows))
        .set_data_page_size_limit(1 << 10)
        .set_write_batch_size(64)
        .build();
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), Some(properties)).unwrap();
    writer.write(batch).unwrap();
    writer.close().unwrap();
    bytes
}

fn numbers(rows: i64) -> RecordBatch {
    let numbers = Int64Array::from_iter_values(0..rows);
    let texts = StringArray::from_iter_values((0..rows).map(|row| format!("text {row}")));
    RecordBatch::try_from_iter([
        ("a", Arc::new(numbers) as ArrayRef),
        ("b", Arc::new(texts) as ArrayRef),
    ])
    .unwrap()
}

#[test]
fn a_damaged_file_is_refused_or_read_and_never_the_end_of_us() {
    let schema = || columns("a BIGINT, b STRING", true);
    let (_, nested) = sample!("nested");
    let files = [
        ("plain", written(&numbers(50), 20, Compression::UNCOMPRESSED)),
        ("zstd", written(&numbers(50), 20, Compression::ZSTD(Default::default()))),
        ("nested", nested.to_vec()),
    ];
    for (name, bytes) in files {
        for (at, flip) in (0..bytes.len()).zip([0x01, 0x80, 0xff, 0x40].into_iter().cycle()) {
            let mut damaged = bytes.clone();
            damaged[at] ^= flip;
            if let Err(problem) = read_all(&blocks(damaged), schema()) {
                let place = format!("{name}, byte {at} ^ {flip:#x}: {problem}");
                assert_eq!(problem.kind(), model::ErrorKind::Data, "{place}");
            }
            let cut = read_all(&blocks(bytes[..at].to_vec()), schema());
            assert!(cut.is_err(), "{name}, cut at byte {at}");
        }
    }
}

#[test]
fn what_is_no_parquet_file_is_named() {
    let mut encrypted = vec![0; 12];
    encrypted.extend(b"PARE");
    for (name, bytes, expected) in [
        ("nothing", &b""[..], "it has 0 bytes, which is too short"),
        ("text", b"{\"a\":1}\n{\"a\":2}", "it does not end as a Parquet file does"),
        ("encrypted", &encrypted[..], "it is encrypted"),
        ("a footer longer than the file", b"PAR1\xff\0\0\0PAR1", "its footer would have 255 bytes"),
        ("no footer", b"PAR1\x01\0\0\0\0PAR1", "footer"),
    ] {
        let file = blocks(bytes.to_vec());
        let problem = read_all(&file, columns("a INT", true)).unwrap_err().to_string();
        assert!(problem.contains(expected), "{name}: {problem}");
    }
}

#[test]
fn a_schema_without_bottom_is_refused() {
    // Elements of one child each: a struct of a name and a count, in Thrift's compact protocol.
    let element = [0x48, 0x01, b'a', 0x15, 0x02, 0x00];
    let depth = 100_000u32;
    let mut footer = vec![0x15, 0x02, 0x19, 0xfc];
    footer.extend([0xa0, 0x8d, 0x06]);
    footer.extend(element.repeat(depth as usize));
    footer.push(0);
    let mut bytes = b"PAR1".to_vec();
    bytes.extend(&footer);
    bytes.extend(u32::try_from(footer.len()).unwrap().to_le_bytes());
    bytes.extend(b"PAR1");
    let problem = read_all(&blocks(bytes), columns("a INT", true)).unwrap_err().to_string();
    assert!(problem.contains("nested more than 200 times"), "{problem}");
}

#[test]
fn a_page_that_asks_for_more_memory_than_it_can_need_is_refused() {
    // Of its second row group, a dictionary of 960 bytes says that it has 209 million values.
    let (_, bomb) = sample!("page_bomb");
    let file = blocks(bomb);
    let ddl = inferred(&file).join(",");
    let problem = read_all(&file, columns(&ddl, true)).unwrap_err();
    assert_eq!(problem.kind(), model::ErrorKind::Data);
    let told = problem.to_string();
    assert!(told.contains("a dictionary of 960 bytes cannot have"), "{told}");
}

#[test]
fn a_large_file_is_fetched_in_parts_that_are_forgotten() {
    // Some 100 MB of numbers that do not pack, in two columns, of which one is wanted.
    let rows = 6 << 20;
    let mix = |row: i64| row.wrapping_mul(0x5851_f42d_4c95_7f2d);
    let column: ArrayRef = Arc::new(Int64Array::from_iter_values((0..rows).map(mix)));
    let batch = RecordBatch::try_from_iter([("a", Arc::clone(&column)), ("b", column)]).unwrap();
    let properties = WriterProperties::builder()
        .set_dictionary_enabled(false)
        .set_encoding(Encoding::PLAIN)
        .set_max_row_group_row_count(None)
        .build();
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    drop(batch);
    let bytes = Bytes::from(bytes);
    let (size, fetched, largest) = (bytes.len() as u64, AtomicU64::new(0), AtomicU64::new(0));
    let counts = Arc::new((fetched, largest));
    let counted = Arc::clone(&counts);
    let file = Blocks::new(
        size,
        Box::new(move |range: Range<u64>| {
            counted.0.fetch_add(range.end - range.start, Ordering::Relaxed);
            counted.1.fetch_max(range.end - range.start, Ordering::Relaxed);
            let at = |at: u64| usize::try_from(at).unwrap();
            Ok(bytes.slice(at(range.start)..at(range.end)))
        }),
    );
    let (mut next, mut largest) = (0, 0);
    let schema = Arc::new(columns("a BIGINT", false));
    read(&file, schema, &mut |out: Decoded| {
        for batch in out.batches {
            largest = largest.max(batch.get_array_memory_size());
            for number in batch.column(0).as_primitive::<Int64Type>().values() {
                assert_eq!(*number, mix(next));
                next += 1;
            }
        }
        Ok::<(), FileProblem>(())
    })
    .unwrap();
    assert_eq!(next, rows);
    assert!(largest < 1 << 20, "{largest} bytes in a batch");
    assert!(counts.1.load(Ordering::Relaxed) <= 8 << 20, "no request is for much at once");
    assert!(counts.0.load(Ordering::Relaxed) < size * 6 / 10, "the other column stays where it is");
}

#[test]
fn a_range_is_fetched_in_one_request_whatever_its_length() {
    const SIZE: u64 = 60 << 20;
    for (name, length, again) in [
        ("a few bytes are kept", 10, 0),
        ("as much as is kept for sure", (48 << 20) - 2 * (4 << 20), 0),
        ("nearly everything that may be kept", (48 << 20) - 2, 1),
        ("more than may be kept", (48 << 20) + 1, 1),
    ] {
        let requests = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&requests);
        let file = Blocks::new(
            SIZE,
            Box::new(move |range: Range<u64>| {
                counted.fetch_add(1, Ordering::Relaxed);
                Ok((range.start..range.end).map(|at| at.to_le_bytes()[2]).collect())
            }),
        );
        file.read_from_places(1);
        for (time, expected) in [("first", 1), ("second", again)] {
            let found = file.range((4 << 20) - 1, length).unwrap();
            let ends = (found.first().copied(), found.last().copied());
            let last = ((4 << 20) - 2 + length).to_le_bytes()[2];
            assert_eq!((found.len() as u64, ends), (length, (Some(0x3f), Some(last))), "{name}");
            let asked = requests.swap(0, Ordering::Relaxed);
            assert_eq!(asked, expected, "{name}: the {time} time");
        }
    }
}

#[test]
fn who_reads_beyond_the_end_is_told() {
    let mut end = blocks(vec![7; 100]).get_read(92).expect("eight bytes are left");
    let mut found = [0; 8];
    end.read_exact(&mut found).expect("they are read");
    assert_eq!(found, [7; 8]);
    let error = end.read(&mut found).expect_err("nothing is left");
    assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
}

#[test]
fn a_bad_row_shows_the_fields_that_were_read() {
    let year: ArrayRef = Arc::new(Int32Array::from(vec![2026]));
    let text: ArrayRef = Arc::new(StringArray::from(vec!["x"]));
    let batch = RecordBatch::try_from_iter([("year", year), ("a", Arc::clone(&text)), ("b", text)]);
    let file = blocks(written(&batch.unwrap(), 1, Compression::UNCOMPRESSED));
    let mut schema = columns("a INT", false);
    schema.ignored.insert("year".to_owned());
    let out = read_all(&file, schema).unwrap();
    let bad: Vec<_> = out.bad.iter().map(|bad| &bad.record[..]).collect();
    assert_eq!(bad, [r#"{"a":"x","b":"x"}"#]);
}

#[test]
fn rows_of_nothing_cost_their_columns_something() {
    let rows = 9_000;
    let nulls: ArrayRef = Arc::new(Int64Array::from(vec![None; rows]));
    let column = |at| (format!("c{at}"), Arc::clone(&nulls), true);
    let batch = RecordBatch::try_from_iter_with_nullable((0..600).map(column)).unwrap();
    let file = blocks(written(&batch, rows, Compression::UNCOMPRESSED));
    let all: Vec<_> = (0..600).map(|at| format!("c{at} BIGINT")).collect();
    for (name, ddl, batches) in [
        ("all columns", all.join(","), 4..100),
        ("one column, and none beside it is looked at", "c0 BIGINT".to_owned(), 2..3),
        ("columns that are not there", all.join(",").replace('c', "d"), 4..100),
    ] {
        let out = read_all(&file, columns(&ddl, false)).unwrap();
        let largest = out.batches.iter().map(RecordBatch::get_array_memory_size).max();
        assert!(largest.unwrap() < 24 << 20, "{name}: {largest:?} bytes");
        assert!(batches.contains(&out.batches.len()), "{name}: {} batches", out.batches.len());
        assert_eq!(lines(&out).len(), rows, "{name}");
    }
}

#[test]
fn what_cannot_be_fetched_is_no_fault_of_the_file() {
    let bytes = Bytes::from(written(&numbers(1000), 100, Compression::UNCOMPRESSED));
    let size = bytes.len() as u64;
    let asked = Mutex::new(0);
    let file = Blocks::new(
        size,
        Box::new(move |range: Range<u64>| {
            let mut asked = asked.lock().unwrap();
            *asked += 1;
            let at = |at: u64| usize::try_from(at).unwrap();
            let part = bytes.slice(at(range.start)..at(range.end));
            if *asked == 1 { Ok(part) } else { Err(ReadError::Changed) }
        }),
    );
    read_all(&file, columns("a BIGINT", true)).unwrap_err();
    assert!(matches!(file.take_failure(), Some(ReadError::Changed)));
}

fn any_batch() -> impl Strategy<Value = RecordBatch> {
    let rows = prop::collection::vec(
        (
            any::<Option<i32>>(),
            "[a-c]{0,3}",
            prop::option::of(prop::collection::vec(any::<Option<i32>>(), 0..4)),
        ),
        0..200,
    );
    rows.prop_map(|rows| {
        let numbers: Int32Array = rows.iter().map(|row| row.0).collect();
        let texts = StringArray::from_iter_values(rows.iter().map(|row| &row.1));
        let lists = arrow::array::ListArray::from_iter_primitive::<arrow::datatypes::Int32Type, _, _>(
            rows.iter().map(|row| row.2.clone()),
        );
        RecordBatch::try_from_iter_with_nullable([
            ("a", Arc::new(numbers) as ArrayRef, true),
            ("b", Arc::new(texts) as ArrayRef, true),
            ("c", Arc::new(lists) as ArrayRef, true),
        ])
        .unwrap()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_written_is_read(batch in any_batch(), group_rows in 1..100usize) {
        let file = blocks(written(&batch, group_rows, Compression::SNAPPY));
        let out = read_all(&file, columns("a INT, b STRING, c ARRAY<INT>", true)).unwrap();
        prop_assert_eq!(lines(&out), (1..=i64::try_from(batch.num_rows()).unwrap()).collect::<Vec<_>>());
        let Some(first) = out.batches.first() else {
            prop_assert_eq!(batch.num_rows(), 0);
            return Ok(());
        };
        let all = concat_batches(&first.schema(), &out.batches).unwrap();
        let ours = arrow::compute::cast(all.column(2), batch.column(2).data_type()).unwrap();
        prop_assert_eq!(all.column(0), batch.column(0));
        prop_assert_eq!(all.column(1), batch.column(1));
        prop_assert_eq!(&ours, batch.column(2));
    }

    #[test]
    fn any_bytes_are_no_footer_or_one(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut file = b"PAR1".to_vec();
        file.extend(&bytes);
        file.extend(u32::try_from(bytes.len()).unwrap().to_le_bytes());
        file.extend(b"PAR1");
        prop_assert!(read_all(&blocks(file), columns("a INT", true)).is_err());
    }
}
