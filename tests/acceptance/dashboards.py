"""A crowd at the SQL port, as real dashboards are: what each of its connections asks, and checks.

Whoever has an answer knows something about it: closed days are those of the truth, what is only ever
added to does not shrink, one statement sees one version, and a transaction sees the one it began with.
"""

import asyncio
import time
from datetime import timedelta

import asyncpg
import psycopg

from test_bi_tools import STATEMENTS
from visitor import PATIENCE, Connection, Tally, Wrong, check

# Of each twenty connections.
CROWD = {
    "panels": 6, "questions": 4, "direct query": 3, "pages": 2, "downloads": 1, "transactions": 2,
    "visits": 1, "cancels": 1,
}
PAGE = 300
# Works for longer than anybody waits, and stops when it is told to. A join may not (docs/gaps.md, 31):
# what goes on behind those who left would be all that is measured here.
ENDLESS = "SELECT sum(v * v % 7) FROM generate_series(1, 2000000000) AS numbers(v)"
# Long enough for a statement to begin.
CANCEL_AFTER = 0.3
# What tools look up about any lake, in place of the one that their test fills.
LOOK_UPS = [
    (tool, purpose, sql, expected) for tool, purpose, sql, expected in STATEMENTS
    if (tool, purpose) not in (("grafana", "time series"), ("grafana", "macro"))
]
# Power BI's nesting: filters inside, groups around them, empty groups cut off, a row limit.
DIRECT_QUERY = """\
select "_"."symbol", "_"."a0", "_"."a1", "_"."a2"
from (
    select "rows"."symbol" as "symbol", sum("rows"."volume") as "a0", max("rows"."high") as "a1",
        count(*) as "a2"
    from (
        select "_"."symbol", "_"."date", "_"."high", "_"."volume" from "bi"."bars_1m" "_"
        where "_"."date" >= $1 and "_"."date" < $2 and "_"."symbol" in ($3, $4, $5)
    ) "rows"
    group by "symbol"
) "_"
where not "_"."a0" is null or not "_"."a1" is null
order by "_"."symbol"
limit 1000001"""


class Panels(Connection):
    """Grafana: the panels of a dashboard in the simple protocol, whenever it refreshes."""

    kind = "panels"

    async def ask(self):
        await self.random.choice([self.history, self.running, self.quotes])()

    async def history(self):
        """Quarters of an hour of the closed days add up to what is true of them."""
        symbol, last = self.symbol, self.known.days[-1]
        rows = await self.rows(
            "panel: history",
            f"""SELECT floor(extract(epoch from ts)/900)*900 AS "time", symbol AS metric, count(*) AS bars,
            sum(volume) AS volume, max(high) AS high FROM bi.bars_1m WHERE symbol = '{symbol}' AND ts BETWEEN
            '{self.known.days[0]}T00:00:00Z' AND '{last}T23:59:59Z' GROUP BY 1, 2 ORDER BY 1, 2""",
        )
        found = (sum(row[2] for row in rows), sum(row[3] or 0 for row in rows), max(row[4] for row in rows))
        expected = self.known.sums(symbol, self.known.days)
        check(found == expected, f"{symbol} has {found}, not {expected}")
        check([row[0] for row in rows] == sorted(row[0] for row in rows), "the panel is not in order")

    async def running(self):
        """Five minutes of today, and their total in the same statement: both of one version."""
        rows = await self.rows(
            "panel: today",
            f"""WITH today AS (SELECT ts_start, volume FROM gold.bar_1m WHERE session_date = '{self.known.today}')
            SELECT date_bin('5 minutes', ts_start, timestamptz '2000-01-01 00:00:00+00') AS "time",
              count(*) AS bars, sum(volume) AS volume FROM today GROUP BY 1
            UNION ALL SELECT NULL, count(*), sum(volume) FROM today ORDER BY 1""",
        )
        *bins, (nothing, bars, volume) = rows
        found = (sum(row[1] for row in bins), sum(row[2] or 0 for row in bins))
        check(nothing is None and found == (bars, volume), f"parts {found}, total {(bars, volume)}")
        self.grows("bars of today", bars)

    async def quotes(self):
        rows = await self.rows(
            "panel: quotes",
            "SELECT symbol, ts, price, change_percent FROM bi.quotes_latest ORDER BY symbol LIMIT 10",
        )
        check(len(rows) == min(10, len(self.known.symbols)), f"{len(rows)} quotes")
        for symbol, ts, *_ in rows:
            self.grows(f"time of {symbol}", ts.timestamp())


class Questions(Connection):
    """Metabase and Superset: look-ups in the catalog, and questions about all there is."""

    kind = "questions"

    async def ask(self):
        await self.random.choice([self.look_up, self.daily, self.as_of])()

    async def look_up(self):
        _, purpose, sql, expected = self.random.choice(LOOK_UPS)
        rows = await self.rows("catalog", sql)
        check(bool(rows) or expected == [], f"nothing found about {purpose}")

    async def daily(self):
        rows = await self.rows(
            "question: days",
            "SELECT date, count(*) AS bars, sum(volume) AS volume, max(high) AS high FROM bi.bars_1m "
            "WHERE symbol <> %s GROUP BY date ORDER BY date", ["none"],
        )
        every = self.known.symbols
        for day, *found in rows:
            if day in self.known.days:
                sums = [self.known.sums(symbol, [day]) for symbol in every if (symbol, day) in self.known.closed]
                bars, volumes, highs = zip(*sums)
                expected = [sum(bars), sum(volumes), max(highs)]
                check(found == expected, f"{day} has {found}, not {expected}")
            else:
                self.grows(f"bars of {day}", found[0])
        check(len(rows) == len(self.known.days) + 1, f"{len(rows)} days")

    async def as_of(self):
        """What was known at a moment does not change any more."""
        ((found, every),) = await self.rows(
            "question: revisions",
            "SELECT count(*) FILTER (WHERE knowledge_from <= %s), count(*) FROM silver.bar", [self.known.moment],
        )
        check(found == self.known.revisions, f"{found} revisions were known, not {self.known.revisions}")
        self.grows("revisions", every)


class DirectQuery(Connection):
    """Power BI: aggregates with parameters, prepared, with binary values both ways."""

    kind = "direct query"

    async def connect(self):
        return await asyncpg.connect(self.url, timeout=PATIENCE, command_timeout=PATIENCE)

    async def ask(self):
        days, symbols = self.known.days, self.random.sample(self.known.symbols, 3)
        first = self.random.choice(days)
        async with self.tally.timed("direct query"):
            rows = await self.client.fetch(DIRECT_QUERY, first, days[-1] + timedelta(days=1), *symbols)
        found = {symbol: (bars, volume, high) for symbol, volume, high, bars in rows}
        wanted = [day for day in days if first <= day]
        expected = {symbol: self.known.sums(symbol, wanted) for symbol in symbols}
        check(found == expected, f"found {found}, not {expected}")
        # As a pool does, before it hands the connection to the next report.
        async with self.tally.timed("reset"):
            await self.client.reset()


class Pages(Connection):
    """A notebook: a cursor at the server, page after page."""

    kind = "pages"

    async def ask(self):
        symbol = self.symbol
        async with self.client.transaction():
            ((count,),) = await self.rows("count", "SELECT count(*) FROM gold.bar_1m WHERE symbol = %s", [symbol])
            async with self.client.cursor("page") as cursor:
                async with self.tally.timed("cursor"):
                    await cursor.execute(
                        "SELECT ts_start, close FROM gold.bar_1m WHERE symbol = %s ORDER BY ts_start", [symbol],
                    )
                times = []
                while not times or len(page) == PAGE:
                    async with self.tally.timed("page"):
                        page = await cursor.fetchmany(PAGE)
                    times += [ts for ts, _ in page]
                    # Somebody reads.
                    await asyncio.sleep(self.pause / 10)
        check(len(times) == count, f"{len(times)} rows in pages, {count} in all")
        check(times == sorted(set(times)), "the pages are not in order")
        self.grows(f"bars of {symbol}", count)


class Downloads(Connection):
    """Excel and scripts: COPY, in each of its forms."""

    kind = "downloads"

    async def ask(self):
        form = self.random.choice(["csv", "text", "binary"])
        query = f"SELECT symbol, ts_start, close FROM gold.bar_1m WHERE symbol >= '{self.symbol}'"
        async with self.client.transaction():
            ((count,),) = await self.rows("count", f"SELECT count(*) FROM ({query}) AS rows")
            async with self.tally.timed(f"copy: {form}"):
                async with self.client.cursor().copy(f"COPY ({query}) TO STDOUT (FORMAT {form})") as copy:
                    if form == "csv":
                        rows = sum([bytes(part).count(b"\n") async for part in copy])
                    else:
                        copy.set_types(["text", "timestamptz", "numeric"])
                        rows = len([row async for row in copy.rows()])
        check(rows == count, f"{rows} rows in the file, {count} in all")


class Transactions(Connection):
    """Somebody who began a transaction and went for a coffee: it stands still meanwhile."""

    kind = "transactions"
    TOTALS = (
        "SELECT (SELECT count(*) FROM silver.bar), (SELECT count(*) FROM gold.bar_1m), "
        "(SELECT sum(volume) FROM gold.bar_1m), (SELECT sum(n_source) FROM gold.bar_1d)"
    )

    async def ask(self):
        async with self.client.transaction():
            (before,) = await self.rows("totals", self.TOTALS)
            await asyncio.sleep(self.pause)
            (after,) = await self.rows("totals", self.TOTALS)
        check(before == after, f"a transaction saw {before}, then {after}")
        self.grows("revisions", before[0])
        self.grows("bars", before[1])


class Visits(Connection):
    """A script that connects, asks and leaves."""

    kind = "visits"

    async def ask(self):
        ((bars,),) = await self.rows("visit", "SELECT count(*) FROM gold.bar_1d", binary=True)
        check(len(self.known.symbols) * len(self.known.days) <= bars, f"{bars} daily bars")
        await self.close()


class Cancels(Connection):
    """Somebody who loses patience."""

    kind = "cancels"

    async def ask(self):
        task = asyncio.create_task(self.client.execute(ENDLESS))
        begun = None
        # A request that overtakes the statement cancels nothing, as with PostgreSQL.
        while not task.done():
            await asyncio.wait([task], timeout=CANCEL_AFTER)
            if not task.done():
                begun = begun or time.monotonic()
                await self.client.cancel_safe(timeout=PATIENCE)
        try:
            await task
        except psycopg.errors.QueryCanceled:
            self.tally.seconds["cancel"].append(time.monotonic() - begun)
        else:
            raise Wrong("what was cancelled has an answer")
        check(await self.rows("after a cancel", "SELECT 1") == [(1,)], "nothing is left after a cancel")


KINDS = {
    one.kind: one for one in (Panels, Questions, DirectQuery, Pages, Downloads, Transactions, Visits, Cancels)
}


def crowd(connections):
    """The kinds of so many connections, in a fixed order that mixes them."""
    every = [kind for kind, share in CROWD.items() for _ in range(share)]
    # Seven has no factor in common with twenty: each kind has its share of any twenty in a row.
    return [KINDS[every[7 * number % len(every)]] for number in range(connections)]


async def visit(url, connections, seconds, pauses, known, random, watch=None):
    """Opens all connections, then lets all of them ask for so many seconds.

    `pauses` are the shortest and the longest time between two of anybody's; `watch` is called once a
    second. Returns the tally and when the crowd was complete, and went, in seconds since 1970.
    """
    tally, over = Tally(), asyncio.Event()
    everybody = [kind(url, known, type(random)(random.random()), pauses, tally) for kind in crowd(connections)]
    # As many at a time as a server lets log in beside those that are in.
    door = asyncio.Semaphore(16)

    async def enter(connection):
        async with door:
            await connection.open()

    await asyncio.gather(*map(enter, everybody))
    begun = time.time()
    asking = [asyncio.create_task(connection.go_on(over)) for connection in everybody]
    while time.time() < begun + seconds:
        if watch is not None:
            watch()
        await asyncio.sleep(1)
    ended = time.time()
    over.set()
    await asyncio.gather(*asking)
    return tally, begun, ended
