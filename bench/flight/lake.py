"""A table of minute bars, written a million at a time."""

from decimal import Decimal

import numpy
import pyarrow
from deltalake import write_deltalake

from common.bars import CENT, MINUTE, SHARE, bars

PART_ROWS = 1_000_000
SYMBOLS = 1_000
OPEN = 1_772_461_800_000_000
SUMS = ("close", "volume")


def part(number):
    """The bars of a thousand minutes, and what two of their columns come to."""
    at = numpy.arange(PART_ROWS)
    symbol, minute = at % SYMBOLS, number * (PART_ROWS // SYMBOLS) + at // SYMBOLS
    start = OPEN + minute * MINUTE
    price = 100_000_000 + (symbol * 37 + minute * 11) % 9_000_000
    volume = (symbol * 13 + minute * 7) % 1_000_000
    names = pyarrow.array([f"S{n:04}" for n in range(SYMBOLS)]).take(pyarrow.array(symbol))
    mic = pyarrow.repeat("XNAS", PART_ROWS)
    close = price + CENT
    prices = (price, price + 50 * CENT, price - 50 * CENT, close)
    table = bars(names, mic, start, start + MINUTE, prices, volume * SHARE, n_source=1)
    return table, (int(close.sum()), int(volume.sum()))


def write(data, rows):
    """Writes the table below a data folder; returns its rows and sums."""
    micros, volumes = 0, 0
    for number in range(rows // PART_ROWS):
        table, (of_close, of_volume) = part(number)
        write_deltalake(data / "lake" / "gold" / "bar_1m", table, mode="append")
        micros, volumes = micros + of_close, volumes + of_volume
    return rows, {"close": Decimal(micros).scaleb(-6), "volume": Decimal(volumes)}
