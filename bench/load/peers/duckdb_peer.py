"""duckdb reads, and writes Parquet itself or Delta through `deltalake`.

Its own Delta extension would have to be downloaded at run time, and appends to tables of Unity
Catalog or to such that exist.
"""

import duckdb

from ..rows import COLUMNS, DECIMAL, TEXT
from . import delta
from .job import ZSTD_LEVEL, run

BATCH_ROWS = 122_880


def sql_type(column):
    if column.kind == DECIMAL:
        return f"DECIMAL({column.precision}, {column.scale})"
    return "VARCHAR" if column.kind == TEXT else "TIMESTAMPTZ"


def work(job, files):
    database = duckdb.connect(config={"threads": job.cores})
    database.execute("SET TimeZone = 'UTC'")
    database.execute("SET preserve_insertion_order = false")
    rows = database.read_json(
        job.pattern if files is None else files,
        format="newline_delimited",
        compression=job.packing,
        columns={column.name: sql_type(column) for column in COLUMNS},
    )
    if job.writes == "delta":
        return delta.append(job.table, rows.to_arrow_reader(BATCH_ROWS))
    rows.create_view("rows")
    database.execute(
        f"COPY rows TO '{job.table}/rows.parquet' (FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL {ZSTD_LEVEL})"
    )


run(work)
