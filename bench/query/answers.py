"""Whether two engines gave the same answer. Pure."""

import math
import operator
from decimal import Decimal
from typing import NamedTuple

# Far above what sums of floats lose, far below what a wrong formula is off by.
RELATIVE, ABSOLUTE = 1e-6, 1e-9


class Wrong(Exception):
    """An answer is not the one it has to be; the text says how."""


class Answer(NamedTuple):
    columns: list
    rows: list


def is_close(one, other):
    if one is None or other is None:
        return one is other
    return math.isclose(float(one), float(other), rel_tol=RELATIVE, abs_tol=ABSOLUTE)


def difference(one, other, rounded=()):
    """How the second answer differs from the first, in words; `None` if it does not."""
    if one.columns != other.columns:
        return f"columns {', '.join(other.columns)} instead of {', '.join(one.columns)}"
    if one.rows == other.rows:
        return None
    if len(one.rows) != len(other.rows):
        return f"{len(other.rows):,} rows instead of {len(one.rows):,}"
    same = [is_close if name in rounded else operator.eq for name in one.columns]
    for number, (expected, found) in enumerate(zip(one.rows, other.rows), 1):
        for name, is_right, wanted, there in zip(one.columns, same, expected, found):
            if not is_right(wanted, there):
                return f"row {number}: `{name}` is {shown(there)} instead of {shown(wanted)}"
    return None


def shown(value):
    return f"{value:f}" if isinstance(value, Decimal) else str(value)


def judge(answers, rounded=()):
    """Says of each engine why its answer does not count: an answer counts once another engine has
    given the same. `answers` is by engine, without those that gave none."""
    told = {name: [] for name in answers}
    for one in answers:
        for other in answers:
            if one != other:
                found = difference(answers[other], answers[one], rounded)
                told[one].append(found and f"{other} has another answer: {found}")
    return {name: verdict(found) for name, found in told.items()}


def verdict(found):
    if not found:
        return "no other engine answered, so nobody can say whether it is right"
    return None if None in found else "; ".join(found)
