"""chdb, which is ClickHouse in a library, reads and writes Parquet and Delta itself.

It appends to Delta tables, but makes none: `deltalake` makes the empty table.
"""

import os
from pathlib import Path

import chdb
import pyarrow
from deltalake import DeltaTable

from ..rows import COLUMNS, DECIMAL, TEXT
from .job import ZSTD_LEVEL, run


def types(column):
    """The type as ClickHouse calls it, and Arrow."""
    if column.kind == DECIMAL:
        return f"Decimal({column.precision}, {column.scale})", pyarrow.decimal128(column.precision, column.scale)
    if column.kind == TEXT:
        return "String", pyarrow.string()
    return "DateTime64(6, \\'UTC\\')", pyarrow.timestamp("us", "UTC")


STRUCTURE = ", ".join(f"{column.name} Nullable({types(column)[0]})" for column in COLUMNS)
SCHEMA = pyarrow.schema([(column.name, types(column)[1]) for column in COLUMNS])
PACKED = {"none": "none", "gzip": "gz", "zstd": "zstd"}


def work(job, files):
    pattern = job.pattern
    if files is not None:
        pattern = f"{job.source}/{{{','.join(Path(file).name for file in files)}}}"
    settings = [
        f"max_threads = {job.cores}",
        "date_time_input_format = 'best_effort'",
        "output_format_parquet_compression_method = 'zstd'",
        f"output_format_compression_level = {ZSTD_LEVEL}",
        # Blocks of many small files are put together before they are written.
        "min_insert_block_size_rows = 1048576",
        "min_insert_block_size_bytes = 268435456",
        "allow_experimental_delta_lake_writes = 1",
    ]
    if job.writes == "delta":
        if not DeltaTable.is_deltatable(job.table):
            DeltaTable.create(job.table, SCHEMA)
        into = f"deltaLakeLocal('{job.table}')"
    else:
        into = f"file('{job.table}/rows.parquet', 'Parquet', '{STRUCTURE}')"
    chdb.query(
        f"INSERT INTO FUNCTION {into} SELECT * FROM "
        f"file('{pattern}', 'JSONEachRow', '{STRUCTURE}', '{PACKED[job.packing]}') SETTINGS {', '.join(settings)}"
    )


run(work)
# Its threads do not end with the interpreter, which would abort.
os._exit(0)
