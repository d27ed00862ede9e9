"""Reads back what an engine wrote, with readers that did not write it, and compares it with the truth.

Which files a table has is told by its log, replayed here, and by the package `deltalake`; they must
agree. Rows are read by pyarrow, or by duckdb if pyarrow wrote them.
"""

import json
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlparse

import duckdb
import numpy
import pyarrow
import pyarrow.parquet
from deltalake import DeltaTable

from .rows import COLUMNS, DECIMAL, MOMENT, TEXT
from .truth import EMPTY, Cells, differences, fingerprint, word_of

BATCH_ROWS = 100_000


class Wrong(Exception):
    """The table is not what it has to be; the text says how."""


class Written(NamedTuple):
    """What was found, apart from whether it is right."""

    rows: int
    files: int
    bytes: int
    codecs: list
    extra_columns: list


def local(uri):
    parts = urlparse(str(uri))
    return Path(unquote(parts.path) if parts.scheme == "file" else str(uri))


def files_by_log(table):
    """The data files that the log's commits leave; a log of these few commits is all there."""
    commits = sorted((table / "_delta_log").glob("*.json"))
    if not commits:
        raise Wrong("there is no Delta log")
    for number, commit in enumerate(commits):
        if int(commit.stem) != number:
            raise Wrong(f"version {number} is missing in the Delta log")
    files = set()
    for commit in commits:
        for line in commit.read_text().splitlines():
            action = json.loads(line)
            if "add" in action:
                if action["add"].get("deletionVector"):
                    raise Wrong("a file has a deletion vector, which a load has no use for")
                files.add(table / unquote(action["add"]["path"]))
            elif "remove" in action:
                files.discard(table / unquote(action["remove"]["path"]))
    return files


def files_of_delta(table):
    ours = files_by_log(table)
    theirs = {local(uri) for uri in DeltaTable(str(table)).file_uris()}
    if {path.resolve() for path in ours} != {path.resolve() for path in theirs}:
        raise Wrong(f"the log names {len(ours)} files, `deltalake` finds {len(theirs)}")
    return sorted(ours)


def check_types(schema):
    """Every column has its exact type; names that are not asked for are returned."""
    for column in COLUMNS:
        if column.name not in schema.names:
            raise Wrong(f"there is no column `{column.name}`")
        found = schema.field(column.name).type
        if pyarrow.types.is_dictionary(found):
            found = found.value_type
        if column.kind == DECIMAL:
            fits = pyarrow.types.is_decimal(found) and (found.precision, found.scale) == column[2:]
        elif column.kind == MOMENT:
            # A moment, and not what a clock showed somewhere.
            fits = pyarrow.types.is_timestamp(found) and found.unit == "us" and found.tz is not None
        else:
            fits = found in (pyarrow.string(), pyarrow.large_string(), pyarrow.string_view())
        if not fits:
            raise Wrong(f"`{column.name}` is {found}, and not {column.ddl}")
    wanted = {column.name for column in COLUMNS}
    return [name for name in schema.names if name not in wanted]


def words_of_decimals(array):
    """Unscaled values as 64 bits; all that the benchmark makes fit."""
    values = array.cast(pyarrow.decimal128(38, array.type.scale))
    halves = numpy.frombuffer(values.buffers()[1], dtype=numpy.int64)
    halves = halves[2 * values.offset:2 * (values.offset + len(values))].reshape(-1, 2)
    low, high = halves[:, 0], halves[:, 1]
    valid = valid_of(values)
    if not numpy.array_equal(high[valid], low[valid] >> 63):
        raise Wrong("a decimal is greater than any that was written")
    return low.view(numpy.uint64)


def words_of_texts(array):
    encoded = array if pyarrow.types.is_dictionary(array.type) else array.dictionary_encode()
    words = numpy.array([word_of(text or "") for text in encoded.dictionary.to_pylist()] or [0], dtype=numpy.uint64)
    return words[encoded.indices.fill_null(0).to_numpy(zero_copy_only=False)]


def valid_of(array):
    return array.is_valid().to_numpy(zero_copy_only=False)


def cells_of_batch(batch):
    cells = {}
    for column in COLUMNS:
        array = batch.column(column.name)
        if column.kind == TEXT:
            # Views do not encode.
            plain = array if pyarrow.types.is_dictionary(array.type) else array.cast(pyarrow.large_string())
            words = words_of_texts(plain)
        elif column.kind == DECIMAL:
            words = words_of_decimals(array)
        else:
            words = array.cast(pyarrow.int64()).fill_null(0).to_numpy(zero_copy_only=False).view(numpy.uint64)
        cells[column.name] = Cells(words, valid_of(array))
    return cells


def batches_by_pyarrow(path):
    with pyarrow.parquet.ParquetFile(path) as file:
        yield from file.iter_batches(BATCH_ROWS, columns=[column.name for column in COLUMNS])


def batches_by_duckdb(path):
    database = duckdb.connect()
    database.execute("SET TimeZone = 'UTC'")
    yield from database.read_parquet(str(path)).fetch_record_batch(BATCH_ROWS)


def check(table, writes, truth, written_by_pyarrow=False):
    """Returns what was written. Raises `Wrong` if it is anything but the truth, or cannot be read."""
    try:
        return read_and_compare(Path(table), writes, truth, written_by_pyarrow)
    except Wrong:
        raise
    except Exception as problem:
        # Whatever a reader stumbles over, what it reads is at fault, and the others go on.
        raise Wrong(f"it cannot be read: {' '.join(str(problem).split())}") from problem


def read_and_compare(table, writes, truth, written_by_pyarrow):
    files = files_of_delta(table) if writes == "delta" else sorted(table.glob("*.parquet"))
    batches = batches_by_duckdb if written_by_pyarrow else batches_by_pyarrow
    found, codecs, extra = EMPTY, set(), set()
    for path in files:
        if not path.is_file():
            raise Wrong(f"`{path.name}` is in the log and not in the folder")
        with pyarrow.parquet.ParquetFile(path) as file:
            extra |= set(check_types(file.schema_arrow))
            groups = [file.metadata.row_group(index) for index in range(file.metadata.num_row_groups)]
        codecs |= {group.column(index).compression for group in groups for index in range(group.num_columns)}
        for batch in batches(path):
            found += fingerprint(cells_of_batch(batch))
    problems = differences(truth, found)
    if problems:
        more = f", and {len(problems) - 3} more" if 3 < len(problems) else ""
        raise Wrong("; ".join(problems[:3]) + more)
    size = sum(path.stat().st_size for path in files)
    return Written(found.rows, len(files), size, sorted(codecs), sorted(extra))
