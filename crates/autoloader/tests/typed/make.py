"""Writes the Parquet and Avro files beside this script, as other people's libraries write them.

python -m pip install pyarrow fastavro cramjam backports.zstd
python crates/autoloader/tests/typed/make.py

`page_bomb.parquet` is none of them: a search for damage made it of a file as these are.
"""

import datetime
import decimal
import pathlib
import uuid

import fastavro
import pyarrow as pa
import pyarrow.parquet as pq

HERE = pathlib.Path(__file__).parent
UTC = datetime.timezone.utc
DAY = datetime.date(2026, 1, 5)
MOMENT = datetime.datetime(2026, 1, 5, 14, 30, 0, 123456, tzinfo=UTC)
CLOCK = MOMENT.replace(tzinfo=None)
TIME = datetime.time(14, 30, 0, 123000)
PRICE = decimal.Decimal("189.430000")


def parquet(name, table, **options):
    pq.write_table(table, HERE / f"{name}.parquet", store_schema=False, **options)


def column(kind, value):
    return pa.array([value, None], kind)


FLAT = pa.table(
    {
        "bool": column(pa.bool_(), True),
        "i8": column(pa.int8(), -8),
        "i16": column(pa.int16(), -16),
        "i32": column(pa.int32(), -32),
        "i64": column(pa.int64(), -64),
        "u8": column(pa.uint8(), 255),
        "u16": column(pa.uint16(), 65535),
        "u32": column(pa.uint32(), 4294967295),
        "u64": column(pa.uint64(), 18446744073709551615),
        "f32": column(pa.float32(), 0.5),
        "f64": column(pa.float64(), 0.1),
        "small": column(pa.decimal128(9, 2), decimal.Decimal("1.50")),
        "price": column(pa.decimal128(18, 6), PRICE),
        "wide": column(pa.decimal128(38, 0), decimal.Decimal(10) ** 37),
        "text": column(pa.string(), "Zoë"),
        "word": pa.array(["AAPL", None]).dictionary_encode(),
        "bytes": column(pa.binary(), b"\x00\xff"),
        "fixed": column(pa.binary(3), b"abc"),
        "day": column(pa.date32(), DAY),
        "time": column(pa.time64("us"), TIME),
        "milli": column(pa.timestamp("ms", "UTC"), MOMENT),
        "micro": column(pa.timestamp("us", "UTC"), MOMENT),
        "nano": column(pa.timestamp("ns", "UTC"), MOMENT),
        "clock": column(pa.timestamp("us"), CLOCK),
    }
)
NESTED = pa.table(
    {
        "list": pa.array([[1, None, 3], [], None], pa.list_(pa.int64())),
        "point": pa.array(
            [{"x": 1, "y": "a"}, {"x": None, "y": None}, None],
            pa.struct([("x", pa.int32()), ("y", pa.string())]),
        ),
        "map": pa.array([[("a", 1), ("b", None)], [], None], pa.map_(pa.string(), pa.int64())),
        "points": pa.array(
            [[{"x": 1}, None], [], None], pa.list_(pa.struct([("x", pa.int32())]))
        ),
    }
)

parquet("flat", FLAT)
parquet("flat_integers", FLAT, store_decimal_as_integer=True, use_dictionary=False)
parquet("nested", NESTED)
parquet("nested_item", NESTED, use_compliant_nested_type=False, data_page_version="2.0")
parquet("int96", FLAT.select(["micro", "i64"]), use_deprecated_int96_timestamps=True)
parquet("empty", FLAT.select(["i32", "text"]).slice(0, 0))
NUMBERS = pa.table({"a": pa.array(range(300), pa.int64()), "b": ["x" * (n % 7) for n in range(300)]})
for codec in ["none", "snappy", "gzip", "brotli", "lz4", "zstd"]:
    parquet(f"codec_{codec}", NUMBERS, compression=codec, row_group_size=120)

RECORD = {
    "type": "record",
    "name": "Quote",
    "namespace": "market.data",
    "fields": [
        {"name": "bool", "type": "boolean"},
        {"name": "i32", "type": "int"},
        {"name": "i64", "type": ["null", "long"]},
        {"name": "f32", "type": "float"},
        {"name": "f64", "type": "double"},
        {"name": "bytes", "type": "bytes"},
        {"name": "text", "type": ["string", "null"]},
        {"name": "word", "type": {"type": "enum", "name": "Side", "symbols": ["BUY", "SELL"]}},
        {"name": "again", "type": "Side"},
        {"name": "fixed", "type": {"type": "fixed", "name": "Three", "size": 3}},
        {"name": "price", "type": {"type": "bytes", "logicalType": "decimal", "precision": 18, "scale": 6}},
        {
            "name": "cost",
            "type": {"type": "fixed", "name": "Cost", "size": 9, "logicalType": "decimal", "precision": 20, "scale": 2},
        },
        {"name": "day", "type": {"type": "int", "logicalType": "date"}},
        {"name": "time", "type": {"type": "long", "logicalType": "time-micros"}},
        {"name": "milli", "type": {"type": "long", "logicalType": "timestamp-millis"}},
        {"name": "micro", "type": {"type": "long", "logicalType": "timestamp-micros"}},
        {"name": "clock", "type": {"type": "long", "logicalType": "local-timestamp-micros"}},
        {"name": "id", "type": {"type": "string", "logicalType": "uuid"}},
        {"name": "list", "type": {"type": "array", "items": ["null", "long"]}},
        {"name": "map", "type": {"type": "map", "values": "int"}},
        {
            "name": "point",
            "type": ["null", {"type": "record", "name": "Point", "fields": [{"name": "x", "type": "int"}]}],
        },
        {"name": "points", "type": {"type": "array", "items": "Point"}},
        {"name": "number", "type": ["int", "long"]},
        {"name": "either", "type": ["null", "string", "int"]},
    ],
}
ROW = {
    "bool": True,
    "i32": -32,
    "i64": -(2**63),
    "f32": 0.5,
    "f64": 0.1,
    "bytes": b"\x00\xff",
    "text": "Zoë",
    "word": "SELL",
    "again": "BUY",
    "fixed": b"abc",
    "price": -PRICE,
    "cost": decimal.Decimal("123456789012345678.90"),
    "day": DAY,
    "time": TIME,
    "milli": MOMENT,
    "micro": MOMENT,
    "clock": CLOCK,
    "id": uuid.UUID("12345678-1234-5678-1234-567812345678"),
    "list": [1, None, 3],
    "map": {"a": 1},
    "point": {"x": 1},
    "points": [{"x": 1}, {"x": 2}],
    "number": 2**40,
    "either": 7,
}
NEXT = ROW | {"i64": None, "text": None, "list": [], "map": {}, "point": None, "points": [], "either": "x"}


def avro(name, schema, rows, **options):
    with open(HERE / f"{name}.avro", "wb") as out:
        fastavro.writer(out, schema, rows, sync_marker=b"0123456789abcdef", **options)


avro("all", RECORD, [ROW, NEXT])
PLAIN = {"type": "record", "name": "Row", "fields": [{"name": "a", "type": "long"}, {"name": "b", "type": "string"}]}
for codec in ["null", "deflate", "snappy", "zstandard", "bzip2", "xz"]:
    rows = [{"a": n, "b": "x" * (n % 7)} for n in range(300)]
    avro(f"codec_{codec}", PLAIN, rows, codec=codec, sync_interval=700)
