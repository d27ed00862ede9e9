"""Every format and its options: which rows a folder of such files becomes."""

import bz2
import gzip
import io
import json
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal

import pyarrow
import pytest
from pyarrow import parquet

from harness import ROOT
from loads import Load

AVRO = ROOT / "crates/autoloader/tests/typed"
TYPED = {"inferColumnTypes": True}


@dataclass
class Case:
    """What lies in the folder, and what has to be in the table."""

    name: str
    format: str
    files: dict
    select: str
    rows: list
    options: dict = field(default_factory=dict)
    columns: dict = None
    quarantine: list = field(default_factory=list)


def zstd(text):
    return pyarrow.Codec("zstd").compress(text.encode(), asbytes=True)


def parquet_of(**columns):
    sink = io.BytesIO()
    parquet.write_table(pyarrow.table(columns), sink)
    return sink.getvalue()


def page(*closes):
    """A whole answer of the vendor, as pipelines that keep pages write it."""
    rows = [{"symbol": "AAPL", "close": close} for close in closes]
    paging = {"limit": 100, "offset": 0, "count": len(rows), "total": len(rows)}
    return json.dumps({"pagination": paging, "data": rows}, indent=1)


JSON = [
    Case("lines are rows, as text", "json", {"a.json": '{"id": 1, "p": 189.430}\n{"id": 2}\n'},
         "id, p", [("1", "189.430"), ("2", None)], columns={"id": "string", "p": "string"}),
    Case("nested values are text without inference", "json", {"a.json": '{"n": {"b": [1, 2]}}\n'},
         "n", [('{"b": [1, 2]}',)]),
    Case("types of values", "json",
         {"a.json": '{"i": 1, "p": 189.43, "f": 1e300, "b": true, "s": "x", "n": {"a": [1]}, "z": null}\n'},
         "i, p, f, b, s, n.a[1], z",
         [(1, Decimal("189.430000"), 1e300, True, "x", 1, None)], TYPED,
         columns={"i": "long", "p": "decimal(18,6)", "f": "double", "b": "boolean", "s": "string",
                  "n": "struct<a:array<long>>", "z": "string"}),
    Case("decimals keep what a float would lose", "json",
         {"a.json": '{"p": 12345678901.234567}\n{"p": 0.1}\n'}, "p",
         [(Decimal("12345678901.234567"),), (Decimal("0.100000"),)], TYPED),
    Case("floats on request", "json", {"a.json": '{"p": 189.43}\n'}, "p", [(189.43,)],
         {**TYPED, "prefersDecimal": False}, columns={"p": "double"}),
    Case("integers and fractions become one type", "json", {"a.json": '{"p": 1}\n{"p": 1.5}\n'}, "p",
         [(Decimal("1"),), (Decimal("1.5"),)], TYPED),
    Case("numbers and text become text", "json", {"a.json": '{"p": 1}\n{"p": "x"}\n'}, "p",
         [("1",), ("x",)], TYPED, columns={"p": "string"}),
    Case("several files put their columns together", "json",
         {"a.json": '{"a": 1}\n', "b.json": '{"b": 2}\n'}, "a, b", [(1, None), (None, 2)], TYPED),
    Case("documents over several lines", "json", {"a.json": '{\n "id":\n 1\n}\n'}, "id", [("1",)],
         {"multiLine": True}),
    Case("arrays of documents", "json", {"a.json": '[\n{"id": 1},\n{"id": 2}\n]\n'}, "id",
         [("1",), ("2",)], {"multiLine": True}),
    Case("an array in a line", "json", {"a.json": '[{"id": 1}, {"id": 2}]\n{"id": 3}\n'}, "id",
         [("1",), ("2",), ("3",)]),
    Case("one row per quote of whole pages", "json",
         {"p1.json": page(1.5, 2.25), "p2.json": page(3.125)}, "symbol, close",
         [("AAPL", Decimal(close)) for close in ("1.5", "2.25", "3.125")],
         {**TYPED, "rows": "data", "multiLine": True},
         columns={"symbol": "string", "close": "decimal(18,6)"}),
    Case("an array deeper inside", "json", {"a.json": '{"result": {"items": [{"id": 1}, {"id": 2}]}}\n'},
         "id", [("1",), ("2",)], {"rows": "result.items"}),
    Case("each whole document as text", "json", {"a.json": '{"id": 1, "n": [1]}\n'}, "doc",
         [('{"id": 1, "n": [1]}',)], {"singleVariantColumn": "doc"}),
    Case("single quotes are allowed", "json", {"a.json": "{'id': 'x'}\n"}, "id", [("x",)]),
    Case("single quotes on request not", "json", {"a.json": "{'id': 'x'}\n{\"id\": \"y\"}\n"}, "id",
         [("y",)], {"allowSingleQuotes": False}, quarantine=[("a.json", 1, 0, "{'id': 'x'}")]),
    Case("comments and bare names on request", "json", {"a.json": '{id: 1 /* first */}\n'}, "id",
         [("1",)], {"allowComments": True, "allowUnquotedFieldNames": True}),
    Case("leading zeros on request", "json", {"a.json": '{"id": 007}\n'}, "id", [(7,)],
         {**TYPED, "allowNumericLeadingZeros": True}),
    Case("moments on request", "json", {"a.json": '{"t": "2026-01-05T14:30:00Z"}\n'},
         "t AT TIME ZONE 'UTC'", [(datetime(2026, 1, 5, 14, 30),)],
         {**TYPED, "inferTimestamp": True}, columns={"t": "timestamp"}),
    Case("text that looks like a moment stays text", "json", {"a.json": '{"t": "2026-01-05T14:30:00Z"}\n'},
         "t", [("2026-01-05T14:30:00Z",)], TYPED),
    Case("a field that is always null is dropped on request", "json",
         {"a.json": '{"a": 1, "z": null}\n'}, "a", [(1,)], {**TYPED, "dropFieldIfAllNull": True},
         columns={"a": "long"}),
    Case("plain values as text", "json", {"a.json": '{"a": 1, "n": {"b": true}}\n'}, "a, n.b",
         [("1", "true")], {**TYPED, "primitivesAsString": True}),
    Case("empty lines and a missing last line end", "json", {"a.json": '\n{"id": 1}\n\n{"id": 2}'},
         "id, _metadata.line", [("1", 2), ("2", 4)]),
    Case("line ends of other systems", "json", {"a.json": '{"id": 1}\r\n{"id": 2}\r\n'},
         "id, _metadata.line", [("1", 1), ("2", 2)]),
    Case("a mark of the byte order", "json", {"a.json": b'\xef\xbb\xbf{"id": 1}\n'}, "id", [("1",)]),
    Case("another encoding", "json", {"a.json": '{"id": "Zürich"}\n'.encode("latin-1")}, "id",
         [("Zürich",)], {"encoding": "ISO-8859-1"}),
    Case("an own line separator", "json", {"a.json": '{"id": 1}|{"id": 2}'}, "id", [("1",), ("2",)],
         {"lineSep": "|"}),
]

CSV = [
    Case("the first line names the columns", "csv", {"a.csv": "id,p\n1,189.430\n2,\n"}, "id, p",
         [("1", "189.430"), ("2", None)]),
    Case("columns go by name in every file", "csv", {"a.csv": "id,p\n1,x\n", "b.csv": "p,id\ny,2\n"},
         "id, p", [("1", "x"), ("2", "y")]),
    Case("no header", "csv", {"a.csv": "1,x\n2,y\n"}, "_c0, _c1", [("1", "x"), ("2", "y")],
         {"header": False}),
    Case("types of values", "csv", {"a.csv": "i,p,d,b\n1,189.43,2026-01-05,true\n"}, "i, p, d, b",
         [(1, Decimal("189.430000"), date(2026, 1, 5), True)], TYPED,
         columns={"i": "long", "p": "decimal(18,6)", "d": "date", "b": "boolean"}),
    Case("another separator", "csv", {"a.csv": "a;b\n1,5;x\n"}, "a, b", [("1,5", "x")], {"sep": ";"}),
    Case("a separator of several letters", "csv", {"a.csv": "a||b\n1||x\n"}, "a, b", [("1", "x")],
         {"sep": "||"}),
    Case("quoted separators", "csv", {"a.csv": 'a,b\n"1,5",x\n'}, "a, b", [("1,5", "x")]),
    Case("doubled quotes", "csv", {"a.csv": 'a,b\n"say ""hi""",x\n'}, "a, b", [('say "hi"', "x")],
         {"escape": '"'}),
    Case("escaped quotes", "csv", {"a.csv": 'a,b\n"say \\"hi\\"",x\n'}, "a, b", [('say "hi"', "x")]),
    Case("another quote", "csv", {"a.csv": "a,b\n'1,5',x\n"}, "a, b", [("1,5", "x")], {"quote": "'"}),
    Case("line ends in quotes", "csv", {"a.csv": 'a,b\n"1\n2",x\n3,y\n'}, "a, b, _metadata.line",
         [("1\n2", "x", 2), ("3", "y", 4)], {"multiLine": True}),
    Case("comments and skipped lines", "csv", {"a.csv": "made by x\na,b\n# no\n1,2\n"}, "a, b",
         [("1", "2")], {"comment": "#", "skipRows": 1}),
    Case("null, spaces, infinity", "csv", {"a.csv": "a,b\n NA ,Inf\n 1 ,2\n"}, "a, b",
         [(None, float("inf")), ("1", 2.0)],
         {"nullValue": "NA", "ignoreLeadingWhiteSpace": True, "ignoreTrailingWhiteSpace": True,
          "schemaHints": "b DOUBLE"}),
    Case("dates as they are written", "csv", {"a.csv": "d\n05/01/2026\n"}, "d", [(date(2026, 1, 5),)],
         {**TYPED, "dateFormat": "dd/MM/yyyy"}),
    Case("a row with too few values", "csv", {"a.csv": "a,b\n1\n2,3\n"}, "a, b",
         [("1", None), ("2", "3")]),
]

OTHERS = [
    Case("lines of text", "text", {"a.txt": "one\n\ntwo\n"}, "value", [("one",), ("",), ("two",)]),
    Case("whole text", "text", {"a.txt": "one\ntwo\n"}, "value", [("one\ntwo\n",)], {"wholeText": True}),
    Case("text without its last line end", "text", {"a.txt": "one\ntwo"}, "value", [("one",), ("two",)]),
    Case("whole files as bytes", "binaryFile", {"a.bin": b"\x00\xff", "b.bin": b""},
         "path = _metadata.file_path, length, content", [(True, 2, b"\x00\xff"), (True, 0, b"")]),
    Case("parquet", "parquet",
         {"a.parquet": parquet_of(
             id=[1, 2], p=pyarrow.array([Decimal("189.430001"), None], pyarrow.decimal128(18, 6)),
             t=pyarrow.array([datetime(2026, 1, 5), None], pyarrow.timestamp("us", "UTC")),
             l=[[1, None], []],
         )},
         "id, p, t AT TIME ZONE 'UTC', l",
         [(1, Decimal("189.430001"), datetime(2026, 1, 5), [1, None]), (2, None, None, [])],
         columns={"id": "long", "p": "decimal(18,6)", "t": "timestamp", "l": "array<long>"}),
    Case("parquet files put their columns together", "parquet",
         {"a.parquet": parquet_of(a=[1]), "b.parquet": parquet_of(b=["x"])}, "a, b",
         [(1, None), (None, "x")]),
    Case("nothing of an empty file", "json", {"a.json": "", "b.json": '{"id": 1}\n'}, "id", [("1",)]),
]

TEXT = '{"id": 1}\n{"id": 2}\n'
PACKED = {
    "gzip by name": ("a.json.gz", gzip.compress(TEXT.encode())),
    "gzip by content": ("a.json", gzip.compress(TEXT.encode())),
    "several parts of gzip": ("a.json.gz", gzip.compress(b'{"id": 1}\n') + gzip.compress(b'{"id": 2}\n')),
    "bzip2 by name": ("a.json.bz2", bz2.compress(TEXT.encode())),
    "bzip2 by content": ("a.json", bz2.compress(TEXT.encode())),
    "zstd by name": ("a.json.zst", zstd(TEXT)),
    "zstd by content": ("a.json", zstd(TEXT)),
    "lz4 by name": ("a.json.lz4", pyarrow.Codec("lz4").compress(TEXT.encode(), asbytes=True)),
    "lz4 by content": ("a.json", pyarrow.Codec("lz4").compress(TEXT.encode(), asbytes=True)),
}
COMPRESSED = [
    Case(name, "json", {file: content}, "id, _metadata.line", [("1", 1), ("2", 2)])
    for name, (file, content) in PACKED.items()
]


@pytest.mark.parametrize(
    "case", [*JSON, *CSV, *OTHERS, *COMPRESSED], ids=lambda case: f"{case.format}: {case.name}",
)
def test_a_format(folder, case):
    load = Load(folder, format=case.format, **case.options)
    load.write(case.files)
    done = load.run()
    assert load.rows(case.select) == case.rows
    if case.columns:
        assert load.columns() == case.columns
    assert load.quarantine() == case.quarantine
    assert done["rows"] == len(case.rows) and done["records_bad"] == len(case.quarantine), done
    assert not any(load.rescued()), "everything has a column"


@pytest.mark.parametrize("codec", ["null", "deflate", "snappy", "zstandard", "bzip2", "xz"])
def test_avro(folder, codec):
    """The same rows, whatever the blocks are packed with."""
    load = Load(folder, format="avro")
    load.write({"a.avro": (AVRO / f"codec_{codec}.avro").read_bytes()})
    done = load.run()
    plain = Load(folder / "plain", format="avro")
    plain.write({"a.avro": (AVRO / "codec_null.avro").read_bytes()})
    plain.run()
    assert done["rows"] and load.columns() == plain.columns()
    names = ", ".join(load.columns())
    assert load.rows(names) == plain.rows(names)


def test_metadata_says_where_a_row_is_from(folder):
    load = Load(folder, format="json")
    load.write({"deep/a.json": TEXT}, modified="2026-01-05T10:00:00")
    load.run()
    moment = "CAST(_metadata.file_modification_time AT TIME ZONE 'UTC' AS VARCHAR)"
    found = load.rows(
        "_metadata.file_path, _metadata.file_name, _metadata.file_size, _metadata.file_block_start, "
        f"_metadata.file_block_length, _metadata.line, {moment}, _metadata.file_etag"
    )
    path, size = str(load.source / "deep/a.json"), len(TEXT)
    etag = load.list()["deep/a.json"]["etag"]
    assert found == [
        (path, "a.json", size, 0, size, line, "2026-01-05 10:00:00", etag) for line in (1, 2)
    ]
