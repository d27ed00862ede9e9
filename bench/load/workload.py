"""The workloads: folders of JSON files made from a seed, and what a correct table holds of them.

W1  files into Parquet, by whoever writes that itself
W2  files into a Delta table, plain and compressed
W3  small files into a Delta table, tiny ones, and a few new ones among many that were loaded before
"""

import gzip
import os
from itertools import accumulate
from pathlib import Path
from typing import NamedTuple

import pyarrow

from .rows import make_file
from .truth import EMPTY, cells_of_values, fingerprint

ENDINGS = {"none": ".ndjson", "gzip": ".ndjson.gz", "zstd": ".ndjson.zst"}
GZIP_LEVEL = 6
ZSTD_LEVEL = 3


class Workload(NamedTuple):
    name: str
    title: str
    files: int
    rows_per_file: int
    writes: str = "delta"
    packing: str = "none"
    # Files of the same kind that are in the table before the clock starts.
    files_before: int = 0


class Size(NamedTuple):
    """How much of everything, and how often."""

    files: int
    rows_per_file: int
    small_files: int
    tiny_files: int
    files_before: int
    files_new: int
    rounds: int
    warmups: int


SIZES = {
    # For tests: a minute, and no figures to quote.
    "small": Size(4, 500, 40, 80, 60, 5, rounds=1, warmups=0),
    "medium": Size(12, 10_000, 2_000, 20_000, 10_000, 10, rounds=7, warmups=1),
    "large": Size(12, 100_000, 20_000, 20_000, 100_000, 10, rounds=7, warmups=1),
}
# A page of the vendor's, and what a poll often brings.
SMALL_ROWS = 60
NEW_ROWS = 6


def workloads(size):
    def of(count, rows):
        return f"{count:,} files of {rows:,} {'row' if rows == 1 else 'rows'}"

    bulk = of(size.files, size.rows_per_file)
    return [
        Workload("w1", f"{bulk}, into Parquet", size.files, size.rows_per_file, writes="parquet"),
        Workload("w2", f"{bulk}, into Delta", size.files, size.rows_per_file),
        Workload("w2-gzip", f"{bulk}, gzip, into Delta", size.files, size.rows_per_file, packing="gzip"),
        Workload("w2-zstd", f"{bulk}, zstd, into Delta", size.files, size.rows_per_file, packing="zstd"),
        Workload("w3-small", f"{of(size.small_files, SMALL_ROWS)}, into Delta", size.small_files, SMALL_ROWS),
        Workload("w3-tiny", f"{of(size.tiny_files, 1)}, into Delta", size.tiny_files, 1),
        Workload(
            "w3-new",
            f"{size.files_new:,} new files of {NEW_ROWS} rows beside {size.files_before:,} loaded ones, into Delta",
            size.files_new, NEW_ROWS, files_before=size.files_before,
        ),
    ]


class Source(NamedTuple):
    """A folder of files, and the truth about them."""

    folder: Path
    # Of the files whose load is timed: rows, and bytes of JSON before compression.
    rows: int
    json_bytes: int
    stored_bytes: int
    truth: object
    # Waiting in another folder for the moment when all others are loaded.
    waiting: list


def pack(text, packing):
    if packing == "gzip":
        return gzip.compress(text, GZIP_LEVEL, mtime=0)
    if packing == "zstd":
        return pyarrow.Codec("zstd", compression_level=ZSTD_LEVEL).compress(text, asbytes=True)
    return text


def make_source(workload, seed, folder):
    """Writes the workload's files; those that are to be new come into a folder beside."""
    source, waiting = folder / "source", folder / "waiting"
    source.mkdir(parents=True)
    waiting.mkdir()
    truth, json_bytes, stored_bytes, held = EMPTY, 0, 0, []
    count = workload.files_before + workload.files
    for index, first in enumerate(accumulate([0] + [workload.rows_per_file] * (count - 1))):
        columns, text = make_file(seed, first, workload.rows_per_file)
        truth += fingerprint(cells_of_values(columns))
        text = text.encode()
        stored = pack(text, workload.packing)
        is_timed = workload.files_before <= index
        is_held = is_timed and 0 < workload.files_before
        path = (waiting if is_held else source) / f"eod-{index:06}{ENDINGS[workload.packing]}"
        path.write_bytes(stored)
        if is_timed:
            json_bytes += len(text)
            stored_bytes += len(stored)
        if is_held:
            held.append(path)
    rows = workload.files * workload.rows_per_file
    return Source(source, rows, json_bytes, stored_bytes, truth, held)


def arrive(source):
    """The files that waited are there now, as if somebody had put them there whole."""
    for path in source.waiting:
        os.rename(path, source.folder / path.name)
