"""The generated rows: what the truth says is what the text says, digit by digit."""

import json
from datetime import datetime
from decimal import Decimal

import pytest

from load.rows import COLUMNS, DECIMAL, MOMENT, make_file, number

# What a double holds for certain.
DIGITS_MAX = 15


def read(column, value):
    """A value of the text, as the truth has it."""
    if column.kind == DECIMAL and value is not None:
        return int(value.scaleb(column.scale))
    if column.kind == MOMENT:
        return int(datetime.strptime(value, "%Y-%m-%dT%H:%M:%S%z").timestamp()) * 1_000_000
    return value


def test_the_truth_is_what_the_text_says():
    columns, text = make_file(3, 5_000, 2_000)
    rows = [json.loads(line, parse_float=Decimal) for line in text.splitlines()]
    assert len(rows) == 2_000
    for column in COLUMNS:
        found = [read(column, row[column.name]) for row in rows]
        assert found == columns[column.name], column.name


def test_every_column_is_told_in_the_vendors_order():
    row = json.loads(make_file(3, 0, 1)[1])
    assert list(row) == [column.name for column in COLUMNS]


def test_doubles_can_hold_every_number():
    columns, _ = make_file(3, 0, 5_000)
    for column in COLUMNS:
        if column.kind == DECIMAL:
            greatest = max(value for value in columns[column.name] if value is not None)
            text = number(greatest, column.scale)
            assert len(text.replace(".", "")) <= DIGITS_MAX, f"{column.name}: {text}"


def test_rows_repeat_with_their_seed_and_only_with_it():
    assert make_file(1, 600, 60) == make_file(1, 600, 60)
    assert make_file(1, 600, 60) != make_file(2, 600, 60)


def test_some_values_are_missing_and_some_texts_need_escapes():
    columns, text = make_file(3, 0, 2_000)
    for name in ["adj_high", "adj_volume", "name", "asset_type"]:
        assert None in columns[name] and set(columns[name]) != {None}, name
    assert '\\"' in text and "\\\\" in text and "\\u00" in text and not text.isascii()


@pytest.mark.parametrize(
    ("unscaled", "scale", "expected"),
    [
        (228_460_000, 6, "228.46"),
        (10_000_000_000, 10, "1.0"),
        (0, 4, "0.0"),
        (1, 10, "0.0000000001"),
        (None, 6, "null"),
    ],
)
def test_numbers_look_like_the_vendors(unscaled, scale, expected):
    assert number(unscaled, scale) == expected
