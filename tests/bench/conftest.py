"""Finds the benchmark, and makes tables that are right, for tests to harm."""

import sys
from pathlib import Path

import pyarrow
import pytest
from deltalake import write_deltalake

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "bench"))

from load.rows import COLUMNS, DECIMAL, TEXT, make_file  # noqa: E402
from load.truth import cells_of_values, fingerprint  # noqa: E402

ROWS = 300


def arrow_type(column):
    if column.kind == DECIMAL:
        return pyarrow.decimal128(column.precision, column.scale)
    return pyarrow.string() if column.kind == TEXT else pyarrow.timestamp("us", "UTC")


def arrow_table(values):
    """Rows as Arrow has them; decimals come from their digits, as whole numbers of the smallest unit."""
    arrays = []
    for column in COLUMNS:
        cells = values[column.name]
        if column.kind == DECIMAL:
            unscaled = pyarrow.array(cells, pyarrow.decimal128(38, 0))
            arrays.append(pyarrow.Array.from_buffers(
                arrow_type(column), len(cells), unscaled.buffers(),
            ))
        else:
            arrays.append(pyarrow.array(cells, arrow_type(column)))
    return pyarrow.table(arrays, [column.name for column in COLUMNS])


@pytest.fixture
def values():
    return make_file(7, 0, ROWS)[0]


@pytest.fixture
def truth(values):
    return fingerprint(cells_of_values(values))


@pytest.fixture
def rows(values):
    return arrow_table(values)


@pytest.fixture
def table(tmp_path, rows):
    """A table that is right, written in two commits."""
    folder = tmp_path / "table"
    for part in (rows.slice(0, 100), rows.slice(100)):
        write_deltalake(str(folder), part, mode="append")
    return folder
