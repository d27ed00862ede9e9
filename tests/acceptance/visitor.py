"""Who connects to the SQL port and asks, again and again: what they know, and how answers are tallied."""

import asyncio
import time
from collections import Counter, defaultdict
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date, datetime, timezone

import psycopg

import crash

# Longest that anybody waits for an answer: the server's own bound.
PATIENCE = 120
# Some ask several things in a row.
ACT_PATIENCE = 5 * PATIENCE


@dataclass
class Known:
    """What is known of the lake before the crowd comes."""

    # By symbol and closed day: bars, volume, highest price.
    closed: dict
    # The day that is running.
    today: date
    # A moment before which everything had landed when the crowd came, and what was known then.
    moment: datetime
    revisions: int

    @classmethod
    def of(cls, lake, moment):
        """What the tables and the truth say now; at `moment`, in seconds since 1970, less was known."""
        moment, today = datetime.fromtimestamp(moment, timezone.utc), crash.START.date()
        rows = lake.rows(
            f"SELECT symbol, CAST(ts_start AS DATE), count(*), sum(volume), max(high) "
            f"FROM ({lake.truth_bars('bar_1m')}) WHERE ts_start < '{today}' GROUP BY ALL"
        )
        known = lake.one(
            f"SELECT count(*) FROM {lake.table('silver.bar')} WHERE knowledge_from <= '{moment.isoformat()}'"
        )
        assert rows and known, "there is nothing to ask about"
        return cls({(symbol, day): tuple(values) for symbol, day, *values in rows}, today, moment, known)

    @property
    def symbols(self):
        return sorted({symbol for symbol, _ in self.closed})

    @property
    def days(self):
        return sorted({day for _, day in self.closed})

    def sums(self, symbol, days):
        """Bars, volume and highest price of a symbol on closed days."""
        of_days = [self.closed[symbol, day] for day in days if (symbol, day) in self.closed]
        return (
            sum(bars for bars, *_ in of_days), sum(volume or 0 for _, volume, _ in of_days),
            max(high for *_, high in of_days),
        )


class Wrong(Exception):
    """An answer that cannot be."""


def check(is_right, what):
    if not is_right:
        raise Wrong(what)


class Tally:
    """How often each kind of statement was answered, how fast, and what went wrong."""

    def __init__(self):
        self.seconds, self.errors, self.acts = defaultdict(list), Counter(), Counter()

    @asynccontextmanager
    async def timed(self, kind):
        begun = time.monotonic()
        yield
        self.seconds[kind].append(time.monotonic() - begun)

    def assert_right(self):
        """Nothing went wrong, and nothing was left out."""
        assert not self.errors, self.errors
        missing = {kind for kind, acts in self.acts.items() if not acts}
        assert not missing, f"nobody had an answer: {missing}"

    def fail(self, kind, error):
        code = getattr(error, "sqlstate", None) or type(error).__name__
        self.errors[kind, code, str(error).splitlines()[0] if str(error) else ""] += 1


class Connection:
    """One client: it asks, looks at the answer, and thinks, until told that it is over."""

    def __init__(self, url, known, random, pauses, tally):
        self.url, self.known, self.random, self.pauses, self.tally = url, known, random, pauses, tally
        self.client = None
        self.highest = Counter()
        # None so far.
        tally.acts[self.kind] += 0

    async def open(self):
        async with self.tally.timed("connect"):
            self.client = await self.connect()

    async def connect(self):
        return await psycopg.AsyncConnection.connect(self.url, autocommit=True, connect_timeout=PATIENCE)

    async def close(self):
        client, self.client = self.client, None
        if client is not None:
            await client.close()

    async def go_on(self, over):
        """Asks again and again. An error is noted, and ends no visit; a new connection is opened."""
        while not over.is_set():
            try:
                if self.client is None:
                    await self.open()
                await asyncio.wait_for(self.ask(), ACT_PATIENCE)
                self.tally.acts[self.kind] += 1
            except Exception as error:  # whatever it is, it has no place here
                self.tally.fail(self.kind, error)
                await self.close()
            await self.think(over)
        await self.close()

    async def think(self, over):
        try:
            await asyncio.wait_for(over.wait(), self.pause)
        except TimeoutError:
            pass

    async def rows(self, kind, sql, *values, **options):
        async with self.tally.timed(kind):
            return await (await self.client.execute(sql, *values, **options)).fetchall()

    def grows(self, what, number):
        """What is only ever added to is never less than this connection saw before."""
        check(self.highest[what] <= number, f"{what}: {number} after {self.highest[what]}")
        self.highest[what] = number

    @property
    def pause(self):
        return self.random.uniform(*self.pauses)

    @property
    def symbol(self):
        return self.random.choice(self.known.symbols)
