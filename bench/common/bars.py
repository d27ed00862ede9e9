"""Rows of gold's tables of bars, as the pipeline has them, made of whole numbers."""

import numpy
import pyarrow

MINUTE = 60_000_000
DAY = 1_440 * MINUTE
STAMP = pyarrow.timestamp("us", tz="UTC")
# Digits and scale of a decimal; a price of one cent is 10,000 of its smallest unit.
PRICE, VOLUME = (18, 6), (20, 4)
CENT, SHARE = 10_000, 10_000


def decimals(values, kind):
    """Whole numbers of the smallest unit, not below zero, as decimals."""
    words = numpy.zeros((len(values), 2), dtype="int64")
    words[:, 0] = values
    return pyarrow.Array.from_buffers(
        pyarrow.decimal128(*kind), len(values), [None, pyarrow.py_buffer(words.tobytes())],
    )


def bars(symbol, mic, start, end, prices, volume, n_source):
    """A table of bars. Names and times are an entry for each bar, times in microseconds; `prices` are
    the arrays of open, high, low and close."""
    rows = len(start)
    kept = dict(zip(("open", "high", "low", "close"), (decimals(price, PRICE) for price in prices)))
    return pyarrow.table({
        "source": pyarrow.repeat("bench", rows), "symbol": symbol, "mic": mic,
        "ts_start": pyarrow.array(start, STAMP), "ts_end": pyarrow.array(end, STAMP),
        "session_date": pyarrow.array((start // DAY).astype("int32")).cast(pyarrow.date32()),
        **kept, "volume": decimals(volume, VOLUME),
        "n_source": pyarrow.array(numpy.broadcast_to(n_source, rows).astype("int32")),
        "revision": pyarrow.array(numpy.ones(rows, dtype="int32")),
    })
