"""What a table holds, told in a few numbers that any lost, doubled or changed row alters.

A fingerprint has the count of rows, the exact sum of each column of numbers, a hash of each column
and one of whole rows. Hashes of cells and rows are added, and not xor-ed, so that a row that is there
twice does not cancel itself; the order of rows does not matter, and fingerprints of parts add up.
"""

import hashlib
from typing import NamedTuple

import numpy

from .rows import COLUMNS, DECIMAL, TEXT

WORD = (1 << 64) - 1
# What stands for a value that is missing; it is no likelier to be met than any other hash.
NULL = numpy.uint64(0x6E756C6C_6E756C6C)
# What shows in a message when a column's values differ although their sum is right.
COLUMN_DIFFERS = "other values"


class Cells(NamedTuple):
    """One column: 64 bits for each value, and which of them are there."""

    words: numpy.ndarray
    valid: numpy.ndarray


class Fingerprint(NamedTuple):
    rows: int
    sums: dict
    columns: dict
    whole: int

    def __add__(self, other):
        return Fingerprint(
            self.rows + other.rows,
            {name: value + other.sums[name] for name, value in self.sums.items()},
            {name: (value + other.columns[name]) & WORD for name, value in self.columns.items()},
            (self.whole + other.whole) & WORD,
        )


EMPTY = Fingerprint(
    0,
    {column.name: 0 for column in COLUMNS if column.kind == DECIMAL},
    {column.name: 0 for column in COLUMNS},
    0,
)


def mix(words):
    """Spreads every bit of 64-bit words over all of them (the finalizer of splitmix64)."""
    words = (words ^ (words >> numpy.uint64(30))) * numpy.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> numpy.uint64(27))) * numpy.uint64(0x94D049BB133111EB)
    return words ^ (words >> numpy.uint64(31))


def word_of(text):
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")


def total(words):
    """The sum modulo 2^64."""
    return int(numpy.sum(words, dtype=numpy.uint64))


def exact_sum(numbers):
    """The sum of signed 64-bit numbers, however great it gets."""
    high, low = numbers >> 32, numbers & 0xFFFF_FFFF
    return (int(high.sum()) << 32) + int(low.sum())


def fingerprint(cells):
    """The fingerprint of rows that are given as cells, column by column."""
    rows = len(cells[COLUMNS[0].name].words)
    sums, columns = {}, {}
    whole = numpy.zeros(rows, dtype=numpy.uint64)
    for column in COLUMNS:
        words, valid = cells[column.name]
        # Salted, or values that two columns of a row exchange would go unseen.
        salt = numpy.uint64(word_of(column.name))
        hashed = mix(numpy.where(valid, mix(words), NULL) ^ salt)
        columns[column.name] = total(hashed)
        whole += hashed
        if column.kind == DECIMAL:
            sums[column.name] = exact_sum(numpy.where(valid, words, numpy.uint64(0)).view(numpy.int64))
    return Fingerprint(rows, sums, columns, total(mix(whole)))


def cells_of_values(columns):
    """Cells of plain Python values, as `rows.make_file` gives them."""
    known = {}
    cells = {}
    for column in COLUMNS:
        values = columns[column.name]
        valid = numpy.array([value is not None for value in values], dtype=bool)
        if column.kind == TEXT:
            words = [0 if value is None else known.setdefault(value, word_of(value)) for value in values]
            words = numpy.array(words, dtype=numpy.uint64)
        else:
            words = numpy.array([value or 0 for value in values], dtype=numpy.int64).view(numpy.uint64)
        cells[column.name] = Cells(words, valid)
    return cells


def differences(expected, found):
    """What is wrong with `found`, in words; nothing if it is right."""
    problems = []
    if found.rows != expected.rows:
        problems.append(f"{found.rows:,} rows instead of {expected.rows:,}")
    for column in COLUMNS:
        name = column.name
        wanted, there = expected.sums.get(name), found.sums.get(name)
        if wanted != there:
            unit = 10**column.scale
            problems.append(f"the sum of `{name}` is off by {(there - wanted) / unit:+,}")
        elif expected.columns[name] != found.columns[name]:
            problems.append(f"`{name}` has {COLUMN_DIFFERS}")
    if not problems and expected.whole != found.whole:
        problems.append("every column has its values, but not in the same rows")
    return problems
