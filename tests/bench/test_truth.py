"""Fingerprints: whatever happens to a row is seen, and nothing else is."""

import random

import numpy
import pytest

from load.rows import COLUMNS, TEXT, make_file
from load.truth import EMPTY, cells_of_values, differences, exact_sum, fingerprint


def print_of(values):
    return fingerprint(cells_of_values(values))


def lose(values):
    for cells in values.values():
        del cells[17]


def double(values):
    for cells in values.values():
        cells.append(cells[17])


def replace_by_another(values):
    """The count is right: one row is there twice, one is not there."""
    for cells in values.values():
        cells[18] = cells[17]


def add_the_smallest(name):
    def harm(values):
        values[name][5] += 1

    return harm


def move_between_rows(values):
    """Sums, counts and columns are right."""
    cells = values["close"]
    assert cells[5] != cells[6]
    cells[5], cells[6] = cells[6], cells[5]


def swap_columns(values):
    values["open"], values["close"] = values["close"], values["open"]


def forget(values):
    values["volume"][9] = None


def zero_for_missing(values):
    place = values["adj_high"].index(None)
    values["adj_high"][place] = 0


def empty_for_missing(values):
    place = values["name"].index(None)
    values["name"][place] = ""


def an_hour_later(values):
    values["date"] = [moment + 3_600_000_000 for moment in values["date"]]


def other_case(values):
    values["symbol"][0] = values["symbol"][0].lower()


HARMS = {
    "a lost row": (lose, "299 rows instead of 300"),
    "a doubled row": (double, "301 rows instead of 300"),
    "a row in place of another": (replace_by_another, "the sum of `open` is off"),
    "a price, by its smallest unit": (add_the_smallest("open"), "the sum of `open` is off by +1e-06"),
    "an adjusted price, by its smallest unit": (add_the_smallest("adj_close"), "`adj_close` is off by +1e-10"),
    "a value in another row": (move_between_rows, "not in the same rows"),
    "two columns swapped": (swap_columns, "the sum of `open` is off"),
    "a missing volume": (forget, "the sum of `volume` is off by -"),
    "zero for what is missing": (zero_for_missing, "`adj_high` has other values"),
    "no text for what is missing": (empty_for_missing, "`name` has other values"),
    "another time zone": (an_hour_later, "`date` has other values"),
    "a text in another case": (other_case, "`symbol` has other values"),
}


@pytest.mark.parametrize("name", HARMS)
def test_a_harm_is_seen(values, truth, name):
    harm, expected = HARMS[name]
    harm(values)
    problems = differences(truth, print_of(values))
    assert any(expected in problem for problem in problems), problems


def test_an_exchange_inside_of_two_rows_is_seen(values):
    """Each column has the values it had, and each row its numbers, if nobody asks which is which."""
    values["open"][5:7], values["close"][5:7] = [1, 2], [2, 1]
    right = print_of(values)
    values["open"][5:7], values["close"][5:7] = [2, 1], [1, 2]
    assert differences(right, print_of(values)) == ["every column has its values, but not in the same rows"]


def test_nothing_is_seen_where_nothing_is(values, truth):
    assert differences(truth, print_of(values)) == []


def test_the_order_of_rows_does_not_matter(values, truth):
    order = random.Random(1).sample(range(300), 300)
    assert print_of({name: [cells[at] for at in order] for name, cells in values.items()}) == truth


def test_fingerprints_of_parts_add_up(values, truth):
    parts = EMPTY
    for first in range(0, 300, 70):
        parts += print_of({name: cells[first:first + 70] for name, cells in values.items()})
    assert parts == truth


def test_every_column_counts(values, truth):
    for column in COLUMNS:
        name, cells = column.name, list(values[column.name])
        place = next(at for at, value in enumerate(cells) if value is not None)
        cells[place] += "x" if column.kind == TEXT else 1
        [problem] = differences(truth, print_of({**values, name: cells}))
        assert f"`{name}`" in problem


def test_sums_do_not_overflow():
    assert exact_sum(numpy.array([2**62, 2**62, 2**62, -1])) == 3 * 2**62 - 1


def test_no_rows_are_no_rows():
    assert print_of({name: [] for name in make_file(1, 0, 1)[0]}) == EMPTY
