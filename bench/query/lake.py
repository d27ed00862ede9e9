"""The tables as Delta tables, by day as the pipeline lays them out, and what is in them."""

from pathlib import Path
from typing import NamedTuple

import pyarrow.compute as pc
from deltalake import DeltaTable, WriterProperties, write_deltalake

# As the pipeline writes: the level of zstd that costs least, a folder for each day.
WRITER = WriterProperties(compression="ZSTD", compression_level=1)
PARTITION = "session_date"
TABLES = ("bar_1m", "bar_1d")


class Market(NamedTuple):
    """What questions are asked about."""

    rows: dict
    symbols: int
    # Days that have minutes; the last one may be cut.
    sessions: list
    # When the last minute began.
    ts_last: object
    files: dict
    bytes: dict


def write(lake, parts, sink=None):
    """Writes all parts below a folder, and hands each to `sink` as well; returns what there is."""
    rows, symbols, sessions, ts_last = dict.fromkeys(TABLES, 0), set(), [], None
    for part in parts:
        write_deltalake(
            str(lake / part.table), part.rows, mode="append", partition_by=[PARTITION], writer_properties=WRITER,
        )
        if sink:
            sink(part)
        rows[part.table] += part.rows.num_rows
        if part.table == "bar_1m":
            symbols |= set(pc.unique(part.rows["symbol"]).to_pylist())
            sessions += pc.unique(part.rows[PARTITION]).to_pylist()
            ts_last = pc.max(part.rows["ts_start"]).as_py()
    files = {table: files_of(lake / table) for table in TABLES}
    size = {table: sum(Path(file).stat().st_size for file in found) for table, found in files.items()}
    return Market(rows, len(symbols), sessions, ts_last, files, size)


def files_of(table):
    return sorted(str(uri).removeprefix("file://") for uri in DeltaTable(str(table)).file_uris())
