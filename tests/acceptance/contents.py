"""What the files of a data folder say once nothing is compressed: topic, landing zone, tables."""

import sqlite3

import pyarrow
from pyarrow import parquet

import landing

ZSTD = bytes.fromhex("28b52ffd")


def everything(data):
    """Yields a name and the plain bytes of each thing that is stored compressed."""
    for path in data.rglob("*.db"):
        yield from batches(path)
    for path in data.rglob("*.zst"):
        yield path, "\n".join(landing.lines(path)).encode()
    # Files that the newest version needs no more, and log checkpoints, are Parquet as well.
    for path in data.rglob("*.parquet"):
        yield path, repr(parquet.ParquetFile(path).read().to_pydict()).encode()


def batches(path):
    """Every value of a database, by table; the topic keeps its records in compressed ones."""
    sql = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    sql.text_factory = bytes
    tables = [name.decode() for (name,) in sql.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    for table in tables:
        for row in sql.execute(f'SELECT * FROM "{table}"'):
            values = (value for value in row if isinstance(value, bytes))
            yield f"{path}, `{table}`", b"\n".join(map(plain, values))
    sql.close()


def plain(value):
    if not value.startswith(ZSTD):
        return value
    with pyarrow.input_stream(pyarrow.py_buffer(value), compression="zstd") as stream:
        return stream.read()
