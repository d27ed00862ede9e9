"""A table of minute bars, written a million at a time."""

from decimal import Decimal

import numpy
import pyarrow
from deltalake import write_deltalake

PART_ROWS = 1_000_000
SYMBOLS = 1_000
MINUTE = 60_000_000
OPEN = 1_772_461_800_000_000
SUMS = ("close", "volume")
STAMP = pyarrow.timestamp("us", tz="UTC")


def scaled(values, precision, scale):
    """Whole numbers as decimals of `scale` digits behind the point."""
    words = numpy.zeros((len(values), 2), dtype="int64")
    words[:, 0] = values
    kind = pyarrow.decimal128(precision, scale)
    return pyarrow.Array.from_buffers(kind, len(values), [None, pyarrow.py_buffer(words.tobytes())])


def part(number):
    """The bars of a thousand minutes, and what two of their columns come to."""
    at = numpy.arange(PART_ROWS)
    symbol, minute = at % SYMBOLS, number * (PART_ROWS // SYMBOLS) + at // SYMBOLS
    start = OPEN + minute * MINUTE
    price = 100_000_000 + (symbol * 37 + minute * 11) % 9_000_000
    volume = (symbol * 13 + minute * 7) % 1_000_000
    names = pyarrow.array([f"S{n:04}" for n in range(SYMBOLS)])
    text = lambda value: pyarrow.repeat(pyarrow.scalar(value), PART_ROWS)
    one = pyarrow.array(numpy.ones(PART_ROWS, dtype="int32"))
    day = pyarrow.array((start // 86_400_000_000).astype("int32"))
    table = pyarrow.table({
        "source": text("bench"), "symbol": names.take(pyarrow.array(symbol)), "mic": text("XNAS"),
        "ts_start": pyarrow.array(start, STAMP), "ts_end": pyarrow.array(start + MINUTE, STAMP),
        "session_date": day.cast(pyarrow.date32()),
        "open": scaled(price, 18, 6), "high": scaled(price + 500_000, 18, 6),
        "low": scaled(price - 500_000, 18, 6), "close": scaled(price + 10_000, 18, 6),
        "volume": scaled(volume * 10_000, 20, 4), "n_source": one, "revision": one,
    })
    return table, (int((price + 10_000).sum()), int(volume.sum()))


def write(data, rows):
    """Writes the table below a data folder; returns its rows and sums."""
    micros, volumes = 0, 0
    for number in range(rows // PART_ROWS):
        table, (of_close, of_volume) = part(number)
        write_deltalake(data / "lake" / "gold" / "bar_1m", table, mode="append")
        micros, volumes = micros + of_close, volumes + of_volume
    return rows, {"close": Decimal(micros).scaleb(-6), "volume": Decimal(volumes)}
