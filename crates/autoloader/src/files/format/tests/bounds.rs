//! What is handed on at once stays small, whatever a file says in few bytes, and nothing is read
//! that nobody wants.

use arrow::record_batch::RecordBatch;
use serde_json::json;

use super::*;
use crate::files::format::typed::tests::columns;

/// Twice a stretch, for buffers that grow by doubling, and some for what surrounds values.
const AT_ONCE_MAX: usize = 24 << 20;

/// What was handed on, at most at once and in all.
#[derive(Debug, Default)]
struct Handed {
    bytes_max: usize,
    rows_max: usize,
    bad_max: usize,
    rows: usize,
    bad: usize,
}

impl Handed {
    fn take(&mut self, stretch: &Decoded) {
        let rows = stretch.batches.iter().map(RecordBatch::num_rows).sum();
        let arrays: usize = stretch.batches.iter().map(RecordBatch::get_array_memory_size).sum();
        let bad = stretch.bad.iter();
        let bad: usize =
            bad.map(|bad| size_of::<BadRecord>() + bad.reason.len() + bad.record.len()).sum();
        self.bytes_max = self.bytes_max.max(arrays + bad);
        self.rows_max = self.rows_max.max(rows);
        self.bad_max = self.bad_max.max(stretch.bad.len());
        self.rows += rows;
        self.bad += stretch.bad.len();
    }
}

/// Reads a file that comes in one piece.
fn handed(format: &Format, schema: ReadSchema, bytes: &[u8]) -> Handed {
    let mut reader = open_file(format, &file("a"), Arc::new(schema), Arc::new(Iso)).unwrap();
    let mut handed = Handed::default();
    let mut take = |stretch: Decoded| {
        handed.take(&stretch);
        Ok::<_, FileProblem>(())
    };
    reader.push(bytes, &mut take).unwrap();
    reader.finish(&mut take).unwrap();
    handed
}

/// A schema of so many columns of numbers.
fn wide(columns: usize) -> ReadSchema {
    let names: Vec<_> = (0..columns).map(|at| format!("a{at}:long")).collect();
    schema(&names.join(" "), true)
}

fn text() -> Format {
    Format::Text { is_whole: false, line_sep: None, encoding: encoding_rs::UTF_8 }
}

/// An array of `count` and one more.
fn array(element: &str, count: usize) -> Vec<u8> {
    format!("[{}{element}]", format!("{element},").repeat(count)).into()
}

fn zigzag(number: usize, out: &mut Vec<u8>) {
    let mut number = number * 2;
    while 0x7f < number {
        out.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    out.push(number.to_le_bytes()[0]);
}

/// Writes an Avro file of four blocks that are all the same: so many rows of these bytes.
fn avro(made_of: &serde_json::Value, rows: usize, row: &[u8]) -> Vec<u8> {
    let field = json!({"name": "a", "type": made_of});
    let schema = json!({"type": "record", "name": "r", "fields": [field]}).to_string();
    let mut bytes = b"Obj\x01".to_vec();
    zigzag(2, &mut bytes);
    for text in ["avro.schema", &schema, "avro.codec", "zstandard"] {
        zigzag(text.len(), &mut bytes);
        bytes.extend(text.as_bytes());
    }
    bytes.extend([0; 17]);
    let packed = zstd::bulk::compress(&row.repeat(rows), 1).unwrap();
    for _ in 0..4 {
        zigzag(rows, &mut bytes);
        zigzag(packed.len(), &mut bytes);
        bytes.extend(&packed);
        bytes.extend([0; 16]);
    }
    bytes
}

#[test]
fn a_stretch_is_handed_on_as_soon_as_it_is_full() {
    let json = || Format::Json(json_options());
    let long = format!("{{\"a0\":1,\"x\":\"{}\"}}", "x".repeat(1000));
    let named = format!("a0,{}\n{}", "x".repeat(10_000), "1,2\n".repeat(10_000));
    let members = (0..500).map(|at| json!({"name": format!("m{at}"), "type": "long"}));
    let record = json!({"type": "record", "name": "n", "fields": members.collect::<Vec<_>>()});
    let nulls = json!(["null", record]);
    let mut value = Vec::new();
    zigzag(1000, &mut value);
    value.extend([b'x'; 1000]);
    let empty = b"{}\n";
    let numbers = format!("{}\n", "1".repeat(70_000)).repeat(400);
    for (name, format, schema, bytes, rows, bad) in [
        ("empty objects", json(), wide(1), empty.repeat(350_000), 350_000, 0),
        ("nothing of many columns", json(), wide(500), empty.repeat(20_000), 20_000, 0),
        ("a line of objects", json(), wide(1), array(&long, 40_000), 40_001, 0),
        ("a line of empty objects", json(), wide(1), array("{}", 300_000), 300_001, 0),
        ("a line of numbers", json(), wide(1), array("1", 300_000), 0, 300_001),
        ("lines of long numbers", json(), wide(1), numbers.into(), 0, 400),
        ("a long name", Format::Csv(csv_options()), wide(1), named.into(), 10_000, 0),
        ("empty lines", text(), schema("value:string", true), b"\n".repeat(300_000), 300_000, 0),
        ("blocks", Format::Avro, wide(1), avro(&json!("string"), 20_000, &value), 80_000, 0),
        ("nulls of many members", Format::Avro, wide(1), avro(&nulls, 10_000, &[0]), 40_000, 0),
        (
            "a byte of many columns",
            Format::Avro,
            wide(500),
            avro(&json!("boolean"), 9_000, &[0]),
            36_000,
            0,
        ),
    ] {
        let handed = handed(&format, schema, &bytes);
        assert_eq!((handed.rows, handed.bad), (rows, bad), "{name}");
        assert!(handed.bytes_max <= AT_ONCE_MAX, "{name}: {handed:?}");
        assert!(handed.rows_max <= 1 << 16, "{name}: {handed:?}");
        assert!(handed.bad_max <= 1 << 16, "{name}: {handed:?}");
    }
}

#[test]
fn elements_of_many_members_are_counted() {
    let members: Vec<_> = (0..1000).map(|at| format!("m{at}: BIGINT")).collect();
    let members = members.join(", ");
    let list = format!("a ARRAY<STRUCT<{members}>>");
    let map = format!("a MAP<STRING, STRUCT<{members}>>");
    let row = |open: &str, element: &str, count: usize, close: &str| {
        let elements = format!("{element},").repeat(count - 1);
        format!("{{\"a\":{open}{elements}{element}{close}}}\n").into_bytes()
    };
    for (name, ddl, bytes, rows) in [
        ("short lists", &list, row("[", "{}", 10, "]").repeat(500), 500),
        ("short maps", &map, row("{", "\"\":{}", 10, "}").repeat(500), 500),
    ] {
        let handed = handed(&Format::Json(json_options()), columns(ddl, true), &bytes);
        assert_eq!((handed.rows, handed.bad), (rows, 0), "{name}");
        assert!(handed.bytes_max <= AT_ONCE_MAX, "{name}: {handed:?}");
    }
    // Two hundred thousand bytes would be half a gigabyte.
    let out =
        read(&Format::Json(json_options()), &columns(&list, true), &[&row("[", "{}", 60_000, "]")]);
    let out = out.unwrap();
    assert_eq!((out.rows_rescued, out.batches[0].column(0).null_count()), (1, 1));
}

#[test]
fn nothing_more_is_read_than_is_wanted() {
    let json = || Format::Json(json_options());
    let documents = Format::Json(JsonOptions { is_multi_line: true, ..json_options() });
    let records = Format::Csv(CsvOptions { is_multi_line: true, ..csv_options() });
    // What is wrong behind it is not looked at either.
    let broken = [array("{}", 200_000), b"oops".to_vec()].concat();
    for (name, format, bytes) in [
        ("lines", json(), b"{}\n".repeat(200_000)),
        ("a line of objects", json(), [array("{}", 200_000), b"\n".to_vec()].concat()),
        ("a line of numbers", json(), [array("1", 200_000), b"\n".to_vec()].concat()),
        ("a document", documents, broken),
        ("records", Format::Csv(csv_options()), b"a\n1\n".repeat(100_000)),
        ("records of several lines", records, b"a\n1\n".repeat(100_000)),
        ("text", text(), b"\n".repeat(200_000)),
        ("blocks", Format::Avro, avro(&json!("boolean"), 200_000, &[0])),
    ] {
        let schema = Arc::new(schema("a:long", false));
        let mut reader = open_file(&format, &file("a"), schema, Arc::new(Iso)).unwrap();
        let mut times = 0;
        let pushed = reader.push(&bytes, &mut |_| {
            times += 1;
            Err(FileProblem::Format("not wanted"))
        });
        assert!(matches!(pushed, Err(FileProblem::Format("not wanted"))), "{name}: {pushed:?}");
        assert_eq!(times, 1, "{name}");
    }
}
