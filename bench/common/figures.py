"""Figures for people: medians, three digits that count, and tables of Markdown. Pure."""

import math
from statistics import quantiles

MEGA = 1e6
BAR, ESCAPED = "|", "\\|"


def spread(values):
    """Minimum, quartiles and maximum; of a single value, that value."""
    if len(values) == 1:
        low = middle = high = values[0]
    else:
        low, middle, high = quantiles(values, n=4, method="inclusive")
    return {"min": min(values), "low": low, "median": middle, "high": high, "max": max(values)}


def short(number):
    """Three digits that count, and never an exponent."""
    if number <= 0:
        return "0"
    # The place of the first digit: 0 of units, -1 of tenths.
    place = math.floor(math.log10(number))
    return f"{number:.{max(0, 2 - place)}f}"


def times(ratio):
    return "–" if ratio is None else f"{ratio:.2f}"


def line(cells):
    return f"| {' | '.join(str(cell).replace(BAR, ESCAPED) for cell in cells)} |"


def table(head, rows, texts=1):
    """A table whose first `texts` columns are texts, and the others numbers."""
    ruler = ["---"] * texts + ["---:"] * (len(head) - texts)
    return [line(head), line(ruler), *map(line, rows), ""]
