"""Cases of the other formats, and of what is the same for all: compression, folders, batches, restarts."""

import bz2
import datetime
import decimal
import gzip

import pyarrow

from case import Case

ROWS = {f"{name}.json": f'{{"a":{name}}}\n' * 3 for name in range(7)}

TEXT = [
    Case("lines", "text", None, {"a.txt": "one\n\n  two \r\nthree", "b.txt": "ä 中 😀\n"}),
    Case("line ends of all systems", "text", None, {"a.txt": "one\r\ntwo\rthree\n\r\n"}),
    Case("a separator of its own", "text", None, {"a.txt": "one;two\n;;three;"}, {"lineSep": ";"}),
    Case("whole files", "text", None, {"a.txt": "one\ntwo\n", "b.txt": "x"}, {"wholetext": "true"}),
    Case("a given schema", "text", "value STRING", {"a.txt": "one\ntwo\n"}, rescues=False),
    Case("a given schema, by another name", "text", "line STRING", {"a.txt": "one\n"}, rescues=False),
    Case("an empty file", "text", None, {"a.txt": "", "b.txt": "x\n"}),
]

BINARY = [
    Case(
        "content and length",
        "binaryFile",
        None,
        {"a.bin": b"\x00\xff\n", "deeper/b.bin": b"two"},
        spark={"recursiveFileLookup": "true"},
        columns=("length", "content"),
    )
]

ARROW = pyarrow.table(
    {
        "l": pyarrow.array([1, None, -(2**63)], pyarrow.int64()),
        "i": pyarrow.array([1, None, 2**31 - 1], pyarrow.int32()),
        "s": pyarrow.array([1, None, -(2**15)], pyarrow.int16()),
        "y": pyarrow.array([1, None, -128], pyarrow.int8()),
        "d": pyarrow.array([0.1, None, float("nan")], pyarrow.float64()),
        "f": pyarrow.array([0.5, None, -0.0], pyarrow.float32()),
        "b": pyarrow.array([True, None, False]),
        "t": pyarrow.array(["x", None, "ä"]),
        "x": pyarrow.array([b"\x00", None, b""], pyarrow.binary()),
        "p": pyarrow.array(
            [decimal.Decimal("189.430000"), None, decimal.Decimal("-0.000001")],
            pyarrow.decimal128(18, 6),
        ),
        "day": pyarrow.array([datetime.date(2026, 1, 31), None, datetime.date(1969, 12, 31)]),
        "at": pyarrow.array(
            [
                datetime.datetime(2026, 1, 31, 1, 2, 3, 456789),
                None,
                datetime.datetime(1969, 12, 31),
            ],
            pyarrow.timestamp("us", "UTC"),
        ),
    }
)
NESTED = pyarrow.table(
    {
        "s": pyarrow.array(
            [{"a": 1, "b": ["x", None]}, {"a": None, "b": []}, None],
            pyarrow.struct([("a", pyarrow.int64()), ("b", pyarrow.list_(pyarrow.string()))]),
        ),
        "m": pyarrow.array(
            [[("k", 1), ("l", None)], [], None], pyarrow.map_(pyarrow.string(), pyarrow.int64())
        ),
        "r": pyarrow.array(
            [[{"q": 1.5}, None], [], None],
            pyarrow.list_(pyarrow.struct([("q", pyarrow.float64())])),
        ),
    }
)
SIMPLE = (
    "l BIGINT, i INT, s SMALLINT, y TINYINT, d DOUBLE, f FLOAT, b BOOLEAN, t STRING, x BINARY, "
    "p DECIMAL(18,6), day DATE, at TIMESTAMP"
)
# Rows that Spark writes: every type, and nulls everywhere.
MIXED = (
    "SELECT id, CAST(id AS INT) AS i, id / 3 AS d, CAST(id AS FLOAT) AS f, id % 2 = 0 AS b, "
    "concat('x', id) AS t, CAST(concat('b', id) AS BINARY) AS x, CAST(id * 1.25 AS DECIMAL(18,6)) AS p, "
    "date_add(DATE '2026-01-01', CAST(id AS INT)) AS day, "
    "timestamp_micros(1700000000123456 + id) AS at, "
    "named_struct('a', id, 'b', IF(id = 1, NULL, 'y')) AS s, array(id, NULL) AS l, map('k', id) AS m, "
    "array(named_struct('q', id)) AS r FROM range(5) UNION ALL "
    "SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL"
)

PARQUET = [
    Case("every simple type of another writer", "parquet", SIMPLE, {"a.parquet": ARROW}),
    Case("every simple type, inferred", "parquet", None, {"a.parquet": ARROW}),
    Case("nested types, inferred", "parquet", None, {"a.parquet": NESTED}),
    Case("what Spark writes", "parquet", None, written=MIXED),
    Case(
        "what Spark writes with zstd",
        "parquet",
        None,
        written=MIXED,
        writer={"compression": "zstd"},
    ),
    Case(
        "what Spark writes with gzip",
        "parquet",
        None,
        written=MIXED,
        writer={"compression": "gzip"},
    ),
    Case("columns that are missing", "parquet", "l BIGINT, nowhere STRING", {"a.parquet": ARROW}),
    Case("columns in another order", "parquet", "t STRING, l BIGINT", {"a.parquet": ARROW}),
    Case(
        "wider types than the file has",
        "parquet",
        "i BIGINT, f DOUBLE",
        {"a.parquet": ARROW.select(["i", "f"])},
    ),
    Case(
        "no rows", "parquet", None, {"a.parquet": ARROW.slice(0, 0)}, later=({"b.parquet": ARROW},)
    ),
    Case(
        "days in batches",
        "parquet",
        None,
        {f"{day}.parquet": ARROW.slice(day, 1) for day in range(3)},
        {"maxFilesPerTrigger": "1"},
        batches=3,
    ),
]

AVRO = [
    Case("what Spark writes", "avro", None, written=MIXED),
    Case(
        "what Spark writes with deflate",
        "avro",
        None,
        written=MIXED,
        writer={"compression": "deflate"},
    ),
    Case(
        "what Spark writes without compression",
        "avro",
        None,
        written=MIXED,
        writer={"compression": "uncompressed"},
    ),
    Case(
        "what Spark writes with bzip2", "avro", None, written=MIXED, writer={"compression": "bzip2"}
    ),
    Case("what Spark writes with xz", "avro", None, written=MIXED, writer={"compression": "xz"}),
    Case(
        "what Spark writes with zstandard",
        "avro",
        None,
        written=MIXED,
        writer={"compression": "zstandard"},
    ),
    Case(
        "a given schema",
        "avro",
        "id BIGINT, t STRING, p DECIMAL(18,6), nowhere STRING",
        written=MIXED,
    ),
]

PACKED = [
    Case(
        "lines in gzip", "json", "a BIGINT", {"one.json.gz": gzip.compress(b'{"a":1}\n{"a":2}\n')}
    ),
    Case(
        "several members of gzip",
        "json",
        "a BIGINT",
        {"one.json.gz": gzip.compress(b'{"a":1}\n') + gzip.compress(b'{"a":2}\n')},
    ),
    Case(
        "lines in bzip2", "json", "a BIGINT", {"one.json.bz2": bz2.compress(b'{"a":1}\n{"a":2}\n')}
    ),
    Case(
        "rows in gzip",
        "csv",
        "a BIGINT, b STRING",
        {"one.csv.gz": gzip.compress(b"a,b\n1,x\n"), "two.csv": "a,b\n2,y\n"},
        {"header": "true"},
    ),
    Case(
        "a document in gzip",
        "json",
        "a BIGINT",
        {"one.json.gz": gzip.compress(b'[{"a":\n1}]')},
        {"multiLine": "true"},
    ),
    Case("text in gzip", "text", None, {"one.txt.gz": gzip.compress("ä\n".encode())}),
    Case(
        "whole text in gzip",
        "text",
        None,
        {"one.txt.gz": gzip.compress(b"a\nb\n")},
        {"wholetext": "true"},
    ),
]

FOLDERS = [
    Case(
        "folders that spell columns",
        "json",
        "a BIGINT, year INT, symbol STRING",
        {
            "year=2025/symbol=X/one.json": '{"a":1}\n',
            "year=2026/symbol=Y%20Z/two.json": '{"a":2}\n',
            "year=2026/symbol=__HIVE_DEFAULT_PARTITION__/three.json": '{"a":3}\n',
        },
        ours={"partitionColumns": "year,symbol"},
    ),
    Case(
        "folders that spell days",
        "csv",
        "a BIGINT, day DATE",
        {"day=2026-01-31/one.csv": "a\n1\n", "day=2026-02-01/one.csv": "a\n2\n"},
        {"header": "true"},
        ours={"partitionColumns": "day"},
    ),
    Case(
        "folders that spell columns of Parquet",
        "parquet",
        "t STRING, year INT",
        {"year=2025/a.parquet": ARROW, "year=2026/b.parquet": ARROW},
        ours={"partitionColumns": "year"},
    ),
    Case(
        "folders that spell columns of text",
        "text",
        "line STRING, year INT",
        {"year=2025/a.txt": "one\ntwo\n", "year=2026/b.txt": "three\n"},
        ours={"partitionColumns": "year"},
        rescues=False,
    ),
    Case(
        "folders that spell a column that the file has too",
        "json",
        "a BIGINT, year INT",
        {"year=2025/one.json": '{"a":1,"year":7}\n'},
        ours={"partitionColumns": "year"},
    ),
    Case(
        "folders that nobody told of",
        "json",
        None,
        {"year=2025/one.json": '{"a":"1"}\n', "year=2026/one.json": '{"a":"2"}\n'},
        ours={"inferColumnTypes": "true"},
    ),
    Case(
        "a pattern of names",
        "json",
        "a BIGINT",
        {"x1.json": '{"a":1}\n', "y2.json": '{"a":2}\n', "x3.txt": '{"a":3}\n'},
        {"pathGlobFilter": "x*.json"},
    ),
    Case(
        "hidden folders",
        "json",
        "a BIGINT",
        {"in/one.json": '{"a":1}\n', "_tmp/two.json": '{"a":2}\n', ".tmp/three.json": '{"a":3}\n'},
        spark={"recursiveFileLookup": "true"},
    ),
]

BATCHES = [
    Case("batches of two files", "json", "a BIGINT", ROWS, {"maxFilesPerTrigger": "2"}, batches=4),
    Case(
        "batches by size",
        "json",
        "a BIGINT",
        ROWS,
        batches=7,
        ours={"maxBytesPerTrigger": "1b"},
        spark={"maxBytesPerTrigger": "1"},
    ),
    Case(
        "new files at each start",
        "json",
        "a BIGINT",
        ROWS,
        {"maxFilesPerTrigger": "3"},
        later=(
            {"new1.json": '{"a":101}\n'},
            {},
            {"new2.json": '{"a":102}\n', "new3.json": '{"a":103}\n'},
        ),
        batches=3,
    ),
    Case(
        "a file that changes is not loaded again",
        "json",
        "a BIGINT",
        {"one.json": '{"a":1}\n'},
        later=({"one.json": '{"a":2}\n{"a":3}\n'}, {"two.json": '{"a":4}\n'}),
    ),
]

FILES = [*TEXT, *BINARY, *PARQUET, *AVRO, *PACKED, *FOLDERS, *BATCHES]
