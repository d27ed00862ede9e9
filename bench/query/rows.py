"""The bars of the benchmark: prices that walk at random, from a seed, by minute and by day.

Every number is a whole one of its smallest unit, so all engines are given the same to the last digit.
More rows of a seed begin with the same ones. The last session may be cut: it is still running.
"""

from datetime import date, datetime, time, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

import numpy
import pyarrow

from common.bars import CENT, MINUTE, SHARE, bars

NEW_YORK = ZoneInfo("America/New_York")
OPEN = time(9, 30)
MINUTES = 390
FIRST_SESSION = date(2025, 1, 2)
# A year of days lies before the first minute, for averages and lows that look back.
DAYS_BEFORE = 250
VENUES = pyarrow.array(["XNAS", "XNYS"])
# Of a session's volume more is traded near its ends than at noon.
NOON_SHARE = 0.4


class Part(NamedTuple):
    """Rows of one table that are written together."""

    table: str
    rows: pyarrow.Table


def weekdays(first, step):
    day = first
    while True:
        if day.weekday() < 5:
            yield day
        day += timedelta(days=step)


def opening(day):
    """When the session begins, in microseconds; in summer that is an hour earlier."""
    return int(datetime.combine(day, OPEN, NEW_YORK).timestamp()) * 1_000_000


def cents(prices):
    return numpy.maximum(numpy.rint(prices), 1).astype("int64")


class Walk:
    """Where the price of every symbol is, in cents, and how it moves."""

    def __init__(self, seed, symbols):
        self.seed = seed
        chance = numpy.random.default_rng([seed, 0])
        self.price = cents(numpy.exp(chance.normal(numpy.log(6_000), 0.8, symbols)).clip(500, 200_000))
        self.deviation = chance.uniform(0.01, 0.04, symbols)
        # Shares that change hands in a minute, about.
        self.shares = numpy.exp(chance.normal(numpy.log(400), 1.5, symbols))
        # Seven of ten are traded in every minute, the others have gaps.
        has_gaps = 0.7 <= chance.random(symbols)
        self.liquidity = numpy.where(has_gaps, chance.uniform(0.5, 1.0, symbols), 1.0)

    def day(self, number):
        """Open, high, low, close and volume of a whole day."""
        chance = numpy.random.default_rng([self.seed, 1, number])
        normal = lambda deviation: chance.normal(0, deviation, len(self.price))
        first = cents(self.price * numpy.exp(normal(self.deviation / 4)))
        last = cents(first * numpy.exp(normal(self.deviation)))
        high = cents(numpy.maximum(first, last) * (1 + abs(normal(self.deviation / 3))))
        low = cents(numpy.minimum(first, last) * (1 - abs(normal(self.deviation / 3))))
        volume = cents(self.shares * MINUTES * numpy.exp(normal(0.3)))
        self.price = last
        return (first, high, low, last), volume

    def minutes(self, number):
        """The same of every minute of a session, a row for each minute, and who was traded in it."""
        chance = numpy.random.default_rng([self.seed, 2, number])
        shape = (MINUTES, len(self.price))
        step = self.deviation / numpy.sqrt(MINUTES)
        last = cents(self.price * numpy.exp(numpy.cumsum(chance.normal(0, step, shape), axis=0)))
        gap = cents(self.price * numpy.exp(chance.normal(0, self.deviation / 4)))
        first = numpy.vstack([gap, last[:-1]])
        reach = lambda: numpy.rint(abs(chance.normal(0, step / 2, shape)) * last).astype("int64")
        high = numpy.maximum(first, last) + reach()
        low = numpy.maximum(numpy.minimum(first, last) - reach(), 1)
        from_noon = abs(numpy.linspace(-1, 1, MINUTES))[:, None]
        busy = NOON_SHARE + (1 - NOON_SHARE) * from_noon**2
        volume = cents(self.shares * busy * numpy.exp(chance.normal(0, 0.7, shape)))
        traded = chance.random(shape) < self.liquidity
        self.price = last[-1]
        return (first, high, low, last), volume, traded


def bars_of(names, index, start, length, prices, volume, n_source):
    """Rows of a bar table, of cents and whole shares."""
    place = pyarrow.array(index)
    venue = pyarrow.array(index % len(VENUES))
    prices = [price * CENT for price in prices]
    return bars(
        names.take(place), VENUES.take(venue), start, start + length, prices, volume * SHARE, n_source,
    )


def history(walk, names):
    """The days before the first session with minutes, oldest first."""
    before = weekdays(FIRST_SESSION - timedelta(days=1), -1)
    days = [next(before) for _ in range(DAYS_BEFORE)][::-1]
    index = numpy.arange(len(names))
    for number, day in enumerate(days):
        prices, volume = walk.day(number)
        start = numpy.full(len(names), opening(day))
        yield bars_of(names, index, start, MINUTES * MINUTE, prices, volume, MINUTES)


def day_of(kept, prices, volume):
    """The daily bar of each symbol out of its minutes that are kept; who has none has none."""
    first, high, low, last = prices
    every = numpy.arange(kept.shape[1])
    begin, end = kept.argmax(axis=0), MINUTES - 1 - kept[::-1].argmax(axis=0)
    daily = (
        first[begin, every], numpy.where(kept, high, 0).max(axis=0),
        numpy.where(kept, low, numpy.iinfo("int64").max).min(axis=0), last[end, every],
    )
    return daily, numpy.where(kept, volume, 0).sum(axis=0), kept.sum(axis=0)


def session(walk, names, number, day, rows_max):
    """The minutes of a session in the order of time, at most so many, and its days."""
    prices, volume, traded = walk.minutes(number)
    chosen = numpy.flatnonzero(traded)[:rows_max]
    minute, symbol = numpy.divmod(chosen, len(names))
    start = opening(day)
    flat = [price.ravel()[chosen] for price in prices]
    of_minutes = bars_of(names, symbol, start + minute * MINUTE, MINUTE, flat, volume.ravel()[chosen], 1)
    kept = numpy.zeros(traded.size, dtype=bool)
    kept[chosen] = True
    daily, shares, n_source = day_of(kept.reshape(traded.shape), prices, volume)
    had = numpy.flatnonzero(n_source)
    of_days = bars_of(
        names, had, numpy.full(len(had), start), MINUTES * MINUTE,
        [price[had] for price in daily], shares[had], n_source[had],
    )
    return of_minutes, of_days


def parts(seed, symbols, rows):
    """All rows of both tables, `rows` of them minutes, in parts that fit into memory."""
    walk, names = Walk(seed, symbols), pyarrow.array([f"S{n:04}" for n in range(symbols)])
    yield Part("bar_1d", pyarrow.concat_tables(history(walk, names)))
    for number, day in enumerate(weekdays(FIRST_SESSION, 1)):
        of_minutes, of_days = session(walk, names, number, day, rows)
        rows -= of_minutes.num_rows
        yield Part("bar_1m", of_minutes)
        yield Part("bar_1d", of_days)
        if rows == 0:
            return
