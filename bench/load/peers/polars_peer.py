"""polars reads, and writes Parquet itself or Delta through `deltalake`."""

import polars

from ..rows import COLUMNS, DECIMAL, MOMENT
from . import delta
from .job import ZSTD_LEVEL, run

# Its JSON reader refuses decimals, so it goes by way of doubles.
READ_AS = {column.name: polars.Float64 if column.kind == DECIMAL else polars.String for column in COLUMNS}
TYPED = [
    polars.col(column.name).cast(polars.Decimal(column.precision, column.scale))
    if column.kind == DECIMAL
    else polars.col(column.name).str.to_datetime("%Y-%m-%dT%H:%M:%S%z", time_unit="us", time_zone="UTC")
    for column in COLUMNS
    if column.kind in (DECIMAL, MOMENT)
]


def work(job, files):
    rows = polars.scan_ndjson(job.pattern if files is None else files, schema=READ_AS).with_columns(TYPED)
    if job.writes == "parquet":
        rows.sink_parquet(f"{job.table}/rows.parquet", compression="zstd", compression_level=ZSTD_LEVEL)
    else:
        rows.sink_delta(job.table, mode="append", delta_write_options={"writer_properties": delta.WRITER})


run(work)
