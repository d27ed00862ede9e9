"""A lake of a million bars, written by delta-rs, and `marketlake serve` in front of it."""

import os
import shlex
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal

import numpy
import pyarrow
from deltalake import write_deltalake

from harness import Process

SYMBOLS, DAYS, MINUTES = 100, 25, 400
ROWS = SYMBOLS * DAYS * MINUTES
OPEN = datetime(2026, 3, 2, 14, 30, tzinfo=timezone.utc)
# Columns as the server tells them: name, type, what stands in the first row.
COLUMNS = [
    ("source", "text", "test"),
    ("symbol", "text", "S000"),
    ("mic", "text", "XNAS"),
    ("ts_start", "timestamptz", OPEN),
    ("ts_end", "timestamptz", OPEN + timedelta(minutes=1)),
    ("session_date", "date", date(2026, 3, 2)),
    ("open", "numeric", Decimal("100.000000")),
    ("high", "numeric", Decimal("100.500000")),
    ("low", "numeric", Decimal("99.750000")),
    ("close", "numeric", Decimal("100.250000")),
    ("volume", "numeric", None),
    ("n_source", "int4", 1),
    ("revision", "int4", 1),
]
NAMES = [name for name, *_ in COLUMNS]
FIRST_ROW = tuple(value for *_, value in COLUMNS)
FIRST = f"SELECT {', '.join(NAMES)} FROM gold.bar_1m ORDER BY symbol, ts_start LIMIT 1"


def bars():
    """Bar `n` of a symbol opens at 100 and `n` cents; the volume of its first is not known."""
    number = numpy.arange(ROWS)
    symbol, minute = number // (DAYS * MINUTES), number % (DAYS * MINUTES)
    day, minute_of_day = minute // MINUTES, minute % MINUTES
    start = (day * 1440 + minute_of_day) * 60_000_000 + int(OPEN.timestamp()) * 1_000_000
    stamp = pyarrow.timestamp("us", tz="UTC")

    def scaled(values, precision, scale, mask=None):
        """Whole numbers as decimals of `scale` digits behind the point."""
        words = numpy.zeros((len(values), 2), dtype="int64")
        words[:, 0] = values
        kind = pyarrow.decimal128(precision, scale)
        valid = None if mask is None else pyarrow.array(~mask).buffers()[1]
        nulls = 0 if mask is None else int(mask.sum())
        return pyarrow.Array.from_buffers(
            kind, len(values), [valid, pyarrow.py_buffer(words.tobytes())], nulls,
        )

    price = lambda shift: scaled(100_000_000 + minute * 10_000 + shift, 18, 6)
    names = pyarrow.array([f"S{n:03}" for n in range(SYMBOLS)])
    dates = pyarrow.array((OPEN.date() - date(1970, 1, 1)).days + day, pyarrow.int32())
    one = pyarrow.array(numpy.ones(ROWS, dtype="int32"))
    text = lambda value: pyarrow.repeat(pyarrow.scalar(value), ROWS)
    return pyarrow.table({
        "source": text("test"),
        "symbol": names.take(pyarrow.array(symbol)),
        "mic": text("XNAS"),
        "ts_start": pyarrow.array(start, stamp),
        "ts_end": pyarrow.array(start + 60_000_000, stamp),
        "session_date": dates.cast(pyarrow.date32()),
        "open": price(0), "high": price(500_000), "low": price(-250_000), "close": price(250_000),
        "volume": scaled(minute * 10_000, 20, 4, mask=minute == 0),
        "n_source": one,
        "revision": one,
    })


class Served:
    """A running server and how its clients find it."""

    host, database = "127.0.0.1", "marketlake"

    def __init__(self, folder, rows=None, environment=None):
        data = folder / "data"
        rows = bars() if rows is None else rows
        write_deltalake(data / "lake" / "gold" / "bar_1m", rows, partition_by=["session_date"])
        binds = {f"MARKETLAKE__{part}__BIND": "127.0.0.1:0" for part in ("HTTP", "POSTGRES")}
        environment = {**binds, **(environment or {})}
        self.process = Process("serve", ["--data-dir", data, "serve"], folder, environment)
        words = shlex.split(self.process.line("SQL"))
        said = dict(word.split("=", 1) for word in words if "=" in word)
        self.command, self.password = words, said["PGPASSWORD"]
        self.port = int(words[words.index("-p") + 1])
        self.user = words[words.index("-U") + 1]

    @property
    def url(self):
        return f"postgresql://{self.user}:{self.password}@{self.host}:{self.port}/{self.database}"

    def resident_bytes(self):
        """The server's memory now."""
        status = open(f"/proc/{self.process.pid}/status").read()
        line = next(line for line in status.splitlines() if line.startswith("VmRSS"))
        return int(line.split()[1]) * 1024

    def stop(self):
        code, seconds = self.process.terminate()
        assert code == 0 and seconds < 10, f"exit {code} after {seconds:.1f} s"
